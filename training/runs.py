"""One run: trained from its last checkpoint on, and all that its result folder then holds.

Nets, data and row come as arguments: building and loading them is the command line's.
"""
import gc
import math
import mmap
import sys
from dataclasses import dataclass
from pathlib import Path

import mxnet
import numpy as np
from mxnet import autograd, nd

from training import (
    checkpoint,
    device,
    folders,
    loop,
    metrics,
    naming,
    report,
    resume,
    samples,
    stop,
    tables,
    timing,
)
from training.experiments import Experiment, ExperimentError
from training.players import ALONE, Players, make_players
from training.progress import Progress

# Address space that a run gives back in the end: MXNet's kernels for pictures crash without
RESERVED_BYTES = 64 << 20


class OtherDataError(ValueError):
    """Data that are not those of a run; the message is for the user."""


@dataclass(frozen=True)
class Options:
    """What a user may ask of a run besides its row, and the shell command that asked."""
    results_root: Path
    command_line: str
    force: bool
    fresh: bool
    checkpoint_minutes: float
    snapshot_every: int | None = None  # epochs
    tensorboard: Path | None = None


@dataclass(frozen=True)
class FinishedRun:
    """A result folder, its row, data and trained VAE."""
    folder: Path
    row: Experiment
    dataset: object
    vae: object
    ctx: object

    def pictures(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Ten validation pictures (10, h, w, c) uint8, and their originals if there are."""
        images = self.dataset.test
        pixels = loop.generate(self.vae, images, self.row, self.ctx)
        return pixels, images.first(len(pixels)) if self.row.encodes else None

    def measures(self) -> dict[str, float]:
        """Of the first held-out images drawn again, or of as many samples of a plain GAN.

        Error, sharpness and noise: a matter of seconds, where `evaluate` takes all images.
        """
        images = self.dataset.test
        n = min(loop.N_HELD_OUT, len(images))
        drawn, originals = loop.generate(self.vae, images, self.row, self.ctx, n), images.first(n)
        found = {'sharpness': metrics.relative(metrics.edge_sharpness, drawn, originals),
                 'noise': metrics.relative(metrics.noise, drawn, originals)}
        if self.row.encodes:
            found['mean_squared_error'] = metrics.mean_over(metrics.mean_squared_error, drawn,
                                                            originals)
        return found

    def codes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log variance (n, z) that the encoder gives the first held-out images."""
        found = []
        with autograd.predict_mode():
            for indices in np.split(np.arange(n), range(loop.AT_ONCE, n, loop.AT_ONCE)):
                x = nd.array(self.dataset.test[indices], self.ctx)
                found.append([part.asnumpy().astype(np.float64)
                              for part in self.vae.split(nd, self.vae.encoder(x))])
        mean, logvar = map(np.concatenate, zip(*found, strict=True))
        return mean, logvar

    def diversity(self, n: int) -> float:
        """How much n samples from the prior differ, held-out images = 1."""
        images = self.dataset.test
        drawn = samples.draw(self.vae, self.row, images, self.ctx, n, samples.FOR_CLASSES)
        of_images = metrics.diversity(images.first(n) / 255)
        return metrics.diversity(drawn / 255) / of_images if of_images else math.nan


def train(row: Experiment, dataset, vae, disc, ctx: list, options: Options,
          workers=ALONE, judge=None, classifier=None) -> FinishedRun | None:
    """Train one row; its folder gets its name when it is whole.

    judge: of a VAE/GAN, the discriminator with its features. classifier: of its samples.
    Of several workers the first one writes, and the others return nothing.
    """
    gc.collect()  # the nets of a run before: in cycles whose size Python does not see
    players = make_players(row, vae, disc, dataset.shape, ctx, workers, judge)
    if workers.rank > 0:
        position = resume.share(workers, players, loop.Position(), row)
        for _ in loop.train(players, dataset.train, dataset.test, row, ctx, position,
                            workers=workers):
            pass
        return None
    final = options.results_root / naming.run_name(row)
    folder, lock = folders.begin(final, options.fresh)
    with lock, mmap.mmap(-1, RESERVED_BYTES) as reserve:
        if final.exists() and not options.force:
            raise ExperimentError(f'{final}: {folders.IN_THE_WAY}')
        config = _config(row, dataset, device.describe(ctx, workers.count))
        try:
            _train_epochs(row, dataset, players, ctx, folder, config, options, workers,
                          classifier)
            reserve.close()
            _finish(FinishedRun(folder, row, dataset, vae, ctx[0]), players, len(ctx),
                    options.results_root)
            folders.finish(folder, final)
        except Exception as error:
            reserve.close()
            same_again = (resume.CheckpointError, folders.FolderError, loop.Diverged)
            if resume.found(folder) and not isinstance(error, same_again):
                error.add_note('the last checkpoint stays; go on with: '
                               f'{options.command_line}')
            raise
    print(final)
    return FinishedRun(final, row, dataset, vae, ctx[0])


def _train_epochs(row: Experiment, dataset, players: Players, ctx: list, folder: Path,
                  config: dict, options: Options, workers, classifier) -> None:
    """All epochs that are still to be trained, with a checkpoint after each."""
    family = tables.family(row)
    position = resume.last(folder, players, row, len(dataset.train))
    folders.write_config(folder, folders.merged_config(folder, config) if position else config)
    print(f'{config["run"]}: {row.epochs} epochs on {config["device"]}'
          + (f', going on after {position.described(row)}' if position else ''), flush=True)
    position = resume.share(workers, players, position or loop.Position(), row)
    report.write_statistics(folder, position.records, family)
    progress = Progress(row.epochs, workers.count)
    board = None
    if options.tensorboard:
        from training.board import Board
        board = Board(options.tensorboard / config['run'], len(position.records))
    with stop.held() as asked:
        keeper = resume.Keeper(
            folder, players, row, options.checkpoint_minutes if workers.count == 1 else math.inf,
            asked, options.command_line)

        def on_batch(*batch) -> None:
            progress.on_batch(*batch)
            keeper.on_batch(*batch)
        try:
            for record in loop.train(players, dataset.train, dataset.test, row, ctx, position,
                                     on_batch, workers):
                report.write_statistics(folder, position.records, family)
                progress.on_epoch(record)
                now = FinishedRun(folder, row, dataset, players.vae, ctx[0])
                if options.snapshot_every and not (record['epoch'] + 1) % options.snapshot_every:
                    report.write_snapshot(folder, record['epoch'] + 1, *now.pictures())
                if board:
                    board.add(record, report.strip(*now.pictures()))
                if family is tables.VAEGAN and samples.due(row, record['epoch'] + 1):
                    samples.keep(folder, players.vae, row, dataset.test, ctx[0],
                                 record['epoch'] + 1, classifier)
                keeper.on_epoch(position)
        except loop.Diverged as error:
            report.write_statistics(folder, [*position.records, error.record], family)
            raise
        finally:
            progress.close()
            if board:
                board.close()


def _finish(run: FinishedRun, players: Players, n_devices: int, results_root: Path) -> None:
    """All that a finished run leaves besides its statistics."""
    checkpoint.save(run.vae, run.folder / folders.PARAMETERS)
    if players.disc:
        checkpoint.save(players.disc, run.folder / 'disc.params')
    if n_devices > 1:  # pictures are of what the file holds: the mean of running statistics
        checkpoint.load(run.vae, run.folder / folders.PARAMETERS, run.ctx)
    pixels, originals = run.pictures()
    report.write_pictures(run.folder, pixels, originals)
    if originals is not None:
        report.write_originals(results_root / naming.originals_name(run.row), originals,
                               run.dataset.source['sha256'][:8])
    report.write_animations(run.folder)
    published = tables.published_numbers().get(run.row.name, {})
    draw_curves(run.folder, run.row, published)
    report.write_readme(run.folder, published)


def draw_curves(folder: Path, row: Experiment, published: dict) -> list[str]:
    """What a finished run's tables look like: losses, and the classes of samples.

    Returns the files' names.
    """
    from training import charts
    statistics, title = tables.read_statistics(folder), naming.run_name(row)
    if tables.family(row) is tables.VAEGAN:
        charts.draw_vaegan(folder / report.LOSSES, statistics, title)
    else:
        both = tables.pairs(statistics, naming.comparable_curve(row, published))
        charts.draw_vae(folder / report.LOSSES, statistics, [line for _, line in both], title)
    if not (folder / report.CLASSES).exists():
        return [report.LOSSES]
    charts.draw_classes(folder / report.CLASSES_CHART,
                        tables.read_classes(folder / report.CLASSES))
    return [report.LOSSES, report.CLASSES_CHART]


def epoch_seconds(row: Experiment, images, held_out, nets: tuple,
                  ctx: list) -> dict[str, float]:
    """Seconds of an epoch of each phase of a row, see `timing.as_timed`.

    nets: VAE, discriminator or none, and of a VAE/GAN that with its features.
    """
    watch = timing.Stopwatch()
    vae, disc, judge = nets
    players = make_players(row, vae, disc, images.shape, ctx, judge=judge)
    for _ in loop.train(players, images, held_out, row, ctx, on_batch=watch.on_batch):
        pass
    return watch.epochs(row)


def check_data(config: dict, dataset, folder: Path) -> None:
    """OtherDataError unless the data are those that a finished run was trained on."""
    if dataset.source['sha256'] != config['data']['sha256']:
        raise OtherDataError(f'{folder / folders.CONFIG}: trained on data with sha256 '
                             f'{config["data"]["sha256"]}, found {dataset.source["sha256"]}')


def parameters_of(config: dict, folder: Path) -> Path:
    """The file of a finished run's parameters; ParamsError if it is not there."""
    path = folder / folders.PARAMETERS
    if not path.exists():
        raise checkpoint.ParamsError(f'{path}: not there (parameters over 10 MB are not kept in '
                                     f'git); make them with: {config["command"]} --force')
    return path


def _config(row: Experiment, dataset, device_name: str) -> dict:
    return {'run': naming.run_name(row), 'name': row.name, 'caption': naming.caption(row),
            'command': naming.command(row) + ' --skip-bad' * ('left_out' in dataset.source),
            'row': row.configuration(),
            'data': dataset.source,
            'n_train': loop.n_images(len(dataset.train), row),
            'n_held_out': min(len(dataset.test), loop.N_HELD_OUT),
            'device': device_name, 'seed': row.seed,
            'versions': {'python': sys.version.split()[0], 'mxnet': mxnet.__version__,
                         'numpy': np.__version__}}
