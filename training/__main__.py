"""The command line, and the only file that wires nets, data, loop and report together."""
import errno
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from training import (
    claim,
    cli,
    errors,
    experiments,
    folders,
    gallery,
    launch,
    naming,
    page,
    peers,
    repairs,
    report,
    stop,
    tables,
    timing,
    verify,
)
from training.experiments import Experiment, ExperimentError
from training.tables import RESULTS

DEMO_ROWS = ('DenseVAE_on_MNIST/5_3_400_bce_50',
             'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50')
DEMO_EPOCHS, DEMO_IMAGES = 8, 12_800
N_IN_LAYOUTS = 3  # faces in the figure


def list_command(args) -> None:
    """`list`: the registry, published and our numbers, and finished runs that differ."""
    published = tables.published_numbers()
    finished = folders.finished_runs(args.results_root)
    configs = {run: folders.read_config(folder) for run, folder in finished.items()}
    lines = []
    for row in experiments.match(args.match):
        first, numbers = experiments.canonical(row).name, published.get(row.name, {})
        variants = {run: (finished[run], naming.comparable_curve(
                        folders.row_of(config, finished[run]), numbers))
                    for run, config in configs.items()
                    if run not in experiments.EXPERIMENTS and config['name'] == row.name}
        lines.append(tables.listing(row, numbers, finished.get(first), variants))
    if args.json:
        print(json.dumps(lines, indent=2))
        return
    if args.markdown:
        print('\n'.join(map(tables.markdown_table, tables.listing_cells(lines))))
    else:
        print(tables.text_table(lines))
    for data, sentence in tables.OTHER_IMAGES.items():
        if any('our_epoch' in ours for line in lines if line['data'] == data
               for ours in (line, *line['variants'])):
            print(f'\n{sentence}')


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
    from training import parallel
    workers = parallel.Workers(args.kvstore)
    for run, row in chosen.items():
        folder = args.results_root / run
        if not args.force and workers.agree(folder.exists()):
            folders.remove_leftovers(folder)
            if args.name is not None:
                raise ExperimentError(f'{folder}: {folders.IN_THE_WAY}')
            print(f'{run}: finished already, passed over (--force replaces it)')
            continue
        _run(row, load_data(row, args), ctx, args, workers)


def _asked(args) -> dict[str, Experiment]:
    """The rows that `run` is to train, by the names of their runs; none has an idle change."""
    import models
    chosen = {}
    for row in (experiments.match(args.match) if args.name is None
                else [experiments.get(args.name)]):
        first = experiments.canonical(_changed(experiments.canonical(row), args))
        if first.name != row.name:
            print(f'{row.name}: same configuration as {first.name}, trained under that name',
                  file=sys.stderr)
        changed = naming.changes(first)
        first.check_changes(changed)
        models.check_fields(first, changed)
        chosen[naming.run_name(first)] = first
    return chosen


def launch_command(args) -> None:
    """`launch`: `run` as a job of several processes."""
    if args.job[:1] != ['run']:
        raise launch.LaunchError(f'launch {" ".join(args.job)}: expected run NAME ...')
    _asked(cli.parser(COMMANDS, RESULTS / 'images').parse_args(args.job))  # once, not by each
    for field in ('workers', 'servers'):
        if getattr(args, field) < 1:
            raise launch.LaunchError(f'--{field} {getattr(args, field)}: expected at least 1')
    launch.launch([*args.job, '--kvstore', 'dist_sync'], args.workers, args.servers,
                  [host for host in args.hosts.split(',') if host])


def _changed(row: Experiment, args) -> Experiment:
    options = [f'{field}={getattr(args, field)}' for field in naming.OPTIONS
               if getattr(args, field) is not None]
    return experiments.changed(row, [*options, *args.set], args.epochs)


