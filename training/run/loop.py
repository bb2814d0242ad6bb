"""Epochs over phases, with one record an epoch. This module knows no experiment by name."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from mxnet import Context, nd, random

from training.experiments import early_stopping
from training.experiments.row import Row
from training.runtime import parallel
from training.steps import rng
from training.steps.networks import ALONE, Networks
from training.steps.phases import (
    Diverged,
    EpochPlan,
    Progress,
    check_finite,
    n_images,
    n_used,
    plan,
)


def train(networks: Networks, train_images, held_out, row: Row,
          ctx: Context | list[Context], progress: Progress | None = None,
          on_batch: Callable = lambda *_: None,
          workers: parallel.Workers = ALONE) -> Iterator[dict]:
    """Train as the row says, from `progress` on, and keep it; yield each epoch's record.

    train_images, held_out: indexed by (b,) integers, they give (b, c, h, w) float32 in [0, 1].
    ctx: devices that share each batch, and with other workers of the job.
    on_batch(phase, progress, n_batches): called after each; the run could go on from there.
    A record has epoch, phase, the means over batches of the step's terms, val_loss, seconds
    (of training alone). Diverged when a term or, at the end of an epoch, a parameter or a
    held-out loss is not finite.
    """
    ctx = ctx if isinstance(ctx, list) else [ctx]
    progress = progress or Progress()
    n_seen = n_images(len(train_images), row)
    parallel.check_split(n_seen, row.batch_size, workers.count * len(ctx))
    if row.mirror == 'yes':
        train_images = train_images.mirrored(n_used(len(train_images), row))
    for phase in plan(row)[len(progress.records):]:
        if early_stopping.is_over(row, progress.records):
            break
        begun = phase.begin(networks, row, progress.records)
        record = _epoch(networks, train_images, n_seen, row, ctx, phase, progress, on_batch,
                        workers)
        check_finite(networks, progress, phase, row.epochs)
        if workers.rank == 0:  # the running statistics that a run keeps are its own
            held_out_losses = phase.watch(networks, held_out, row, ctx[0])
            _check_losses(held_out_losses, progress, phase, row)
            record |= begun | held_out_losses
        record = workers.agree(record)
        progress.finish_epoch(record)
        yield record


def _epoch(networks, images, n_seen: int, row: Row, ctx, phase, progress, on_batch,
           workers) -> dict:
    """Train the rest of the epoch under way; return its record but for the held-out loss.

    n_seen: how many of the images it sees, the first.
    """
    epoch, started = len(progress.records), time.perf_counter() - progress.seconds
    order = rng.order(row.seed, epoch, n_seen)
    last, weights = math.ceil(n_seen / row.batch_size), phase.weights(row, progress.records)
    for batch in range(progress.batch, last):
        indices = order[batch * row.batch_size:][:row.batch_size]
        n, x = len(indices), parallel.to_devices(images[workers.part(indices)], ctx)

        def noise(which, width=row.n_latent, batch=batch, n=n):
            whole = rng.noise(row.seed, rng.TRAINING, epoch, batch, which, (n, width))
            return parallel.to_devices(workers.part(whole), ctx)        # (b, width)

        if networks.has_dropout:
            random.seed(rng.seed(row.seed, epoch, batch, workers.rank))
        _settle(progress, phase, row)  # at most one batch ahead, or the queue would hold them all
        progress.pending = phase.step(networks, x, noise, replace(weights, n_images=len(indices)))
        progress.batch, progress.seconds = batch + 1, time.perf_counter() - started
        on_batch(phase, progress, last)
    _settle(progress, phase, row)
    progress.sums = workers.total(nd.from_numpy(progress.sums)).asnumpy()
    return {'epoch': epoch, 'phase': phase.name, **progress.means(phase),
            'seconds': time.perf_counter() - started}


def _check_losses(losses: dict, progress: Progress, phase: EpochPlan, row: Row) -> None:
    bad = [name for name, loss in losses.items() if loss is not None and not math.isfinite(loss)]
    if bad:
        raise Diverged(', '.join(bad), progress, phase, row.epochs)


def _settle(progress: Progress, phase: EpochPlan, row: Row) -> None:
    sums = progress.settle()
    if sums is not None and not np.isfinite(sums).all():
        bad = [term for term, total in zip(phase.terms, sums, strict=True)
               if not math.isfinite(total)]
        raise Diverged(', '.join(bad[1:] or bad), progress, phase, row.epochs)  # [0] is the sum
