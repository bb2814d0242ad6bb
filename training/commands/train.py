"""`run` and `launch`: commands that train."""
import itertools
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from data import MissingDataError, fetch
from data.fetch import Places
from training.commands import initial, repeating, run_file, runs
from training.commands.wiring import (
    check_data,
    check_nets,
    idle_by_data,
    load_data,
    on_data,
    resolve_devices,
    set_up_process,
    train_row,
)
from training.experiments import canonical, naming, registry
from training.experiments.row import ExperimentError, Row
from training.reporting import tables
from training.runtime import launch
from training.storage import files, finding, run_folder


def run_command(args) -> None:
    """`run`: train rows and write their result folders."""
    own_name = _own_name(args.own_name, args.config)
    chosen = _asked(args.name, args.match, _changes(vars(args)), args.epochs, own_name,
                    args.results_root, args.begin_from, args.config)
    if args.dry_run or args.toml:
        if args.more:
            chosen, rows = {}, chosen.values()
            for row in rows:
                if args.places or fetch.named(None):  # what is shown downloads nothing
                    dataset = _data_of(row, False, args.places, args.skip_bad, args.data_name)
                    row = on_data(row, dataset) if dataset else row
                _, own_name, row = initial.continued(row, args.more, args.results_root, own_name)
                chosen[naming.run_name(row, own_name)] = row
        if args.toml:
            _check_single('--toml', len(chosen))
            print(*(run_file.text(row, own_name) for row in chosen.values()), end='')
            return
        print(json.dumps([{'run': run, 'published': row.name, **row.configuration()}
                          for run, row in chosen.items()], indent=2))
        return
    ctx = resolve_devices(args.ctx)
    if args.tensorboard:
        args.tensorboard.mkdir(parents=True, exist_ok=True)
    from training.run.train import Options
    from training.runtime import memory, parallel
    from training.steps import phases
    workers = parallel.Workers(args.kvstore)
    options = Options(args.results_root, args.command_line, args.force, args.fresh,
                      args.checkpoint_minutes, args.snapshot_every, tensorboard=args.tensorboard,
                      own_name=own_name, keep_checkpoint=args.keep_checkpoint)
    begin_from = initial.folder_of(args.results_root, args.begin_from)
    if len(chosen) > 1:  # before the first of them is trained
        for row in chosen.values():
            check_nets(row)
    dataset, wanted, finished, failed = None, None, [], []
    replaces_several = args.force and len(chosen) > 1
    for run, row in chosen.items():
        if dataset is None or _asks_for(row) != wanted:
            wanted = _asks_for(row)
            is_needed = args.force or args.more or not (args.results_root / run).exists()
            largest = max((other for other in chosen.values() if _asks_for(other) == wanted),
                          key=lambda other: other.batch_size)  # which has to fit into the data
            dataset = _data_of(largest, is_needed, args.places, args.skip_bad, args.data_name)
        if dataset:
            row = on_data(row, dataset)
            run = naming.run_name(row, own_name)
        if args.more:
            base, called, row = initial.continued(row, args.more, args.results_root, own_name)
            options = replace(options, continued=base, own_name=called)
            run = naming.run_name(row, called)
        folder = args.results_root / run
        if reason := _passed_over(folder, args.force, args.match is None and len(chosen) == 1,
                                  None if args.fresh else args.command_line, workers):
            print(f'{run}: {reason}')
            finished.append(folder)
            continue
        try:
            train_row(row, dataset, ctx, options, begin_from, args.places, args.data_name,
                      args.skip_bad, workers)
            finished.append(folder)
            if replaces_several and workers.rank == 0:
                run_folder.mark_replaced(folder, args.command_line)
        except (phases.Diverged, files.LockError, memory.MemoryNeedError) as error:
            if len(chosen) == 1 or workers.count > 1:
                raise
            print(f'{run}: {error}', file=sys.stderr)
            failed.append(run)
    if args.match is None and len(chosen) > 1 and finished and workers.rank == 0:
        print(_measured(finished, args.sort, ctx[0], args.places, args.skip_bad))
    if replaces_several and workers.rank == 0:
        run_folder.unmark(finished)
    if failed:
        raise ExperimentError(f'{len(failed)} of {len(chosen)} runs have failed: '
                              f'{", ".join(failed)}')


def _passed_over(folder: Path, force: bool, is_only_one: bool, command: str | None,
                 workers) -> str | None:
    """Return why a run is not trained, if it is not: another one is there that is to stay.

    command: what may have replaced it, and been stopped after that. ExperimentError for the only
    run that a user named.
    """
    if force:
        is_new = command is not None and workers.agree(run_folder.is_replaced(folder, command))
        return 'replaced already, passed over (--fresh replaces it once more)' if is_new else None
    if not workers.agree(folder.exists()):
        return None
    run_folder.check_finished(folder)
    run_folder.remove_leftovers(folder)
    if is_only_one:
        raise ExperimentError(f'{folder}: {run_folder.IN_THE_WAY}')
    return 'finished already, passed over (--force replaces it)'


