"""What commands share: devices, data, nets and their training, wired together."""
import functools
import math
import sys
from dataclasses import replace
from pathlib import Path

from data import DataError, table
from data.fetch import USUAL, Places
from training.experiments import canonical
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.reporting.published import RESULTS, published_numbers
from training.storage import files


def tables_root(results_root: Path) -> Path:
    """Return where tables over many runs go: the project's results, or another results root."""
    own = results_root.resolve() == RESULTS / 'images'
    return RESULTS if own else results_root


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


def resolve_devices(spec: str) -> list:
    """Return the contexts of a `--ctx` value, before anything else is read or written.

    The process is set up for speed. DeviceError if one of them cannot be used.
    """
    set_up_process()
    from training.runtime import device
    return device.resolve_all(spec)


def check_data(row: Row) -> None:
    """Refuse a row whose data set is not in the table, or has no classes that it counts."""
    entry = table.get(row.data)
    if row.n_classified and not entry.n_classes:
        known = ' and '.join(name for name, of in table.SETS.items() if of.n_classes)
        row.refuse('n_classified', f'0, for only {known} has classes')
    if row.image_size not in (None, entry.shape[1]) and not entry.comes_as_one:
        known = ' and '.join(name for name, of in table.SETS.items() if of.comes_as_one)
        row.refuse('image_size', f'none, for only {known} are pictures of any size')
    if row.held_out is not None and not entry.comes_as_one:
        row.refuse('held_out', f'none, for {row.data} comes as training and held-out images')


def idle_by_data(row: Row) -> dict[str, str]:
    """Return the fields that change nothing for images like the row's, and why."""
    entry, reasons = table.get(row.data), {}
    if entry.shape[0] == 1:
        reasons['layout'] = f'{row.data} has one channel'
    if row.image_size == entry.shape[1]:
        reasons['image_size'] = f'{row.data} has that size'
    if row.held_out is not None and math.isclose(row.held_out, 1 - entry.train_share):
        reasons['held_out'] = f'{row.data} is split so'
    if not entry.comes_as_one:
        reasons['shuffle_seed'] = f'{row.data} comes as training and held-out images'
    return reasons


def load_data(row: Row, places: Places = USUAL, skip_bad: bool = False,
              data_name: str | None = None):
    """Return the row's `data.loading.Dataset`, and say on stderr where it came from.

    places: where they are; by default $VAEGAN_DATA, then the cache. skip_bad: leave out images
    that cannot be read. data_name: what a user's own images are called. DataError if the set is
    not there, damaged, or smaller than a batch.
    """
    from data import loading
    if row.held_out is not None and places and places.held_out:
        row.refuse('held_out', f'none, for {places.held_out} is held out')
    dataset = loading.load(row.data, places, row.layout, row.shuffle_seed, skip_bad,
                           row.image_size, row.held_out).called(data_name)
    place = f' in {dataset.place}' if dataset.place else ''
    if len(dataset.train) < row.batch_size:
        raise DataError(f'{dataset.place or row.data}: {len(dataset.train)} training images, '
                        f'expected a batch of {row.batch_size} or more')
    passed_over = tables.passed_over(dataset.source)
    print(f'data: {tables.of_data(dataset.source, bool(dataset.images))}{place}, '
          f'{len(dataset.train)} '
          f'training and {len(dataset.test)} held-out images'
          + (f' ({passed_over})' if passed_over else ''), file=sys.stderr)
    if dataset.held_out and (n := dataset.n_held_out_trained()):
        print(f'{n} of the {len(dataset.test)} held-out images are training images, too: what is '
              'measured on them says less about new ones', file=sys.stderr)
    if dataset.images:
        print(f'these are other images than those of the shown results: {dataset.images} in the '
              "run's name", file=sys.stderr)
    return dataset


