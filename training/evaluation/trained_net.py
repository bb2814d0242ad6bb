"""A finished run's net and what it makes of pictures and latents that are no data set of its own.

Pictures are (n, h, w, c) uint8. Nets are in inference mode, and see pictures in batches of one
size, so that what becomes of a picture does not hang on how many others there are.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mxnet import autograd, nd
from tqdm import tqdm

from training.experiments.row import Row
from training.steps import rng

BATCH = 64
FOR_OWN = 3  # which fixed set of latents samples are of: not those of `explore`


@dataclass(frozen=True)
class TrainedNet:
    """The VAE of a finished run, or the generator of a plain GAN.

    as_images: pictures -> what has their floats (b, c, h, w) by index, and turns such into
    pictures again: `data.images.Images` in the run's layout.
    """
    row: Row
    vae: object
    ctx: object
    as_images: Callable

    def encode(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log variance (n, z) float32 of pictures."""
        images = self.as_images(pictures)

        def one(indices: np.ndarray) -> list[np.ndarray]:
            x = nd.array(images[indices], self.ctx)
            return [part.asnumpy() for part in self.vae.split(nd, self.vae.encoder(x))]

        mean, logvar = self._in_batches(one, len(pictures), 'encoding')
        return mean, logvar

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return latents (n, z) as pictures."""
        decoder = self.vae.decoder if self.row.encodes else self.vae
        images = self.as_images(np.zeros((0, 1, 1, 1), np.uint8))

        def one(indices: np.ndarray) -> list[np.ndarray]:
            drawn = decoder(nd.array(z[indices].astype(np.float32), self.ctx))
            return [images.to_pixels(drawn.asnumpy())]

        pictures, = self._in_batches(one, len(z), 'drawing')
        return pictures

    def reconstruct(self, pictures: np.ndarray, seed: int | None
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pictures drawn again, and mean and log variance (n, z) of each.

        From a latent that is sampled by the seed, or with none from the mean.
        """
        mean, logvar = self.encode(pictures)
        z = mean
        if seed is not None:
            z = mean + np.exp(0.5 * logvar) * rng.noise(seed, rng.PICTURES, 0, 0, FOR_OWN,
                                                        mean.shape)
        return self.decode(z), mean, logvar

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Return n samples from the prior; a seed's first are the same for every n."""
        return self.decode(rng.noise(seed, rng.PICTURES, 0, 0, FOR_OWN, (n, self.row.n_latent)))

    def interpolate(self, pictures: np.ndarray, n_steps: int, spherical: bool) -> np.ndarray:
        """Return n pictures from one to the other of two, (2, h, w, c), by their means.

        On the straight line, or on the great circle between their directions with lengths
        changing evenly (T. White: Sampling generative networks. 2016. arXiv:1609.04468).
        """
        (start, end), _ = self.encode(pictures)
        return self.decode(path(start.astype(np.float64), end.astype(np.float64), n_steps,
                                spherical))

    def _in_batches(self, one: Callable, n: int, what: str) -> list[np.ndarray]:
        """Return the arrays that `one` gives for all n indices, put together."""
        parts = []
        with autograd.predict_mode():
            for begin in tqdm(range(0, n, BATCH), what, leave=False, unit='batch',
                              disable=None if n > BATCH else True):
                indices = np.arange(begin, begin + BATCH)
                kept = indices < n
                parts.append([array[kept] for array in one(np.minimum(indices, n - 1))])
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


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
