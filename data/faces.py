"""Faces from a folder or a zip of images, decoded once, and the original's split of them."""
import hashlib
import io
import os
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from threading import Lock
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from data import DataError, MissingDataError, fetch


@dataclass(frozen=True)
class Kind:
    """A set of faces: what it is, which part of it trains, and its names below a root."""
    description: str
    train_share: float
    fewest: int  # images, so that N_SHOWN are held out
    names: tuple[str, ...]


KINDS = {'anime': Kind('anime faces', 0.8, 46,
                       ('anime_faces', 'anime_faces.zip', 'anime_faces.ndy')),
         'adult': Kind('photographs of faces', 0.85, 61, ('adult_faces', 'adult_faces.zip'))}
SUFFIXES = {'.png', '.jpg', '.jpeg'}
FORMATS = ('PNG', 'JPEG', 'WEBP', 'GIF', 'BMP')  # suffixes are often wrong; no EPS: it is run
SIDE = 64               # pixels
N_SHOWN = 10            # validation images
FACE_BYTES = SIDE * SIDE * 3
MAX_FILE_BYTES = 32 << 20
MAX_IMAGES = 300_000
MAX_RATIO, MIN_BOMB_BYTES = 200, 1 << 30  # images hardly compress: a zip that claims so is none
MAX_PIXELS = 50_000_000
# A saved NDArray: list of one, then its magic number, kind of storage, 4 sizes, device, type
NDARRAY, NDARRAY_END, CONVERTED_AT_ONCE = '<QQQIiI4qiii', 8, 512
NDARRAY_FIELDS = ((0x112, 0, 1, 0xF993FAC9, 0, 4), (0x112, 0, 1, 0xF993FACA, 0, 4))
LARGE = 4_000_000       # pixels: of such images only one at a time is in memory
_one_large = Lock()


Source = tuple[str, Callable[[], bytes]]  # an image's name in messages, and its bytes


def read(root: str | Path | None, skip_bad: bool = False,
         kind: str = 'anime') -> tuple[np.ndarray, dict]:
    """All faces in the order of their names, (n, 64, 64, 3) uint8, and a description.

    They are decoded once and kept in the cache, from where they are mapped into memory.
    skip_bad: leave out images that cannot be read, else they are a DataError; as are none or
    too few. kind: of KINDS.
    """
    path = find(root, kind)
    faces, n_skipped = _cached(path, skip_bad)
    kind = KINDS[kind]
    if len(faces) < kind.fewest:
        raise DataError(f'{path}: {len(faces)} images, expected {kind.fewest} or more, for '
                        f'{N_SHOWN} held-out ones')
    described = {'description': kind.description, 'files': {path.name: len(faces)}}
    if n_skipped:
        print(f'{path}: {n_skipped} broken images left out', file=sys.stderr)
        described['left_out'] = n_skipped
    return faces, described


def find(root: str | Path | None, kind: str = 'anime') -> Path:
    """The faces: a folder, zip or saved NDArray below root, $VAEGAN_DATA or the cache.

    root may also be that itself.
    """
    roots, names = fetch.roots(root), KINDS[kind].names
    if root and roots[0].suffix in ('.zip', '.ndy') and roots[0].is_file():
        return roots[0]
    for base in roots:
        for name in names:
            if (base / name).exists():
                return base / name
        if root and base == roots[0] and base.is_dir() and any(map(_is_image, base.iterdir())):
            return base
    raise MissingDataError(f'no {" or ".join(names)} in {", ".join(map(str, roots))}: put a '
                           'folder or zip of face images there, or name it with --data-root, or '
                           'train on drawn faces with --set data=sketch_faces')


def split_order(n: int, shuffle_seed: int | None) -> np.ndarray:
    """(n,) indices in the order of the original's `mx.random.seed(s); nd.shuffle(features)`.

    MXNet permutes n x 1 indices as it permutes n x anything. None: the order of the names.
    """
    if shuffle_seed is None:
        return np.arange(n)
    from mxnet import cpu, nd, random
    random.seed(shuffle_seed)
    indices = nd.array(np.arange(n).reshape(n, 1), cpu(), dtype=np.int32)
    return nd.random.shuffle(indices).asnumpy()[:, 0]


