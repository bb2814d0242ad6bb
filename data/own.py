"""Pictures that a user names, one by one or by the folder, as a trained net sees them."""
import contextlib
import functools
from pathlib import Path

import numpy as np

from data import DataError, archives, decoding


def read(paths: list[Path], shape: tuple[int, int, int],
         skip_bad: bool = False) -> tuple[list[str], np.ndarray, int]:
    """Return the names of pictures, their pixels (n, h, w, c) uint8, and how many were left out.

    paths: pictures, folders or zips of them. shape: channels, height and width of what the net
    sees; each is turned upright, cut to the square in its middle and scaled to that. DataError
    for what is not there or cannot be read.
    """
    with contextlib.ExitStack() as stack:
        sources = []
        for path in paths:
            if not path.exists():
                raise DataError(f'{path}: no such file or folder')
            if path.is_dir() or path.suffix.lower() == '.zip':
                below = stack.enter_context(archives.opened(path)).sources
                if not below:
                    raise archives.none_in(path)
                sources += below
            else:
                sources.append((str(path), functools.partial(archives.read_file, path)))
        found = [*decoding.decoded(sources, 'pictures', skip_bad, shape)]
    there = [(name, pixels) for name, pixels in found if pixels is not None]
    names, pictures = zip(*there, strict=True)
    return [*names], np.stack(pictures), len(found) - len(there)
