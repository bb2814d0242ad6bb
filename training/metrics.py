"""Measures of pictures, in NumPy: arrays are (n, h, w, c) in [0, 1]."""
import numpy as np


def mean_squared_error(x_hat: np.ndarray, x: np.ndarray) -> float:
    """Mean over images, pixels and channels."""
    return float(np.mean((x_hat.astype(np.float64) - x) ** 2))


def edge_sharpness(x: np.ndarray) -> float:
    """Mean length of the brightness gradient, by forward differences, in 1 / pixel."""
    grey = x.astype(np.float64).mean(axis=3)                            # (n, h, w)
    down = np.diff(grey, axis=1)[:, :, :-1]                             # (n, h-1, w-1)
    right = np.diff(grey, axis=2)[:, :-1]                               # (n, h-1, w-1)
    return float(np.mean(np.hypot(down, right)))


def noise(x: np.ndarray) -> float:
    """Mean standard deviation of pixel noise, from what a mask that sees no edges lets through.

    J. Immerkaer: Fast noise variance estimation. Computer Vision and Image Understanding, 1996.
    """
    grey = x.astype(np.float64).mean(axis=3)                            # (n, h, w)
    second = np.array([1, -2, 1])                                       # applied down, then right
    down = sum(k * grey[:, i:grey.shape[1] - 2 + i] for i, k in enumerate(second))
    both = sum(k * down[:, :, i:grey.shape[2] - 2 + i] for i, k in enumerate(second))
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(both).mean())


def diversity(x: np.ndarray) -> float:
    """Mean standard deviation of a pixel over images: 0 if all are the same."""
    return float(x.astype(np.float64).std(axis=0).mean())
