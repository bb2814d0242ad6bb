"""Measures of pictures, in NumPy: arrays are (n, h, w, c) in [0, 1]."""
import math
from collections.abc import Callable

import numpy as np

AT_ONCE = 500  # images
LEAST = 1e-12  # that is a measure of pictures: below are roundings of sums that ought to be 0


def mean_over(measure: Callable, *pixels: np.ndarray) -> float:
    """Return a measure that is a mean over images, of bytes (n, h, w, c), some at a time."""
    n = len(pixels[0])
    parts = [[p[i:i + AT_ONCE] for p in pixels] for i in range(0, n, AT_ONCE)]
    return sum(len(part[0]) * measure(*(p / 255 for p in part)) for part in parts) / n


def relative(measure: Callable, drawn: np.ndarray, originals: np.ndarray) -> float:
    """Return such a measure of drawn pictures, originals = 1; nan where theirs is 0."""
    return ratio(mean_over(measure, drawn), mean_over(measure, originals))


def ratio(of_drawn: float, of_originals: float) -> float:
    """Return a measure, that of originals = 1; nan where theirs is 0 but for rounding."""
    return of_drawn / of_originals if of_originals > LEAST else math.nan


def mean_squared_error(x_hat: np.ndarray, x: np.ndarray) -> float:
    """Return the mean over images, pixels and channels."""
    return float(np.mean((x_hat.astype(np.float64) - x) ** 2))


def edge_sharpness(x: np.ndarray) -> float:
    """Return the mean length of the brightness gradient, by forward differences, in 1 / pixel."""
    grey = x.astype(np.float64).mean(axis=3)                            # (n, h, w)
    down = np.diff(grey, axis=1)[:, :, :-1]                             # (n, h-1, w-1)
    right = np.diff(grey, axis=2)[:, :-1]                               # (n, h-1, w-1)
    return float(np.mean(np.hypot(down, right)))


def noise(x: np.ndarray) -> float:
    """Return the mean standard deviation of pixel noise; fine detail counts, too.

    The mask sees no straight edges that are level or upright.
    J. Immerkaer: Fast noise variance estimation. Computer Vision and Image Understanding, 1996.
    """
    grey = x.astype(np.float64).mean(axis=3)                            # (n, h, w)
    second = np.array([1, -2, 1])                                       # applied down, then right
    down = sum(k * grey[:, i:grey.shape[1] - 2 + i] for i, k in enumerate(second))
    both = sum(k * down[:, :, i:grey.shape[2] - 2 + i] for i, k in enumerate(second))
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(both).mean())


def diversity(x: np.ndarray) -> float:
    """Return the mean standard deviation of a pixel over images: 0 if all are the same."""
    return float(x.astype(np.float64).std(axis=0).mean())


def kl_per_latent(mean: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """Return the KL of N(mean, exp(logvar)), (n, z), from N(0, 1): a mean over images, (z,)."""
    return (mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0) / 2


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance between the normal distributions of two sets of features (n, f).

    M. Heusel et al.: GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium. 2017. arXiv:1706.08500. The trace of the root of two covariances' product is
    the sum of the roots of its eigenvalues.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)     # (f, f)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(cov_a @ cov_b).real, 0))
    apart = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    return float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum())
