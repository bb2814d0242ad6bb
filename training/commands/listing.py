"""`list`: the registry, with published numbers and ours."""
import json
import shutil
import sys
import textwrap
from fnmatch import fnmatchcase
from pathlib import Path

from data import table
from training.experiments import canonical, naming, registry
from training.experiments.row import ExperimentError
from training.reporting import tables
from training.reporting.published import RESULTS, published_numbers
from training.reporting.statistics import TableError, read_statistics
from training.storage import finding, run_folder, unfinished

DIVERGED = 'diverged, and would again (a smaller lr may help)'


def list_command(args) -> None:
    """`list`: show the registry, published and our numbers, and finished runs that differ."""
    published = published_numbers()
    if not (args.results_root.is_dir() or args.results_root.resolve() == RESULTS / 'images'):
        print(f'{args.results_root}: no such folder, so no finished runs', file=sys.stderr)
    finished = run_folder.finished_runs(args.results_root)
    configs = {run: run_folder.read_config(folder) for run, folder in finished.items()}
    lines, first_of, stopped = [], {}, _stopped(args.results_root)
    for name, row in registry.EXPERIMENTS.items():
        runs = [run for run, config in configs.items()
                if run not in registry.EXPERIMENTS and config['name'] == name]
        if not fnmatchcase(name, args.match):
            runs = [run for run in runs if fnmatchcase(run, args.match)]
            if not runs:
                continue
        first, numbers = canonical.trained_row(row).name, published.get(name, {})
        first_of[name] = first
        rows = {run: run_folder.row_of(configs[run], finished[run]) for run in runs}
        variants = {run: (finished[run], own, naming.comparable_curve(own, numbers),
                          [*[run] * (run != configs[run]['run']),
                           *naming.labels(own, configs[run].get('own_name'))])
                    for run, own in rows.items()}
        lines.append(tables.listing(row, numbers, finished.get(first), variants)
                     | {'trained_as': None if first == name else first,
                        'unfinished': stopped.get(name, [])})
    if not lines:
        raise ExperimentError(f'no experiment or finished run matches {args.match!r} (`list` '
                              f'shows all; {finding.ELSEWHERE})')
    if args.json:
        for ours in (one for line in lines for one in (line, *line['variants'])):
            folder = finished.get(first_of.get(ours['name'], ours['name']))
            evaluation = folder and run_folder.read_evaluation(folder)
            ours['measures'] = evaluation and evaluation['measures']
        print(json.dumps(lines, indent=2))
        return
    width = shutil.get_terminal_size().columns or 80  # 0: of a terminal without a size
    if args.markdown:
        print('\n'.join(map(tables.markdown_table, tables.listing_cells(lines))))
    else:
        print(tables.text_list(lines, width))
        for one in (one for line in lines for one in line['unfinished']):
            command = one['command'].replace('python -m training', args.called, 1)
            print(f'\nunfinished: {one["name"]}, {one["epochs_done"]} of {one["epochs"]} epochs; '
                  + (DIVERGED if one['diverged'] else f'go on with: {command}'))
    for name, entry in table.SETS.items():
        if entry.note and any('our_epoch' in ours for line in lines if line['data'] == name
                              for ours in (line, *line['variants'])):
            print(f'\n{entry.note if args.markdown else textwrap.fill(entry.note, width)}')


def _has_diverged(folder: Path) -> bool:
    try:
        return read_statistics(folder)[-1]['phase'].endswith('diverged')
    except (TableError, OSError):  # it says so when it is to go on
        return False


def _stopped(root: Path) -> dict[str, list[dict]]:
    """Return the runs that can go on, by experiment, each with a command that finds it."""
    found = {}
    for one in unfinished.all_in(root):
        one['diverged'] = _has_diverged(one.pop('folder'))
        one['command'] = naming.in_root(one['command'], root)
        found.setdefault(one.pop('experiment'), []).append(one)
    return found
