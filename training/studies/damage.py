"""What the Frechet distance of faces makes of damaged ones, to trust it. Never imports MXNet.

A distance that is to tell pictures that look like faces from others has to rise with damage of
any kind, and to be near zero between two halves of the faces themselves.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.evaluation import metrics

N_PATCHES = 4  # a side: 16 patches of a face of 64 x 64 have 16 x 16 pixels each
HALVES, MEAN = 'two halves of the faces', 'the mean face'
COLUMNS = ('damage', 'strength', 'frechet')


@dataclass(frozen=True)
class Damage:
    """Pictures (n, h, w, c) uint8 and a strength -> as many damaged ones."""
    apply: Callable[[np.ndarray, float], np.ndarray]
    strengths: tuple[float, ...]
    unit: str


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Return pictures through a Gaussian of so many pixels."""
    from scipy import ndimage  # slow to import
    return _bytes(ndimage.gaussian_filter(pixels.astype(np.float32), (0, sigma, sigma, 0)))


def add_noise(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Return pictures with normal noise of that standard deviation, of 255."""
    noise = np.random.default_rng(0).standard_normal(pixels.shape, np.float32)
    return _bytes(pixels + np.float32(sigma) * noise)


def swap_patches(pixels: np.ndarray, n_pairs: int) -> np.ndarray:
    """Return pictures in each of which so many pairs of patches changed places."""
    n, height, width, channels = pixels.shape
    side = height // N_PATCHES, width // N_PATCHES
    patches = pixels.reshape(n, N_PATCHES, side[0], N_PATCHES, side[1], channels)
    patches = patches.swapaxes(2, 3).reshape(n, N_PATCHES ** 2, *side, channels)
    chosen = np.random.default_rng(0).permuted(
        np.tile(np.arange(N_PATCHES ** 2), (n, 1)), axis=1)             # (n, patches)
    order = np.tile(np.arange(N_PATCHES ** 2), (n, 1))
    first, second = chosen[:, :n_pairs], chosen[:, n_pairs:2 * n_pairs]
    np.put_along_axis(order, first, second, axis=1)
    np.put_along_axis(order, second, first, axis=1)
    swapped = patches[np.arange(n)[:, None], order]
    swapped = swapped.reshape(n, N_PATCHES, N_PATCHES, *side, channels).swapaxes(2, 3)
    return swapped.reshape(pixels.shape)


def add_seams(pixels: np.ndarray, step: float) -> np.ndarray:
    """Return pictures whose middle third of rows is brighter than the others by step, of 255."""
    third = pixels.shape[1] / 3
    rows = np.arange(pixels.shape[1])
    offsets = np.where((rows >= third) & (rows < 2 * third), step * 2 / 3, -step / 3)
    return _bytes(pixels + offsets[:, None, None])


DAMAGES = {
    'blur': Damage(blur, (0.5, 1, 2, 4), 'standard deviation in pixels'),
    'noise': Damage(add_noise, (8, 16, 32, 64), 'standard deviation of 255'),
    'swapped patches': Damage(swap_patches, (1, 2, 4, 8), 'pairs of 16 patches'),
    'seams': Damage(add_seams, (12, 24, 48, 96), 'step in brightness of 255')}


def distances(pixels: np.ndarray, features: Callable[[np.ndarray], np.ndarray]) -> list[dict]:
    """Return the Frechet distance of pictures from themselves damaged, a line a strength.

    features: (n, h, w, c) uint8 -> (n, f). Last come two lines to compare with: two halves of the
    pictures, and their mean in place of each.
    """
    whole = features(pixels)
    lines = [{'damage': name, 'strength': strength, 'frechet': metrics.frechet_distance(
                  whole, features(damage.apply(pixels, strength)))}
             for name, damage in DAMAGES.items() for strength in damage.strengths]
    mean = np.broadcast_to(_bytes(pixels.mean(axis=0)), pixels.shape)
    return lines + [
        {'damage': HALVES, 'strength': None,
         'frechet': metrics.frechet_distance(whole[::2], whole[1::2])},
        {'damage': MEAN, 'strength': None,
         'frechet': metrics.frechet_distance(whole, features(mean))}]


def _bytes(pixels: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
