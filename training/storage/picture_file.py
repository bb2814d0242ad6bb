"""pictures.safetensors: what a finished run's pictures are drawn from, without its encoder.

Of large nets nearly all parameters are the encoder's. This file has the decoder's, and what the
encoder said of the first held-out images: a few MB, from which strips, samples, interpolations
and traversals come again to 1 of 255, rarely 2. Weights are rounded to 16 bits, which halves the
file.
"""
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from training.storage import files, tensors

N_KEPT = 100      # held-out images whose latents are kept, at most
DECODER = 'decoder/'  # before the names of the decoder's parameters
LATENTS = ('strip_mean', 'strip_logvar', 'mean', 'logvar', 'kl')


class PictureFileError(ValueError):
    """A file of pictures that is missing or damaged; the message is for the user."""


def save(path: Path, decoder: dict[str, np.ndarray], latents: dict[str, np.ndarray]) -> None:
    """Write the decoder's parameters by name, and LATENTS (none of a plain GAN).

    strip_mean, strip_logvar (10, z): of the validation images, in a batch of their own. mean,
    logvar (n, z): of the first n held-out images. kl (z,) float64: of each latent, a mean over
    images.
    """
    arrays = {f'{DECODER}{name}': _rounded(array) for name, array in decoder.items()} | latents
    files.write(path, tensors.pieces({}, {name: np.ascontiguousarray(array)
                                          for name, array in arrays.items()}))


def _rounded(array: np.ndarray) -> np.ndarray:
    """Return weights as float16; biases and BatchNorm's vectors, or what it cannot hold, stay."""
    with np.errstate(over='ignore'):
        half = array.astype(np.float16)
    return half if array.ndim > 1 and np.isfinite(half).all() else array


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what `save` was given, weights rounded, all as float32 but kl.

    PictureFileError if the file is not whole.
    """
    try:
        with safe_open(path, 'numpy') as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise PictureFileError(f'{path}: not a whole file of pictures ({error})') from None
    decoder = {name.removeprefix(DECODER): array.astype(np.float32, copy=False)
               for name, array in arrays.items() if name.startswith(DECODER)}
    latents = {name: array for name, array in arrays.items() if not name.startswith(DECODER)}
    if not decoder or latents.keys() not in (set(), {*LATENTS}):
        raise PictureFileError(f'{path}: not a file of pictures (it holds '
                               f'{", ".join(sorted(arrays)[:5])} ..)')
    return decoder, latents
