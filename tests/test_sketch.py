"""The drawn sets: shapes, determinism, variety."""
import numpy as np
import pytest

from data import sketch

SHAPES = {'sketch_digits': (28, 28, 1), 'sketch_faces': (64, 64, 3)}


@pytest.mark.parametrize('name', SHAPES)
def test_images_depend_on_seed_and_index_alone(name):
    draw = getattr(sketch, name)
    many = draw(30)
    assert many.shape == (30, *SHAPES[name]) and many.dtype == np.uint8
    assert (draw(10) == many[:10]).all()
    assert (draw(10, seed=1) != many[:10]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize('name', SHAPES)
def test_no_two_images_are_equal(name):
    images = getattr(sketch, name)(300)
    assert len({image.tobytes() for image in images}) == 300
    assert images.std(axis=0).mean() > 20


def test_digits_are_light_on_black_and_in_the_middle():
    digits = sketch.sketch_digits(300)[..., 0]
    assert (digits.max(axis=(1, 2)) > 200).all()
    assert np.median(digits) == 0
    border = np.concatenate([digits[:, 0], digits[:, -1], digits[:, :, 0], digits[:, :, -1]])
    assert (border > 0).mean() < 0.02


def test_every_font_has_every_digit():
    glyphs = {sketch._glyph(font, digit).tobytes()
              for font in sketch.FONTS for digit in range(10)}
    assert len(glyphs) == 10 * len(sketch.FONTS)
