"""The sketch sets: digits from fonts and cartoon faces from shapes, drawn by code.

They stand in where neither MNIST nor faces are at hand. Image i depends on (seed, i) alone.
"""
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data import table
from data.images import Images
from data.loading import Dataset

DIGIT_SIDE, FACE_SIDE = 28, 64     # pixels
FONTS = tuple(f'{name}.ttf' for name in (
    'DejaVuSans', 'DejaVuSans-Bold', 'DejaVuSans-Oblique', 'DejaVuSansMono',
    'DejaVuSansMono-Bold', 'DejaVuSansMono-Oblique', 'DejaVuSerif', 'DejaVuSerif-Bold',
    'DejaVuSerif-Italic', 'DejaVuSerif-BoldItalic', 'STIXGeneral', 'STIXGeneralBol',
    'STIXGeneralItalic', 'STIXGeneralBolIta', 'cmr10', 'cmb10', 'cmss10', 'cmtt10'))
GLYPH_SIDE, GLYPH_HEIGHT = 96, 60  # pixels a side of a glyph's picture, and of the glyph
DIGIT_HEIGHT = 20                  # pixels, as in MNIST
OVERSAMPLING = 2                   # faces are drawn larger, then made smaller smoothly


def read_digits(entry: table.Entry, **_) -> Dataset:
    """Return drawn digits, as many as the table says."""
    return _split(sketch_digits, entry)


def read_faces(entry: table.Entry, **_) -> Dataset:
    """Return drawn faces, as many as the table says."""
    return _split(sketch_faces, entry)


def _split(sketch: Callable[[int], np.ndarray], entry: table.Entry) -> Dataset:
    pixels = sketch(entry.n_train + entry.n_test)
    return Dataset(Images(pixels[:entry.n_train]), Images(pixels[entry.n_train:]))


def sketch_digits(n: int, seed: int = 0) -> np.ndarray:
    """Return n digits, (n, 28, 28, 1) uint8, light on black.

    Each is a font's glyph under a random affine map.
    """
    return np.stack([_digit(np.random.default_rng((seed, i))) for i in range(n)])[..., None]


def sketch_faces(n: int, seed: int = 0) -> np.ndarray:
    """Return n cartoon faces, (n, 64, 64, 3) uint8; hair, eyes, mouth, colours and pose vary."""
    return np.stack([_face(np.random.default_rng((seed, i))) for i in range(n)])


@cache
def _glyph(font: str, digit: int) -> Image.Image:
    """Return a digit in the middle of a square, as high as all others."""
    matplotlib = Path(find_spec('matplotlib').origin).parent  # its fonts only: not imported
    path = matplotlib / 'mpl-data' / 'fonts' / 'ttf' / font
    typeface = ImageFont.truetype(str(path), GLYPH_SIDE)
    left, top, right, bottom = typeface.getbbox(str(digit))
    drawn = Image.new('L', (right - left, bottom - top))
    ImageDraw.Draw(drawn).text((-left, -top), str(digit), 255, typeface)
    width = max(1, round(drawn.width * GLYPH_HEIGHT / drawn.height))
    drawn = drawn.resize((width, GLYPH_HEIGHT), Image.Resampling.LANCZOS)
    square = Image.new('L', (GLYPH_SIDE, GLYPH_SIDE))
    square.paste(drawn, ((GLYPH_SIDE - width) // 2, (GLYPH_SIDE - GLYPH_HEIGHT) // 2))
    return square


def _digit(rng: np.random.Generator) -> np.ndarray:
    glyph = _glyph(FONTS[rng.integers(len(FONTS))], int(rng.integers(10)))
    angle, shear = rng.normal(0, 0.13), rng.normal(0, 0.15)
    scale = GLYPH_HEIGHT / DIGIT_HEIGHT * rng.uniform(0.88, 1.15, 2)  # glyph's pixels a pixel
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1, shear], [0, 1]]) * scale
    # Pillow's map goes from the result's pixels to the glyph's
    shift = GLYPH_SIDE / 2 - linear @ (DIGIT_SIDE / 2 + rng.normal(0, 0.8, 2))
    coefficients = (*linear[0], shift[0], *linear[1], shift[1])
    small = glyph.transform((2 * DIGIT_SIDE, 2 * DIGIT_SIDE), Image.Transform.AFFINE,
                            [c / 2 if i % 3 < 2 else c for i, c in enumerate(coefficients)],
                            Image.Resampling.BILINEAR)
    small = small.resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BOX)
    strength = rng.uniform(1.0, 1.6)  # more makes the edges harder and the stroke thicker
    return np.clip(np.asarray(small) * strength, 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator, low, high) -> tuple[int, ...]:
    return tuple(int(v) for v in rng.uniform(low, high))


