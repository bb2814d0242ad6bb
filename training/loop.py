"""Epochs over phases: yields one record an epoch. Knows no experiment by name."""
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from mxnet import Context, autograd, gluon, init, nd, random

from training import draws, parallel, steps
from training.losses import PIXEL_LOSSES, kl_divergence
from training.optim import FusedAdam
from training.steps import Players, Weights

DECAY_INTERVAL = 25     # epochs, counted over solo and combo
N_HELD_OUT = 1000       # held-out images behind val_loss, at most
N_PICTURES = 10         # the first of them are the validation images
ALONE = parallel.Workers()


@dataclass(frozen=True)
class Phase:
    """Epochs of one kind: their name, how many, their step and what it returns."""
    name: str
    epochs: int
    step: Callable
    terms: tuple[str, ...]


def phases(row) -> list[Phase]:
    """The phases of a row, in order; those without epochs are left out."""
    if row.pixel_loss is None:
        plan = [Phase('gan', row.combo_epochs, steps.gan, steps.GAN)]
    else:
        plan = [Phase('solo', row.solo_epochs, steps.solo, steps.SOLO),
                Phase('combo', row.combo_epochs, steps.COMBO_STEPS[row.step], steps.COMBO)]
    return [phase for phase in plan if phase.epochs]


def make_players(row, vae, disc, shape: tuple[int, int, int], ctx: Context | list[Context],
                 workers: parallel.Workers = ALONE) -> Players:
    """Initialise (Xavier, from the row's seed), hybridize and give each net its Adam.

    On several devices each has its own copy of the nets; trainers keep them the same.
    """
    random.seed(row.seed)
    images, noise = nd.zeros((1, *shape)), nd.zeros((1, row.n_latent))
    inputs = (noise,) if row.pixel_loss is None else (images, noise)
    trainers = []
    for net, examples in ((vae, inputs), (disc, (images,))):
        if net is None:
            trainers.append(None)
            continue
        net.infer_shape(*examples)  # so that weights are drawn now, in the nets' own order
        net.initialize(init.Xavier(), ctx=ctx)
        net.hybridize(static_alloc=True, static_shape=True)
        trainers.append(gluon.Trainer(net.collect_params(), FusedAdam(learning_rate=row.lr),
                                      kvstore=workers.store(), update_on_kvstore=False))
    return Players(vae, trainers[0], row.pixel_loss, disc, trainers[1],
                   critic=steps.compiled(disc) if disc else None,
                   pair_decoder=steps.compiled(vae.decoder) if row.pixel_loss else None)


def train(players: Players, train_images, held_out, row, ctx: Context | list[Context],
          on_batch: Callable = lambda *_: None,
          workers: parallel.Workers = ALONE) -> Iterator[dict]:
    """Train as the row says; yields each epoch's record.

    train_images, held_out: indexed by (b,) integers, they give (b, c, h, w) float32 in [0, 1].
    ctx: devices that share each batch, and with other workers of the job.
    on_batch(phase, epoch, batch, n_batches, means): called after each; `means()` reads the
    epoch's losses so far, of this worker's images, and waits for them.
    A record has epoch, phase, the means over batches of the step's terms, val_loss, seconds
    (of training alone).
    """
    ctx = ctx if isinstance(ctx, list) else [ctx]
    n_images = min(len(train_images), row.limit or len(train_images))
    parallel.check_split(n_images, row.batch_size, workers.count * len(ctx))
    pixel_weight, gate_open = row.pbp_weight, True
    plan = [phase for phase in phases(row) for _ in range(phase.epochs)]
    for epoch, phase in enumerate(plan):
        disc_weight = row.disc_weight if gate_open else 0.0
        started = time.perf_counter()
        total, n_batches = _epoch(players, train_images, n_images, row, ctx, epoch, phase,
                                  (pixel_weight, disc_weight), on_batch, workers)
        means = _means(phase, workers.total(total), n_batches)
        record = {'epoch': epoch, 'phase': phase.name, **means,
                  'seconds': time.perf_counter() - started,
                  'val_loss': held_out_loss(players, held_out, row, ctx[0])}
        yield record
        if phase.name == 'combo':
            if (1 + epoch) % DECAY_INTERVAL == 0:
                pixel_weight *= row.pbp_decay
            gate_open = record['disc_loss'] <= row.max_disc_loss


def _epoch(players, images, n_images, row, ctx, epoch, phase, weights, on_batch,
           workers) -> tuple:
    """The sum of the steps' terms over the batches, and how many these were."""
    order = draws.order(row.seed, epoch, n_images)
    starts = range(0, n_images, row.batch_size)
    terms = total = nd.zeros((len(phase.terms),), ctx[0])
    for batch, start in enumerate(starts):
        indices = order[start:start + row.batch_size]  # the last one may be short
        shape = (len(indices), row.n_latent)
        x = parallel.to_devices(images[workers.part(indices)], ctx)     # (b, c, h, w)

        def draw(which, batch=batch, shape=shape):
            noise = draws.noise(row.seed, draws.TRAINING, epoch, batch, which, shape)
            return parallel.to_devices(workers.part(noise), ctx)        # (b, z)

        terms.wait_to_read()  # at most one batch ahead, or the queue would hold them all
        terms = phase.step(players, x, draw, Weights(*weights, len(indices)))
        total += terms
        on_batch(phase, epoch, batch, len(starts), lambda done=batch + 1, sums=total: _means(
            phase, workers.count * sums, done))
    return total, len(starts)


def _means(phase: Phase, sums, n_batches: int) -> dict[str, float]:
    return dict(zip(phase.terms, (sums.asnumpy() / n_batches).tolist(), strict=True))


def held_out_loss(players: Players, images, row, ctx) -> float | None:
    """Mean KL + pixel loss of the first held-out images, BatchNorm in inference mode."""
    if players.pixel_loss is None:
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


def generate(vae, held_out, row, ctx, n_images: int = N_PICTURES) -> np.ndarray:
    """Pictures of the first held-out images, (n, c, h, w) in [0, 1]; of a plain GAN, samples.

    The latent is sampled, not its mean, from one keyed draw; BatchNorm in inference mode.
    """
    eps = nd.array(draws.noise(row.seed, draws.PICTURES, 0, 0, 0, (n_images, row.n_latent)), ctx)
    with autograd.predict_mode():
        if row.pixel_loss is None:
            return vae(eps).asnumpy()
        return vae(nd.array(held_out[np.arange(n_images)], ctx), eps)[0].asnumpy()
