"""The table of data sets, where they are looked for, how a set is added, what is drawn."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from data import DataError, mnist, sketch, table
from data.images import Images
from data.loading import Dataset, load
from tests.conftest import REAL_DATA
from tests.small_pictures import encoded, noise, write_folder
from training.experiments import registry

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / 'data' / 'README.md').read_text()
SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
SMALL = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8', '--ctx', 'cpu']


# Where they are looked for


@pytest.mark.parametrize('command', [['run', SOLO, '--epochs', '1'], ['demo']])
@pytest.mark.parametrize('make', [Path.mkdir, Path.touch], ids=['folder', 'file'])
def test_place_without_the_set_is_never_other_data(cli, mnist_root, tmp_path, monkeypatch, make,
                                                   command):
    monkeypatch.setenv('VAEGAN_DATA', str(mnist_root))
    make(empty := tmp_path / 'empty')
    status, _, err = cli([*command, '--data-root', str(empty), '--results-root',
                          str(tmp_path / 'results')])
    assert status == 2 and err == f'error: {empty}: holds no MNIST (the four idx files)\n'
    assert not (tmp_path / 'results').exists()


def test_finished_rows_need_no_data_and_others_say_what_is_missing(cli, mnist_root, tmp_path,
                                                                   monkeypatch):
    results = ['--results-root', str(tmp_path / 'results')]
    monkeypatch.setenv('VAEGAN_DATA', str(mnist_root))
    status, _, err = cli(['run', SOLO, *SMALL, *results])
    assert status == 0 and err.splitlines()[0] == (
        f'data: MNIST (MNIST idx files) in {mnist_root}, 160 training and 20 held-out images')
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'nowhere'))
    status, out, err = cli(['run', '--match', 'DenseVAE_on_MNIST/*', *SMALL, *results])
    assert status == 2 and 'finished already, passed over' in out
    assert 'no such file or folder, expected MNIST' in err.splitlines()[-1]
    assert 'Traceback' not in err


# The table


def test_entries_have_a_reader_and_a_kind():
    for entry in table.SETS.values():
        module, function = entry.reader.split('.')
        assert callable(getattr(import_module(f'data.{module}'), function))
        assert entry.kind in table.ORIGINALS and entry.n_test >= table.N_SHOWN
        if entry.names:  # comes as one
            assert int((entry.n_train + entry.n_test) * entry.train_share) == entry.n_train


@pytest.mark.parametrize('name, more', [('CIFAR', []), ('', ['--dry-run']), ('../../x', [])])
def test_unknown_data_are_refused_before_anything_is_done(cli, tmp_path, name, more):
    status, out, err = cli(['run', SOLO, '--set', f'data={name}', '--results-root',
                            str(tmp_path / 'results'), *more])
    assert status == 2 and out == '' and not list(tmp_path.iterdir())
    line, = err.splitlines()
    assert line.startswith(f'error: data={name!r}: expected one of MNIST, ')


def test_reader_that_returns_other_images_than_the_table_says_is_refused(monkeypatch):
    pixels = np.zeros((40, 28, 28, 1), np.uint8)
    monkeypatch.setattr(mnist, 'read_letters', lambda **_: Dataset(
        Images(pixels[:30]), Images(pixels[30:]), paths=(Path('letters.npy'),)), raising=False)
    monkeypatch.setitem(table.SETS, 'letters', table.Entry(
        'mnist.read_letters', 'digits', (3, 6, 4), 30, 10, 'letters'))
    with pytest.raises(DataError, match=r'letters.npy: images of shape \(1, 28, 28\), expected '
                                        r'\(3, 6, 4\)'):
        load('letters')


def write_icons(folder: Path) -> Path:
    """A hundred coloured pictures of several sizes."""
    return write_folder(folder, {f'{i:03d}.png': encoded(noise(i, 24, 20 + i % 3))
                                 for i in range(100)})


def test_folder_of_pictures_is_a_line_of_the_table(tmp_path, monkeypatch):
    picture = write_icons(tmp_path / 'icons') / '000.png'
    for shape, mode in (((1, 32, 32), 'L'), ((3, 32, 32), 'RGB'), ((1, 64, 64), 'L'),
                        ((1, 16, 24), 'L')):
        monkeypatch.setitem(table.SETS, 'icons', table.Entry(
            'pictures.read', 'pictures', shape, 80, 20, 'icons', names=('icons',)))
        with Image.open(picture) as image:
            fitted = ImageOps.fit(image.convert(mode), shape[:0:-1], Image.Resampling.LANCZOS)
        first = np.asarray(fitted).reshape(*shape[1:], shape[0])
        for _ in range(2):  # decoded, then from the cache, which tells the shapes apart
            dataset = load('icons', tmp_path, shuffle_seed=None)
            assert (len(dataset.train), len(dataset.test), dataset.shape) == (80, 20, shape)
            assert (dataset.train.first(1) == first).all()
            assert dataset.images is None  # no others are known


@pytest.mark.slow
def test_set_is_added_as_the_readme_says(tmp_path):
    """In a copy of the project: the README's line and reader, and nothing else."""
    for folder in ('data', 'models', 'training'):
        shutil.copytree(ROOT / folder, tmp_path / folder,
                        ignore=shutil.ignore_patterns('__pycache__'))
    (tmp_path / 'results').mkdir()
    for path in (ROOT / 'results').glob('*.csv'):
        shutil.copy(path, tmp_path / 'results')
    icons, of_icons, reader, line, command = re.findall(r'<!-- example -->\n```\w*\n(.*?)```',
                                                        README, re.DOTALL)
    (tmp_path / 'data' / 'letters.py').write_text(reader)
    sets = tmp_path / 'data' / 'table.py'
    sets.write_text(sets.read_text().replace('SETS = {\n', f'SETS = {{\n{icons}{line}', 1))
    rng = np.random.default_rng(0)
    np.save(tmp_path / 'letters.npy', rng.integers(0, 256, (200, 28, 28), np.uint8))
    write_icons(tmp_path / 'icons')

    def call(*words):
        done = subprocess.run([sys.executable, '-m', 'training', *words], cwd=tmp_path, text=True,
                              capture_output=True, env=os.environ | {'VAEGAN_DATA': str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return done

    for words, said in (
            (command, f'letters (handwritten letters) in {tmp_path}/letters.npy, 180 training'),
            (of_icons, f'icons (grey icons) in {tmp_path}/icons, 80 training')):
        done = call(*shlex.split(words)[3:], '--epochs', '1', '--set', 'n_hnodes=8', '--ctx',
                    'cpu')
        assert done.stderr.startswith(f'data: {said} and 20 held-out images\n')
    images = tmp_path / 'results' / 'images'
    assert len(list(images.glob('DenseVAE_on_letters/*/strip.png'))) == 1
    assert (images / 'letters_test_images' / '9.png').exists()
    for words in (['list'], ['strips', '--match', '*'], ['verify'], ['evaluate', '--match', '*'],
                  ['report']):
        call(*words)


# Other images than those of the shown results


def test_run_on_other_images_says_so_in_its_name_and_caption(cli, mnist_root, tmp_path,
                                                            monkeypatch, known_images):
    monkeypatch.setitem(registry.EXPERIMENTS, SOLO, replace(
        registry.EXPERIMENTS[SOLO], n_hnodes=8, solo_epochs=1, batch_size=32))
    results = ['--results-root', str(tmp_path)]
    where = ['--data-root', str(mnist_root), '--ctx', 'cpu', *results]
    status, _, err = cli(['run', SOLO, *where])
    assert status == 0, err
    checksum = load('MNIST', mnist_root).source['sha256'][:8]
    assert f'other images than those of the shown results: {checksum}' in err.splitlines()[1]
    run, (config,) = f'{SOLO}_images-{checksum}', tmp_path.rglob('config.json')
    assert config.parent == tmp_path / run
    text = json.loads(config.read_text())
    assert f'NOT the published experiment {SOLO}: on other images ({checksum})' in text['caption']
    assert f'--set images={checksum}' in text['command']
    _, out, _ = cli(['list', '--markdown', *results])
    line, = (line for line in out.splitlines() if '_images-' in line)
    assert line.split(' | ')[4] == '-'  # nothing published stands beside it
    for command in (['strips', run], ['evaluate', run], ['verify']):
        status, out, err = cli([*command, *where])
        assert status == 0, (command, out, err)
    for again in ([], ['--set', f'images={checksum}']):
        status, _, err = cli(['run', SOLO, *again, *where])
        assert status == 2 and f'{run}: a finished run is there' in err
    status, _, err = cli(['run', SOLO, '--set', 'images=deadbeef', *where])
    assert status == 2 and err.splitlines()[-1] == (
        f'error: {mnist_root}: images {checksum}, expected images=deadbeef')


def test_images_are_the_same_however_they_are_split_and_scaled(data_root, known_images,
                                                               monkeypatch):
    first, *others = (load('anime', data_root, shuffle_seed=seed, image_size=size)
                      for seed, size in ((0, None), (7, None), (None, None), (0, 32)))
    assert len({dataset.source['sha256'] for dataset in (first, *others)}) == 4
    assert len(first.images) == 8 and {dataset.images for dataset in others} == {first.images}
    monkeypatch.setitem(table.SETS, 'anime', replace(
        table.SETS['anime'], known=(first.source['sha256'],)))
    assert load('anime', data_root, image_size=32).images is None


@pytest.mark.parametrize('name', [
    'MNIST', 'adult', pytest.param('anime', marks=pytest.mark.slow)])
@pytest.mark.parametrize('shuffle_seed', [
    5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, None))])
def test_images_of_the_shown_results_are_known(name, shuffle_seed, known_images):
    if not REAL_DATA:
        pytest.skip('VAEGAN_DATA names no sets')
    assert load(name, REAL_DATA, shuffle_seed=shuffle_seed).images is None


def test_study_refuses_other_images(cli, data_root, tmp_path, known_images):
    status, _, err = cli(['study', 'claim', '--data-root', str(data_root), '--results-root',
                          str(tmp_path / 'out'), '--ctx', 'cpu'])
    assert status == 2 and 'other images than those of the shown results' in (
        err.splitlines()[-1])


# The drawn sets


@pytest.mark.parametrize('draw, shape', [(sketch.sketch_digits, (28, 28, 1)),
                                         (sketch.sketch_faces, (64, 64, 3))])
def test_images_are_unlike_and_depend_on_seed_and_index_alone(draw, shape):
    many = draw(300)
    assert many.shape == (300, *shape) and many.dtype == np.uint8
    assert len({image.tobytes() for image in many}) == 300
    assert many.std(axis=0).mean() > 20
    assert (draw(10) == many[:10]).all()
    assert (draw(10, seed=1) != many[:10]).any(axis=(1, 2, 3)).all()


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
