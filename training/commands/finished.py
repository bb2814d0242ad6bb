"""Commands about finished runs: `strips`, `evaluate`, `explore`, `verify`, `report`."""
import json
import sys
from pathlib import Path

from data import DataError, table
from data.fetch import Places
from training.commands import errors, opening
from training.commands.runs import add_to_folder, chosen_runs, evaluate_run, load_run
from training.commands.wiring import published_rows, resolve_devices, tables_root
from training.evaluation.measures import on_few
from training.experiments.row import ExperimentError
from training.reporting import page, pictures, run_readme, tables, verify
from training.storage import finding, run_folder
from training.studies import compared


def strips_command(args) -> None:
    """`strips`: draw pictures again from saved parameters, without training."""
    published = published_rows()
    for run in chosen_runs(args.results_root, args.name, args.match, args.ctx,
                           args.places, args.skip_bad):
        pixels, originals = run.validation_pictures()
        drawn = pictures.write_pictures(run.folder, pixels, originals)
        drawn += run_readme.draw_curves(run.folder, run.row, published.get(run.row.name, {}))
        add_to_folder(run, *drawn)
        print(run.folder / pictures.STRIP)


def evaluate_command(args) -> None:
    """`evaluate`: measure all held-out images, into evaluation.json and the README."""
    evaluations = {}
    for run in chosen_runs(args.results_root, args.name, args.match, args.ctx,
                           args.places, args.skip_bad, whole=True):
        name = f'{run.folder.parent.name}/{run.folder.name}'  # a copy has another one
        evaluations[name] = evaluate_run(run, args.places, args.skip_bad)
        print(run.folder / run_folder.EVALUATION, file=sys.stderr)
    for note in sorted({on_few(of['images']) for of in evaluations.values()} - {''}):
        print(note, file=sys.stderr)
    print(json.dumps(evaluations, indent=2) if args.json else tables.evaluations(evaluations))


def explore_command(args) -> None:
    """`explore`: draw samples, interpolations, traversals and nearest images."""
    from training.reporting import charts
    for run in chosen_runs(args.results_root, args.name, args.match, args.ctx,
                           args.places, args.skip_bad):
        from training.evaluation.explore import explore  # MXNet: after the process is set up
        n = len(run.images)
        if run.row.encodes and max(args.between) >= n:
            raise ExperimentError(f'--between {max(args.between)}: expected less than the {n} '
                                  'held-out images')
        drawn = explore(run, tuple(args.between))
        if 'nearest' not in drawn:
            print(f'{run.folder}: no nearest images, for the training images are not here',
                  file=sys.stderr)
        for name, figure in drawn.items():
            charts.draw_rows(run.folder / pictures.EXPLORED[name], *figure)
        add_to_folder(run, *(pictures.EXPLORED[name] for name in drawn))
        print(*(run.folder / pictures.EXPLORED[name] for name in drawn), sep='\n')


def report_command(args) -> None:
    """`report`: write one page of all finished runs."""
    print(page.write(tables_root(args.results_root).resolve(), args.results_root.resolve(),
                     compared(), published_rows(), table.kinds()))


def verify_command(args) -> None:
    """`verify`: say whether result folders are what was recorded, and their strips come again."""
    root = args.results_root
    chosen = [finding.named(root, name) for name in args.names] or [
        *run_folder.finished_runs(root).values()]
    if not chosen:
        raise verify.VerifyError(f'{root}: no finished runs; {finding.ELSEWHERE}')
    ctx, n_wrong = resolve_devices(args.ctx)[0], 0
    published = published_rows()
    for folder in chosen:
        findings = verify.check(folder, published)
        if not findings.problems:
            _draw_again(folder, ctx, args.places, args.skip_bad, findings)
        n_wrong += bool(findings.problems)
        print(f'{folder}: {findings}', flush=True)
    if n_wrong:
        raise verify.VerifyError(f'{n_wrong} of {len(chosen)} result folders are not what was '
                                 'recorded')


def _draw_again(folder: Path, ctx, places: Places, skip_bad: bool,
                findings: verify.Findings) -> None:
    """Compare the strip with one drawn from the parameters, where these and the data are."""
    if not run_folder.is_drawable(folder):
        findings.notes.append(f'strip not drawn again: {run_folder.PARAMETERS} is not here')
        return
    try:
        run = load_run(folder, ctx, places, skip_bad)
    except (DataError, opening.OtherDataError) as error:
        findings.notes.append(f'strip not drawn again: {errors.one_line(error)}')
        return
    verify.compare_strip(folder, *run.validation_pictures(), findings)
