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

from data import DataError, MissingDataError, fetch, mnist, sketch, table
from data.images import Images
from data.loading import Dataset, load
from tests.conftest import REAL_DATA
from tests.small_pictures import encoded, noise, write_folder
from training.experiments import registry
from training.experiments.registry import EXPERIMENTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / 'data' / 'README.md').read_text()
SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
SMALL = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8', '--ctx', 'cpu']


@pytest.fixture
def root(mnist_root, tmp_path):
    """A folder of small MNIST files below one that VAEGAN_DATA may name."""
    return shutil.copytree(mnist_root, tmp_path / 'data' / 'mnist')


# Where they are looked for


@pytest.mark.parametrize('name', ['MNIST', 'anime'])
@pytest.mark.parametrize('make, message', [
    (lambda path: None, 'no such file or folder'), (lambda path: path.mkdir(), 'holds no'),
    (lambda path: path.write_text('mine'), 'holds no')], ids=['typo', 'empty', 'file'])
def test_named_root_without_the_set_is_an_error_that_names_it(root, tmp_path, monkeypatch,
                                                              name, make, message):
    monkeypatch.setenv('VAEGAN_DATA', str(root))
    monkeypatch.setattr(fetch, 'download', lambda *_: pytest.fail('downloads'))
    make(tmp_path / 'my_facse')
    with pytest.raises(DataError, match=f'my_facse: {message}') as error:
        load(name, tmp_path / 'my_facse')
    assert '\n' not in str(error.value) and not isinstance(error.value, MissingDataError)


@pytest.mark.parametrize('command', [
    ['run', SOLO, '--epochs', '1'], ['demo'], ['verify'], ['strips', '--match', '*'],
    ['run', SOLO, '--epochs', '1', '--set', 'data=sketch_digits']])
def test_typo_in_data_root_is_refused_by_every_command(cli, root, tmp_path, monkeypatch, capsys,
                                                       command):
    monkeypatch.setenv('VAEGAN_DATA', str(root))
    with pytest.raises(SystemExit) as stop:
        cli([*command, '--data-root', str(tmp_path / 'my_facse'), '--results-root',
             str(tmp_path / 'results')])
    line, = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and 'error: ' in line and 'my_facse' in line
    assert not (tmp_path / 'results').exists()


@pytest.mark.parametrize('command', [['run', SOLO, '--epochs', '1'], ['demo']])
def test_folder_without_the_set_is_never_other_data(cli, root, tmp_path, monkeypatch, command):
    monkeypatch.setenv('VAEGAN_DATA', str(root))
    (empty := tmp_path / 'empty').mkdir()
    status, _, err = cli([*command, '--data-root', str(empty), '--results-root',
                          str(tmp_path / 'results')])
    assert status == 2 and err == f'error: {empty}: holds no MNIST (the four idx files)\n'
    assert not (tmp_path / 'results').exists()


def test_finished_rows_need_no_data_and_others_say_what_is_missing(cli, root, tmp_path,
                                                                   monkeypatch):
    results = ['--results-root', str(tmp_path / 'results')]
    monkeypatch.setenv('VAEGAN_DATA', str(root.parent))
    status, _, err = cli(['run', SOLO, *SMALL, *results])
    assert status == 0 and err.splitlines()[0] == (
        f'data: MNIST (MNIST idx files) in {root}, 160 training and 20 held-out images')
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'nowhere'))
    status, out, err = cli(['run', '--match', 'DenseVAE_on_MNIST/*', *SMALL, *results])
    assert status == 2 and 'finished already, passed over' in out
    assert 'no such file or folder, expected MNIST' in err.splitlines()[-1]
    assert 'Traceback' not in err


# The table


def test_table_needs_the_standard_library_only():
    subprocess.run([sys.executable, '-c', 'import sys, data.table; '
                    'sys.exit(bool({"numpy", "mxnet"} & set(sys.modules)))'], cwd=ROOT, check=True)


@pytest.mark.parametrize('name, entry', table.SETS.items(), ids=table.SETS)
def test_entries_have_a_reader_and_a_kind(name, entry):
    module, function = entry.reader.split('.')
    assert callable(getattr(import_module(f'data.{module}'), function))
    assert entry.kind in table.ORIGINALS and entry.n_test >= table.N_SHOWN
    if entry.names:  # comes as one
        assert int((entry.n_train + entry.n_test) * entry.train_share) == entry.n_train


def test_experiments_are_of_data_in_the_table():
    assert {row.data for row in EXPERIMENTS.values()} <= table.SETS.keys()


@pytest.mark.parametrize('name', ['CIFAR', '', '../../x'])
@pytest.mark.parametrize('more', [[], ['--dry-run']])
def test_unknown_data_are_refused_before_anything_is_done(cli, tmp_path, name, more):
    status, out, err = cli(['run', SOLO, '--set', f'data={name}', '--results-root',
                            str(tmp_path / 'results'), *more])
    assert status == 2 and out == '' and not list(tmp_path.iterdir())
    line, = err.splitlines()
    assert line.startswith(f'error: data={name!r}: expected one of MNIST, ')


