"""The net of a run, finished or still training, and what it makes of pictures and latents.

Pictures are (n, h, w, c) uint8. Nets are in inference mode: BatchNorm has its running statistics.
"""
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mxnet import autograd, nd
from tqdm import tqdm

from training.evaluation import measures, metrics
from training.evaluation.errors import NoEncoderError, ShapeError
from training.evaluation.interpolation import path
from training.experiments import naming
from training.experiments.row import Row
from training.steps import kernels, rng
from training.storage import parameters, picture_file, run_folder

BATCH = 64  # of a user's pictures: always full, so that none hangs on how many others there are
N_PICTURES = 10               # the first held-out images are the validation images
AT_ONCE = 100                 # held-out pictures that are drawn
ENCODED_AT_ONCE = N_PICTURES  # few, for what training took may still be there
FOR_GRID, FOR_CLASSES, FOR_OWN = 1, 2, 3  # which fixed set of latents samples are of


@dataclass(frozen=True)
class TrainedNet:
    """The VAE of a run, or the generator of a plain GAN.

    row: all that decided what is trained. folder: the run's. ctx: the device. dataset: the run's
    `data.loading.Dataset`, without an image if none was loaded. kept: what pictures.safetensors
    holds of the encoder, where that is not here. Methods: of a user's pictures, then of the run's.
    """
    row: Row
    folder: Path
    vae: object = field(repr=False)
    ctx: object
    dataset: object = field(repr=False)
    kept: dict[str, np.ndarray] | None = field(default=None, repr=False)

    @property
    def no_encoder(self) -> str:
        """Why it cannot encode, if it cannot."""
        if not self.row.encodes:
            return f'{self.folder}: a plain GAN has no encoder'
        return '' if self.kept is None else run_folder.no_parameters(self.folder)

    @property
    def name(self) -> str:
        """What the run is called."""
        return naming.run_name(self.row, run_folder.read_config(self.folder).get('own_name'))

    @property
    def images(self):
        """The held-out `data.images.Images`."""
        return self.dataset.test

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        return self.images.shape

    @property
    def decoder(self):
        """The net that draws from latents (n, z)."""
        return decoder_of(self.row, self.vae)

    def draw(self, z: np.ndarray | nd.NDArray) -> np.ndarray:
        """Return latents (b, z) as pictures (b, h, w, c) uint8, in one batch."""
        with autograd.predict_mode():
            return self.images.to_pixels(self.decoder(nd.array(z, self.ctx)).asnumpy())

    def read(self, path: str | Path, *others: str | Path) -> np.ndarray:
        """Return pictures out of files, folders and zips as the net sees them, (n, h, w, c) uint8.

        Each is turned upright, cut to its central square and scaled. DataError where that fails.
        """
        return self.dataset.read([Path(one).expanduser() for one in (path, *others)])

    def encode(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log variance (n, z) float32 of pictures (n, h, w, c) uint8.

        NoEncoderError if the encoder is not here; ShapeError for other arrays.
        """
        self.check_encoder()
        images = self.images.others(self._checked(pictures))
        mean, logvar = self._in_batches(lambda indices: self._encoded(images[indices]),
                                        len(pictures), 'encoding')
        return mean, logvar

    def check_encoder(self) -> None:
        """Raise NoEncoderError if the net only draws."""
        if why := self.no_encoder:
            raise NoEncoderError(why)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return latents (n, z) as pictures (n, h, w, c) uint8. ShapeError for other arrays."""
        z = np.asarray(z, np.float32)
        if z.shape[1:] != (self.row.n_latent,) or not len(z) or not np.isfinite(z).all():
            raise ShapeError(f'latents {z.shape}: expected (n, {self.row.n_latent}), n 1 or more, '
                             'all finite')
        return self._in_batches(lambda indices: [self.draw(z[indices])], len(z), 'drawing')[0]

    def reconstruct(self, pictures: np.ndarray, seed: int | None = 0
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return pictures drawn again, and mean and log variance (n, z) of each.

        From a latent that is sampled by the seed, or with none from the mean. Errors: as `encode`.
        """
        mean, logvar = self.encode(pictures)
        eps = 0 if seed is None else _noise(seed, FOR_OWN, mean.shape)
        return self.decode(mean + np.exp(0.5 * logvar) * eps), mean, logvar

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Return n samples from the prior, (n, h, w, c) uint8: the pictures of `latents`."""
        return self.decode(self.latents(n, seed))

    def latents(self, n: int, seed: int = 0) -> np.ndarray:
        """Return latents from the prior, (n, z) float32: the first n of a seed."""
        return _noise(seed, FOR_OWN, (n, self.row.n_latent))

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

        The measures of `evaluate` that need no classifier, such as psnr (in dB) and kl (in nats):
        of the pictures drawn again, as `reconstruct` does by the seed, and of as many samples (of
        a net that only draws: of these). What is no finite number is missing. Errors: ShapeError.
        """
        pictures = self._checked(pictures)
        samples = self.sample(len(pictures), seed or 0)
        if self.no_encoder:
            drawn = None if self.row.encodes else samples
            return measures.take(measures.Outputs(pictures, drawn, samples))
        drawn, *codes = self.reconstruct(pictures, seed)
        return measures.take(measures.Outputs(
            pictures, drawn, samples, drawn, *(part.astype(np.float64) for part in codes)))

    def validation_pictures(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return ten validation pictures (10, h, w, c) uint8, and their originals if there are."""
        if self.kept:
            mean, logvar = (nd.array(self.kept[f'strip_{of}'], self.ctx)
                            for of in ('mean', 'logvar'))
            eps = nd.array(_noise(self.row.seed, 0, mean.shape), self.ctx)
            pixels = self.draw(self.vae.latent(nd, mean, logvar, eps))
        else:
            pixels = self.draw_again()
        originals = self.images.first(len(pixels) * self.row.encodes)
        return pixels, originals if len(originals) else None

    def draw_again(self, n: int = N_PICTURES) -> np.ndarray:
        """Return the first n held-out images drawn again, by a sampled latent, (n, h, w, c) uint8.

        Of a plain GAN as many samples. ShapeError without data.
        """
        if self.row.encodes:
            self._check_images()
        noise, drawn = _noise(self.row.seed, 0, (n, self.row.n_latent)), []
        for indices in _parts(np.arange(n), AT_ONCE):
            eps = nd.array(noise[indices], self.ctx)
            inputs = [nd.array(self.images[indices], self.ctx)] if self.row.encodes else []
            with autograd.predict_mode():
                output = self.vae(*inputs, eps)
            x_hat = output[0] if self.row.encodes else output           # (b, c, h, w)
            drawn.append(self.images.to_pixels(x_hat.asnumpy()))        # (b, h, w, c)
        return np.concatenate(drawn)

    def fixed_samples(self, n: int, which: int = FOR_GRID) -> np.ndarray:
        """Return the first n samples of a fixed set of latents, (n, h, w, c) uint8."""
        z = _noise(self.row.seed, which, (n, self.row.n_latent))
        return np.concatenate([self.draw(part) for part in _parts(z, AT_ONCE)])

    def codes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log variance (n, z) float64 of the first n held-out images.

        ParamsError if the encoder is not here and fewer were kept.
        """
        if self.kept and n > len(self.kept['mean']):
            raise parameters.ParamsError(
                f'{self.folder / run_folder.PARAMETERS}: not there, and of {n} held-out images '
                f'{run_folder.PICTURES} has the first {len(self.kept["mean"])} only')
        if self.kept:
            mean, logvar = self.kept['mean'], self.kept['logvar']
        else:  # always in the same batches, for the last bits depend on them
            self._check_images()
            parts = [self._encoded(self.images[indices]) for indices in _parts(
                np.arange(max(n, self.n_measured)), ENCODED_AT_ONCE)]
            mean, logvar = map(np.concatenate, zip(*parts, strict=True))
        return mean[:n].astype(np.float64), logvar[:n].astype(np.float64)

    def kl_per_latent(self) -> np.ndarray:
        """Return the KL of each latent (z,), a mean over the first held-out images."""
        if self.kept:
            return self.kept['kl']
        return metrics.kl_per_latent(*self.codes(self.n_measured))

    @property
    def n_measured(self) -> int:
        """The number of held-out images that KL is a mean over."""
        return run_folder.read_config(self.folder)['n_held_out']

    def keep_pictures(self) -> None:
        """Write pictures.safetensors, from which strips come again without the encoder."""
        latents = {}
        if self.row.encodes:
            codes = self.codes(self.n_measured)
            kept = [part[:n].astype(np.float32) for n in (N_PICTURES, picture_file.N_KEPT)
                    for part in codes]
            latents = dict(zip(picture_file.LATENTS, (*kept, metrics.kl_per_latent(*codes)),
                               strict=True))
        held = {name: kernels.view(parameter.data(self.ctx))  # once no net is run any more
                for name, parameter in self.decoder._collect_params_with_prefix().items()}
        picture_file.save(self.folder / run_folder.PICTURES, held, latents)

    def _check_images(self) -> None:
        if not len(self.images):
            raise ShapeError(f'{self.folder}: opened without its data, and so without images')

    def _encoded(self, x: np.ndarray) -> list[np.ndarray]:
        """Return mean and log variance (b, z) of images x (b, c, h, w)."""
        with autograd.predict_mode():
            return [part.asnumpy() for part in self.vae.split(
                nd, self.vae.encoder(nd.array(x, self.ctx)))]

    def _checked(self, pictures: np.ndarray) -> np.ndarray:
        expected, pictures = (*self.shape[1:], self.shape[0]), np.asarray(pictures)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or not len(pictures):
            raise ShapeError(f'pictures {pictures.shape} {pictures.dtype}: expected '
                             f'(n, {", ".join(map(str, expected))}) uint8, n 1 or more')
        return pictures

    def _in_batches(self, one: Callable, n: int, what: str) -> list[np.ndarray]:
        """Return the arrays that `one` gives for all n indices, put together."""
        parts = []
        for begin in tqdm(range(0, n, BATCH), what, leave=False, unit='batch',
                          disable=None if n > BATCH and sys.stderr else True):
            indices = np.arange(begin, begin + BATCH)
            kept = indices < n
            parts.append([array[kept] for array in one(np.minimum(indices, n - 1))])
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def decoder_of(row: Row, vae):
    """Return the net that draws from latents: the VAE's decoder, or a plain GAN's whole net."""
    return vae.decoder if row.encodes else vae


def _noise(seed: int, which: int, shape: tuple[int, int]) -> np.ndarray:
    return rng.noise(seed, rng.PICTURES, 0, 0, which, shape)


def _parts(array: np.ndarray, size: int) -> list[np.ndarray]:
    return np.split(array, range(size, len(array), size))
