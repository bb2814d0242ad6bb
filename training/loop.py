"""Epochs over phases: yields one record an epoch. Knows no experiment by name."""
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from mxnet import Context, autograd, nd, random
from mxnet.ndarray import NDArray

from training import draws, parallel, steps, vaegan
from training.losses import PIXEL_LOSSES, kl_divergence
from training.players import ALONE, Players
from training.row import Experiment
from training.steps import Weights

N_HELD_OUT = 1000       # held-out images behind val_loss, at most
N_PICTURES = 10         # the first of them are the validation images
AT_ONCE = 500           # pictures


def _nothing(players: Players, row: Experiment, records: list[dict]) -> dict:
    return {}


@dataclass(frozen=True)
class Phase:
    """Epochs of one kind: their name, how many, their step and what it returns.

    begin(players, row, records) comes before an epoch, watch(players, held_out, row, ctx) after
    it; what both return, `watched` by name, goes into the epoch's record.
    """
    name: str
    epochs: int
    step: Callable
    terms: tuple[str, ...]
    begin: Callable = _nothing
    watch: Callable = lambda *of: {'val_loss': held_out_loss(*of)}
    watched: tuple[str, ...] = ('val_loss',)


def phases(row: Experiment) -> list[Phase]:
    """The phases of a row, in order; those without epochs are left out."""
    if row.kind_of_combo == 'vaegan':
        plan = [Phase('vaegan', row.combo_epochs, vaegan.step_of(row), vaegan.TERMS,
                      vaegan.set_rates, vaegan.held_out_losses, vaegan.WATCHED)]
    elif not row.encodes:
        plan = [Phase('gan', row.combo_epochs, steps.gan, steps.GAN)]
    else:
        plan = [Phase('solo', row.solo_epochs, steps.solo, steps.SOLO),
                Phase('combo', row.combo_epochs, steps.COMBO_STEPS[row.step], steps.COMBO)]
    return [phase for phase in plan if phase.epochs]


class Diverged(ValueError):
    """A loss, parameter or optimizer state that is not finite; the message is for the user.

    `record`: of the epoch up to there, its phase marked.
    """

    def __init__(self, what: str, position: 'Position', phase: Phase, n_epochs: int):
        super().__init__(f'diverged in epoch {len(position.records) + 1}/{n_epochs} '
                         f'({phase.name}), batch {position.batch}: {what} not finite '
                         '(a smaller lr may help)')
        self.record = {'epoch': len(position.records), 'phase': f'{phase.name}, diverged',
                       **position.means(phase), 'seconds': position.seconds}


@dataclass
class Position:
    """How far a run is: the records of its epochs, and the epoch under way.

    With the players' arrays this is all that the rest of a run depends on, besides its row and
    data: weights follow from records, and every draw from its epoch and batch.
    """
    records: list[dict] = field(default_factory=list)
    batch: int = 0                  # batches done, of the epoch under way
    sums: np.ndarray | None = None  # of their terms (n,) float32
    seconds: float = 0.0            # that they took
    pending: NDArray | None = None  # the terms (n,) of the last one, while a device computes them

    def settle(self) -> np.ndarray:
        """The sums, once the device has done all batches."""
        if self.pending is not None:
            terms, self.pending = self.pending.asnumpy(), None
            self.sums = terms if self.sums is None else self.sums + terms
        return self.sums

    def means(self, phase: Phase) -> dict[str, float]:
        """The means of the terms so far, over batches."""
        return dict(zip(phase.terms, (self.settle() / self.batch).tolist(), strict=True))

    def described(self, row: Experiment) -> str:
        """In words, epochs counted from 1."""
        done = f'epoch {len(self.records)}/{row.epochs}'
        return f'{done} and {self.batch} batches' if self.batch else done

    def finish_epoch(self, record: dict) -> None:
        """Keep the record of the epoch under way; the next one begins."""
        self.records.append(record)
        self.batch, self.sums, self.seconds = 0, None, 0.0


def plan(row: Experiment) -> list[Phase]:
    """The phase of each epoch."""
    return [phase for phase in phases(row) for _ in range(phase.epochs)]


def n_images(n_there: int, row: Experiment) -> int:
    """How many of the training images that are there a run uses."""
    return min(n_there, row.limit or n_there)


def n_batches(n_there: int, row: Experiment) -> int:
    """Batches of an epoch; the last one may be short."""
    return math.ceil(n_images(n_there, row) / row.batch_size)


