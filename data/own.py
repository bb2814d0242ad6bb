"""Pictures that a user names, one by one or by the folder, as a trained net sees them."""
import contextlib
import functools
from collections import Counter
from pathlib import Path

import numpy as np

from data import DataError, archives, decoding


def read(paths: list[Path], shape: tuple[int, int, int],
         skip_bad: bool = False) -> tuple[list[str], np.ndarray, dict]:
    """Return the names of pictures, their pixels (n, h, w, c) uint8, and what was not read.

    paths: pictures, folders or zips of them. shape: channels, height and width of what the net
    sees; each is turned upright, cut to the square in its middle and scaled to that. What was not
    read: left_out and passed_over of `loading.Dataset`, where there is such. DataError for what
    is not there or cannot be read.
    """
    passed_over = Counter()
    with contextlib.ExitStack() as stack:
        sources = []
        for path in paths:
            if not path.exists():
                raise DataError(f'{path}: no such file or folder')
            if path.is_dir() or path.suffix.lower() == '.zip':
                below = stack.enter_context(archives.opened(path))
                if not below.sources:
                    raise archives.none_in(path)
                sources += below.sources
                passed_over += below.passed_over
            else:
                sources.append((str(path), functools.partial(archives.read_file, path)))
        found = [*decoding.decoded(sources, 'pictures', skip_bad, shape)]
    there = [(name, pixels) for name, pixels in found if pixels is not None]
    names, pictures = zip(*there, strict=True)
    not_read = {'left_out': len(found) - len(there), 'passed_over': dict(passed_over)}
    return [*names], np.stack(pictures), {what: n for what, n in not_read.items() if n}
