"""Faces from folders and zips, and the original's split."""
import io
import zipfile

import numpy as np
import pytest
from mxnet import nd, random
from PIL import Image

import data
from data import faces


def pictures(n: int) -> dict[str, bytes]:
    """PNG files by name, each in one colour of its own, of different sizes."""
    found = {}
    for i in range(n):
        buffer = io.BytesIO()
        Image.new('RGB', (64 + i % 3, 64), (i, 2 * i, 255 - i)).save(buffer, 'PNG')
        found[f'{i:03}.png'] = buffer.getvalue()
    return found


@pytest.fixture
def root(tmp_path):
    """A folder `anime_faces` of sixty pictures below a root."""
    folder = tmp_path / 'anime_faces'
    folder.mkdir()
    for name, content in pictures(60).items():
        (folder / name).write_bytes(content)
    return tmp_path


def test_zip_and_folder_give_the_same_faces_in_name_order(root, tmp_path):
    with zipfile.ZipFile(tmp_path / 'faces.zip', 'w') as archive:
        for name, content in reversed(pictures(60).items()):
            archive.writestr(f'anime_faces/{name}', content)
    from_folder = faces.read_folder(root / 'anime_faces')
    assert from_folder.shape == (60, 64, 64, 3)
    assert from_folder[:, 0, 0, 0].tolist() == list(range(60))
    assert (faces.read_zip(tmp_path / 'faces.zip') == from_folder).all()


def test_first_eighty_percent_of_the_shuffled_order_train(root):
    dataset = data.load('anime', root)
    order = faces.split_order(60, 0)
    assert (dataset.train.pixels[:, 0, 0, 0] == order[:48]).all()
    assert (dataset.test.pixels[:, 0, 0, 0] == order[48:]).all()
    in_name_order = data.load('anime', root, shuffle_seed=None)
    assert (in_name_order.test.pixels[:, 0, 0, 0] == np.arange(48, 60)).all()


@pytest.mark.parametrize('n', [10, 64, 1000])
def test_split_order_is_that_of_mxnets_shuffle(n):
    features = nd.array(np.arange(5 * n).reshape(n, 5))
    random.seed(0)
    assert (nd.random.shuffle(features).asnumpy()[:, 0] // 5 == faces.split_order(n, 0)).all()
    assert sorted(faces.split_order(n, 0)) == list(range(n))


@pytest.mark.parametrize('mode, colour', [('L', 200), ('P', 3), ('RGBA', (9, 8, 7, 255)),
                                          ('CMYK', (1, 2, 3, 4)), ('1', 1), ('LA', (5, 255))])
def test_all_kinds_of_images_become_rgb(root, mode, colour):
    picture = Image.new(mode, (100, 30), colour)
    suffix = 'jpg' if mode == 'CMYK' else 'png'
    picture.save(root / 'anime_faces' / f'000.{suffix}')
    face = faces.read_folder(root / 'anime_faces')[0]
    assert face.shape == (64, 64, 3)
    assert np.abs(face[32, 32].astype(int) - picture.convert('RGB').getpixel((0, 0))).max() < 6


def test_images_are_cropped_at_their_middle(root):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    Image.fromarray(wide).save(root / 'anime_faces' / '000.png')
    assert faces.read_folder(root / 'anime_faces')[0].min() > 200


@pytest.mark.parametrize('prepare, message', [
    (lambda folder: (folder / '000.png').write_bytes(b'no picture'), '000.png: not a readable'),
    (lambda folder: (folder / '000.png').write_bytes(pictures(1)['000.png'][:60]), '000.png'),
    (lambda folder: [p.unlink() for p in folder.iterdir()], 'no .jpeg, .jpg, .png files'),
    (lambda folder: [p.rename(p.with_suffix('.txt')) for p in folder.iterdir()], 'no .jpeg'),
    (lambda folder: [p.unlink() for p in sorted(folder.iterdir())[:40]], '20 images, expected'),
])
def test_bad_folder_is_one_line(root, prepare, message):
    prepare(root / 'anime_faces')
    with pytest.raises(data.DataError, match=message) as error:
        data.load('anime', root)
    assert '\n' not in str(error.value)


def test_zip_that_is_cut_short_is_one_line(tmp_path):
    (tmp_path / 'anime_faces.zip').write_bytes(b'PK\3\4' + bytes(50))
    with pytest.raises(data.DataError, match='not a whole zip'):
        data.load('anime', tmp_path)


def test_faces_that_are_nowhere_are_one_line(tmp_path):
    with pytest.raises(data.MissingDataError, match='sketch_faces'):
        data.load('anime', tmp_path)
