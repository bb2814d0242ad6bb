"""`compare`: finished runs beside each other, as a picture and as a table."""
from training.commands.own_pictures import check_out
from training.experiments.row import ExperimentError
from training.reporting import tables
from training.reporting.statistics import read_statistics
from training.storage import finding, run_folder


def compare_command(args) -> None:
    """`compare`: draw losses and strips of runs, and print what differs and their measures."""
    if args.out.suffix.lower() != '.png':
        raise ExperimentError(f'--out {args.out}: expected a name that ends in .png')
    check_out(args.out, args.force)
    names, runs = finding.several(args.results_root, args.runs), {}
    for folder in names:
        row = run_folder.row_of(run_folder.read_config(folder), folder)
        evaluation = run_folder.read_evaluation(folder) or {'measures': {}}
        runs[folder] = row, read_statistics(folder), evaluation['measures']
    if len(runs) < 2:
        raise ExperimentError(f'{args.runs[0]}: one run, expected two or more that differ')
    from training.reporting import run_charts  # slow to import
    args.out.parent.mkdir(parents=True, exist_ok=True)
    run_charts.draw(args.out, {names[folder]: (folder, statistics)
                               for folder, (_, statistics, _) in runs.items()})
    print(tables.side_by_side([*runs.values()], [*names.values()]), end='')
    print(args.out)