def _face(rng: np.random.Generator) -> np.ndarray:
    side = FACE_SIDE * OVERSAMPLING
    hair = _colour(rng, (30, 20, 20), (250, 220, 250))
    picture = Image.new('RGB', (side, side), _colour(rng, (120, 120, 120), (255, 255, 255)))
    canvas = _Canvas(ImageDraw.Draw(picture), side, *rng.normal(0, 0.02, 2),
                     rng.uniform(0.92, 1.08))
    skin_tone = rng.uniform(0.75, 1.0)
    skin = tuple(int(c * skin_tone) for c in (255, 224, 200))
    _draw_back_hair(canvas, rng, hair)
    canvas.ellipse(0.5, 0.92, 0.10, 0.18, skin)                       # neck
    canvas.ellipse(0.5, 0.56, rng.uniform(0.27, 0.32), 0.34, skin)    # head
    _draw_features(canvas, rng, skin)
    _draw_fringe(canvas, rng, hair)
    turned = picture.rotate(rng.normal(0, 5), Image.Resampling.BILINEAR,
                            fillcolor=picture.getpixel((0, 0)))
    return np.asarray(turned.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.BOX))


class _Canvas:
    """It draws shapes by centre and radii in shares of the side, shifted and scaled together."""

    def __init__(self, draw: ImageDraw.ImageDraw, side: int, right: float, down: float,
                 scale: float):
        self.draw, self.side, self.right, self.down, self.scale = draw, side, right, down, scale

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the picture in pixels."""
        return (self.side * (0.5 + self.scale * (x - 0.5) + self.right),
                self.side * (0.5 + self.scale * (y - 0.5) + self.down))

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill) -> None:
        self.draw.ellipse([*self.point(x - rx, y - ry), *self.point(x + rx, y + ry)], fill)

    def polygon(self, points, fill) -> None:
        self.draw.polygon([self.point(*p) for p in points], fill)

    def arc(self, x: float, y: float, rx: float, ry: float, start: int, end: int, fill) -> None:
        self.draw.arc([*self.point(x - rx, y - ry), *self.point(x + rx, y + ry)], start, end,
                      fill, width=OVERSAMPLING)


def _draw_back_hair(canvas: _Canvas, rng: np.random.Generator, hair) -> None:
    canvas.ellipse(0.5, 0.42, rng.uniform(0.36, 0.42), 0.38, hair)
    if rng.random() < 0.6:                                            # long
        width, end = rng.uniform(0.34, 0.42), rng.uniform(0.8, 1.05)
        canvas.polygon([(0.5 - width, 0.4), (0.5 + width, 0.4), (0.5 + width, end),
                        (0.5 - width, end)], hair)


def _draw_features(canvas: _Canvas, rng: np.random.Generator, skin) -> None:
    iris = _colour(rng, (20, 20, 20), (200, 160, 230))
    apart, height = rng.uniform(0.12, 0.16), rng.uniform(0.55, 0.62)
    rx, ry = rng.uniform(0.055, 0.085), rng.uniform(0.06, 0.11)
    look, brow = rng.uniform(-0.02, 0.02), rng.uniform(0.03, 0.07)
    blush = tuple(int(c * f) for c, f in zip(skin, (1.0, 0.82, 0.82), strict=True))
    for x in (0.5 - apart, 0.5 + apart):
        canvas.ellipse(x, height + 0.13, 0.06, 0.035, blush)
        canvas.ellipse(x, height, rx, ry, (255, 255, 255))
        canvas.ellipse(x + look, height + 0.01, rx * 0.75, ry * 0.85, iris)
        canvas.ellipse(x + look, height + 0.01, rx * 0.35, ry * 0.45, (20, 15, 25))
        canvas.ellipse(x + look - 0.02, height - 0.03, 0.018, 0.02, (255, 255, 255))
        canvas.arc(x, height, rx, ry, 190, 350, (40, 25, 30))
        canvas.arc(x, height - brow, rx * 1.2, ry, 220, 320, (60, 40, 40))
    open_mouth, mouth = rng.uniform(0, 0.045), height + rng.uniform(0.18, 0.22)
    if open_mouth > 0.02:
        canvas.ellipse(0.5, mouth, rng.uniform(0.03, 0.06), open_mouth, (190, 80, 90))
    else:
        canvas.arc(0.5, mouth - 0.03, rng.uniform(0.04, 0.08), 0.04, 30, 150, (150, 70, 70))


def _draw_fringe(canvas: _Canvas, rng: np.random.Generator, hair) -> None:
    locks, length = int(rng.integers(2, 7)), rng.uniform(0.08, 0.22)
    edges = np.linspace(0.16, 0.84, locks + 1)
    canvas.polygon([(0.17, 0.36), (0.3, 0.16), (0.5, 0.1), (0.7, 0.16), (0.83, 0.36)], hair)
    for left, right in zip(edges, edges[1:], strict=False):
        tip = left + rng.uniform(0.2, 0.8) * (right - left)
        canvas.polygon([(left - 0.02, 0.33), (right + 0.02, 0.33), (tip, 0.36 + length)], hair)
    if rng.random() < 0.5:                                            # locks at the sides
        for x in (0.17, 0.83):
            canvas.polygon([(x - 0.05, 0.3), (x + 0.06, 0.3), (x, rng.uniform(0.7, 0.95))], hair)
