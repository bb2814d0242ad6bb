"""Sets of faces: found, decoded once into the cache, and split as the original split them."""
import hashlib
import io
import sys
from pathlib import Path

import numpy as np

from data import DataError, archives, decoding, fetch, table
from data.images import Images
from data.loading import Contents, Request

VERSION = b'3'  # of how images are decoded


def read(request: Request) -> Contents:
    """Return a set of faces, RGB, at the size of the entry.

    They are decoded once and kept in the cache, from where they are mapped into memory.
    DataError if there are none, or an image cannot be read and is not to be left out.
    """
    path = find(request)
    faces, n_left_out = _cached(path, request.skip_bad, request.entry.shape[1])
    order = split_order(len(faces), request.shuffle_seed)
    n_train = int(len(faces) * request.entry.train_share)
    return Contents(Images(faces, order=order[:n_train]), Images(faces, order=order[n_train:]),
                    {path.name: len(faces)}, path, n_left_out=n_left_out,
                    passed_over=_passed_over(path), in_name_order=Images(faces))


def find(request: Request) -> Path:
    """Return the folder, zip or saved NDArray of the faces; DataError if there is none.

    A place that the user named may also be that itself, or a folder of folders of images, or one
    with a single zip; but not one that holds other sets of the table.
    """
    own, base = request.entry.names, fetch.place(request.root)
    others = {name for entry in table.SETS.values() for name in entry.names if name not in own}
    for name in own:
        if (base / name).exists():
            return base / name
    of_others = any((base / name).exists() for name in others)
    if fetch.named(request.root):
        if base.is_file() and _is_file_of_faces(base):
            return base
        if base.is_dir() and not of_others:
            if archives.images_below(base)[0]:
                return base
            zips = [path for path in sorted(base.iterdir()) if _is_file_of_faces(path)]
            if len(zips) == 1:
                return zips[0]
    named = fetch.named(request.root)
    what = 'pictures' if named and not of_others else request.entry.description
    also = ', or a folder or zip of images' if named else ''
    raise fetch.missing(request.root, f'{what} ({" or ".join(own)}{also})',
                        'put a folder or zip of face images there, or name it with --data-root, '
                        'or train on drawn faces with --set data=sketch_faces')


def _is_file_of_faces(path: Path) -> bool:
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


def _cached(path: Path, skip_bad: bool, side: int) -> tuple[np.ndarray, int]:
    """Return the faces at a path, mapped into memory, and how many were left out.

    The cache has them under the checksum of what was decoded, and their size if it is not the
    usual one.
    """
    try:
        folder = fetch.cache_dir() / 'faces'
    except DataError as error:
        return _decoded(error, path, skip_bad, side)
    key = _content_key(path)
    name = key if side == decoding.SIDE else f'{key}-{side}px'

    def find_stored() -> Path | None:
        patterns = [f'{name}.rgb'] + [f'{name}-without-*.rgb'] * skip_bad
        return next((file for one in patterns for file in sorted(folder.glob(one))), None)

    stored = find_stored()
    try:
        if stored is None:
            with fetch.building(folder):
                stored = find_stored() or _store(folder / f'{name}.rgb', key, path, skip_bad,
                                                   side)
        faces = np.memmap(stored, np.uint8, 'r')
    except OSError as error:
        return _decoded(f'{folder}: cannot be written ({error.strerror})', path, skip_bad, side)
    n_left_out = int(stored.stem.partition('-without-')[2] or 0)
    return faces.reshape(-1, side, side, 3), n_left_out


def _decoded(reason: object, path: Path, skip_bad: bool, side: int) -> tuple[np.ndarray, int]:
    """Return the faces at a path, in memory, and how many were left out; says why on stderr."""
    print(f'{reason}; decoding into memory', file=sys.stderr)
    file = io.BytesIO()
    n_left_out = decoding.decode_into(file, path, skip_bad, side)
    return np.frombuffer(file.getbuffer(), np.uint8).reshape(-1, side, side, 3), n_left_out


def _store(stored: Path, key: str, path: Path, skip_bad: bool, side: int) -> Path:
    """Decode the faces at a path into a file of the cache; return that.

    DataError if they have changed meanwhile.
    """
    with fetch.whole(stored) as file:
        n_left_out = decoding.decode_into(file, path, skip_bad, side)
        if _content_key(path) != key:
            raise DataError(f'{path}: has changed while it was read')
    if not n_left_out:
        return stored
    return stored.rename(stored.with_name(f'{stored.stem}-without-{n_left_out}.rgb'))


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
