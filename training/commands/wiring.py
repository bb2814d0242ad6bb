"""What commands share: devices, data, nets and finished runs, wired together."""
import functools
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data import DataError, MissingDataError, table
from training.experiments import kinds, naming
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import ExperimentError, Row
from training.reporting import pictures, run_readme, tables
from training.reporting.published import RESULTS, published_numbers
from training.storage import files, finding, run_folder


def tables_root(args) -> Path:
    """Return where tables over many runs go: the project's results, or another results root."""
    own = args.results_root.resolve() == RESULTS / 'images'
    return RESULTS if own else args.results_root


@functools.cache
def set_up_process() -> None:
    """Make this process one that trains fast on CPUs; see `process`. Only the first call counts.

    Floats below 1.2e-38 count as zero, OMP_NUM_THREADS is a thread a core unless it is set, MXNet
    is imported, and without a GPU its operators run in the thread that calls them.
    """
    from training.runtime import process
    process.before_mxnet()
    import models  # noqa: F401  imports MXNet
    process.run_in_calling_thread()


def resolve_devices(args) -> list:
    """Return the contexts of `--ctx`, before anything else is read or written."""
    set_up_process()
    from training.runtime import device
    return device.resolve_all(args.ctx)


def check_data(row: Row) -> None:
    """Refuse a row whose data set is not in the table, or has no classes that it counts."""
    entry = table.get(row.data)
    if row.n_classified and not entry.n_classes:
        known = ' and '.join(name for name, of in table.SETS.items() if of.n_classes)
        row.refuse('n_classified', f'0, for only {known} has classes')
    if row.image_size not in (None, entry.shape[1]) and not entry.comes_as_one:
        known = ' and '.join(name for name, of in table.SETS.items() if of.comes_as_one)
        row.refuse('image_size', f'none, for only {known} are pictures of any size')


def idle_by_data(row: Row) -> dict[str, str]:
    """Return the fields that change nothing for images like the row's, and why."""
    entry, reasons = table.get(row.data), {}
    if entry.shape[0] == 1:
        reasons['layout'] = f'{row.data} has one channel'
    if row.image_size == entry.shape[1]:
        reasons['image_size'] = f'{row.data} has that size'
    if not entry.comes_as_one:
        reasons['shuffle_seed'] = f'{row.data} comes as training and held-out images'
    return reasons


def load_data(row: Row, args):
    """Return the row's data set, and say on stderr where it came from."""
    from data import loading
    dataset = loading.load(row.data, args.data_root, row.layout, row.shuffle_seed, args.skip_bad,
                           row.image_size)
    dataset = dataset.called(getattr(args, 'data_name', None))
    place = f' in {dataset.path}' if dataset.path else ''
    if len(dataset.train) < row.batch_size:
        raise DataError(f'{dataset.path or row.data}: {len(dataset.train)} training images, '
                        f'expected a batch of {row.batch_size} or more')
    passed_over = tables.passed_over(dataset.source)
    print(f'data: {tables.of_data(dataset.source, bool(dataset.images))}{place}, '
          f'{len(dataset.train)} '
          f'training and {len(dataset.test)} held-out images'
          + (f' ({passed_over})' if passed_over else ''), file=sys.stderr)
    if dataset.images:
        print(f'these are other images than those of the shown results: {dataset.images} in the '
              "run's name", file=sys.stderr)
    return dataset


def on_data(row: Row, dataset) -> Row:
    """Return the row with the images of its data, and no limit above their number.

    DataError if it is to have others.
    """
    if row.images not in (None, dataset.images):
        raise DataError(f'{dataset.path}: images {dataset.images or "of the shown results"}, '
                        f'expected images={row.images}')
    if row.limit is not None and row.limit >= len(dataset.train):
        print(f'limit={row.limit} changes nothing, for there are {len(dataset.train)} training '
              'images: left out', file=sys.stderr)
        row = replace(row, limit=None)
    return replace(row, images=dataset.images)


def published_rows() -> dict[str, dict]:
    """Return what was published, by experiment, each with the note on the data it was of."""
    return {name: numbers | {'note': table.get(EXPERIMENTS[name].data).note}
            for name, numbers in published_numbers().items()}


def load_classifier(row: Row, dataset, ctx, args):
    """Return the classifier whose features measure pictures of such data, or none.

    It is trained if the cache has none, and kept there if that can be written.
    """
    from data import fetch, loading
    from models.classifier import Classifier, RotationClassifier
    from training.evaluation import classifier
    if dataset.labels:
        net, task = Classifier(), 'a classifier of digits'
    elif table.get(row.data).kind == 'faces':
        net, task = RotationClassifier(), 'a net that tells how faces are rotated'
        if row.shuffle_seed != 0:  # one net for all runs, whatever they hold out
            dataset = loading.load(row.data, args.data_root, skip_bad=args.skip_bad,
                                   image_size=row.image_size)
    else:
        return None
    path = fetch.cached(classifier.file_name(net, dataset.source['sha256']))
    if path is None:
        print(f'training {task}, which is not kept: there is no cache that can be written '
              '(XDG_CACHE_HOME names another place)', file=sys.stderr)
    elif not path.exists():
        print(f'training {task}, once', file=sys.stderr)
    rounds = (classifier.labelled(dataset.train, dataset.labels[0]) if dataset.labels else
              classifier.rotated(dataset.train.with_layout('transpose')))
    return classifier.fit(net, rounds, ctx, path)


