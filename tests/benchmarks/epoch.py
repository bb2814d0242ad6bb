"""How much longer an epoch takes than its steps: `python -m tests.benchmarks.epoch [PAIR ...]`.

The same nets take turns: an epoch of the loop over images in bytes, and as many bare steps on
one batch that is there already. Prints the ratio of medians for each pair.
"""
import models  # isort: skip  before anything that uses MXNet
import statistics
import sys
import time
from dataclasses import replace

import numpy as np
from mxnet import cpu

from data import Images
from tests.benchmarks import ours
from tests.benchmarks.contenders import PAIRS, images_of
from training import experiments, loop
from training.players import make_players

BATCHES = {'DenseVAE 5-3-400 + DenseLogReg': 300, 'DenseVAE 512-5-1024 + DenseLogReg': 16}
BATCHES_CONV = 3
ROUNDS = 5


def ratio(pair: str, kind: str = 'shared') -> float:
    """Seconds of an epoch / seconds of its steps."""
    n_batches = BATCHES.get(pair, BATCHES_CONV)
    row = experiments.get(PAIRS[pair])
    row = replace(row, step=kind, solo_epochs=0, combo_epochs=1 + ROUNDS)
    batch = images_of(row)
    shape = batch.shape[1:]
    pixels = np.random.default_rng(0).integers(
        0, 256, (n_batches * row.batch_size, *shape[1:], shape[0]), np.uint8)
    players = make_players(row, models.build_vae(row, shape),
                                models.build_discriminator(row), shape, cpu())
    step = ours.step_of(players, row, kind, batch)
    epochs, steps = [], []
    for record in loop.train(players, Images(pixels), Images(pixels[:1]), row, cpu()):
        epochs.append(record['seconds'])
        started = time.perf_counter()
        for _ in range(n_batches):
            step()
        steps.append(time.perf_counter() - started)
    return statistics.median(epochs[1:]) / statistics.median(steps[1:])  # the first compiles


if __name__ == '__main__':
    for name in sys.argv[1:] or PAIRS:
        print(f'{name}: an epoch takes {ratio(name):.3f} times its steps', flush=True)
