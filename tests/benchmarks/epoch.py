"""How much longer an epoch takes than its steps: `python -m tests.benchmarks.epoch [PAIR ...]`.

The same nets take turns: an epoch of the loop over images in bytes, and as many bare steps on
one batch that is there already. Prints the ratio of medians for each pair, and what part of a
published epoch goes to the guards (is every loss and parameter finite?) and to its checkpoint.
"""
from training.commands.wiring import set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from mxnet import cpu

import models
from data import table
from data.images import Images
from tests.benchmarks import ours
from tests.benchmarks.contenders import PAIRS, images_of
from training.experiments import registry
from training.run import loop
from training.steps import phases
from training.steps.networks import make_networks
from training.storage import checkpoints

BATCHES = {'DenseVAE 5-3-400 + DenseLogReg': 300, 'DenseVAE 512-5-1024 + DenseLogReg': 16}
BATCHES_CONV = 3
ROUNDS = 5


def measure(pair: str, kind: str = 'shared') -> tuple[float, float, float]:
    """Seconds of an epoch / of its steps; of guards, and of a checkpoint / of a whole epoch."""
    n_batches = BATCHES.get(pair, BATCHES_CONV)
    row = registry.get(PAIRS[pair])
    row = replace(row, step=kind, solo_epochs=0, combo_epochs=1 + ROUNDS)
    batch = images_of(row)
    shape = batch.shape[1:]
    pixels = np.random.default_rng(0).integers(
        0, 256, (n_batches * row.batch_size, *shape[1:], shape[0]), np.uint8)
    networks = make_networks(row, models.build_vae(row, shape),
                           models.build_discriminator(row), shape, cpu())
    step = ours.step_of(networks, row, kind, batch)
    epochs, steps = [], []
    progress = phases.Progress()
    for record in loop.train(networks, Images(pixels), Images(pixels[:1]), row, cpu(), progress):
        epochs.append(record['seconds'])
        started = time.perf_counter()
        for _ in range(n_batches):
            step()
        steps.append(time.perf_counter() - started)
    step_seconds = statistics.median(steps[1:]) / n_batches  # the first compiles
    whole_batches = math.ceil(table.get(row.data).n_train / row.batch_size)
    phase, sums = phases.plan(row)[0], np.ones(7, np.float32)
    parameters = _seconds(lambda: phases.check_finite(networks, progress, phase, row.epochs))
    losses = _seconds(lambda: [np.isfinite(sums).all() for _ in range(whole_batches)])
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = _seconds(lambda: checkpoints.save(Path(folder), networks, progress))
    whole = whole_batches * step_seconds
    return (statistics.median(epochs[1:]) / (n_batches * step_seconds),
            (parameters + losses) / whole, checkpoint / whole)


def _seconds(work: Callable) -> float:
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


if __name__ == '__main__':
    for name in sys.argv[1:] or PAIRS:
        epoch, guards, checkpoint = measure(name)
        print(f'{name}: an epoch takes {epoch:.3f} times its steps; of it guards take '
              f'{guards:.2%}, a checkpoint {checkpoint:.1%}', flush=True)
