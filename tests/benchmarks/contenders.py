"""What every contender shares: the five pairs of nets, their batch, and the stopwatch.

A contender is a module with `make(row, kind, images, *options)`, which returns a function that
does one step and waits for it, and one that counts the trained parameters. It runs in a process
of its own: `python -m tests.benchmarks.<contender> NETS KIND STEPS [OPTION ...]` prints one
line of JSON. NETS are those of a case: a pair, or a VAE alone for its solo step.
"""
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data import table
from training.experiments import registry
from training.experiments.registry import Experiment

PAIRS = {
    'DenseVAE 5-3-400 + DenseLogReg': 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50',
    'DenseVAE 512-5-1024 + DenseLogReg':
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded',
    'ConvVAE 512-32 + ConvDisc': 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
    'ConvVAE 512-32 + ResNet': 'ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
    'DeepConvVAE 1024-32 + DeepConvDisc 64':
        'DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4',
}
CONTENDERS = ('ours', 'original', 'PyTorch', 'PyTorch, compiled')
OTHERS = CONTENDERS[1:]
KINDS = ('solo', 'published', 'shared')
CASES = tuple(dict.fromkeys(  # (nets, kind): a VAE's solo step is the same against any opponent
    (pair.split(' + ')[0] if kind == 'solo' else pair, kind) for pair in PAIRS for kind in KINDS))
WARM_UP = 2  # steps that allocate, compile and choose kernels


def row_of(nets: str) -> Experiment:
    """The row of a pair of nets, or of the first pair with that VAE."""
    return registry.get(next(name for pair, name in PAIRS.items() if pair.startswith(nets)))


def images_of(row: Experiment) -> np.ndarray:
    """One batch (b, c, h, w) in [0, 1], as large as the row's; random, which costs the same."""
    shape = table.get(row.data).shape
    return np.random.default_rng(0).random((row.batch_size, *shape), np.float32)


def resident_bytes() -> int:
    """This process's memory now."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()


def main(make: Callable) -> None:
    """Time the contender whose module calls this; one line of JSON."""
    libraries = resident_bytes()
    nets, kind, steps, *options = sys.argv[1:]
    row = row_of(nets)
    step, n_parameters = make(row, kind, images_of(row), *options)
    for _ in range(WARM_UP):
        step()
    seconds = []
    for _ in range(int(steps)):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({'seconds': seconds, 'n_parameters': n_parameters(), 'peak_bytes': peak,
                      'library_bytes': libraries}))
