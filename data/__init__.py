"""Images out of files, as arrays in [0, 1]: `load(name, root)`."""
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HASHED_AT_ONCE = 4096  # images
SKETCHES = {'sketch_digits': (20_000, 1_000), 'sketch_faces': (8_000, 1_000)}  # train, test


class DataError(ValueError):
    """Data that are missing or damaged; the message is for the user."""


class MissingDataError(DataError):
    """Data that are nowhere to be found."""


class Images:
    """Images kept as bytes, (n, h, w, c) uint8, that come out as floats when indexed.

    `images[indices]` is (b, c, h, w) float32 in [0, 1], so that the whole set never
    stands in memory at four bytes a value.
    """

    def __init__(self, stored: np.ndarray, layout: str = 'reshape',
                 order: np.ndarray | None = None):
        """stored: (m, h, w, c), perhaps a file's. order: (n,) indices of it; none: all."""
        self._stored, self.layout = stored, layout
        self._order = np.arange(len(stored)) if order is None else order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, indices) -> np.ndarray:
        pixels = self._stored[self._order[indices]]
        return np.divide(to_channels_first(pixels, self.layout), np.float32(255),
                         dtype=np.float32)

    def between(self, start: int, stop: int) -> np.ndarray:
        """Some images as bytes, (n, h, w, c)."""
        return self._stored[self._order[start:stop]]

    def first(self, n: int) -> np.ndarray:
        """The first n images as bytes, (n, h, w, c)."""
        return self.between(0, n)

    @property
    def pixels(self) -> np.ndarray:
        """All images as bytes, (n, h, w, c): a copy."""
        return self.first(len(self))

    def update(self, digest) -> None:
        """Hash all images, in their order."""
        for start in range(0, len(self), HASHED_AT_ONCE):
            digest.update(self._stored[self._order[start:start + HASHED_AT_ONCE]])

    def to_pixels(self, x: np.ndarray) -> np.ndarray:
        """What a net made of such images, (b, c, h, w), as bytes (b, h, w, c)."""
        return to_pixels(x, self.layout)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        height, width, channels = self._stored.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class Dataset:
    """Training and held-out images, and where they came from."""
    train: Images
    test: Images      # its first ten are the validation images
    shape: tuple[int, int, int]
    labels: tuple[np.ndarray, np.ndarray] | None  # (n,) of both, where there are classes
    source: dict      # data, description, files, sha256 (of all pixels, training images first)


def load(name: str, root: str | Path | None = None, layout: str = 'reshape',
         shuffle_seed: int | None = 0, skip_bad: bool = False) -> Dataset:
    """The data set MNIST | anime | adult | sketch_digits | sketch_faces, at full size.

    root: folder to look in first. layout: reshape | transpose, see `to_channels_first`.
    shuffle_seed: of the anime split; none is name order. skip_bad: leave out broken images of
    faces. DataError if the set is not to be had.
    """
    labels = None
    if name == 'MNIST':
        from data import mnist
        splits, labels, described = mnist.read(root)
        train, test = (Images(pixels, layout) for pixels in splits)
    elif name in ('anime', 'adult'):
        from data import faces
        stored, described = faces.read(root, skip_bad, name)
        order = faces.split_order(len(stored), shuffle_seed)
        n_train = int(len(stored) * faces.KINDS[name].train_share)
        train, test = (Images(stored, layout, part)
                       for part in (order[:n_train], order[n_train:]))
    elif name in SKETCHES:
        from data import sketch
        n_train, n_test = SKETCHES[name]
        drawn = getattr(sketch, name)(n_train + n_test)
        train, test = Images(drawn[:n_train], layout), Images(drawn[n_train:], layout)
        described = {'description': 'drawn by this project (data/sketch.py), seed 0'}
    else:
        raise DataError(f'unknown data {name!r}: expected MNIST, anime, adult, '
                        + ', '.join(SKETCHES))
    digest = hashlib.sha256()
    train.update(digest)
    test.update(digest)
    return Dataset(train, test, train.shape, labels,
                   {'data': name, **described, 'sha256': digest.hexdigest()})


def to_channels_first(pixels: np.ndarray, layout: str) -> np.ndarray:
    """(b, h, w, c) -> (b, c, h, w), by 'transpose' or by the original's 'reshape'.

    The original reshaped, which does not move channels but cuts the row of bytes anew: its
    nets saw three interleaved bands instead of three colour planes.
    """
    batch, height, width, channels = pixels.shape
    if layout == 'transpose':
        return pixels.transpose(0, 3, 1, 2)
    return pixels.reshape(batch, channels, height, width)


def to_pixels(x: np.ndarray, layout: str) -> np.ndarray:
    """The way back: (b, c, h, w) floats in [0, 1] -> (b, h, w, c) uint8."""
    batch, channels, height, width = x.shape
    if layout == 'transpose':
        x = x.transpose(0, 2, 3, 1)
    else:
        x = x.reshape(batch, height, width, channels)
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
