"""MNIST from idx files: where it is looked for, what is refused, how pixels become floats."""
import gzip
import hashlib
import shutil
import struct
import tracemalloc

import numpy as np
import pytest

from data import DataError, MissingDataError, fetch, mnist
from data.images import Images, to_channels_first, to_pixels
from data.loading import load
from tests.conftest import write_idx, write_mnist

TRAIN, TEST_LABELS = 'train-images-idx3-ubyte', 't10k-labels-idx1-ubyte'


@pytest.fixture
def root(mnist_root, tmp_path):
    """A copy of the small files, to be damaged."""
    return shutil.copytree(mnist_root, tmp_path / 'root')


def zipped(folder):
    """The same files, gzipped."""
    for path in list(folder.iterdir()):
        path.with_name(f'{path.name}.gz').write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return folder


def test_plain_and_gzipped_files_give_the_same_data(root, tmp_path):
    plain = load('MNIST', root)
    packed = load('MNIST', zipped(shutil.copytree(root, tmp_path / 'packed')))
    assert (plain.train.pixels == packed.train.pixels).all()
    pixels = b''.join((root / f'{split}-images-idx3-ubyte').read_bytes()[16:]
                      for split in ('train', 't10k'))
    assert plain.source['sha256'] == hashlib.sha256(pixels).hexdigest()
    assert packed.source['sha256'] == plain.source['sha256']
    assert plain.shape == (1, 28, 28) and len(plain.train) == 160 and len(plain.test) == 20


def test_names_with_a_dot_are_known_too(root):
    for path in list(root.iterdir()):
        path.rename(root / path.name.replace('-idx', '.idx'))
    assert len(load('MNIST', root).train) == 160


@pytest.mark.parametrize('folder', ['.', 'mnist', 'MNIST', 'MNIST/raw'])
def test_usual_folders_below_the_root_are_looked_in(mnist_root, tmp_path, folder):
    shutil.copytree(mnist_root, tmp_path / folder, dirs_exist_ok=True)
    assert len(load('MNIST', tmp_path).train) == 160


@pytest.mark.parametrize('folder', ['FashionMNIST/raw', 'letters'])
def test_another_set_below_a_named_root_is_taken_if_it_is_the_only_one(mnist_root, tmp_path,
                                                                       folder):
    shutil.copytree(mnist_root, tmp_path / folder)
    found = load('MNIST', tmp_path)
    assert len(found.train) == 160 and found.paths == (tmp_path / folder,)
    shutil.copytree(mnist_root, tmp_path / 'KMNIST/raw')
    with pytest.raises(DataError, match=f'several sets of idx files, .*{folder}'):
        load('MNIST', tmp_path)
    shutil.copytree(mnist_root, tmp_path / 'MNIST/raw')  # MNIST itself goes first
    assert load('MNIST', tmp_path).paths == (tmp_path / 'MNIST/raw',)


def test_root_goes_alone_and_the_variable_before_the_cache(tmp_path, monkeypatch):
    places = {}
    for i, name in enumerate(('root', 'variable', 'vaegan')):
        places[name] = tmp_path / name
        places[name].mkdir()
        write_mnist(places[name], n_train=30 + i)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert len(load('MNIST').train) == 32
    monkeypatch.setenv('VAEGAN_DATA', str(places['variable']))
    assert len(load('MNIST').train) == 31
    assert len(load('MNIST', places['root']).train) == 30


def test_mnist_that_is_nowhere_is_one_line_on_where_and_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(MissingDataError) as error:
        load('MNIST')
    message = str(error.value)
    for part in (fetch.cache_dir(), '--data-root', 'sketch_digits'):
        assert str(part) in message
    assert '\n' not in message
    monkeypatch.setattr(fetch, 'download', lambda *_: pytest.fail('downloads'))
    for words in ('no such file', 'holds no MNIST'):
        if words == 'holds no MNIST':
            (tmp_path / 'variable').mkdir()
        monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'variable'))
        with pytest.raises(MissingDataError, match=f'variable .named by VAEGAN_DATA.: {words}'):
            load('MNIST')


def cut(n):
    return lambda path: path.write_bytes(path.read_bytes()[:n])


def gzipped_then(change):
    def damage(path):
        packed = bytearray(gzip.compress(path.read_bytes()))
        path.unlink()
        path.with_name(f'{path.name}.gz').write_bytes(change(packed))
    return damage


