"""The command line, and the only file that wires nets, data, loop and report together."""
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from training import cli, experiments, launch, naming, report, tables
from training.experiments import Experiment, ExperimentError

RESULTS = Path(__file__).resolve().parent.parent / 'results'
DEMO_ROWS = ('DenseVAE_on_MNIST/5_3_400_bce_50',
             'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50')
DEMO_EPOCHS, DEMO_IMAGES = 8, 12_800
PARAMETERS = 'vae.params'  # in a result folder


def list_command(args) -> None:
    """`list`: the registry, published and our numbers, and finished runs that differ."""
    published = tables.published_numbers(RESULTS / 'published.csv')
    finished = report.finished_runs(args.results_root)
    lines = []
    for row in experiments.match(args.match):
        first = experiments.canonical(row).name
        variants = {run: folder for run, folder in finished.items()
                    if run not in experiments.EXPERIMENTS
                    and report.read_config(folder)['name'] == row.name}
        lines.append(tables.listing(row, published[row.name], finished.get(first), variants))
    if args.json:
        print(json.dumps(lines, indent=2))
    elif args.markdown:
        print(tables.markdown_table(tables.listing_cells(lines)))
    else:
        print(tables.text_table(lines))


def run_command(args) -> None:
    """`run`: train rows and write their result folders."""
    chosen = {}
    for row in [experiments.get(args.name)] if args.name else experiments.match(args.match):
        first = experiments.canonical(row)
        if first != row:
            print(f'{row.name}: same configuration as {first.name}, trained under that name',
                  file=sys.stderr)
        changed = _changed(first, args)
        chosen[naming.run_name(changed)] = changed
    if args.dry_run:
        print(json.dumps([{'run': run, 'published': row.name, **row.configuration()}
                          for run, row in chosen.items()], indent=2))
        return
    ctx = resolve_devices(args)
    from training import parallel
    workers = parallel.Workers(args.kvstore)
    for run, row in chosen.items():
        folder = args.results_root / run
        if not args.force and workers.agree(folder.exists()):
            if args.name:
                raise ExperimentError(f'{folder}: a finished run is there; --force replaces it')
            print(f'{run}: finished already, passed over (--force replaces it)')
            continue
        _run(row, load_data(row, args), ctx, args.results_root, workers)


def launch_command(args) -> None:
    """`launch`: `run` as a job of several processes."""
    if args.job[:1] != ['run']:
        raise launch.LaunchError(f'launch {" ".join(args.job)}: expected run NAME ...')
    for field in ('workers', 'servers'):
        if getattr(args, field) < 1:
            raise launch.LaunchError(f'--{field} {getattr(args, field)}: expected at least 1')
    launch.launch([*args.job, '--kvstore', 'dist_sync'], args.workers, args.servers,
                  [host for host in args.hosts.split(',') if host])


def _changed(row: Experiment, args) -> Experiment:
    if args.epochs is not None:
        row = experiments.with_epochs(row, args.epochs)
    for field in naming.OPTIONS:
        if getattr(args, field) is not None:
            row = experiments.with_field(row, f'{field}={getattr(args, field)}')
    for assignment in args.set:
        row = experiments.with_field(row, assignment)
    return row


def strips_command(args) -> None:
    """`strips`: pictures again from saved parameters, without training."""
    folders, ctx = _result_folders(args), resolve_devices(args)[0]
    for folder in folders:
        if args.match and not (folder / PARAMETERS).exists():
            print(f'{folder}: passed over, its {PARAMETERS} is not there', file=sys.stderr)
            continue
        run = load_run(folder, ctx, args)
        pixels, originals = _pictures(run.vae, run.row, run.dataset, run.ctx)
        report.write_pictures(folder, pixels, originals)
        print(folder / report.STRIP)


