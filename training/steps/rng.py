"""All random numbers of a run but the initial weights, each array from a key of its own.

An array is a function of (seed, what it is for, epoch, batch, which), not of what came before it:
so a run can go on from anywhere, and steps can ask for more or less noise.
"""
import numpy as np

ORDER, TRAINING, PICTURES, HELD_OUT, DROPOUT = range(5)  # what random numbers are for


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order of the n training images in an epoch: (n,) indices."""
    return np.random.default_rng((seed, ORDER, epoch)).permutation(n)


def noise(seed: int, purpose: int, epoch: int, batch: int, which: int,
          shape: tuple[int, int]) -> np.ndarray:
    """Return standard normal noise (b, z), float32."""
    key = (seed, purpose, epoch, batch, which)
    return np.random.default_rng(key).standard_normal(shape, np.float32)


def seed(seed: int, epoch: int, batch: int, worker: int) -> int:
    """Return a seed for the nets' own random numbers in a batch, on one worker."""
    return int(np.random.default_rng((seed, DROPOUT, epoch, batch, worker)).integers(2 ** 31))
