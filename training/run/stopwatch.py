"""Seconds of each batch, noted while the loop runs."""
import math
import statistics
from dataclasses import replace

from training.experiments.row import Row
from training.run import loop
from training.steps.networks import make_networks

WARM_UP = 2                       # steps that allocate, compile and choose kernels


class Stopwatch:
    """Seconds of each batch of an epoch, noted by the loop's `on_batch`."""

    def __init__(self):
        self.seconds = {}  # by phase
        self._before = 0.0

    def on_batch(self, phase, progress, n_batches: int) -> None:
        """Note the seconds since the batch before, or since the epoch began."""
        before = self._before if progress.batch > 1 else 0.0
        self.seconds.setdefault(phase.name, []).append(progress.seconds - before)
        self._before = progress.seconds

    def medians(self) -> dict[str, float]:
        """Return the median of each phase, after a warm-up."""
        return {phase: statistics.median(seconds[WARM_UP:])
                for phase, seconds in self.seconds.items()}

    def epochs(self, n_images: int, batch_size: int) -> dict[str, float]:
        """Return seconds of an epoch of each phase: a step's median, times an epoch's steps."""
        n_batches = math.ceil(n_images / batch_size)
        return {phase: n_batches * seconds for phase, seconds in self.medians().items()}


def as_timed(row: Row, n_steps: int) -> Row:
    """Return the row for one epoch of each kind that its nets allow, of a warm-up and n steps."""
    if 'solo_epochs' in row.fields() and row.encodes:
        epochs = {'solo_epochs': 1, 'combo_epochs': 1 if row.disc else 0}
    else:
        epochs = {'combo_epochs': 1}
    return replace(row, limit=(WARM_UP + n_steps) * row.batch_size, **epochs)


def epoch_seconds(row: Row, images, held_out, nets: tuple, ctx: list,
                  n_images: int) -> dict[str, float]:
    """Return seconds of an epoch of each phase of a row, which `as_timed` has prepared.

    nets: VAE, discriminator or none, and of a VAE/GAN that with its features. n_images: of a
    whole epoch.
    """
    watch = Stopwatch()
    vae, disc, feature_disc = nets
    networks = make_networks(row, vae, disc, images.shape, ctx, feature_disc=feature_disc)
    for _ in loop.train(networks, images, held_out, row, ctx, on_batch=watch.on_batch):
        pass
    return watch.epochs(n_images, row.batch_size)
