"""Ways from one latent to another."""
import numpy as np


def path(start: np.ndarray, end: np.ndarray, n_steps: int, spherical: bool) -> np.ndarray:
    """Return points (n, z) from start to end (z,), both among them."""
    parts = np.linspace(0, 1, n_steps)[:, None]                         # (n, 1)
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if not spherical or not all(lengths):
        return (1 - parts) * start + parts * end
    first, last = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(first @ last, -1, 1))
    if np.sin(angle) < 1e-6:  # the same direction, or opposite ones: there is no one circle
        return (1 - parts) * start + parts * end
    turned = (np.sin((1 - parts) * angle) * first + np.sin(parts * angle) * last) / np.sin(angle)
    return turned * ((1 - parts) * lengths[0] + parts * lengths[1])     # (n, z)