@pytest.mark.parametrize('shape, n_test, message', [
    ((3, 6, 4), 10, r'letters.npy: images of shape \(1, 28, 28\), expected \(3, 6, 4\)'),
    ((1, 28, 28), 9, 'letters.npy: 30 training and 9 held-out images, expected 10 or more')])
def test_reader_that_returns_less_than_the_table_says_is_refused(monkeypatch, shape, n_test,
                                                                 message):
    def read(**_):
        pixels = np.zeros((30 + n_test, 28, 28, 1), np.uint8)
        return Dataset(Images(pixels[:30]), Images(pixels[30:]), paths=(Path('letters.npy'),))

    monkeypatch.setattr(mnist, 'read_letters', read, raising=False)
    monkeypatch.setitem(table.SETS, 'letters', table.Entry('mnist.read_letters', 'digits', shape,
                                                           30, 10, 'letters'))
    with pytest.raises(DataError, match=message):
        load('letters')


def write_icons(folder: Path) -> Path:
    """A hundred coloured pictures of several sizes."""
    return write_folder(folder, {f'{i:03d}.png': encoded(noise(i, 24, 20 + i % 3))
                                 for i in range(100)})


@pytest.mark.parametrize('shape, mode', [((1, 32, 32), 'L'), ((3, 16, 16), 'RGB'),
                                         ((1, 64, 64), 'L'), ((1, 16, 24), 'L')])
def test_folder_of_pictures_is_a_line_of_the_table(tmp_path, monkeypatch, shape, mode):
    write_icons(tmp_path / 'icons')
    monkeypatch.setitem(table.SETS, 'icons', table.Entry(
        'pictures.read', 'pictures', shape, 80, 20, 'icons', names=('icons',)))
    with Image.open(tmp_path / 'icons' / '000.png') as image:
        first = ImageOps.fit(image.convert(mode), shape[:0:-1], Image.Resampling.LANCZOS)
    for _ in range(2):  # decoded, then from the cache
        dataset = load('icons', tmp_path, shuffle_seed=None)
        assert (len(dataset.train), len(dataset.test), dataset.shape) == (80, 20, shape)
        assert (dataset.train.first(1) == np.asarray(first).reshape(*shape[1:], shape[0])).all()
        assert dataset.images is None  # no others are known
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='holds no pictures .icons, or a folder or zip'):
        load('icons', tmp_path / 'empty')


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

    call('list')
    words = shlex.split(command)[3:]
    assert json.loads(call(*words, '--dry-run').stdout)[0]['data'] == 'letters'
    done = call(*words, '--epochs', '1', '--set', 'n_hnodes=8', '--ctx', 'cpu')
    assert done.stderr.startswith('data: letters (handwritten letters) in '
                                  f'{tmp_path}/letters.npy, 180 training and 20 held-out images\n')
    images = tmp_path / 'results' / 'images'
    assert len(list(images.glob('DenseVAE_on_letters/*/strip.png'))) == 1
    assert (images / 'letters_test_images' / '9.png').exists()
    done = call(*shlex.split(of_icons)[3:], '--epochs', '1', '--set', 'n_hnodes=8', '--ctx', 'cpu')
    assert done.stderr.startswith(f'data: icons (grey icons) in {tmp_path}/icons, 80 training and '
                                  '20 held-out images\n')
    for words in (['strips', '--match', '*'], ['verify'], ['evaluate', '--match', '*'],
                  ['report']):
        call(*words)


# Other images than those of the shown results


def test_run_on_other_images_says_so_in_its_name_and_caption(cli, root, tmp_path, monkeypatch,
                                                            known_images):
    monkeypatch.setitem(registry.EXPERIMENTS, SOLO, replace(
        registry.EXPERIMENTS[SOLO], n_hnodes=8, solo_epochs=1, batch_size=32))
    results = ['--results-root', str(tmp_path / 'results')]
    where = ['--data-root', str(root), '--ctx', 'cpu', *results]
    status, _, err = cli(['run', SOLO, *where])
    assert status == 0, err
    checksum = load('MNIST', root).source['sha256'][:8]
    assert f'other images than those of the shown results: {checksum}' in err.splitlines()[1]
    run, (config,) = f'{SOLO}_images-{checksum}', (tmp_path / 'results').rglob('config.json')
    assert config.parent == tmp_path / 'results' / run
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
        f'error: {root}: images {checksum}, expected images=deadbeef')


def test_images_are_the_same_however_they_are_split(data_root, tmp_path, known_images):
    first, *others = (load('anime', data_root, shuffle_seed=seed) for seed in (0, 7, None))
    assert len({dataset.source['sha256'] for dataset in (first, *others)}) == 3
    assert len(first.images) == 8 and {dataset.images for dataset in others} == {first.images}


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
