"""`verify`: what was recorded is found right, and whatever was changed since is named."""
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.experiments import registry
from training.reporting import pictures
from training.reporting.statistics import STATISTICS
from training.storage import run_folder, unfinished

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
RUN = 'DenseVAE_on_MNIST/5_3_400_bce_2_n64_n_hnodes-8'


@pytest.fixture(scope='module')
def trained(tmp_path_factory, mnist_root) -> Path:
    """Results with a finished run."""
    from training import __main__ as main
    root = tmp_path_factory.mktemp('trained')
    assert main.main(['run', SOLO, '--epochs', '2', '--limit', '64', '--set', 'n_hnodes=8',
                      '--results-root', str(root), '--data-root', str(mnist_root), '--ctx',
                      'cpu']) == 0
    return root


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    """That run, which a test may change."""
    return shutil.copytree(trained, tmp_path, dirs_exist_ok=True) / RUN


@pytest.fixture
def where(tmp_path, mnist_root) -> list[str]:
    return ['--results-root', str(tmp_path), '--data-root', str(mnist_root), '--ctx', 'cpu']


def test_finished_run_is_right(cli, folder, where):
    status, out, err = cli(['verify', *where])
    assert status == 0 and err.startswith('data: ')
    assert out == (f'{folder}: ok: 18 files, 2 epochs, strip drawn again: largest difference '
                   '0/255\n')
    assert cli(['verify', RUN, *where])[0] == 0
    if shutil.which('sha256sum'):
        done = subprocess.run(['sha256sum', '--check', run_folder.SUMS], cwd=folder,
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count(': OK') == 18


def redraw(folder) -> None:
    """A strip that is whole, and brighter by 2 of 255."""
    pixels = np.asarray(Image.open(folder / pictures.STRIP))
    Image.fromarray(pixels + (pixels < 250) * np.uint8(2)).save(folder / pictures.STRIP)


def edit(name: str, old: str, new: str):
    def change(folder) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return change


UNTRUE = 'README.md is not what the numbers say'
CHANGES = {  # of which file, how, and what is wrong even where its checksum was made anew
    'picture': ('3.png', lambda f: (f / '3.png').write_bytes((f / '4.png').read_bytes()), None),
    'strip': ('strip.png', redraw, 'strip.png differs by 2/255 from one drawn again'),
    'parameters': ('vae.params', lambda f: (f / 'vae.params').write_bytes(
        (f / 'vae.params').read_bytes()[:-400] + bytes(400)), None),
    'field': ('config.json', edit('config.json', '"lr": 0.001', '"lr": 0.002'), '_lr-0.002'),
    'word': ('config.json', edit('config.json', '"lr": 0.001', '"lr": "fast"'), 'not a row'),
    'kind': ('config.json', edit('config.json', '"seed": 0,', '"seed": true,'),
             'seed=True: expected int'),
    'loss': (STATISTICS, edit(STATISTICS, '0,solo,', '0,solo,1'), UNTRUE),
    'phase': (STATISTICS, edit(STATISTICS, '1,solo', '1,combo'),
              'has not the 2 epochs of its row'),
    'epoch': (STATISTICS, edit(STATISTICS, '1,solo', '2,solo'), 'line 3 is not that of epoch 1'),
    'README': ('README.md', edit('README.md', 'Losses', 'Wins'), UNTRUE),
    'picture gone': ('0.png', lambda f: (f / '0.png').unlink(), None),
    'another file': ('10.png', lambda f: (f / '10.png').write_bytes(b''), None),
    'checksums gone': (run_folder.SUMS, lambda f: (f / run_folder.SUMS).unlink(), None),
    'checksums': (run_folder.SUMS, lambda f: (f / run_folder.SUMS).write_text('mine'), None),
}


@pytest.mark.parametrize('name, change, contradiction', CHANGES.values(), ids=CHANGES)
def test_change_is_named(cli, folder, where, name, change, contradiction):
    change(folder)
    status, out, err = cli(['verify', *where])
    assert status == 2 and 'WRONG: ' in out and name in out
    assert err.splitlines()[-1] == 'error: 1 of 1 result folders are not what was recorded'
    if contradiction:
        run_folder.write_checksums(folder)
        status, out, _ = cli(['verify', *where])
        assert status == 2 and contradiction in out


def test_without_parameters_or_the_data_the_rest_is_checked(cli, folder, where, data_root):
    without_data = [*where[:2], *where[4:]]
    for words, said in (([], 'no MNIST in'),
                        (['--data-root', str(data_root)], 'trained on data with sha256')):
        status, out, _ = cli(['verify', *without_data, *words])
        assert status == 0 and said in out
        assert '18 files, 2 epochs; strip not drawn again: ' in out
    (folder / 'vae.params').unlink()
    status, out, _ = cli(['verify', *where])
    assert status == 0 and 'vae.params is not here' in out and 'strip drawn again' in out
    redraw(folder)
    assert cli(['verify', *where])[0] == 2


def test_what_a_command_draws_is_recorded_and_nothing_else_is(cli, folder, where):
    redraw(folder)
    for command, said in (('explore', 'strip.png is not the recorded one'), ('strips', ': ok: ')):
        assert cli([command, RUN, *where])[0] == 0
        status, out, _ = cli(['verify', *where])
        assert status == (2 if command == 'explore' else 0) and said in out
    run_folder.write_config(folder, run_folder.read_config(folder) | {'caption': 'another'})
    assert cli(['strips', RUN, *where])[0] == 0
    status, out, _ = cli(['verify', *where])
    assert status == 2 and 'config.json is not the recorded one' in out


def test_run_that_goes_on_again_and_again_keeps_where_it_began(tmp_path):
    row = registry.EXPERIMENTS[SOLO]
    config = {field: kind() for field, kind in run_folder.CONFIG_FIELDS.items()} | {
        'device': 'A', 'data': dict.fromkeys(run_folder.DATA_FIELDS, ''), 'name': row.name,
        'row': row.recorded()}
    begun = config | {'versions': {'python': '1'}}
    for device, python in (('A', '1'), ('B', '2'), ('B', '2'), ('B', '3'), ('A', '3')):
        run_folder.write_config(tmp_path, begun)
        now = {'device': device, 'versions': {'python': python}}
        begun = unfinished.merged_config(tmp_path, config | now)
    assert begun['device'] == 'A, then B, then A'
    assert begun['earlier_versions'] == {'python': '1'} and begun['versions'] == {'python': '3'}


def test_originals_of_other_data_stand_beside(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 10, 8, 8, 1), np.uint8)
    for which, data in ((0, 'aa'), (1, 'bb'), (0, 'aa')):
        pictures.write_originals(tmp_path / 'faces', pixels[which], 'test_{}.png', data)
    assert {path.name for path in tmp_path.iterdir()} == {'faces', 'faces_bb'}
    for folder, which in (('faces', 0), ('faces_bb', 1)):
        with Image.open(tmp_path / folder / 'test_3.png') as image:
            assert (np.asarray(image)[::16, ::16] == pixels[which, 3, ..., 0]).all()


def test_nothing_to_verify_is_one_line(cli, where):
    status, _, err = cli(['verify', *where])
    assert status == 2 and 'no finished runs' in err and err.count('\n') == 1


def nonsense(name: str):
    return lambda folder: (folder / name).write_text('nonsense')


def without_parameters(folder) -> None:
    for name in (run_folder.PARAMETERS, run_folder.PICTURES):
        (folder / name).unlink()


@pytest.mark.parametrize('spoil, said', [
    *((nonsense(name), name) for name in (STATISTICS, run_folder.SUMS, run_folder.EVALUATION)),
    (lambda folder: run_folder.write_config(
        folder, run_folder.read_config(folder) | {'row': {}}), 'not a row'),
    (without_parameters, 'no finished run in')])
def test_damage_is_noticed_before_anything_is_written(cli, folder, where, spoil, said):
    spoil(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for command in ('strips', 'evaluate', 'explore'):
        status, out, err = cli([command, '--match', '*', *where])
        assert status == 2 and not out
        assert err.splitlines()[-1].startswith('error: ') and said in err.splitlines()[-1]
    assert before == {path: path.read_bytes() for path in folder.iterdir()}