def strips_command(args) -> None:
    """`strips`: pictures again from saved parameters, without training."""
    published = tables.published_numbers()
    for run in _chosen_runs(args):
        from training import runs
        pixels, originals = run.pictures()
        drawn = report.write_pictures(run.folder, pixels, originals)
        drawn += runs.draw_curves(run.folder, run.row, published.get(run.row.name, {}))
        folders.update_checksums(run.folder, *drawn)
        print(run.folder / report.STRIP)


def _chosen_runs(args) -> Iterator:
    """The finished runs that a user named, or those of a pattern whose parameters are there."""
    root = args.results_root
    found = ([folders.named(root, args.name)] if args.match is None else
             folders.matching(root, args.match))
    ctx, published, n_passed_over = resolve_devices(args)[0], tables.published_numbers(), 0
    for folder in found:
        if args.match is not None and not (folder / folders.PARAMETERS).exists():
            print(f'{folder}: passed over, its {folders.PARAMETERS} is not there', file=sys.stderr)
            n_passed_over += 1
            continue
        report.readme(folder, published)  # what cannot be read shows before anything is written
        if (folder / folders.SUMS).exists():
            folders.read_checksums(folder)
        yield load_run(folder, ctx, args)
    if n_passed_over == len(found):
        raise ExperimentError(f'no finished run in {root} that matches {args.match!r} has its '
                              f'{folders.PARAMETERS}; make them with the command in its '
                              f'{folders.CONFIG}')


def evaluate_command(args) -> None:
    """`evaluate`: measures over all held-out images, into evaluation.json and the README."""
    found = {}
    for run in _chosen_runs(args):
        found[naming.run_name(run.row)] = _evaluate(run)
        print(run.folder / folders.EVALUATION, file=sys.stderr)
    print(json.dumps(found, indent=2) if args.json else tables.evaluations(found))


def _evaluate(run) -> dict:
    """Measure a finished run, and keep that in its folder."""
    from training.evaluate import evaluate
    classifier = load_classifier(run.dataset, run.ctx) if run.dataset.labels else None
    found = evaluate(run, classifier)
    folders.write_evaluation(run.folder, found)
    _add_to_folder(run, folders.EVALUATION)
    return found


def _measures(run) -> dict[str, float]:
    return _evaluate(run)['measures']


def _add_to_folder(run, *names: str) -> None:
    """Let a finished run's README and checksums know what else is in its folder now."""
    report.write_readme(run.folder, tables.published_numbers().get(run.row.name, {}))
    folders.update_checksums(run.folder, 'README.md', *names)


def explore_command(args) -> None:
    """`explore`: pictures of samples, of ways between images, of latents, of nearest images."""
    for run in _chosen_runs(args):
        from training.explore import explore
        n = len(run.dataset.test)
        if max(args.between) >= n:
            raise ExperimentError(f'--between {max(args.between)}: expected less than the {n} '
                                  'held-out images')
        drawn = explore(run, tuple(args.between))
        _add_to_folder(run, *(path.name for path in drawn))
        print(*drawn, sep='\n')


def report_command(args) -> None:
    """`report`: one page of all finished runs."""
    print(page.write(_tables_root(args).resolve(), args.results_root.resolve()))


def verify_command(args) -> None:
    """`verify`: whether result folders are what was recorded, and their strips come again."""
    root = args.results_root
    chosen = [folders.named(root, name) for name in args.names] or [
        *folders.finished_runs(root).values()]
    if not chosen:
        raise verify.VerifyError(f'{root}: no finished runs')
    ctx, n_wrong = resolve_devices(args)[0], 0
    published = tables.published_numbers()
    for folder in chosen:
        found = verify.check(folder, published)
        if not found.problems:
            _draw_again(folder, ctx, args, found)
        n_wrong += bool(found.problems)
        print(f'{folder}: {found}', flush=True)
    if n_wrong:
        raise verify.VerifyError(f'{n_wrong} of {len(chosen)} result folders are not what was '
                                 'recorded')


