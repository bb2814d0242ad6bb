"""`run`, `launch` and `demo`: commands that train."""
import json
import sys
from dataclasses import replace

from data import MissingDataError, fetch
from training.commands import initial
from training.commands.wiring import (
    check_data,
    idle_by_data,
    load_data,
    on_data,
    resolve_devices,
    set_up_process,
    train_row,
)
from training.experiments import naming, registry
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import ExperimentError, Row
from training.reporting import pictures, tables
from training.runtime import launch
from training.storage import finding, run_folder

DEMO_ROWS = ('DenseVAE_on_MNIST/5_3_400_bce_50',
             'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50')
DEMO_EPOCHS, DEMO_IMAGES, DEMO_HELD_OUT = 8, 12_800, 1000


def run_command(args) -> None:
    """`run`: train rows and write their result folders."""
    chosen = _asked(args)
    if args.dry_run:
        print(json.dumps([{'run': run, 'published': row.name, **row.configuration()}
                          for run, row in chosen.items()], indent=2))
        return
    ctx = resolve_devices(args)
    if args.tensorboard:
        args.tensorboard.mkdir(parents=True, exist_ok=True)
    from training.runtime import parallel
    workers = parallel.Workers(args.kvstore)
    dataset, wanted = None, None
    for run, row in chosen.items():
        asked = row.data, row.image_size, row.layout, row.shuffle_seed
        if dataset is None or asked != wanted:
            wanted = asked
            dataset = _data_of(run, row, args)
        if dataset:
            row = on_data(row, dataset)
            run = naming.run_name(row, args.own_name)
        folder = args.results_root / run
        if not args.force and workers.agree(folder.exists()):
            run_folder.remove_leftovers(folder)
            if args.name is not None:
                raise ExperimentError(f'{folder}: {run_folder.IN_THE_WAY}')
            print(f'{run}: finished already, passed over (--force replaces it)')
            continue
        train_row(row, dataset, ctx, args, workers)


def _data_of(run: str, row: Row, args):
    """Return the row's data; none where they are missing and not needed, for it is finished."""
    try:
        return load_data(row, args)
    except MissingDataError:
        if not (args.results_root / run).exists() or args.force:
            raise
        return None


def _asked(args) -> dict[str, Row]:
    """Return the rows that `run` is to train, by the names of their runs.

    None has a change that does nothing: it would make a new name for the same training.
    """
    set_up_process()
    import models
    chosen = {}
    if args.own_name is not None:
        naming.check_own_name(args.own_name)
        if args.name is None:
            raise ExperimentError(f'--name {args.own_name}: expected one NAME, found --match')
    for row in (registry.match(args.match) if args.name is None
                else [registry.get(args.name)]):
        changed = initial.begun(_changed(registry.canonical(row), args), args)
        check_data(changed)
        first = registry.canonical(_effective(changed))
        if first.name != row.name:
            print(f'{row.name}: same configuration as {first.name}, trained under that name',
                  file=sys.stderr)
        changed = naming.changes(first)
        first.check_changes(changed)
        models.check_row(first, changed)
        run = naming.run_name(first, args.own_name)
        if args.own_name is not None:
            finding.check_free(args.results_root, run)
        chosen[run] = first
    return chosen


def _effective(row: Row) -> Row:
    """Return the row without the changes that users make to many at once, where they do nothing.

    A line says which.
    """
    import models
    asked, by_nets = EXPERIMENTS[row.name], models.idle(row)
    idle = row.idle() | idle_by_data(row) | by_nets
    for field in sorted(naming.changes(row).keys() & idle.keys() & {*row.LEFT_OUT, *by_nets}):
        print(f'{row.name}: {field}={getattr(row, field)} changes nothing, for {idle[field]}: '
              'left out', file=sys.stderr)
        row = replace(row, **{field: getattr(asked, field)})
    return row


def launch_command(args) -> None:
    """`launch`: `run` as a job of several processes."""
    if args.job[:1] != ['run']:
        raise launch.LaunchError(f'launch {" ".join(args.job)}: expected run NAME ...')
    from training.commands import parser
    job = parser.parser().parse_args(args.job)
    if job.dry_run:
        return run_command(job)
    _asked(job)  # once, not by each
    for field in ('workers', 'servers'):
        if getattr(args, field) < 1:
            raise launch.LaunchError(f'--{field} {getattr(args, field)}: expected at least 1')
    launch.launch([*args.job, '--kvstore', 'dist_sync'], args.workers, args.servers,
                  [host for host in args.hosts.split(',') if host], args.command_line)


def _changed(row: Row, args) -> Row:
    options = [f'{field}={getattr(args, field)}' for field in naming.OPTIONS
               if getattr(args, field) is not None]
    return registry.changed(row, [*options, *args.set], args.epochs)


def demo_command(args) -> None:
    """`demo`: do the main job in short, and show what came out side by side."""
    ctx = resolve_devices(args)
    from training.evaluation.evaluate import evaluate
    rows = [registry.changed(registry.get(name), [f'limit={DEMO_IMAGES}'],
                                str(DEMO_EPOCHS)) for name in DEMO_ROWS]
    try:
        dataset = load_data(rows[0], args)
    except MissingDataError as error:
        if fetch.named(args.data_root):  # a place that is named is used or refused
            raise
        print(f'{error}\n-> training on drawn digits, NOT on MNIST', file=sys.stderr)
        rows = [registry.changed(row, ['data=sketch_digits']) for row in rows]
        dataset = load_data(rows[0], args)
    titles = ('solo: VAE alone', 'combo: VAE + discriminator')
    args.force = True
    finished = {title: train_row(on_data(row, dataset), dataset, ctx, args)
                for title, row in zip(titles, rows, strict=True)}
    print('\n' + tables.comparison({title: run.folder for title, run in finished.items()},
                                   {title: evaluate(run, n_images=DEMO_HELD_OUT)['measures']
                                    for title, run in finished.items()}))
    print('Originals above reconstructions:')
    for run in finished.values():
        print(f'  {run.folder / pictures.STRIP}')