def train(players: Players, train_images, held_out, row: Experiment, ctx: Context | list[Context],
          position: Position | None = None, on_batch: Callable = lambda *_: None,
          workers: parallel.Workers = ALONE) -> Iterator[dict]:
    """Train as the row says, from `position` on, and keep it; yields each epoch's record.

    train_images, held_out: indexed by (b,) integers, they give (b, c, h, w) float32 in [0, 1].
    ctx: devices that share each batch, and with other workers of the job.
    on_batch(phase, position, n_batches): called after each; the run could go on from there.
    A record has epoch, phase, the means over batches of the step's terms, val_loss, seconds
    (of training alone). Diverged when a term or, at the end of an epoch, a parameter is not
    finite.
    """
    ctx = ctx if isinstance(ctx, list) else [ctx]
    position = position or Position()
    parallel.check_split(n_images(len(train_images), row), row.batch_size,
                         workers.count * len(ctx))
    pixel_weight, gate_open = row.pbp_weight, True
    for epoch, phase in enumerate(plan(row)):
        if epoch == len(position.records):
            weights = pixel_weight, row.disc_weight if gate_open else 0.0
            begun = phase.begin(players, row, position.records)
            record = _epoch(players, train_images, row, ctx, phase, weights, position, on_batch,
                            workers)
            check_finite(players, position, phase, row.epochs)
            record |= begun | phase.watch(players, held_out, row, ctx[0])
            position.finish_epoch(record)
            yield record
        if phase.name == 'combo':
            if (1 + epoch) % row.decay_interval == 0:
                pixel_weight *= row.pbp_decay
            gate_open = position.records[epoch]['disc_loss'] <= row.max_disc_loss


def _epoch(players, images, row: Experiment, ctx, phase, weights, position, on_batch,
           workers) -> dict:
    """Train the rest of the epoch under way; its record but for the held-out loss."""
    epoch, started = len(position.records), time.perf_counter() - position.seconds
    order = draws.order(row.seed, epoch, n_images(len(images), row))
    last = n_batches(len(images), row)
    for batch in range(position.batch, last):
        indices = order[batch * row.batch_size:][:row.batch_size]
        n, x = len(indices), parallel.to_devices(images[workers.part(indices)], ctx)

        def draw(which, width=row.n_latent, batch=batch, n=n):
            noise = draws.noise(row.seed, draws.TRAINING, epoch, batch, which, (n, width))
            return parallel.to_devices(workers.part(noise), ctx)        # (b, width)

        if players.draws_itself:
            random.seed(draws.seed(row.seed, epoch, batch, workers.rank))
        _settle(position, phase, row)  # at most one batch ahead, or the queue would hold them all
        position.pending = phase.step(players, x, draw, Weights(*weights, len(indices)))
        position.batch, position.seconds = batch + 1, time.perf_counter() - started
        on_batch(phase, position, last)
    _settle(position, phase, row)
    position.sums = workers.total(nd.from_numpy(position.sums)).asnumpy()
    return {'epoch': epoch, 'phase': phase.name, **position.means(phase),
            'seconds': time.perf_counter() - started}


def _settle(position: Position, phase: Phase, row: Experiment) -> None:
    sums = position.settle()
    if sums is not None and not np.isfinite(sums).all():
        bad = [term for term, total in zip(phase.terms, sums, strict=True)
               if not math.isfinite(total)]
        raise Diverged(', '.join(bad[1:] or bad), position, phase, row.epochs)  # [0] is the sum


def check_finite(players: Players, position: Position, phase: Phase, n_epochs: int) -> None:
    """Diverged if a value that a checkpoint holds is not finite; names it."""
    for name, array in players.arrays().items():
        if not nd.all_finite(array, init_output=True).asscalar():
            raise Diverged(name, position, phase, n_epochs)


def held_out_loss(players: Players, images, row: Experiment, ctx) -> float | None:
    """Mean KL + pixel loss of the first held-out images, BatchNorm in inference mode."""
    if not row.encodes:
        return None
    n_images = min(len(images), N_HELD_OUT)
    total = 0.0
    for batch, start in enumerate(range(0, n_images, row.batch_size)):
        indices = np.arange(start, min(start + row.batch_size, n_images))
        x = nd.array(images[indices], ctx)
        eps = nd.array(draws.noise(row.seed, draws.HELD_OUT, 0, batch, 0,
                                   (len(indices), row.n_latent)), ctx)
        x_hat, mean, logvar = players.vae(x, eps)
        loss = kl_divergence(mean, logvar) + PIXEL_LOSSES[players.pixel_loss](x_hat, x)
        total += loss.sum().asscalar()
    return float(total) / n_images


def generate(vae, held_out, row: Experiment, ctx, n_images: int = N_PICTURES) -> np.ndarray:
    """Pictures of the first held-out images, (n, h, w, c) uint8; of a plain GAN, samples.

    The latent is sampled, not its mean, from one keyed draw; BatchNorm in inference mode.
    """
    noise = draws.noise(row.seed, draws.PICTURES, 0, 0, 0, (n_images, row.n_latent))
    found = []
    with autograd.predict_mode():
        for indices in np.split(np.arange(n_images), range(AT_ONCE, n_images, AT_ONCE)):
            eps = nd.array(noise[indices], ctx)
            x_hat = vae(nd.array(held_out[indices], ctx), eps)[0] if row.encodes else vae(eps)
            found.append(held_out.to_pixels(x_hat.asnumpy()))           # (b, h, w, c)
    return np.concatenate(found)