def demo_command(args) -> None:
    """`demo`: the main job in short, and what came out side by side."""
    from data import MissingDataError
    ctx = resolve_devices(args)
    rows = [experiments.with_field(experiments.with_epochs(
        experiments.get(name), str(DEMO_EPOCHS)), f'limit={DEMO_IMAGES}') for name in DEMO_ROWS]
    try:
        dataset = load_data(rows[0], args)
    except MissingDataError as error:
        print(f'{error}\n-> training on drawn digits, NOT on MNIST', file=sys.stderr)
        rows = [experiments.with_field(row, 'data=sketch_digits') for row in rows]
        dataset = load_data(rows[0], args)
    titles = ('solo: VAE alone', 'combo: VAE + discriminator')
    runs = {title: _run(row, dataset, ctx, args.results_root)
            for title, row in zip(titles, rows, strict=True)}
    print('\n' + tables.comparison({title: run.folder for title, run in runs.items()},
                                   {title: _measures(run) for title, run in runs.items()}))
    print('Originals above reconstructions:')
    for run in runs.values():
        print(f'  {run.folder / report.STRIP}')


def _measures(run) -> dict[str, float]:
    """Reconstruction error and sharpness over held-out images; labels to numbers."""
    from data import to_pixels
    from training import loop, metrics
    n = min(loop.N_HELD_OUT, len(run.dataset.test))
    x = run.dataset.test.pixels[:n] / 255
    x_hat = to_pixels(loop.generate(run.vae, run.dataset.test, run.row, run.ctx, n),
                      run.row.layout) / 255
    sharpness = metrics.edge_sharpness(x_hat) / metrics.edge_sharpness(x)
    return {f'mean squared error, {n} held out': metrics.mean_squared_error(x_hat, x),
            'edge sharpness, originals = 1': sharpness}


def resolve_devices(args) -> list:
    """The contexts of `--ctx`, before anything else is read or written."""
    import models  # noqa: F401  before anything that uses MXNet
    from training import device
    return device.resolve_all(args.ctx)


def load_data(row: Experiment, args):
    """The row's data set."""
    import data
    dataset = data.load(row.data, args.data_root, row.layout, row.shuffle_seed)
    print(f'data: {row.data}, {dataset.source["description"]}, {len(dataset.train)} training '
          f'and {len(dataset.test)} held-out images', file=sys.stderr)
    return dataset


@dataclass(frozen=True)
class FinishedRun:
    """A result folder, its row, data and trained VAE."""
    folder: Path
    row: Experiment
    dataset: object
    vae: object
    ctx: object


def load_run(folder: Path, ctx, args) -> FinishedRun:
    """A finished run with its data and parameters; an error if the data are others."""
    import models
    from training import checkpoint
    config = report.read_config(folder)
    row = _row_of(config, folder)
    path = folder / PARAMETERS
    if not path.exists():
        raise checkpoint.ParamsError(f'{path}: not there (parameters over 10 MB are not kept in '
                                     f'git); make them with: {config["command"]} --force')
    dataset = load_data(row, args)
    if dataset.source['sha256'] != config['data']['sha256']:
        raise ExperimentError(f'{folder / report.CONFIG}: trained on data with sha256 '
                              f'{config["data"]["sha256"]}, found {dataset.source["sha256"]}')
    vae = models.build_vae(row, dataset.shape)
    checkpoint.load(vae, path, ctx)
    vae.hybridize(static_alloc=True)
    return FinishedRun(folder, row, dataset, vae, ctx)


def _row_of(config: dict, folder: Path) -> Experiment:
    try:
        return Experiment(name=config['name'], **config['row'])
    except TypeError as error:
        raise report.ReportError(f'{folder / report.CONFIG}: not a row ({error})') from None


def _result_folders(args) -> list[Path]:
    finished = report.finished_runs(args.results_root)
    if args.match:
        found = [folder for run, folder in finished.items() if fnmatchcase(run, args.match)]
        if not found:
            raise ExperimentError(f'no finished run in {args.results_root} matches '
                                  f'{args.match!r}')
        return found
    name = args.name.strip('/')
    if name not in finished:
        row = experiments.canonical(experiments.get(name))
        name = row.name
        if name not in finished:
            raise ExperimentError(f'{args.results_root / name}: no finished run there; make one '
                                  f'with: {naming.command(row)}')
    return [finished[name]]


