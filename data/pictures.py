"""Sets of pictures: found, decoded once into the cache, and split as the original split faces."""
import hashlib
import io
import itertools
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import DataError, archives, collect, decoding, fetch, table
from data.images import Images, Joined
from data.loading import Dataset, checksum

VERSION = b'3'  # of how images are decoded
Shape = tuple[int, int, int]  # channels, height and width


def read(entry: table.Entry, places: fetch.Places, shuffle_seed: int | None, skip_bad: bool,
         held_out: float | None) -> Dataset:
    """Return a set of pictures, in colour or grey and of the size that the entry has as shape.

    They are decoded once and kept in the cache, from where they are mapped into memory. Those of
    several places follow each other in an order that only their pixels decide. shuffle_seed,
    skip_bad, held_out: of `loading.load`.
    DataError if there are none, or an image cannot be read and is not to be left out.
    """
    def found(path: Path) -> _Found:
        return _Found(path, *_cached(path, skip_bad, entry.shape))

    own = [found(find(entry, root)) for root in places.roots or (None,)]
    apart = found(_held_out(places.held_out)) if places.held_out else None
    all_found = [*own, apart] if apart else own
    _check_apart([one.path for one in all_found])
    if len(own) > 1:
        own.sort(key=lambda one: checksum(Images(one.pixels)))
    pixels = own[0].pixels if len(own) == 1 else Joined([one.pixels for one in own])
    order = split_order(len(pixels), shuffle_seed)
    n_train = len(pixels) if apart else _n_train(len(pixels), entry.train_share, held_out)
    test = Images(apart.pixels) if apart else Images(pixels, order=order[n_train:])
    source = {'files': _n_pictures(own), 'held_out': apart and archives.name_of(apart.path),
              'left_out': sum(one.n_left_out for one in all_found),
              'passed_over': _passed_over([one.path for one in all_found])}
    return Dataset(Images(pixels, order=order[:n_train]), test, tuple(one.path for one in own),
                   apart and apart.path,
                   source={name: value for name, value in source.items() if value})


@dataclass(frozen=True)
class _Found:
    """The pictures of a folder or zip, (n, h, w, c), and how many were left out."""
    path: Path
    pixels: np.ndarray
    n_left_out: int


def _n_pictures(own: list[_Found]) -> dict[str, int]:
    """Return how many pictures each place has, by its name, or path where two share a name."""
    names = [archives.name_of(one.path) for one in own]
    return {name if names.count(name) == 1 else str(one.path): len(one.pixels)
            for name, one in zip(names, own, strict=True)}


def _n_train(n: int, train_share: float, held_out: float | None) -> int:
    """Return how many of n pictures train: the published share, or what is not to be held out."""
    return int(n * train_share) if held_out is None else n - round(n * held_out)


def _held_out(place: Path) -> Path:
    """Return the held-out pictures at a place; DataError if there are none."""
    path = _at(place)
    if path is None:
        raise fetch.missing_data_error(
            place, 'pictures to hold out (a folder or zip of images)', '')
    return path


def _check_apart(paths: list[Path]) -> None:
    """Raise DataError if pictures were read twice."""
    for inner, outer in itertools.permutations([path.resolve() for path in paths], 2):
        if inner.is_relative_to(outer):
            raise DataError(f'{inner}: named twice, or inside of {outer}; expected other pictures')


def find(entry: table.Entry, root: Path | None) -> Path:
    """Return the folder or zip of the pictures; DataError if there is none.

    root: where the user said that they are. Such a place may also be that itself, or a folder of
    folders of images, or one with a single zip; but not one that holds other sets of the table.
    """
    own, base = entry.names, fetch.data_root(root)
    others = {name for entry in table.SETS.values() for name in entry.names if name not in own}
    for name in own:
        if (base / name).exists():
            return base / name
    of_others = any((base / name).exists() for name in others)
    named = fetch.named(root)
    if named and not of_others and (path := _at(base)):
        return path
    what = 'pictures' if named and not of_others else entry.description
    also = ', or a folder or zip of images' if named else ''
    drawn = (', or let `run` train on drawn faces with --set data=sketch_faces'
             if entry.shape == table.SETS['sketch_faces'].shape else '')
    shown = ''.join(f'get those of the shown results by `python -m training collect {name}`, '
                    for name in collect.SOURCES if table.SETS[name].names == own)
    raise fetch.missing_data_error(
        root, f'{what} ({" or ".join(own)}{also})',
        f'{shown}put a folder or zip of images there, or name it with --data-root or '
        f'VAEGAN_DATA{drawn}')


def _at(place: Path) -> Path | None:
    """Return the pictures at a place: itself, or the only zip in it; none: there are none."""
    if place.is_dir():
        if archives.images_below(place)[0]:
            return place
        zips = [path for path in sorted(place.iterdir()) if _is_zip(path)]
        return zips[0] if len(zips) == 1 else None
    return place if place.is_file() and _is_zip(place) else None


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == '.zip' and not path.name.startswith('.')


def _passed_over(paths: list[Path]) -> dict[str, int]:
    """Return how many files and folders at these paths are no images, by the reason."""
    n_files = Counter()
    for path in paths:
        with archives.opened(path) as found:
            n_files += found.passed_over
    return dict(sorted(n_files.items()))


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
            content = archives.read_file(image)
        except OSError as error:  # it may be left out
            content = f'errno {error.errno}'.encode()
        except DataError:  # too large, whatever is in it
            content = b'too large'
        digest.update(f'{name} {len(content)}\n'.encode(errors='surrogateescape') + content)
    return digest.hexdigest()