def load_run(folder: Path, ctx, args, whole: bool = False):
    """Return a finished run with its data and parameters.

    Where its parameters are not here it comes from pictures.safetensors, and then also without
    its data, or with others in their usual place: strips need the ten validation images only,
    which stand beside the results. whole: the encoder and the data are needed. An error if
    something is missing, or the data are others.
    """
    import models
    from training.evaluation import finished_run
    from training.storage import parameters, picture_file
    config = run_folder.read_config(folder)
    row = run_folder.row_of(config, folder)
    pictures_path, kept = folder / run_folder.PICTURES, None
    from_pictures = not whole and pictures_path.exists() and not (
        folder / run_folder.PARAMETERS).exists()
    path = pictures_path if from_pictures else finished_run.parameters_of(config, folder)
    try:
        dataset = load_data(row, args)
        finished_run.check_data(config, dataset, folder)
    except (MissingDataError, finished_run.OtherDataError):
        dataset = None
        if from_pictures and not args.data_root:
            dataset = validation_images(row, config, folder.parent.parent)
        if dataset is None:
            raise
    vae = models.build_vae(row, dataset.shape)
    if from_pictures:
        arrays, kept = picture_file.load(path)
        parameters.give(vae.decoder if row.encodes else vae, arrays, path, ctx)
    else:
        parameters.load(vae, path, ctx)
    vae.hybridize(static_alloc=True)
    return finished_run.FinishedRun(folder, row, dataset, vae, ctx, kept)


def validation_images(row: Row, config: dict, root: Path):
    """Return a data set of the ten validation images that stand beside results, if they do."""
    import numpy as np

    from data import images, loading
    entry = table.get(row.data).sized(row.image_size)
    channels, *size = entry.shape
    stored = np.zeros((0, *size, channels), np.uint8)
    if row.encodes:
        stored = pictures.read_originals(
            root / naming.originals_name(row), table.ORIGINALS[entry.kind],
            config['data']['sha256'][:8], size)
    if stored is None:
        return None
    test = images.Images(stored, row.layout)
    return loading.Dataset(images.Images(stored[:0], row.layout), test, entry.shape, None,
                           config['data'], None, table.ORIGINALS[entry.kind])


def build_nets(row: Row, shape: tuple[int, int, int]) -> tuple:
    """Return the VAE, the discriminator if epochs need one, and a VAE/GAN's with its features."""
    import models
    vae, disc, feature_disc = models.build_vae(row, shape), None, None
    if row.combo_epochs:
        disc = models.build_discriminator(row, shape)
        models.check_discriminator(disc, row.disc, shape)
    if row.kind is kinds.VAEGAN:
        feature_disc = models.build_similarity(disc, row)
    return vae, disc, feature_disc


def train_row(row: Row, dataset, ctx: list, args, workers=None):
    """Build a row's nets and train them."""
    from training.commands import initial, repeating
    from training.run import train
    from training.steps.networks import ALONE
    files.check_writable(args.results_root)
    vae, disc, feature_disc = build_nets(row, dataset.shape)
    classifier = None
    if row.n_classified:
        classifier = load_classifier(row, dataset, ctx[0], args)
    options = train.Options(args.results_root, args.command_line, args.force, args.fresh,
                           args.checkpoint_minutes, getattr(args, 'snapshot_every', None),
                           initial.files_of(row, args), repeating.options_of(row, args),
                           getattr(args, 'tensorboard', None),
                           published_rows().get(row.name, {}), getattr(args, 'own_name', None))
    return train.train(row, dataset, vae, disc, ctx, options, workers or ALONE, feature_disc,
                      classifier)


def chosen_runs(args, whole: bool = False) -> Iterator:
    """Return the finished runs that a user named, or those of a pattern that can be drawn again.

    whole: from their parameters, not from pictures.safetensors.
    """
    root = args.results_root
    folders = ([finding.named(root, args.name)] if args.match is None else
               finding.matching(root, args.match))
    ctx, published, n_passed_over = resolve_devices(args)[0], published_rows(), 0
    wanted = run_folder.PARAMETERS + ('' if whole else f' or {run_folder.PICTURES}')
    for folder in folders:
        if args.match is not None and not run_folder.is_drawable(folder, whole):
            print(f'{folder}: passed over, it has no {wanted}', file=sys.stderr)
            n_passed_over += 1
            continue
        # What cannot be read shows before anything is written
        run_readme.readme(folder, published.get(run_folder.read_config(folder)['name'], {}))
        if (folder / run_folder.SUMS).exists():
            run_folder.read_checksums(folder)
        files.check_writable(folder)
        yield load_run(folder, ctx, args, whole)
    if n_passed_over == len(folders):
        raise ExperimentError(f'no finished run in {root} that matches {args.match!r} has a '
                              f'{wanted}; make them with the command in its '
                              f'{run_folder.CONFIG}')


def add_to_folder(run, *names: str) -> None:
    """Let a finished run's README and checksums know what else is in its folder now."""
    run_readme.write_readme(run.folder, published_rows().get(run.row.name, {}))
    run_folder.update_checksums(run.folder, 'README.md', *names)


def evaluate_run(run, args) -> dict:
    """Measure a finished run, and keep that in its folder."""
    from training.evaluation.evaluate import evaluate
    evaluation = evaluate(run, load_classifier(run.row, run.dataset, run.ctx, args))
    run_folder.write_evaluation(run.folder, evaluation)
    add_to_folder(run, run_folder.EVALUATION)
    return evaluation


def measures_of(run, args) -> dict[str, float]:
    """Measure a finished run over all held-out images, keep that in its folder, return it."""
    return evaluate_run(run, args)['measures']
