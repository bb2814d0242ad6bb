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
