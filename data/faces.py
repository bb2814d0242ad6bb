"""Faces from a folder or a zip of images, and the original's split of them."""
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from data import DataError, MissingDataError, fetch

NAMES = ('anime_faces', 'anime_faces.zip')  # a folder or a zip, below a root
SUFFIXES = {'.png', '.jpg', '.jpeg'}
SIDE = 64               # pixels
TRAIN_SHARE = 0.8
N_SHOWN = 10            # validation images
MAX_FILE_BYTES = 32 << 20
MAX_PIXELS = 50_000_000


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
    paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES)
    return _decode_all(folder, [(str(p), p.read_bytes) for p in paths])


def read_zip(path: Path) -> np.ndarray:
    """All images of a zip in the order of their names, (n, 64, 64, 3) uint8."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((m for m in archive.infolist()
                              if Path(m.filename).suffix.lower() in SUFFIXES),
                             key=lambda member: member.filename)
            for member in members:
                if member.file_size > MAX_FILE_BYTES:
                    raise DataError(f'{path}: {member.filename} has {member.file_size} bytes, '
                                    f'expected an image of at most {MAX_FILE_BYTES}')
            encoded = [(f'{path}: {m.filename}', archive.read(m)) for m in members]
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(f'{path}: not a whole zip file ({error})') from None
    return _decode_all(path, [(name, lambda content=content: content)
                              for name, content in encoded])


def _decode_all(path: Path, sources: list) -> np.ndarray:
    if not sources:
        raise DataError(f'{path}: no {", ".join(sorted(SUFFIXES))} files in it')
    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(_decode, sources)))


def _decode(source) -> np.ndarray:
    """One image, centre-cropped to a square, (64, 64, 3) uint8."""
    name, read_bytes = source
    try:
        with Image.open(io.BytesIO(read_bytes())) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f'{name}: {image.width} x {image.height} pixels, expected at '
                                f'most {MAX_PIXELS}')
            square = ImageOps.fit(image.convert('RGB'), (SIDE, SIDE), Image.Resampling.LANCZOS)
            return np.asarray(square)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f'{name}: not a readable image ({error})') from None
