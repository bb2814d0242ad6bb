"""What every contender shares: the pairs of nets and VAE/GANs, their batch, and the stopwatch.

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
from dataclasses import replace
from pathlib import Path

import numpy as np

from data import table
from training.experiments import registry
from training.experiments.row import Row

PAIRS = {
    'DenseVAE 5-3-400 + DenseLogReg': 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50',
    'DenseVAE 512-5-1024 + DenseLogReg':
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded',
    'ConvVAE 512-32 + ConvDisc': 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
    'ConvVAE 512-32 + ResNet': 'ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
    'DeepConvVAE 1024-32 + DeepConvDisc 64':
        'DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4',
}
# What is smaller where VAE/GANs are trained here: those of training/studies/vaegan.py, which
# PyTorch's environment cannot import
A_REDUCED = {'n_latent': 512, 'n_hnodes': 256, 'disc_hnodes': 256, 'vae_base_channels': 16,
             'disc_base_channels': 16}
PAPER_REDUCED = {'n_latent': 64, 'n_hnodes': 256, 'disc_hnodes': 128, 'vae_base_channels': 16,
                 'disc_base_channels': 8}
VAE_GANS = {  # name: row, and what is changed where it is trained here at a smaller size
    'A on digits': ('VAEGAN_on_MNIST/A_64_100', {}),
    'A on faces': ('VAEGAN_on_adult/A_2048_100_lr1', {}),
    'A on faces, reduced': ('VAEGAN_on_adult/A_2048_100_lr1', A_REDUCED),
    'B': ('VAEGAN_on_MNIST/B_20_50', {}),
    'paper on digits': ('VAEGAN_on_MNIST/paper_5_3_400_1_200_50', {}),
    'paper on faces': ('VAEGAN_on_anime/paper_128_200', {}),
    'paper on faces, reduced': ('VAEGAN_on_anime/paper_128_200', PAPER_REDUCED),
}
CONTENDERS = ('ours', 'original', 'PyTorch', 'PyTorch, compiled')
OTHERS = CONTENDERS[1:]
KINDS = ('solo', 'published', 'shared')
VAEGAN = 'vaegan'  # the kind of step of all VAE_GANS
OF_VAE_GANS = ('ours', 'PyTorch', 'PyTorch, channels last', 'PyTorch, compiled')
CASES = (*dict.fromkeys(  # (nets, kind): a VAE's solo step is the same against any opponent
    (pair.split(' + ')[0] if kind == 'solo' else pair, kind) for pair in PAIRS for kind in KINDS),
    *((name, VAEGAN) for name in VAE_GANS))
WARM_UP = 2  # steps that allocate, compile and choose kernels


def contenders_of(kind: str) -> tuple[str, ...]:
    """Who does a kind of step."""
    return OF_VAE_GANS if kind == VAEGAN else CONTENDERS


def row_of(nets: str) -> Row:
    """The row of a pair of nets, of the first pair with that VAE, or of a VAE/GAN."""
    if nets in VAE_GANS:
        name, changes = VAE_GANS[nets]
        return replace(registry.get(name), **changes)
    return registry.get(next(name for pair, name in PAIRS.items() if pair.startswith(nets)))


def images_of(row: Row) -> np.ndarray:
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