def _cached(path: Path, skip_bad: bool) -> tuple[np.ndarray, int]:
    """The faces at a path, mapped into memory, and how many were left out.

    The cache has them under the checksum of what was decoded.
    """
    folder, key = fetch.cache_dir() / 'faces', _content_key(path)

    def find_stored() -> Path | None:
        names = [f'{key}.rgb'] + [f'{key}-without-*.rgb'] * skip_bad
        return next((found for name in names for found in sorted(folder.glob(name))), None)

    stored = find_stored()
    try:
        if stored is None:
            with fetch.building(folder):
                stored = find_stored() or _store(folder, key, path, skip_bad)
        faces = np.memmap(stored, np.uint8, 'r')
    except OSError as error:
        print(f'{folder}: cannot be written ({error.strerror}); decoding into memory',
              file=sys.stderr)
        file = io.BytesIO()
        n_skipped = _decode_into(file, path, skip_bad)
        return np.frombuffer(file.getbuffer(), np.uint8).reshape(-1, SIDE, SIDE, 3), n_skipped
    _, _, n_skipped = stored.stem.partition('-without-')
    return faces.reshape(-1, SIDE, SIDE, 3), int(n_skipped or 0)


def _store(folder: Path, key: str, path: Path, skip_bad: bool) -> Path:
    stored = folder / f'{key}.rgb'
    with fetch.whole(stored) as file:
        n_skipped = _decode_into(file, path, skip_bad)
    if not n_skipped:
        return stored
    return stored.rename(folder / f'{key}-without-{n_skipped}.rgb')


def _content_key(path: Path) -> str:
    """A checksum of all that is decoded: of a folder, of every image's name and content."""
    if path.is_file():
        return fetch.sha256(path)
    digest = hashlib.sha256()
    for name, image in _images_below(path):
        content = image.read_bytes()
        digest.update(f'{name} {len(content)}\n'.encode(errors='surrogateescape') + content)
    return digest.hexdigest()


def _decode_into(file: IO[bytes], path: Path, skip_bad: bool) -> int:
    """Write the faces at a path one after the other; returns how many were left out."""
    if path.suffix == '.ndy':
        _convert_ndarray(file, path)
        return 0
    with (_folder if path.is_dir() else _zip)(path) as sources:
        return _decode_all(file, path, sources, skip_bad)


@contextmanager
def _folder(path: Path) -> Iterator[list[Source]]:
    """All images below a folder in the order of their names."""
    yield [(str(image), image.read_bytes) for _, image in _images_below(path)]


def _images_below(folder: Path) -> list[tuple[PurePath, Path]]:
    return [(p.relative_to(folder), p) for p in sorted(folder.rglob('*')) if _is_image(p)]


@contextmanager
def _zip(path: Path) -> Iterator[list[Source]]:
    """All images of a zip in the order that its folder would have."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # of many kinds, for a damaged directory of members
        raise DataError(f'{path}: not a whole zip file ({error})') from error
    lock = Lock()

    def read_member(member: zipfile.ZipInfo) -> bytes:
        # Bounded here: a size in the header may be a lie
        with lock, archive.open(member) as file:
            return file.read(MAX_FILE_BYTES + 1)

    with archive:
        members = sorted(((PurePosixPath(m.filename), m) for m in archive.infolist()),
                         key=lambda named: named[0])
        total = 0
        for name, member in members:
            if name.is_absolute() or '..' in name.parts:
                raise DataError(f'{path}: {name}: a path that leads out of the zip')
            total += member.file_size
        if total > max(MIN_BOMB_BYTES, MAX_RATIO * path.stat().st_size):
            raise DataError(f'{path}: claims to hold {total} bytes, in {path.stat().st_size}: '
                            'not a zip of images')
        yield [(f'{path}: {name}', partial(read_member, member))
               for name, member in members if _is_image(name)]


def _is_image(path: PurePath) -> bool:
    """By its name; macOS puts a ._1.png beside 1.png that is none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith('.')