def _draw_again(folder: Path, ctx, args, found: verify.Findings) -> None:
    """Compare the strip with one drawn from the parameters, where these and the data are."""
    from data import DataError
    from training.runs import OtherDataError
    if not (folder / folders.PARAMETERS).exists():
        found.notes.append(f'strip not drawn again: {folders.PARAMETERS} is not here')
        return
    try:
        run = load_run(folder, ctx, args)
    except (DataError, OtherDataError) as error:
        found.notes.append(f'strip not drawn again: {errors.one_line(error)}')
        return
    verify.compare_strip(folder, *run.pictures(), found)


def demo_command(args) -> None:
    """`demo`: the main job in short, and what came out side by side."""
    from data import MissingDataError
    ctx = resolve_devices(args)
    rows = [experiments.changed(experiments.get(name), [f'limit={DEMO_IMAGES}'],
                                str(DEMO_EPOCHS)) for name in DEMO_ROWS]
    try:
        dataset = load_data(rows[0], args)
    except MissingDataError as error:
        print(f'{error}\n-> training on drawn digits, NOT on MNIST', file=sys.stderr)
        rows = [experiments.changed(row, ['data=sketch_digits']) for row in rows]
        dataset = load_data(rows[0], args)
    titles = ('solo: VAE alone', 'combo: VAE + discriminator')
    args.force = True
    finished = {title: _run(row, dataset, ctx, args)
                for title, row in zip(titles, rows, strict=True)}
    print('\n' + tables.comparison({title: run.folder for title, run in finished.items()},
                                   {title: run.measures() for title, run in finished.items()}))
    print('Originals above reconstructions:')
    for run in finished.values():
        print(f'  {run.folder / report.STRIP}')


def gallery_command(args) -> None:
    """`gallery`: train the rows of a comparison, measure them, write a table and a figure."""
    chosen, table, measures, draw = GALLERIES[args.which]
    if args.markdown:
        path = _tables_root(args) / table
        try:
            print(chosen.markdown(tables.read_csv(path)))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise tables.TableError(f'{path}: not of the runs that are compared now ({error!r}); '
                                    f'again with: python -m training gallery {args.which}'
                                    ) from None
        return
    ctx, lines, path = resolve_devices(args), [], _tables_root(args) / table
    before = ({line.get('run'): line for line in tables.read_csv(path)}
              if args.keep and path.exists() else {})
    for row in chosen.rows():
        name = naming.run_name(row)
        folder, run, measured = args.results_root / name, None, before.get(name, {})
        if (folder / folders.PARAMETERS).exists():
            run = load_run(folder, ctx[0], args)
        elif not (args.keep and folder.exists()):
            args.force = folder.exists()
            run = _run(row, load_data(row, args), ctx, args)
        if run is not None:
            measured = measures(run)
        statistics = tables.read_statistics(folder)
        lines.append({'run': name, 'solo_epochs': row.solo_epochs,
                      'combo_epochs': row.combo_epochs, 'seed': row.seed,
                      'nets': ' + '.join(filter(None, (row.vae, row.disc))), **statistics[-1],
                      'minutes': sum(line['seconds'] for line in statistics) / 60,
                      **measured})
    tables.write_csv(path, chosen.COLUMNS, lines)
    draw(args, ctx[0])


def _draw_schedules(args, _) -> None:
    """The figure of system A's runs on faces, one for each rule of the learning rates."""
    from training import charts
    drawn = {}
    for title, row in peers.studies()[peers.SCHEDULES_TITLE].items():
        folder = args.results_root / naming.run_name(row)
        drawn[title] = tables.read_statistics(folder), report.samples_in(folder)
    charts.draw_schedules(_tables_root(args) / 'schedules.png', drawn)


def _draw_claim(args, _) -> None:
    """The figure of a discriminator's gain and price."""
    from training import charts
    root = _tables_root(args)
    charts.draw_claim(root / 'claim.png', claim.values(tables.read_csv(root / 'claim.csv')),
                      claim.interval)


