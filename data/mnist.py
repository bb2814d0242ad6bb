"""MNIST (LeCun, Cortes, Burges) from idx files, gzipped or not, found or downloaded."""
import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from data import DataError, MissingDataError, fetch

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
N_SHOWN = 10   # validation images
MOST_IMAGES = 500_000
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


def read(root: str | Path | None) -> tuple[list[np.ndarray], list[np.ndarray], dict]:
    """Training and test images, (n, 28, 28, 1) uint8, their labels (n,), and a description.

    Looks under root, $VAEGAN_DATA and the cache, then downloads into the cache.
    DataError if there is none, or one of the files is damaged.
    """
    paths = find(root) or _download(root)
    splits, all_labels = [], []
    for split in ('train', 't10k'):
        images = read_idx(paths[f'{split}-images-idx3-ubyte'], IMAGES_MAGIC)
        labels_path = paths[f'{split}-labels-idx1-ubyte']
        labels = read_idx(labels_path, LABELS_MAGIC)
        if len(images) != len(labels):
            raise DataError(f'{labels_path}: {len(labels)} labels, expected {len(images)}, '
                            f'as many as images')
        splits.append(images[..., np.newaxis])                          # (n, 28, 28, 1)
        all_labels.append(labels)
    if len(splits[1]) < N_SHOWN:
        raise DataError(f'{paths["t10k-images-idx3-ubyte"]}: {len(splits[1])} images, '
                        f'expected {N_SHOWN} or more')
    return splits, all_labels, {'description': 'MNIST idx files',
                                'files': {path.name: fetch.sha256(path)
                                          for path in paths.values()}}


def find(root: str | Path | None) -> dict[str, Path] | None:
    """The four files, all from one folder; None if no folder has any of them.

    DataError for a folder with some of them only: to pass it over in silence would train
    on other data than the user pointed at.
    """
    for folder in (base / sub for base in fetch.roots(root) for sub in FOLDERS):
        found = {}
        for name in FILES:
            for candidate in (name, f'{name}.gz', name.replace('-idx', '.idx')):
                if (folder / candidate).is_file():
                    found.setdefault(name, folder / candidate)
        if len(found) == len(FILES):
            return found
        # The cache alone may be unfinished: a download that was cut off goes on there
        if found and folder != fetch.cache_dir() / 'mnist':
            missing = ', '.join(name for name in FILES if name not in found)
            raise DataError(f'{folder}: holds {", ".join(p.name for p in found.values())} '
                            f'but not {missing} (plain or .gz)')
    return None


def _download(root: str | Path | None) -> dict[str, Path]:
    folder = fetch.cache_dir() / 'mnist'
    try:
        with fetch.building(folder):
            for name, digest in FILES.items():
                if not (folder / f'{name}.gz').is_file():
                    fetch.download(f'{name}.gz', MIRRORS, digest, folder)
    except (DataError, OSError) as error:
        looked = ', '.join(str(base) for base in fetch.roots(root))
        raise MissingDataError(f'MNIST not found in {looked}, and not to be downloaded: {error}. '
                        'Put the four idx files into a folder and name it with --data-root, '
                        'or train on drawn digits with --set data=sketch_digits') from None
    return {name: folder / f'{name}.gz' for name in FILES}


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Images (n, 28, 28) or labels (n,), uint8. DataError unless the file is exactly that."""
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
        found = 'more' if len(values) > expected else len(values)
        raise DataError(f'{path}: {found} bytes of values, expected {expected} for {dims}')
    return np.frombuffer(values, np.uint8).reshape(dims)


def _read_header(path: Path, file, magic: int) -> tuple[int, ...]:
    header = file.read(4)
    n_dims = magic & 0xff
    sizes = file.read(4 * n_dims)
    if len(header) < 4 or len(sizes) < 4 * n_dims:
        raise DataError(f'{path}: cut off in its header')
    found, = struct.unpack('>I', header)
    if found != magic:
        raise DataError(f'{path}: magic number {found}, expected {magic} '
                        f'(idx {"images" if magic == IMAGES_MAGIC else "labels"}, bytes)')
    dims = struct.unpack(f'>{n_dims}I', sizes)
    if dims[1:] not in ((), (SIDE, SIDE)) or not 0 < dims[0] <= MOST_IMAGES:
        raise DataError(f'{path}: dimensions {dims}, expected n x {SIDE} x {SIDE} with n from 1 '
                        f'to {MOST_IMAGES}')
    return dims


def _read_at_most(file, limit: int) -> bytes:
    """Up to `limit` bytes, a piece at a time: a header that lies cannot claim the memory."""
    pieces, total = [], 0
    while total < limit and (piece := file.read(min(fetch.CHUNK, limit - total))):
        pieces.append(piece)
        total += len(piece)
    return b''.join(pieces)
