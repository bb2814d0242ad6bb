"""A finished run's net and what it makes of pictures and latents that are no data set of its own.

Pictures are (n, h, w, c) uint8. Nets are in inference mode, and see pictures in batches of one
size, so that what becomes of a picture does not hang on how many others there are.
"""
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mxnet import autograd, nd
from tqdm import tqdm

from training.evaluation import inference, measures
from training.experiments.row import Row
from training.steps import rng

BATCH = 64
FOR_OWN = 3  # which fixed set of latents samples are of: not those of `explore`


class NoEncoderError(ValueError):
    """A net that only draws is to encode; the message is for the user."""


class ShapeError(ValueError):
    """Pictures or latents that a net does not take; the message is for the user."""


@dataclass(frozen=True)
class TrainedNet:
    """The VAE of a finished run, or the generator of a plain GAN.

    row: all that decided what was trained. folder: the run's. ctx: the device. shape: channels,
    height and width of a picture. as_images: pictures -> what has their floats (b, c, h, w) by
    index, and turns such into pictures again: `data.images.Images` in the run's layout.
    read_files: paths of files -> pictures. no_encoder: why it cannot encode, if it cannot.
    """
    row: Row
    folder: Path
    vae: object = field(repr=False)
    ctx: object
    shape: tuple[int, int, int]
    as_images: Callable = field(repr=False)
    read_files: Callable = field(repr=False)
    no_encoder: str = ''

    def read(self, path: str | Path, *others: str | Path) -> np.ndarray:
        """Return pictures out of files as the net sees them, (n, h, w, c) uint8.

        Of pictures, folders and zips of them. Each is turned upright, cut to the square in its
        middle and scaled. DataError for what is not there or cannot be read.
        """
        return self.read_files([Path(one) for one in (path, *others)])

    def encode(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log variance (n, z) float32 of pictures (n, h, w, c) uint8.

        NoEncoderError if the encoder is not here; ShapeError for other arrays.
        """
        self.check_encoder()
        images = self.as_images(self._checked(pictures))

        def one(indices: np.ndarray) -> list[np.ndarray]:
            x = nd.array(images[indices], self.ctx)
            return [part.asnumpy() for part in self.vae.split(nd, self.vae.encoder(x))]

        mean, logvar = self._in_batches(one, len(pictures), 'encoding')
        return mean, logvar

    def check_encoder(self) -> None:
        """Raise NoEncoderError if the net only draws."""
        if self.no_encoder:
            raise NoEncoderError(self.no_encoder)

    @property
    def decoder(self):
        """The net that draws from latents (n, z)."""
        return inference.decoder_of(self.row, self.vae)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return latents (n, z) as pictures (n, h, w, c) uint8. ShapeError for other arrays."""
        z = np.asarray(z)
        if z.ndim != 2 or not len(z) or z.shape[1] != self.row.n_latent:
            raise ShapeError(f'latents {z.shape}: expected (n, {self.row.n_latent}), n 1 or more')
        images = self.as_images(np.zeros((0, 1, 1, 1), np.uint8))

        def one(indices: np.ndarray) -> list[np.ndarray]:
            drawn = self.decoder(nd.array(z[indices].astype(np.float32), self.ctx))
            return [images.to_pixels(drawn.asnumpy())]

        pictures, = self._in_batches(one, len(z), 'drawing')
        return pictures

    def reconstruct(self, pictures: np.ndarray, seed: int | None = 0
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pictures drawn again, and mean and log variance (n, z) of each.

        From a latent that is sampled by the seed, or with none from the mean. Errors: as `encode`.
        """
        mean, logvar = self.encode(pictures)
        z = mean
        if seed is not None:
            z = mean + np.exp(0.5 * logvar) * rng.noise(seed, rng.PICTURES, 0, 0, FOR_OWN,
                                                        mean.shape)
        return self.decode(z), mean, logvar

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return n samples from the prior, (n, h, w, c) uint8: the pictures of `latents`."""
        return self.decode(self.latents(n, seed))

    def latents(self, n: int, seed: int = 0) -> np.ndarray:
        """Return n latents from the prior, (n, z) float32.

        A seed's first are the same for every n.
        """
        return rng.noise(seed, rng.PICTURES, 0, 0, FOR_OWN, (n, self.row.n_latent))

    def interpolate(self, pictures: np.ndarray, n_steps: int = 10,
                    spherical: bool = False) -> np.ndarray:
        """Return n pictures from one to the other of two, (2, h, w, c), by their means.

        On the straight line, or on the great circle between their directions with lengths
        changing evenly (T. White: Sampling generative networks. 2016. arXiv:1609.04468). Errors:
        as `encode`.
        """
        if len(pictures) != 2:
            raise ShapeError(f'expected 2 pictures, found {len(pictures)}')
        (start, end), _ = self.encode(pictures)
        return self.decode(path(start.astype(np.float64), end.astype(np.float64), n_steps,
                                spherical))

    def measure(self, pictures: np.ndarray,
                seed: int | None = 0) -> dict[str, float | int | list[float]]:
        """Return by name what the net is worth on pictures (n, h, w, c) uint8.

        The measures of `evaluate` that need no classifier, such as psnr (in dB), sharpness
        (originals = 1) and kl (in nats): of the pictures drawn again, as `reconstruct` does by
        the seed, and of as many samples from the prior. Of a net without an encoder only those
        of samples. Those are missing that are no finite number. ShapeError for other arrays.
        """
        pictures = self._checked(pictures)
        samples = self.sample(len(pictures), seed or 0)
        if self.no_encoder:
            drawn = None if self.row.encodes else samples
            return measures.take(measures.Outputs(pictures, drawn, samples))
        drawn, *latents = self.reconstruct(pictures, seed)
        mean, logvar = (part.astype(np.float64) for part in latents)
        return measures.take(measures.Outputs(pictures, drawn, samples, drawn, mean, logvar))

    def _checked(self, pictures: np.ndarray) -> np.ndarray:
        channels, *size = self.shape
        expected, pictures = (*size, channels), np.asarray(pictures)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or not len(pictures):
            raise ShapeError(f'pictures {pictures.shape} {pictures.dtype}: expected '
                             f'(n, {", ".join(map(str, expected))}) uint8, n 1 or more')
        return pictures

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