def _draw_repairs(args, _) -> None:
    """The figure of held-out losses over minutes; equal epochs begin another run's line."""
    from training import charts
    charts.draw_repairs(_tables_root(args) / 'repairs.png', {
        label: tables.read_statistics(args.results_root / naming.run_name(row))
        for label, row in repairs.labelled().items() if not label.endswith('equal epochs')})


def _draw_layouts(args, ctx) -> None:
    """The figure of what reshape and transpose make of faces, and of their reconstructions."""
    import data
    from training import charts
    drawn = {}
    for row in gallery.layouts():
        run = load_run(args.results_root / naming.run_name(row), ctx, args)
        originals = run.dataset.test.first(N_IN_LAYOUTS)
        drawn[row.layout] = (data.to_channels_first(originals, row.layout),
                             run.pictures()[0][:N_IN_LAYOUTS])
    charts.draw_layouts(_tables_root(args) / 'layout.png', originals, drawn)


GALLERIES = {  # what is compared, its table, the measures of a run, the figure
    'anime': (gallery, 'gallery.csv', lambda run: run.measures(), _draw_layouts),
    'vaegan': (peers, 'vaegan.csv', lambda run: _measures(run) | {
        'diversity': run.diversity(peers.N_DIVERSITY)}, _draw_schedules),
    'claim': (claim, 'claim.csv', _measures, _draw_claim),
    'repairs': (repairs, 'repairs.csv', _measures, _draw_repairs)}


def time_command(args) -> None:
    """`time`: solo and combo epochs, and the published mixes of them, in seconds."""
    published = tables.published_numbers()
    lines = _times_of_runs(args, published) if args.from_runs else []
    rows = [] if args.from_runs else experiments.match(args.match)
    path = _tables_root(args) / 'timing.csv'
    if rows:
        ctx = resolve_devices(args)
        for row in rows:
            asked = row.STEPS if args.step == 'both' else (args.step,)
            steps = [step for step in row.STEPS if step in asked] or row.STEPS
            seconds = {step: _epoch_seconds(replace(row, step=step), args.steps, ctx)
                       for step in steps}
            for step, of_phase in timing.with_one_solo(seconds).items():
                lines += timing.estimates(row, step, of_phase, published)
    path.parent.mkdir(parents=True, exist_ok=True)
    tables.write_csv(path, timing.COLUMNS, timing.merged(
        tables.read_csv(path) if path.exists() else [], lines))
    mixes = timing.of_mixes(tables.read_csv(path))
    if mixes:
        from training import charts
        charts.draw_timing(path.with_suffix('.png'), mixes)
    print(json.dumps(lines, indent=2) if args.json else timing.table(lines))


def _times_of_runs(args, published: dict) -> list[dict]:
    finished = [(folders.row_of(folders.read_config(folder), folder),
                 tables.read_statistics(folder))
                for folder in folders.finished_runs(args.results_root).values()]
    return timing.from_runs(finished, published)


def _epoch_seconds(row: Experiment, n_steps: int, ctx: list) -> dict[str, float]:
    """Of a solo and of a combo epoch, as far as the row's nets allow; images are random."""
    import numpy as np

    import data
    from training import runs
    row = timing.as_timed(row, n_steps)
    shape = (1, 28, 28) if row.data in ('MNIST', 'sketch_digits') else (3, 64, 64)
    pixels = np.random.default_rng(0).integers(0, 256, (row.limit, *shape[1:], shape[0]),
                                               np.uint8)
    return runs.epoch_seconds(row, data.Images(pixels), data.Images(pixels[:1]),
                              build_nets(row, shape), ctx)


def _tables_root(args) -> Path:
    """Where tables over many runs go: the project's results, or a results root of its own."""
    own = args.results_root.resolve() == RESULTS / 'images'
    return RESULTS if own else args.results_root


def resolve_devices(args) -> list:
    """The contexts of `--ctx`, before anything else is read or written."""
    import models  # noqa: F401  before anything that uses MXNet
    from training import device
    return device.resolve_all(args.ctx)


