"""Images kept as bytes, and the way from bytes to a net's floats and back."""
import hashlib
from collections.abc import Iterator

import numpy as np

HASHED_AT_ONCE = 4096  # images


class Joined:
    """Arrays (m, h, w, c) uint8 one after the other as one, that never stands in memory whole."""

    def __init__(self, parts: list[np.ndarray]):
        self._parts, self._starts = parts, np.cumsum([0, *map(len, parts)])
        self.shape = int(self._starts[-1]), *parts[0].shape[1:]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """Return a copy of those at (b,) indices, (b, h, w, c)."""
        found = np.empty((len(indices), *self.shape[1:]), np.uint8)
        parts = np.searchsorted(self._starts, indices, side='right') - 1
        for i, part in enumerate(self._parts):
            found[parts == i] = part[indices[parts == i] - self._starts[i]]
        return found


class Images:
    """Images kept as bytes, (n, h, w, c) uint8, that come out as floats when indexed.

    `images[indices]` is (b, c, h, w) float32 in [0, 1], so that the whole set never
    stands in memory at four bytes a value.
    """

    def __init__(self, stored: np.ndarray | Joined, layout: str = 'reshape',
                 order: np.ndarray | None = None, n_upright: int | None = None):
        """stored: (m, h, w, c), perhaps a file's. order: (n,) indices of it; none: all.

        n_upright: how many come as they are, and what follows them mirrored; none: all.
        """
        self._stored, self.layout = stored, layout
        self._order = np.arange(len(stored)) if order is None else order
        self._n_upright = len(self._order) if n_upright is None else n_upright

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, indices) -> np.ndarray:
        pixels = self._pixels(indices)
        return np.divide(to_channels_first(pixels, self.layout), np.float32(255),
                         dtype=np.float32)

    def with_layout(self, layout: str) -> 'Images':
        """Return the same images, which become channel-first by another layout."""
        return type(self)(self._stored, layout, self._order, self._n_upright)

    def others(self, stored: np.ndarray) -> 'Images':
        """Return other images (n, h, w, c) uint8 in the layout of these."""
        return type(self)(stored, self.layout)

    def whole(self) -> 'Images':
        """Return all images that these are some of, in the order in which they are stored."""
        return type(self)(self._stored, self.layout)

    def mirrored(self, n: int) -> 'Images':
        """Return the first n images (there are only upright ones), then their mirror images."""
        return type(self)(self._stored, self.layout, np.tile(self._order[:n], 2), n)

    def _pixels(self, indices) -> np.ndarray:
        places = np.arange(len(self))[indices]
        pixels = self._stored[self._order[places]]                      # (b, h, w, c)
        is_mirrored = places >= self._n_upright
        if is_mirrored.any():
            pixels[is_mirrored] = pixels[is_mirrored][:, :, ::-1]
        return pixels

    def between(self, start: int, stop: int) -> np.ndarray:
        """Return a part of the images as bytes, (n, h, w, c)."""
        return self._pixels(slice(start, stop))

    def first(self, n: int) -> np.ndarray:
        """Return the first n images as bytes, (n, h, w, c)."""
        return self.between(0, n)

    @property
    def pixels(self) -> np.ndarray:
        """Return a copy of all images as bytes, (n, h, w, c)."""
        return self.first(len(self))

    def update(self, digest) -> None:
        """Add all images, in their order, to a checksum."""
        for start in range(0, len(self), HASHED_AT_ONCE):
            digest.update(self.between(start, start + HASHED_AT_ONCE))

    def digests(self) -> Iterator[bytes]:
        """Yield a checksum of each image."""
        for start in range(0, len(self), HASHED_AT_ONCE):
            for image in self.between(start, start + HASHED_AT_ONCE):
                yield hashlib.sha256(image).digest()

    def to_pixels(self, x: np.ndarray) -> np.ndarray:
        """Return what a net made of such images, (b, c, h, w), as bytes (b, h, w, c)."""
        return to_pixels(x, self.layout)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of one image."""
        height, width, channels = self._stored.shape[1:]
        return channels, height, width


def to_channels_first(pixels: np.ndarray, layout: str) -> np.ndarray:
    """Turn (b, h, w, c) into (b, c, h, w), by 'transpose' or by the original's 'reshape'.

    The original reshaped, which does not move channels but cuts the row of bytes anew: its
    nets saw three interleaved bands instead of three colour planes.
    """
    batch, height, width, channels = pixels.shape
    if layout == 'transpose':
        return pixels.transpose(0, 3, 1, 2)
    return pixels.reshape(batch, channels, height, width)


def to_pixels(x: np.ndarray, layout: str) -> np.ndarray:
    """Turn (b, c, h, w) floats in [0, 1] back into (b, h, w, c) uint8."""
    batch, channels, height, width = x.shape
    if layout == 'transpose':
        x = x.transpose(0, 2, 3, 1)
    else:
        x = x.reshape(batch, height, width, channels)
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