def on_data(row: Row, dataset) -> Row:
    """Return the row that is trained on its data: with their images, no limit above their number.

    DataError if it is to have others.
    """
    if row.images not in (None, dataset.images):
        raise DataError(f'{dataset.place}: images {dataset.images or "of the shown results"}, '
                        f'expected images={row.images}')
    if row.limit is not None and row.limit >= len(dataset.train):
        print(f'limit={row.limit} changes nothing, for there are {len(dataset.train)} training '
              'images: left out', file=sys.stderr)
        row = canonical.trained_row(replace(row, limit=None))
    return replace(row, images=dataset.images)


def published_rows() -> dict[str, dict]:
    """Return what was published, by experiment, each with the note on the data it was of."""
    return {name: numbers | {'note': table.get(EXPERIMENTS[name].data).note}
            for name, numbers in published_numbers().items()}


def load_classifier(row: Row, dataset, ctx, places: Places = USUAL,
                    skip_bad: bool = False):
    """Return the `TrainedClassifier` whose features measure pictures of such data, or none.

    It is trained if the cache has none, and kept there if that can be written; not for so few
    unlabelled images that no distance would be taken. places and skip_bad: of `load_data`, for
    faces that the row splits otherwise than the classifier does.
    """
    from data import fetch, loading
    from models.classifier import Classifier, RotationClassifier
    from training.evaluation import classifier, measures
    if dataset.labels:
        net, task = Classifier(), 'a classifier of digits'
    elif table.get(row.data).kind == 'faces' and len(dataset.test) > measures.N_FEATURES:
        net, task = RotationClassifier(), 'a net that tells how faces are rotated'
        if row.shuffle_seed != 0:  # one net for all runs, whatever they hold out
            dataset = loading.load(row.data, places, skip_bad=skip_bad,
                                   image_size=row.image_size, held_out=row.held_out)
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


def build_nets(row: Row, shape: tuple[int, int, int]) -> tuple:
    """Return the VAE, the discriminator if epochs need one, and a VAE/GAN's with its features."""
    import models
    vae, disc, feature_disc = models.build_vae(row, shape), None, None
    if row.combo_epochs:
        disc = models.build_discriminator(row, shape)
        models.check_discriminator(disc, row.disc, shape)
    if 'similarity' in row.fields():
        feature_disc = models.build_similarity(disc, row)
    return vae, disc, feature_disc


def check_nets(row: Row) -> None:
    """Raise ModelError for nets that cannot be built, or not for images of the row's size."""
    build_nets(row, table.get(row.data).sized(row.image_size).shape)


def train_row(row: Row, dataset, ctx: list, options, begin_from: Path | None = None,
              places: Places = USUAL, data_name: str | None = None,
              skip_bad: bool = False, workers=None):
    """Build a row's nets, train them, and return what `training.run.train.train` does.

    ctx: the contexts that share every batch. options: `training.run.train.Options`, to which
    comes what the row itself says. begin_from: the folder of the run with whose parameters it
    begins. places, data_name, skip_bad: of `load_data`, as the dataset was loaded. workers: of
    a job of several processes.
    """
    from training.commands import initial, repeating
    from training.run import train
    from training.steps.networks import ALONE
    files.check_writable(options.results_root)
    vae, disc, feature_disc = build_nets(row, dataset.shape)
    classifier = None
    if row.n_classified:
        if not dataset.labels:
            row.refuse('n_classified', f'0, for the images in {dataset.place} have no labels '
                       'of ten classes')
        classifier = load_classifier(row, dataset, ctx[0], places, skip_bad)
    options = replace(
        options, initial=initial.files_of(row, begin_from), published=published_rows().get(
            row.name, {}), repeated_by=repeating.options_of(
                row, options.results_root, begin_from, places, data_name),
        resumed_by=repeating.options_to_go_on(row, options, places, ctx),
        job=options.command_line if workers and workers.count > 1 else None)
    return train.train(row, dataset, vae, disc, ctx, options, workers or ALONE, feature_disc,
                      classifier)