def load_data(row: Experiment, args):
    """The row's data set."""
    import data
    dataset = data.load(row.data, args.data_root, row.layout, row.shuffle_seed, args.skip_bad)
    if row.data in ('anime', 'adult') and len(dataset.train) < row.batch_size:
        raise data.DataError(f'{", ".join(dataset.source["files"])}: {len(dataset.train)} '
                             f'training images, expected a batch of {row.batch_size} or more')
    print(f'data: {row.data}, {dataset.source["description"]}, {len(dataset.train)} training '
          f'and {len(dataset.test)} held-out images', file=sys.stderr)
    return dataset


def load_classifier(dataset, ctx):
    """A classifier of the data's classes, trained if the cache has none."""
    from data import fetch
    from models.classifier import Classifier
    from training import classifier
    path = fetch.cache_dir() / classifier.file_name(dataset.source['sha256'])
    if not path.exists():
        print('training a classifier of digits, once', file=sys.stderr)
    return classifier.fit(Classifier(), dataset.train, dataset.labels[0], ctx, path)


def load_run(folder: Path, ctx, args):
    """A finished run with its data and parameters; an error if the data are others."""
    import models
    from training import checkpoint, runs
    config = folders.read_config(folder)
    row = folders.row_of(config, folder)
    path = runs.parameters_of(config, folder)
    dataset = load_data(row, args)
    runs.check_data(config, dataset, folder)
    vae = models.build_vae(row, dataset.shape)
    checkpoint.load(vae, path, ctx)
    vae.hybridize(static_alloc=True)
    return runs.FinishedRun(folder, row, dataset, vae, ctx)


def build_nets(row: Experiment, shape: tuple[int, int, int]) -> tuple:
    """The VAE, the discriminator if epochs need one, and of a VAE/GAN that with its features."""
    import models
    vae, disc, judge = models.build_vae(row, shape), None, None
    if row.combo_epochs:
        disc = models.build_discriminator(row, shape)
        models.check_discriminator(disc, row.disc, shape)
    if row.kind_of_combo == 'vaegan':
        judge = models.build_similarity(disc, row)
    return vae, disc, judge


def _run(row: Experiment, dataset, ctx: list, args, workers=None):
    """Build a row's nets and train them."""
    from training import runs
    from training.players import ALONE
    vae, disc, judge = build_nets(row, dataset.shape)
    classifier = None
    if getattr(row, 'n_classified', 0):
        classifier = load_classifier(dataset, ctx[0])
    options = runs.Options(args.results_root, args.command_line, args.force, args.fresh,
                           args.checkpoint_minutes, getattr(args, 'snapshot_every', None),
                           getattr(args, 'tensorboard', None))
    return runs.train(row, dataset, vae, disc, ctx, options, workers or ALONE, judge,
                      classifier)


COMMANDS: dict[str, Callable] = {'list': list_command, 'run': run_command,
                                 'launch': launch_command, 'strips': strips_command,
                                 'verify': verify_command, 'evaluate': evaluate_command,
                                 'explore': explore_command, 'report': report_command,
                                 'demo': demo_command,
                                 'gallery': gallery_command, 'time': time_command}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0; 2 for a user's mistake or what the machine lacks; 130 for Ctrl-C, 143 for SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = cli.parser(COMMANDS, RESULTS / 'images').parse_args(argv)
    args.command_line = shlex.join(['python', '-m', 'training',
                                    *(word for word in argv if word != '--fresh')])
    try:
        with stop.handled(stop.at_once):
            args.command(args)
    except KeyboardInterrupt as error:
        print(error or 'interrupted', file=sys.stderr)
        return getattr(error, 'status', 130)
    except BrokenPipeError:  # as `list | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + errno.EPIPE
    except Exception as error:
        if not errors.is_users(error):
            raise
        print(f'error: {errors.one_line(error)}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    status = main()
    if status == 2:  # that line is the last: MXNet may have its own to say of the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(status)
