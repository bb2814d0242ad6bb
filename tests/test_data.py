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
    for found in (plain, packed):
        assert found.source['sha256'] == hashlib.sha256(pixels).hexdigest()
        assert (found.shape, len(found.train), len(found.test)) == ((1, 28, 28), 160, 20)


@pytest.mark.parametrize('folder, sign', [('mnist', '.'), ('MNIST', '-')])
def test_usual_folders_and_names_are_known(mnist_root, tmp_path, folder, sign):
    (tmp_path / folder).mkdir()
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
    for i, name in enumerate(('root', 'variable', 'vaegan')):
        (tmp_path / name).mkdir()
        write_mnist(tmp_path / name, n_train=30 + i)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert len(load('MNIST').train) == 32
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'variable'))
    assert len(load('MNIST').train) == 31
    assert len(load('MNIST', tmp_path / 'root').train) == 30


def test_mnist_that_is_nowhere_is_one_line_on_where_and_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(MissingDataError) as error:
        load('MNIST')
    assert '\n' not in str(error.value)
    for part in (fetch.cache_dir(), '--data-root', 'VAEGAN_DATA', 'sketch_digits'):
        assert str(part) in str(error.value)
    monkeypatch.setattr(fetch, 'download', lambda *_: pytest.fail('downloads'))
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'variable'))
    for said in ('no such file', 'holds no MNIST'):
        with pytest.raises(MissingDataError, match=f'variable .named by VAEGAN_DATA.: {said}'):
            load('MNIST')
        (tmp_path / 'variable').mkdir(exist_ok=True)


def test_letters_are_trained_and_measured_but_not_classified(root, tmp_path, cli):
    write_idx(root / TEST_LABELS, np.full(20, 25, np.uint8))
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
        packed = gzip.compress(path.read_bytes())
        path.unlink()
        path.with_name(f'{path.name}.gz').write_bytes(change(packed))
    return damage


DAMAGES = {
    'empty': cut(0), 'half a header': cut(6), 'short': cut(-1),
    'long': lambda p: p.write_bytes(p.read_bytes() + b'0'),
    'magic of the other kind': lambda p: p.write_bytes(
        struct.pack('>I', 0x804 - p.read_bytes()[3]) + p.read_bytes()[4:]),
    'sizes': lambda p: write_idx(p, np.zeros((20, 27, 28), np.uint8)),
    'no images': lambda p: write_idx(p, np.zeros((0, 28, 28), np.uint8)),
    'fewer labels': lambda p: write_idx(p, np.zeros(19, np.uint8)),
    'claims billions': lambda p: p.write_bytes(struct.pack('>4I', 2051, 2 ** 32 - 1, 28, 28)),
    'gone': lambda p: p.unlink(),
    'gzip cut short': gzipped_then(lambda c: c[:-20]),
    'not gzip': gzipped_then(lambda c: b'no gzip at all'),
    'bad checksum': gzipped_then(lambda c: c[:-8] + bytes(4) + c[-4:]),
    'gzip garbled': gzipped_then(lambda c: c[:10] + b'\xff' * 20 + c[30:]),
    'gzip with more behind': gzipped_then(lambda c: c + b'more'),
    'two gzips': gzipped_then(lambda c: c + gzip.compress(b'0')),
}


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize('name', [TRAIN, TEST_LABELS])
def test_damaged_file_is_named_in_one_line_and_takes_no_memory(root, name, damage):
    damage(root / name)
    tracemalloc.start()
    with pytest.raises(DataError, match=name) as error:
        load('MNIST', root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert '\n' not in str(error.value) and peak < 10e6


@pytest.mark.parametrize('layout', ['reshape', 'transpose'])
def test_pixels_come_back_from_floats(layout):
    pixels = np.arange(768).astype(np.uint8).reshape(4, 8, 8, 3)
    floats = Images(pixels, layout)[:]
    assert floats.dtype == np.float32 and floats.shape == (4, 3, 8, 8)
    assert floats.min() == 0 and floats.max() == 1
    assert (to_pixels(floats, layout) == pixels).all()


def test_floats_are_rounded_and_clipped():
    values = np.float32([-1, 0, 0.4 / 255, 0.6 / 255, 253.6 / 255, 1, 2]).reshape(1, 1, 1, 7)
    assert to_pixels(values, 'reshape').ravel().tolist() == [0, 0, 0, 1, 254, 255, 255]


def test_indices_pick_images_as_planes_or_as_bands():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 4, 3), np.uint8)
    indices = np.array([3, 0, 3])
    planes = Images(pixels, 'transpose')[indices]
    for channel in range(3):
        assert np.allclose(planes[:, channel], pixels[indices, ..., channel] / 255, atol=1e-7)
    top_thirds = Images(pixels, 'reshape')[indices][:, 0].reshape(3, 2, 4, 3)
    assert np.allclose(top_thirds, pixels[indices, :2] / 255, atol=1e-7)
