"""Sets of pictures: found, decoded once into the cache, and split as the original split faces."""
import hashlib
import io
import sys
from pathlib import Path

import numpy as np

from data import DataError, archives, decoding, fetch, table
from data.images import Images
from data.loading import Contents, Request

VERSION = b'3'  # of how images are decoded
Shape = tuple[int, int, int]  # channels, height and width


def read(request: Request) -> Contents:
    """Return a set of pictures, in colour or grey and of the size that the entry has as shape.

    They are decoded once and kept in the cache, from where they are mapped into memory.
    DataError if there are none, or an image cannot be read and is not to be left out.
    """
    path = find(request)
    pixels, n_left_out = _cached(path, request.skip_bad, request.entry.shape)
    order = split_order(len(pixels), request.shuffle_seed)
    n_train = int(len(pixels) * request.entry.train_share)
    return Contents(Images(pixels, order=order[:n_train]), Images(pixels, order=order[n_train:]),
                    {path.name: len(pixels)}, path, n_left_out=n_left_out,
                    passed_over=_passed_over(path), in_name_order=Images(pixels))


def find(request: Request) -> Path:
    """Return the folder, zip or saved NDArray of the pictures; DataError if there is none.

    A place that the user named may also be that itself, or a folder of folders of images, or one
    with a single zip; but not one that holds other sets of the table.
    """
    own, base = request.entry.names, fetch.data_root(request.root)
    others = {name for entry in table.SETS.values() for name in entry.names if name not in own}
    for name in own:
        if (base / name).exists():
            return base / name
    of_others = any((base / name).exists() for name in others)
    if fetch.named(request.root):
        if base.is_file() and _is_file_of_pictures(base):
            return base
        if base.is_dir() and not of_others:
            if archives.images_below(base)[0]:
                return base
            zips = [path for path in sorted(base.iterdir()) if _is_file_of_pictures(path)]
            if len(zips) == 1:
                return zips[0]
    named = fetch.named(request.root)
    what = 'pictures' if named and not of_others else request.entry.description
    also = ', or a folder or zip of images' if named else ''
    drawn = (', or train on drawn faces with --set data=sketch_faces'
             if request.entry.shape == table.SETS['sketch_faces'].shape else '')
    raise fetch.missing_data_error(
        request.root, f'{what} ({" or ".join(own)}{also})',
        f'put a folder or zip of images there, or name it with --data-root{drawn}')


def _is_file_of_pictures(path: Path) -> bool:
    return path.suffix.lower() in ('.zip', '.ndy') and not path.name.startswith('.')


def _passed_over(path: Path) -> dict[str, int]:
    """Return how many files and folders at a path are no images, by the reason."""
    if path.suffix.lower() == '.ndy':
        return {}
    with archives.opened(path) as found:
        return dict(sorted(found.passed_over.items()))


def split_order(n: int, shuffle_seed: int | None) -> np.ndarray:
    """Return (n,) indices in the order of the original's `random.seed(s); nd.shuffle(features)`.

    MXNet permutes n x 1 indices as it permutes n x anything. None: the order of the names.
    """
    if shuffle_seed is None:
        return np.arange(n)
    from mxnet import cpu, nd, random
    random.seed(shuffle_seed)
    indices = nd.array(np.arange(n).reshape(n, 1), cpu(), dtype=np.int32)
    return nd.random.shuffle(indices).asnumpy()[:, 0]


def _cached(path: Path, skip_bad: bool, shape: Shape) -> tuple[np.ndarray, int]:
    """Return the pictures at a path, mapped into memory, and how many were left out.

    shape: channels, height and width. The cache has them under the checksum of what was decoded,
    and their size if it is not that of faces.
    """
    channels, height, width = shape
    try:
        folder = fetch.cache_dir() / 'faces'
    except DataError as error:
        return _decoded(error, path, skip_bad, shape)
    key = _content_key(path)
    size = f'{height}' if height == width else f'{height}x{width}'
    name = key if shape[1:] == decoding.SHAPE[1:] else f'{key}-{size}px'
    suffix = '.rgb' if channels == 3 else '.grey'

    def find_stored() -> Path | None:
        patterns = [f'{name}{suffix}'] + [f'{name}-without-*{suffix}'] * skip_bad
        return next((file for one in patterns for file in sorted(folder.glob(one))), None)

    stored = find_stored()
    try:
        if stored is None:
            with fetch.cache_lock(folder):
                stored = find_stored() or _store(folder / f'{name}{suffix}', key, path, skip_bad,
                                                   shape)
        pixels = np.memmap(stored, np.uint8, 'r')
    except OSError as error:
        return _decoded(f'{folder}: cannot be written ({error.strerror})', path, skip_bad, shape)
    n_left_out = int(stored.stem.partition('-without-')[2] or 0)
    return pixels.reshape(-1, height, width, channels), n_left_out


def _decoded(reason: object, path: Path, skip_bad: bool,
             shape: Shape) -> tuple[np.ndarray, int]:
    """Return the pictures at a path, in memory, and how many were left out; says why on stderr."""
    print(f'{reason}; decoding into memory', file=sys.stderr)
    channels, height, width = shape
    file = io.BytesIO()
    n_left_out = decoding.decode_into(file, path, skip_bad, shape)
    pixels = np.frombuffer(file.getbuffer(), np.uint8)
    return pixels.reshape(-1, height, width, channels), n_left_out


def _store(stored: Path, key: str, path: Path, skip_bad: bool, shape: Shape) -> Path:
    """Decode the pictures at a path into a file of the cache; return that.

    DataError if they have changed meanwhile.
    """
    with fetch.atomic_write(stored) as file:
        n_left_out = decoding.decode_into(file, path, skip_bad, shape)
        if _content_key(path) != key:
            raise DataError(f'{path}: has changed while it was read')
    if not n_left_out:
        return stored
    return stored.rename(stored.with_name(f'{stored.stem}-without-{n_left_out}{stored.suffix}'))


def _content_key(path: Path) -> str:
    """Return a checksum of all that is decoded: of a folder, every image's name and content."""
    digest = hashlib.sha256(VERSION)
    if path.is_file():
        digest.update(fetch.sha256(path).encode())
        return digest.hexdigest()
    for name, image in archives.images_below(path)[0]:
        try:
            content = image.read_bytes()
        except OSError as error:  # it may be left out
            content = f'errno {error.errno}'.encode()
        digest.update(f'{name} {len(content)}\n'.encode(errors='surrogateescape') + content)
    return digest.hexdigest()
