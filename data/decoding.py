"""Pictures of any format and size as bytes of one shape."""
import functools
import io
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from data import DataError, archives

# Suffixes are often wrong; no EPS: it is run
FORMATS = ('PNG', 'JPEG', 'WEBP', 'GIF', 'BMP', 'TIFF')
JPEGS = ('JPEG', 'MPO')  # MPO: a JPEG with more behind it, as phones write
SIDE = 64               # pixels
SHAPE = (3, SIDE, SIDE)  # of faces: channels, height and width
MAX_IMAGES = 300_000
MAX_PIXELS = 50_000_000
MAX_JPEG_PIXELS = 150_000_000  # those of phones; they are decoded at a part of their size
DRAFT_SIDE = 1024       # pixels: what is left of them at least
MIN_SIDE = 16           # pixels: less shows no face
LARGE = 4_000_000       # pixels: of such images only one at a time is in memory
# Tags of a TIFF, and what they may say
BITS, PHOTOMETRIC, SAMPLE_FORMAT, WHITE_IS_ZERO, SIGNED = 258, 262, 339, 0, 2
_one_large = Lock()


def decode_into(file: IO[bytes], path: Path, skip_bad: bool,
                shape: tuple[int, int, int] = SHAPE) -> int:
    """Write the pictures of a folder or zip one after the other, in that shape.

    Return how many were left out. DataError if there are none, and for an image that cannot be
    read, unless skip_bad.
    """
    n_left_out = 0
    with archives.opened(path) as found:
        if not found.sources:
            raise archives.none_in(path)
        for _, pixels in decoded(found.sources, path.name, skip_bad, shape):
            if pixels is None:
                n_left_out += 1
            else:
                file.write(pixels)
    return n_left_out


def decoded(sources: list[archives.Source], label: str, skip_bad: bool,
            shape: tuple[int, int, int] = SHAPE
            ) -> Iterator[tuple[str, np.ndarray | None]]:
    """Give each image's name and its pixels (h, w, c) uint8, in order, with a progress bar.

    shape: channels (1 is grey), height and width. None stands for one that cannot be read, if
    skip_bad; else, and if all are such, a DataError ends this.
    """
    if len(sources) > MAX_IMAGES:
        raise DataError(f'{label}: {len(sources)} images, expected at most {MAX_IMAGES}')
    n_skipped, problem = 0, None
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # we refuse those
            attempts = pool.map(functools.partial(_attempt, shape=shape), sources)
            for (name, _), face in tqdm(zip(sources, attempts, strict=True), f'decoding {label}',
                                        len(sources), leave=False, unit='image',
                                        disable=None if sys.stderr else True):
                if isinstance(face, np.ndarray):
                    yield name, face
                elif skip_bad:
                    n_skipped, problem = n_skipped + 1, face
                    yield name, None
                else:
                    raise face
    finally:
        pool.shutdown(cancel_futures=True)
    if n_skipped == len(sources):
        raise problem


def _attempt(source: archives.Source, shape: tuple[int, int, int]) -> np.ndarray | DataError:
    try:
        return _decode(source, shape)
    except DataError as error:
        return error


def _decode(source: archives.Source, shape: tuple[int, int, int]) -> np.ndarray:
    """Return one image, centre-cropped to a square, (h, w, c) uint8."""
    (name, read_bytes), (channels, *size) = source, shape
    try:
        content = read_bytes()
        if len(content) > archives.MAX_FILE_BYTES:
            raise DataError(f'{name}: more than {archives.MAX_FILE_BYTES} bytes')
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            n_pixels = image.width * image.height
            most = MAX_JPEG_PIXELS if image.format in JPEGS else MAX_PIXELS
            if n_pixels > most:
                raise DataError(f'{name}: {image.width} x {image.height} pixels, expected at '
                                f'most {most}')
            if min(image.size) < MIN_SIDE:
                raise DataError(f'{name}: {image.width} x {image.height} pixels, expected '
                                f'{MIN_SIDE} or more a side')
            if n_pixels > MAX_PIXELS:
                image.draft(None, (DRAFT_SIDE, DRAFT_SIDE))
            with _one_large if n_pixels > LARGE else nullcontext():
                upright = _to_rgb(_in_bytes(_upright(image), name,
                                           getattr(image, 'tag_v2', {})))
                square = ImageOps.fit(upright if channels == 3 else upright.convert('L'),
                                      size[::-1], Image.Resampling.LANCZOS)
            return np.asarray(square).reshape(*size, channels)
    except DataError:
        raise
    except (FileNotFoundError, PermissionError) as error:  # such as a link that leads nowhere
        raise DataError(f'{name}: cannot be read ({error.strerror})') from None
    except UnidentifiedImageError:
        raise DataError(f'{name}: not a readable image (expected one of '
                        f'{", ".join(FORMATS)})') from None
    except Exception as error:  # of many kinds, from unpackers and decoders of damaged bytes
        reason = str(error) or type(error).__name__
        raise DataError(f'{name}: not a readable image ({reason})') from error


def _upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its camera said it has to be (EXIF)."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # of many kinds, where what the camera said is damaged
        return image


def _in_bytes(image: Image.Image, name: str, tags: Mapping) -> Image.Image:
    """Return an image with 8 bits a value; Pillow would clip grey ones of more, not scale them.

    tags: of a TIFF. DataError for values whose range is not known.
    """
    if image.mode == 'I' or SIGNED in tags.get(SAMPLE_FORMAT, ()):
        raise DataError(f'{name}: signed or 32-bit integers, expected 8 or 16 bits without a '
                        'sign, or floats in [0, 1]')
    if image.mode != 'F' and not image.mode.startswith('I;16'):
        return image
    values = np.asarray(image)
    if image.mode == 'F':
        if not (values.min() >= 0 and values.max() <= 1):  # NaN is neither
            raise DataError(f'{name}: floats from {values.min():g} to {values.max():g}, expected '
                            'floats in [0, 1]')
        grey = np.rint(values * np.float32(255)).astype(np.uint8)
    else:
        grey = (values >> tags.get(BITS, (16,))[0] - 8).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    scaled = Image.fromarray(grey)
    if 'transparency' in image.info:  # the grey that is, of a PNG
        scaled.putalpha(Image.fromarray(np.where(values == image.info['transparency'], 0, 255)
                                        .astype(np.uint8)))
    return scaled


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB; what is transparent shows white, as on a page."""
    if image.mode == 'La':  # Pillow turns it into nothing but LA
        image = image.convert('LA')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        image = Image.alpha_composite(white, image)
    return image.convert('RGB')