def _run(row: Experiment, dataset, ctx: list, results_root: Path,
         workers=None) -> FinishedRun | None:
    """Train one row; its folder gets its name when all of it is there.

    Of several workers the first one writes, and the others return nothing.
    """
    import models
    from training import checkpoint, device, loop
    from training.progress import Progress
    workers = workers or loop.ALONE
    vae = models.build_vae(row, dataset.shape)
    disc = None
    if row.combo_epochs:
        disc = models.build_discriminator(row)
        models.check_discriminator(disc, row.disc, dataset.shape)
    players = loop.make_players(row, vae, disc, dataset.shape, ctx, workers)
    if workers.rank > 0:
        for _ in loop.train(players, dataset.train, dataset.test, row, ctx, workers=workers):
            pass
        return None
    final = results_root / naming.run_name(row)
    folder = report.begin(final)
    described = device.describe(ctx, workers.count)
    print(f'{naming.run_name(row)}: {row.epochs} epochs on {described}')
    report.write_config(folder, _config(row, dataset, described))
    report.write_csv_header(folder)
    progress = Progress(row.epochs)
    try:
        for record in loop.train(players, dataset.train, dataset.test, row, ctx,
                                 progress.on_batch, workers):
            report.append_record(folder, record)
            progress.on_epoch(record)
    finally:
        progress.close()
    checkpoint.save(vae, folder / PARAMETERS)
    if disc:
        checkpoint.save(disc, folder / 'disc.params')
    _finish(row, dataset, vae, ctx[0], folder, results_root)
    report.finish(folder, final)
    print(final)
    return FinishedRun(final, row, dataset, vae, ctx[0])


def _finish(row: Experiment, dataset, vae, ctx, folder: Path, results_root: Path) -> None:
    pixels, originals = _pictures(vae, row, dataset, ctx)
    report.write_pictures(folder, pixels, originals)
    if originals is not None:
        report.write_originals(results_root / f'{row.data}_test_images', originals)
    published = tables.published_numbers(RESULTS / 'published.csv')[row.name]
    report.write_readme(folder, published)


def _pictures(vae, row: Experiment, dataset, ctx) -> tuple:
    """Pixels of the ten validation pictures, and of their originals if there are."""
    import data
    from training import loop
    pixels = data.to_pixels(loop.generate(vae, dataset.test, row, ctx), row.layout)
    return pixels, None if row.pixel_loss is None else dataset.test.pixels[:len(pixels)]


def _config(row: Experiment, dataset, device_name: str) -> dict:
    import mxnet
    import numpy

    from training import loop
    return {'run': naming.run_name(row), 'name': row.name, 'caption': naming.caption(row),
            'command': naming.command(row), 'row': row.configuration(),
            'data': dataset.source,
            'n_train': min(len(dataset.train), row.limit or len(dataset.train)),
            'n_held_out': min(len(dataset.test), loop.N_HELD_OUT),
            'device': device_name, 'seed': row.seed,
            'versions': {'python': sys.version.split()[0], 'mxnet': mxnet.__version__,
                         'numpy': numpy.__version__}}


COMMANDS: dict[str, Callable] = {'list': list_command, 'run': run_command,
                                 'launch': launch_command, 'strips': strips_command,
                                 'demo': demo_command}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for a user's mistake, 130 for Ctrl-C."""
    args = cli.parser(COMMANDS, RESULTS / 'images').parse_args(argv)
    try:
        args.command(args)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        if not _is_users(error):
            raise
        print(f'error: {_one_line(error)}', file=sys.stderr)
        return 2
    return 0


def _is_users(error: Exception) -> bool:
    """Whether a message is for the user: our own error classes', and those that name a file."""
    ours = type(error).__module__.split('.')[0] in ('training', 'data', 'models')
    return ours or isinstance(error, OSError) and error.filename is not None or (
        isinstance(error, ImportError) and 'MXNet' in str(error))


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f'{error.filename}: {error.strerror}'
    return ' '.join(str(error).split())


if __name__ == '__main__':
    sys.exit(main())