def _decode_all(file: IO[bytes], path: Path, sources: list[Source], skip_bad: bool) -> int:
    if not sources:
        raise DataError(f'{path}: no {", ".join(sorted(SUFFIXES))} files in it')
    if len(sources) > MAX_IMAGES:
        raise DataError(f'{path}: {len(sources)} images, expected at most {MAX_IMAGES}')
    n_skipped, problem = 0, None
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # we refuse those
            for face in tqdm(pool.map(_attempt, sources), f'decoding {path.name}', len(sources),
                             leave=False, unit='image', disable=not sys.stderr.isatty()):
                if isinstance(face, np.ndarray):
                    file.write(face)
                elif skip_bad:
                    n_skipped, problem = n_skipped + 1, face
                else:
                    raise face
    finally:
        pool.shutdown(cancel_futures=True)
    if n_skipped == len(sources):
        raise problem
    return n_skipped


def _attempt(source: Source) -> np.ndarray | DataError:
    try:
        return _decode(source)
    except DataError as error:
        return error


def _convert_ndarray(file: IO[bytes], path: Path) -> None:
    """Faces that the original saved: one NDArray (n, 3, 64, 64), float32 in [0, 1].

    It had reshaped them from (n, 64, 64, 3), so that the bytes are in that order.
    """
    with open(path, 'rb') as saved:
        header = saved.read(struct.calcsize(NDARRAY))
        if len(header) < struct.calcsize(NDARRAY):
            raise DataError(f'{path}: cut off in its header')
        *fields, n, channels, height, width, _device, _device_id, kind = struct.unpack(NDARRAY,
                                                                                       header)
        size = len(header) + 4 * n * FACE_BYTES + NDARRAY_END
        if (tuple(fields) not in NDARRAY_FIELDS or (channels, height, width) != (3, SIDE, SIDE)
                or kind != 0 or not 0 < n <= MAX_IMAGES):
            raise DataError(f'{path}: not one saved NDArray (n, 3, {SIDE}, {SIDE}) of float32')
        if os.fstat(saved.fileno()).st_size != size:
            raise DataError(f'{path}: {os.fstat(saved.fileno()).st_size} bytes, expected {size}')
        for start in tqdm(range(0, n, CONVERTED_AT_ONCE), f'converting {path.name}', leave=False,
                          disable=not sys.stderr.isatty()):
            count = min(CONVERTED_AT_ONCE, n - start) * FACE_BYTES
            values = np.frombuffer(saved.read(4 * count), '<f4')
            if len(values) != count or not (0 <= values.min() and values.max() <= 1):
                raise DataError(f'{path}: values that are not in [0, 1]')
            file.write(np.rint(values * 255).astype(np.uint8))


def _decode(source: Source) -> np.ndarray:
    """One image, centre-cropped to a square, (64, 64, 3) uint8."""
    name, read_bytes = source
    try:
        content = read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise DataError(f'{name}: more than {MAX_FILE_BYTES} bytes')
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f'{name}: {image.width} x {image.height} pixels, expected at '
                                f'most {MAX_PIXELS}')
            with _one_large if image.width * image.height > LARGE else nullcontext():
                square = ImageOps.fit(_to_rgb(image), (SIDE, SIDE), Image.Resampling.LANCZOS)
            return np.asarray(square)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f'{name}: not a readable image (expected one of '
                        f'{", ".join(FORMATS)})') from None
    except Exception as error:  # of many kinds, from unpackers and decoders of damaged bytes
        reason = str(error) or type(error).__name__
        raise DataError(f'{name}: not a readable image ({reason})') from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB; what is transparent shows white, as on a page."""
    if image.mode.startswith('I;16'):  # Pillow would clip 16 bits to 8: all but black is white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        image = Image.alpha_composite(white, image)
    return image.convert('RGB')
