"""`study`: the runs of a study, trained, measured and compared."""
import os
import sys
from dataclasses import replace
from pathlib import Path

from data import DataError
from data.fetch import Places
from training.commands.runs import evaluate_run, load_run
from training.commands.wiring import load_data, resolve_devices, tables_root, train_row
from training.experiments import early_stopping, naming
from training.experiments.row import Row
from training.reporting.statistics import TableError, read_csv, read_statistics, write_csv
from training.storage import files, run_folder
from training.studies import STUDIES
from training.studies.study import Runs, Study


def study_command(args) -> None:
    """`study`: train the rows of a study, measure them, write its table and figure."""
    study, root = STUDIES[args.which], tables_root(args.results_root)
    path = root / study.table
    if args.markdown:
        print(_markdown(study, path, Runs(args.results_root, _prefix(args.results_root, root))))
        return
    for folder in {root, args.results_root}:
        files.check_writable(folder)
    ctx, rows = resolve_devices(args.ctx), study.rows()
    kept = _kept(study, rows, path, args.results_root) if args.keep else {}
    from training.run.train import Options
    options = Options(args.results_root, args.command_line, False, args.fresh,
                      args.checkpoint_minutes)
    lines = []
    for row in rows:
        measured = kept.get(naming.run_name(row))
        if measured is None:
            measured = _measured(row, ctx, options, args.places, args.skip_bad)
        lines.append(_line(study, row, args.results_root, measured))
    write_csv(path, study.columns, lines)
    runs = Runs(args.results_root, load=lambda folder: load_run(
        folder, ctx[0], args.places, args.skip_bad))
    _draw(study, root / study.figure, lines, runs, args.keep)


def _markdown(study: Study, path: Path, runs: Runs) -> str:
    command = naming.in_root(f'python -m training study {study.name}', runs.root)
    if not path.exists():
        raise TableError(f'{path}: not there; make it with: {command}')
    try:
        return study.markdown(read_csv(path), runs)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise TableError(f'{path}: not of the runs that are compared now ({error!r}); again '
                         f'with: {command}') from None


def _prefix(results_root: Path, root: Path) -> str:
    """Return what links from a text in `root` to a run begin with."""
    there = os.path.relpath(results_root.resolve(), root.resolve())
    return '' if there == os.curdir else f'{Path(there).as_posix()}/'


def _has_parameters(folder: Path) -> bool:
    return (folder / run_folder.PARAMETERS).exists()


def _kept(study: Study, rows: list[Row], path: Path, root: Path) -> dict[str, dict]:
    """Return the measures of finished runs without parameters by their names.

    They were recorded in evaluation.json, or else in the study's table. TableError if a run has
    neither.
    """
    table = {line.get('run'): line for line in read_csv(path)} if path.exists() else {}
    kept = {}
    for row in rows:
        run = naming.run_name(row)
        folder = root / run
        if _has_parameters(folder) or not (folder / run_folder.CONFIG).exists():
            continue
        evaluation = run_folder.read_evaluation(folder)
        if run not in table and evaluation is None:
            raise TableError(f'{folder}: its {run_folder.PARAMETERS} is not there, and no '
                             f'measures to keep, neither in {run_folder.EVALUATION} nor in '
                             f'{path}; without --keep it is trained again')
        recorded = table.get(run, {}) | (evaluation['measures'] if evaluation else {})
        kept[run] = {name: recorded.get(name) for name in study.measures}
    return kept


def _measured(row: Row, ctx: list, options, places: Places, skip_bad: bool) -> dict:
    """Return the measures of a row's run, which is trained unless its parameters are here."""
    folder = options.results_root / naming.run_name(row)
    if _has_parameters(folder):
        run = load_run(folder, ctx[0], places, skip_bad)
    else:
        dataset = load_data(row, places, skip_bad)
        if dataset.images:
            raise DataError(f'{dataset.place}: other images than those of the shown results, with '
                            'which a study compares; `run` trains on them')
        run = train_row(row, dataset, ctx, replace(options, force=folder.exists()),
                        places=places, skip_bad=skip_bad)
    return evaluate_run(run, places, skip_bad)['measures']


def _line(study: Study, row: Row, root: Path, measured: dict) -> dict:
    """Return the line of a row's finished run in the study's table; measured: its measures."""
    run = naming.run_name(row)
    statistics = read_statistics(root / run)
    kept = statistics[early_stopping.kept_epoch(row, statistics)]
    last = {column: value for column, value in kept.items()
            if column not in study.measures}  # a training loss is no measure of the same name
    return {'run': run, 'solo_epochs': row.solo_epochs, 'combo_epochs': row.combo_epochs,
            'nets': row.nets, **row.configuration(), **last,
            'minutes': sum(line['seconds'] for line in statistics) / 60, **measured}


def _draw(study: Study, path: Path, lines: list[dict], runs: Runs, keep: bool) -> None:
    """Draw a study's figure; keep: leave it as it is where parameters of runs are missing."""
    from training.storage.parameters import ParamsError
    try:
        study.draw(path, study.comparisons(), lines, runs)
    except ParamsError as error:
        if not keep:
            raise
        print(f'{path}: left as it was: {error}', file=sys.stderr)