def _measured(folders: list[Path], sort: str, ctx, places: Places, skip_bad: bool) -> str:
    """Return a table of the measures of finished runs; they are taken where they lack.

    sort: the measure by which runs stand in it, the smallest first.
    """
    lines = []
    for folder in folders:
        evaluation = run_folder.read_evaluation(folder)
        if evaluation is None:
            evaluation = runs.evaluate_run(runs.load_run(folder, ctx, places, skip_bad,
                                                         whole=True), places, skip_bad)
        row = run_folder.row_of(run_folder.read_config(folder), folder)
        lines.append((naming.labels(row), evaluation['measures']))
    return tables.measured(lines, sort)


def _asks_for(row: Row) -> tuple:
    """Return what of a row decides which images it is trained on, and how they are split."""
    return row.data, row.held_out, row.image_size, row.layout, row.shuffle_seed


def _data_of(row: Row, is_needed: bool, places: Places, skip_bad: bool,
             data_name: str | None):
    """Return the row's data; none if they are missing, and not needed as the run is finished."""
    try:
        return load_data(row, places, skip_bad, data_name)
    except MissingDataError:
        if is_needed:
            raise
        return None


def _combinations(changes: list[str]) -> list[list[str]]:
    """Return all choices of one value for each change: of `a=1,2` it is `a=1` or `a=2`."""
    choices = []
    for change in changes:
        field, equals, values = change.partition('=')
        choices.append([f'{field}{equals}{value}' for value in values.split(',')])
    return [*map(list, itertools.product(*choices))]


def _changes(options: dict) -> list[str]:
    """Return what options by name change of a row, each as `--set` takes it."""
    return [f'{field}={options[field]}' for field in naming.OPTIONS
            if options[field] is not None] + options['set']


def _asked(name: str | None, match: str | None, changes: list[str], epochs: str | None,
           own_name: str | None, results_root: Path, begin_from: str | None,
           file: run_file.RunFile | None) -> dict[str, Row]:
    """Return the rows that `run` is to train, by the names of their runs.

    name: of a row; none: match is a pattern of several, or file says it. changes: `field=value`
    each, or `field=value,value ..` for a run of each; they are made after those of the file.
    epochs: of `registry.changed`. own_name: the user's, of the run. begin_from: the run with
    whose parameters they begin, in results_root. None has a change that does nothing: it would
    make a new name for the same training.
    """
    set_up_process()
    chosen = {}
    if own_name is not None:
        naming.check_own_name(own_name)
        _check_single(f'--name {own_name}', len(_combinations(changes)) if match is None else 2)
    rows = [_experiment(name, file)] if match is None else registry.match(match)
    for row, changes_of_one in itertools.product(rows, _combinations(changes)):
        first = canonical.trained_row(row)
        changed = registry.changed(file.changed(first) if file else first, changes_of_one, epochs)
        changed = initial.with_checksum(changed, initial.folder_of(results_root, begin_from))
        check_data(changed)
        first = _canonical(changed)
        if first.name != row.name:
            print(f'{row.name}: same configuration as {first.name}, trained under that name',
                  file=sys.stderr)
        run = naming.run_name(first, own_name)
        if own_name is not None:
            finding.check_free(results_root, run)
        chosen[run] = first
    return chosen


def _check_single(option: str, n_runs: int) -> None:
    """Raise ExperimentError for an option that is of one run, if there are several."""
    if n_runs > 1:
        raise ExperimentError(f'{option}: expected one NAME and one value a field, found several '
                              'runs')


def _own_name(own_name: str | None, file: run_file.RunFile | None) -> str | None:
    return file.own_name if file and own_name is None else own_name


def _experiment(name: str | None, file: run_file.RunFile | None) -> Row:
    """Return the row that a user named, here or else in a file."""
    if name is None and file:
        name = file.experiment
    if name is None:
        raise ExperimentError('one of the arguments NAME --match is required, or --config with a '
                              f'file that has {run_file.EXPERIMENT} = "NAME"')
    return registry.get(name)


def _canonical(row: Row) -> Row:
    """Return the row that is trained for this one; a line says what is left out for it."""
    import models
    idle = idle_by_data(row) | models.idle(row)
    for field, reason in canonical.left_out(row, idle).items():
        print(f'{row.name}: {field}={getattr(row, field)} changes nothing, for {reason}: left out',
              file=sys.stderr)
    first = canonical.trained_row(row, idle)
    models.check_row(first, naming.changes(first))
    return first


def launch_command(args) -> None:
    """`launch`: `run` as a job of several processes."""
    if args.job[:1] != ['run']:
        raise launch.LaunchError(f'launch {" ".join(args.job)}: expected run NAME ...')
    from training.commands import parser
    job = parser.parser().parse_args(args.job)
    if job.dry_run or job.toml:
        return run_command(job)
    _asked(job.name, job.match, _changes(vars(job)), job.epochs,
           _own_name(job.own_name, job.config), job.results_root, job.begin_from,
           job.config)  # once, not by each
    for field in ('workers', 'servers'):
        if getattr(args, field) < 1:
            raise launch.LaunchError(f'--{field} {getattr(args, field)}: expected at least 1')
    words = repeating.absolute(args.job)  # on all hosts, and where it goes on
    command_line = shlex.join(repeating.absolute(shlex.split(args.command_line)))
    launch.launch([*words, '--kvstore', 'dist_sync'], args.workers, args.servers,
                  [host for host in args.hosts.split(',') if host], command_line)
