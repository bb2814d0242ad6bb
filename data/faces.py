"""Faces from a folder or a zip of images, and the original's split of them."""
import io
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data import DataError, MissingDataError, fetch

NAMES = ('anime_faces', 'anime_faces.zip')  # a folder or a zip, below a root
SUFFIXES = {'.png', '.jpg', '.jpeg'}
FORMATS = ('PNG', 'JPEG', 'WEBP', 'GIF', 'BMP')  # suffixes are often wrong; no EPS: it is run
SIDE = 64               # pixels
TRAIN_SHARE = 0.8
N_SHOWN = 10            # validation images
MAX_FILE_BYTES = 32 << 20
MAX_PIXELS = 50_000_000
LARGE = 4_000_000       # pixels: of such images only one at a time is in memory
_one_large = Lock()


def read(root: str | Path | None, shuffle_seed: int | None) -> tuple[np.ndarray, np.ndarray,
                                                                     dict]:
    """Training and held-out faces, (n, 64, 64, 3) uint8 each, and a description.

    DataError if there are none, too few, or one cannot be read.
    """
    path = find(root)
    faces = read_folder(path) if path.is_dir() else read_zip(path)
    n_train = int(len(faces) * TRAIN_SHARE)
    if len(faces) - n_train < N_SHOWN:
        raise DataError(f'{path}: {len(faces)} images, expected {5 * N_SHOWN} or more, for '
                        f'{N_SHOWN} held-out ones')
    faces = faces[split_order(len(faces), shuffle_seed)]
    return faces[:n_train], faces[n_train:], {'description': 'anime faces',
                                              'files': {path.name: len(faces)}}


def find(root: str | Path | None) -> Path:
    """The folder or zip of anime faces below root, $VAEGAN_DATA or the cache."""
    roots = fetch.roots(root)
    for base in roots:
        for name in NAMES:
            if (base / name).exists():
                return base / name
    raise MissingDataError(f'no {" or ".join(NAMES)} in {", ".join(map(str, roots))}: put a '
                           'folder or zip of face images there, or name its folder with '
                           '--data-root, or train on drawn faces with --set data=sketch_faces')


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


def read_folder(folder: Path) -> np.ndarray:
    """All images below a folder in the order of their names, (n, 64, 64, 3) uint8."""
    paths = sorted(p for p in folder.rglob('*') if _is_image(p))
    return _decode_all(folder, [(str(p), p.read_bytes) for p in paths])


def read_zip(path: Path) -> np.ndarray:
    """All images of a zip in the order that its folder would have, (n, 64, 64, 3) uint8."""
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
        return _decode_all(path, [(f'{path}: {name}', partial(read_member, member))
                                  for name, member in members if _is_image(name)])


def _is_image(path: PurePath) -> bool:
    """By its name; macOS puts a ._1.png beside 1.png that is none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith('.')


def _decode_all(path: Path, sources: list) -> np.ndarray:
    if not sources:
        raise DataError(f'{path}: no {", ".join(sorted(SUFFIXES))} files in it')
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # we refuse those
        return np.stack(list(pool.map(_decode, sources)))


def _decode(source) -> np.ndarray:
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
