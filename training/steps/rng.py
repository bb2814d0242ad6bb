"""Every random draw of a run but the initial weights, each from its own key.

A draw is a function of (seed, what it is for, epoch, batch, which), not of what was drawn
before it, so that a run can go on from anywhere and steps can draw more or less often.
"""
import numpy as np

ORDER, TRAINING, PICTURES, HELD_OUT, DROPOUT = range(5)  # what a draw is for


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of the n training images in an epoch: (n,) indices."""
    return np.random.default_rng((seed, ORDER, epoch)).permutation(n)


def noise(seed: int, purpose: int, epoch: int, batch: int, which: int,
          shape: tuple[int, int]) -> np.ndarray:
    """Standard normal noise (b, z), float32."""
    key = (seed, purpose, epoch, batch, which)
    return np.random.default_rng(key).standard_normal(shape, np.float32)


def seed(seed: int, epoch: int, batch: int, worker: int) -> int:
    """A seed for what nets draw themselves in a batch, on one worker."""
    return int(np.random.default_rng((seed, DROPOUT, epoch, batch, worker)).integers(2 ** 31))