def flip(content):
    content[len(content) // 2] ^= 0xff
    return content


DAMAGES = {
    'empty': cut(0), 'half a header': cut(9), 'short': cut(-1),
    'long': lambda p: p.write_bytes(p.read_bytes() + b'0'),
    'magic': lambda p: p.write_bytes(b'\0\0\x08\x01' + p.read_bytes()[4:]),
    'sizes': lambda p: write_idx(p, np.zeros((20, 27, 28), np.uint8)),
    'no images': lambda p: write_idx(p, np.zeros((0, 28, 28), np.uint8)),
    'a picture': lambda p: p.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(100)),
    'claims billions': lambda p: p.write_bytes(struct.pack('>4I', 2051, 2 ** 32 - 1, 28, 28)),
    'gzip cut short': gzipped_then(lambda c: c[:-20]), 'gzip corrupt': gzipped_then(flip),
    'not gzip': gzipped_then(lambda c: b'no gzip at all'),
    'bad checksum': gzipped_then(lambda c: c[:-8] + bytes(4) + c[-4:]),
    'gzip garbled': gzipped_then(lambda c: c[:10] + b'\xff' * 20 + c[30:]),
    'gzip with more behind': gzipped_then(lambda c: c + b'more'),
    'two gzips': gzipped_then(lambda c: c + gzip.compress(b'0')),
}


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_named_in_one_line(root, damage):
    damage(root / TRAIN)
    with pytest.raises(DataError, match=TRAIN) as error:
        load('MNIST', root)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('damage', [
    cut(0), cut(6), cut(-1), DAMAGES['long'], DAMAGES['not gzip'],
    lambda p: p.write_bytes(struct.pack('>4I', 2051, 20, 28, 28) + bytes(20 * 28 * 28)),
], ids=['empty', 'half a header', 'short', 'long', 'not gzip', 'images'])
def test_damaged_labels_are_named_in_one_line(root, damage):
    damage(root / TEST_LABELS)
    with pytest.raises(DataError, match=TEST_LABELS) as error:
        load('MNIST', root)
    assert '\n' not in str(error.value)


def test_header_cannot_claim_the_memory(root):
    DAMAGES['claims billions'](root / TRAIN)
    tracemalloc.start()
    with pytest.raises(DataError, match='with n from 1 to 500000'):
        load('MNIST', root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_images_and_labels_of_different_counts_are_refused(root):
    write_idx(root / TEST_LABELS, np.zeros(19, np.uint8))
    with pytest.raises(DataError, match=f'{TEST_LABELS}: 19 labels, expected 20'):
        load('MNIST', root)


def test_fewer_images_than_validation_pictures_are_refused(tmp_path):
    write_mnist(tmp_path, n_test=9)
    with pytest.raises(DataError, match='9 held-out images, expected 10 or more'):
        load('MNIST', tmp_path)


def test_folder_with_some_of_the_files_is_refused(root):
    (root / TEST_LABELS).unlink()
    with pytest.raises(DataError, match=f'but not {TEST_LABELS}'):
        load('MNIST', root)


def colour_images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 6, 4, 3), np.uint8)


@pytest.mark.parametrize('layout', ['reshape', 'transpose'])
def test_pixels_come_back_from_floats(layout):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    floats = Images(pixels, layout)[np.array([0])]
    assert floats.dtype == np.float32 and floats.shape == (1, 3, 16, 16)
    assert floats.min() == 0 and floats.max() == 1
    assert (to_pixels(floats, layout) == pixels).all()
    colours = colour_images()
    assert (to_pixels(Images(colours, layout)[:], layout) == colours).all()


@pytest.mark.parametrize('value, pixel', [
    (-1, 0), (0, 0), (0.4 / 255, 0), (0.6 / 255, 1), (253.6 / 255, 254), (1, 255), (2, 255)])
def test_floats_are_rounded_and_clipped(value, pixel):
    assert to_pixels(np.full((1, 1, 2, 2), value, np.float32), 'reshape').max() == pixel


def test_indices_pick_images_in_their_order():
    pixels = colour_images()
    picked = Images(pixels, 'transpose')[np.array([3, 0, 3])]
    for x, i in zip(picked, (3, 0, 3), strict=True):
        for channel in range(3):
            assert np.allclose(x[channel], pixels[i, :, :, channel] / 255, atol=1e-7)


def test_transpose_gives_planes_and_reshape_gives_bands():
    pixels = colour_images()
    planes = to_channels_first(pixels, 'transpose')
    assert (planes[:, 1] == pixels[..., 1]).all()
    bands = to_channels_first(pixels, 'reshape')
    top_thirds = bands[:, 0].reshape(5, 2, 4, 3)
    assert (top_thirds == pixels[:, :2]).all()


def test_real_mnist_is_read_as_written(real_data_root):
    found = mnist.find(real_data_root) if real_data_root else None
    if not found:
        pytest.skip('VAEGAN_DATA names no MNIST')
    dataset = load('MNIST', real_data_root)
    path = found['t10k-images-idx3-ubyte']
    content = path.read_bytes()
    content = (gzip.decompress(content) if path.suffix == '.gz' else content)[16:]
    assert dataset.test.pixels.tobytes() == content
    assert (len(dataset.train), len(dataset.test)) == (60_000, 10_000)
    both = dataset.train.pixels.tobytes() + content
    assert dataset.source['sha256'] == hashlib.sha256(both).hexdigest()
