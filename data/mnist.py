"""MNIST (LeCun, Cortes, Burges) from idx files, gzipped or not, found or downloaded."""
import gzip
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

from data import DataError, fetch
from data.images import Images
from data.loading import Dataset

FILES = {  # name: sha256 of the gzipped original
    'train-images-idx3-ubyte': '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609',
    'train-labels-idx1-ubyte': '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c',
    't10k-images-idx3-ubyte': '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
    't10k-labels-idx1-ubyte': 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
}
MIRRORS = (
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'http://yann.lecun.com/exdb/mnist/',
)
FOLDERS = ('.', 'mnist', 'MNIST', 'MNIST/raw')  # below a root, with torchvision's
SIDE = 28      # pixels
N_CLASSES = 10
MOST_IMAGES = 500_000
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
ADVICE = ('put the four idx files into a folder and name it with --data-root or VAEGAN_DATA, '
          'or let `run` train on drawn digits with --set data=sketch_digits')


def read(places: fetch.Places, **_) -> Dataset:
    """Return MNIST as its makers split it, (n, 28, 28, 1) uint8, with labels of ten classes.

    Where the user named no place it is downloaded into the cache, unless it is there already.
    DataError if there is none, or one of the files is damaged.
    """
    paths = find(places.root)
    if not paths and fetch.named(places.root):
        raise fetch.missing_data_error(places.root, 'MNIST (the four idx files)', ADVICE)
    paths = paths or _download()
    splits, all_labels = [], []
    for split in ('train', 't10k'):
        images = read_idx(paths[f'{split}-images-idx3-ubyte'], IMAGES_MAGIC)
        labels_path = paths[f'{split}-labels-idx1-ubyte']
        labels = read_idx(labels_path, LABELS_MAGIC)
        if len(images) != len(labels):
            raise DataError(f'{labels_path}: {len(labels)} labels, expected {len(images)}, '
                            f'as many as images')
        splits.append(Images(images[..., np.newaxis]))                  # (n, 28, 28, 1)
        all_labels.append(labels)
    files = {path.name: fetch.sha256(path) for path in paths.values()}
    largest = max(labels.max() for labels in all_labels)
    if largest >= N_CLASSES:  # as of letters: a VAE needs none
        print(f'{labels_path.parent}: labels up to {largest}, not 0 to {N_CLASSES - 1}: left out, '
              'so pictures are not classified', file=sys.stderr)
    return Dataset(*splits, (labels_path.parent,), source={'files': files},
                   labels=tuple(all_labels) if largest < N_CLASSES else None)


def find(root: str | Path | None) -> dict[str, Path] | None:
    """Return the four files, all from one folder; None if no folder has any of them.

    Where a user named a place that has no MNIST, a set of another name in files of the same names
    is taken, as torchvision's FashionMNIST/raw; DataError if there are several. DataError too for
    a folder with some of the files only: to pass it over in silence would train on other data
    than the user pointed at.
    """
    place = fetch.data_root(root)
    others = sorted({path.parent for below in ('*', '*/raw') for path in place.glob(f'{below}/*')
                     if path.name.startswith(next(iter(FILES)))}
                    - {place / sub for sub in FOLDERS}) if fetch.named(root) else []
    for folder in (*(place / sub for sub in FOLDERS), *others):
        paths = {}
        for name in FILES:
            for candidate in (name, f'{name}.gz', name.replace('-idx', '.idx')):
                if (folder / candidate).is_file():
                    paths.setdefault(name, folder / candidate)
        if len(paths) == len(FILES):
            if folder in others and len(others) > 1:
                raise DataError(f'{place}: holds several sets of idx files, '
                                f'{", ".join(str(f.relative_to(place)) for f in others)}; name '
                                f'one of these folders')
            return paths
        # The cache alone may be unfinished: a download that was cut off goes on there
        if paths and folder != fetch.cache_dir() / 'mnist':
            absent = ', '.join(name for name in FILES if name not in paths)
            raise DataError(f'{folder}: holds {", ".join(p.name for p in paths.values())} '
                            f'but not {absent} (plain or .gz)')
    return None


def _download() -> dict[str, Path]:
    """Return the four files, downloaded into the cache as far as they are not there yet."""
    folder = fetch.cache_dir() / 'mnist'
    try:
        with fetch.cache_lock(folder):
            for name, digest in FILES.items():
                if not (folder / f'{name}.gz').is_file():
                    fetch.download(f'{name}.gz', MIRRORS, digest, folder)
    except (DataError, OSError) as error:
        raise fetch.missing_data_error(
            None, 'MNIST', f'it cannot be downloaded ({error}); {ADVICE}') from None
    return {name: folder / f'{name}.gz' for name in FILES}


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Return images (n, 28, 28) or labels (n,), uint8; DataError unless the file is just that."""
    opener = gzip.open if path.suffix == '.gz' else open
    try:
        with opener(path, 'rb') as file:
            dims = _read_header(path, file, magic)
            expected = int(np.prod(dims, dtype=object))
            values = _read_at_most(file, expected + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f'{path}: not a whole gzip file ({error})') from None
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror or error})') from None
    if len(values) != expected:
        count = 'more' if len(values) > expected else len(values)
        raise DataError(f'{path}: {count} bytes of values, expected {expected} for {dims}')
    return np.frombuffer(values, np.uint8).reshape(dims)


def _read_header(path: Path, file, magic: int) -> tuple[int, ...]:
    """Return the dimensions that an idx file claims; DataError for other files' headers."""
    header = file.read(4)
    n_dims = magic & 0xff
    sizes = file.read(4 * n_dims)
    if len(header) < 4 or len(sizes) < 4 * n_dims:
        raise DataError(f'{path}: cut off in its header')
    number, = struct.unpack('>I', header)
    if number != magic:
        raise DataError(f'{path}: magic number {number}, expected {magic} '
                        f'(idx {"images" if magic == IMAGES_MAGIC else "labels"}, bytes)')
    dims = struct.unpack(f'>{n_dims}I', sizes)
    if dims[1:] not in ((), (SIDE, SIDE)) or not 0 < dims[0] <= MOST_IMAGES:
        raise DataError(f'{path}: dimensions {dims}, expected n x {SIDE} x {SIDE} with n from 1 '
                        f'to {MOST_IMAGES}')
    return dims


def _read_at_most(file, limit: int) -> bytes:
    """Return at most `limit` bytes, read piece by piece: no header can claim the memory."""
    pieces, total = [], 0
    while total < limit and (piece := file.read(min(fetch.CHUNK, limit - total))):
        pieces.append(piece)
        total += len(piece)
    return b''.join(pieces)
