"""MNIST from idx files: where it is looked for, what is refused, how pixels become floats."""
import gzip
import hashlib
import shutil
import struct
import tracemalloc

import numpy as np
import pytest

from data import DataError, MissingDataError, fetch
from data.images import Images, to_pixels
from data.loading import load
from tests.conftest import write_idx, write_mnist

TRAIN, TEST_LABELS = 'train-images-idx3-ubyte', 't10k-labels-idx1-ubyte'


@pytest.fixture
def root(mnist_root, tmp_path):
    """A copy of the small files, to be damaged."""
    return shutil.copytree(mnist_root, tmp_path / 'root')


def test_plain_and_gzipped_files_give_the_same_data(root):
    plain = load('MNIST', root)
    pixels = b''.join((root / f'{split}-images-idx3-ubyte').read_bytes()[16:]
                      for split in ('train', 't10k'))
    for path in list(root.iterdir()):
        path.with_name(f'{path.name}.gz').write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = load('MNIST', root)
    assert (plain.train.pixels == packed.train.pixels).all()
    assert plain.source['sha256'] == hashlib.sha256(pixels).hexdigest()
    assert packed.source['sha256'] == plain.source['sha256']
    assert plain.shape == (1, 28, 28) and len(plain.train) == 160 and len(plain.test) == 20


@pytest.mark.parametrize('folder', ['.', 'mnist', 'MNIST', 'MNIST/raw'])
@pytest.mark.parametrize('sign', ['-', '.'], ids=['dash', 'dot'])
def test_usual_folders_and_names_are_known(mnist_root, tmp_path, folder, sign):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for path in mnist_root.iterdir():
        shutil.copy(path, tmp_path / folder / path.name.replace('-idx', f'{sign}idx'))
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
    assert '\n' not in str(error.value)
    for part in (fetch.cache_dir(), '--data-root', 'VAEGAN_DATA', 'sketch_digits'):
        assert str(part) in str(error.value)
    monkeypatch.setattr(fetch, 'download', lambda *_: pytest.fail('downloads'))
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'variable'))
    with pytest.raises(MissingDataError, match='variable .named by VAEGAN_DATA.: no such file'):
        load('MNIST')
    (tmp_path / 'variable').mkdir()
    with pytest.raises(MissingDataError, match='variable .named by VAEGAN_DATA.: holds no MNIST'):
        load('MNIST')


def test_letters_are_trained_and_measured_but_not_classified(mnist_root, tmp_path, cli):
    root = tmp_path / 'letters'
    shutil.copytree(mnist_root, root)
    for path in root.glob('t10k-labels*'):
        path.unlink()
    write_idx(root / 't10k-labels-idx1-ubyte', np.full(20, 25, np.uint8))
    where = ['--data-root', str(root), '--results-root', str(tmp_path / 'new'), '--ctx', 'cpu']
    small = ['--limit', '128', '--epochs', '1', '--set', 'n_hnodes=8']
    status, out, err = cli(['run', 'DenseVAE_on_MNIST/5_3_400_bce_50', *small, *where])
    assert status == 0 and f'{root}: labels up to 25, not 0 to 9: left out' in err
    status, out, err = cli(['evaluate', out.splitlines()[-1], *where])
    assert status == 0 and 'PSNR' in out and 'accuracy' not in out, err
    status, _, err = cli(['run', 'VAEGAN_on_MNIST/A_64_100', *small, *where])
    assert status == 2 and err.splitlines()[-1].endswith(
        f'n_classified=10000: expected 0, for the images in {root} have no labels of ten classes')


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
    'empty': cut(0), 'half a header': cut(6), 'short': cut(-1),
    'long': lambda p: p.write_bytes(p.read_bytes() + b'0'),
    'magic of the other kind': lambda p: p.write_bytes(
        struct.pack('>I', 0x804 - p.read_bytes()[3]) + p.read_bytes()[4:]),
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
@pytest.mark.parametrize('name', [TRAIN, TEST_LABELS])
def test_damaged_file_is_named_in_one_line(root, name, damage):
    damage(root / name)
    with pytest.raises(DataError, match=name) as error:
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


@pytest.mark.parametrize('change, message', [
    (lambda p: write_idx(p, np.zeros(19, np.uint8)), f'{TEST_LABELS}: 19 labels, expected 20'),
    (lambda p: p.unlink(), f'but not {TEST_LABELS}')], ids=['fewer labels', 'some files'])
def test_files_that_do_not_belong_together_are_refused(root, change, message):
    change(root / TEST_LABELS)
    with pytest.raises(DataError, match=message):
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


def test_indices_pick_images_as_planes_or_as_bands():
    pixels, indices = colour_images(), np.array([3, 0, 3])
    planes = Images(pixels, 'transpose')[indices]
    for channel in range(3):
        assert np.allclose(planes[:, channel], pixels[indices, ..., channel] / 255, atol=1e-7)
    top_thirds = Images(pixels, 'reshape')[indices][:, 0].reshape(3, 2, 4, 3)
    assert np.allclose(top_thirds, pixels[indices, :2] / 255, atol=1e-7)
