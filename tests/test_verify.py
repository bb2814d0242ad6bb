"""`verify`: what was recorded is found right, and whatever was changed since is named."""
import csv
import json

import numpy as np
import pytest
from PIL import Image

from training.experiments import registry
from training.reporting import pictures
from training.reporting.statistics import STATISTICS
from training.storage import run_folder, unfinished

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
RUN = 'DenseVAE_on_MNIST/5_3_400_bce_2_n64_n_hnodes-8'


@pytest.fixture
def where(tmp_path, mnist_root) -> list[str]:
    return ['--results-root', str(tmp_path), '--data-root', str(mnist_root), '--ctx', 'cpu']


@pytest.fixture
def folder(cli, tmp_path, where):
    """A finished run."""
    status, _, err = cli(['run', SOLO, '--epochs', '2', '--limit', '64', '--set', 'n_hnodes=8',
                          *where])
    assert status == 0, err
    return tmp_path / RUN


def test_finished_run_is_right(cli, folder, where):
    status, out, err = cli(['verify', *where])
    assert status == 0 and err.startswith('data: ')
    assert out == (f'{folder}: ok: 18 files, 2 epochs, strip drawn again: largest difference '
                   '0/255\n')
    assert cli(['verify', RUN, *where])[0] == 0


def test_checksums_are_those_of_sha256sum(folder):
    import shutil
    import subprocess
    if not shutil.which('sha256sum'):
        pytest.skip('no sha256sum here')
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


def scale_losses(folder) -> None:
    lines = list(csv.reader(open(folder / STATISTICS)))
    lines[1][2] = str(float(lines[1][2]) - 1)
    with open(folder / STATISTICS, 'w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(lines)


CHANGES = {
    'picture': (lambda f: (f / '3.png').write_bytes((f / '4.png').read_bytes()), '3.png'),
    'strip': (redraw, 'strip.png'),
    'parameters': (lambda f: (f / 'vae.params').write_bytes(
        (f / 'vae.params').read_bytes()[:-400] + bytes(400)), 'vae.params'),
    'configuration': (edit('config.json', '"lr": 0.001', '"lr": 0.002'), 'config.json'),
    'statistics': (scale_losses, 'training_statistics.csv'),
    'README': (edit('README.md', 'Losses', 'Wins'), 'README.md'),
    'picture gone': (lambda f: (f / '0.png').unlink(), '0.png'),
    'another file': (lambda f: (f / '10.png').write_bytes(b''), '10.png'),
    'checksums gone': (lambda f: (f / run_folder.SUMS).unlink(), run_folder.SUMS),
    'checksums': (lambda f: (f / run_folder.SUMS).write_text('mine'), run_folder.SUMS),
}


@pytest.mark.parametrize('change', CHANGES)
def test_change_is_named(cli, folder, where, change):
    edit_folder, name = CHANGES[change]
    edit_folder(folder)
    status, out, err = cli(['verify', *where])
    assert status == 2 and 'WRONG: ' in out and name in out
    assert err.splitlines()[-1] == ('error: 1 of 1 result folders are not what was recorded')


# What lies about itself: checksums were made anew


@pytest.mark.parametrize('change, message', [
    (redraw, 'strip.png differs by 2/255 from one drawn again'),
    (scale_losses, 'README.md is not what the numbers say'),
    (edit('config.json', '"lr": 0.001', '"lr": 0.002'), '_lr-0.002'),
    (edit('config.json', '"lr": 0.001', '"lr": "fast"'), 'not a row'),
    (edit('config.json', '"seed": 0,', '"seed": true,'), 'seed=True: expected int'),
    (edit('training_statistics.csv', '1,solo', '1,combo'), 'has not the 2 epochs of its row'),
    (edit('training_statistics.csv', '1,solo', '2,solo'), 'line 3 is not that of epoch 1'),
])
def test_folder_that_contradicts_itself_is_named(cli, folder, where, change, message):
    change(folder)
    run_folder.write_checksums(folder)
    status, out, _ = cli(['verify', *where])
    assert status == 2 and message in out


def test_without_parameters_or_data_the_rest_is_checked(cli, folder, where, tmp_path):
    status, out, _ = cli(['verify', '--results-root', str(tmp_path), '--ctx', 'cpu'])
    assert status == 0 and '18 files, 2 epochs; strip not drawn again: no MNIST in' in out
    (folder / 'vae.params').unlink()
    status, out, _ = cli(['verify', *where])
    assert status == 0 and 'vae.params is not here' in out and 'strip drawn again' in out
    redraw(folder)
    assert cli(['verify', *where])[0] == 2


def test_other_data_are_said_not_to_be_the_same(cli, folder, tmp_path, data_root):
    status, out, _ = cli(['verify', '--results-root', str(tmp_path), '--data-root',
                          str(data_root), '--ctx', 'cpu'])
    assert status == 0 and 'not drawn again' in out and 'trained on data with sha256' in out


def test_strips_drawn_again_are_recorded_and_nothing_else_is(cli, folder, where):
    redraw(folder)
    assert cli(['strips', RUN, *where])[0] == 0
    assert cli(['verify', *where])[0] == 0
    config = json.loads((folder / 'config.json').read_text())
    run_folder.write_config(folder, config | {'caption': 'another'})
    assert cli(['strips', RUN, *where])[0] == 0
    status, out, _ = cli(['verify', *where])
    assert status == 2 and 'config.json is not the recorded one' in out


def test_what_other_commands_add_does_not_hide_a_changed_picture(cli, folder, where):
    redraw(folder)
    assert cli(['explore', RUN, *where])[0] == 0
    status, out, _ = cli(['verify', *where])
    assert status == 2 and 'strip.png is not the recorded one' in out


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


@pytest.mark.parametrize('names, message', [
    ([], 'no finished runs'), ([SOLO], 'no finished run there'), (['x'], 'unknown experiment')])
def test_nothing_to_verify_is_one_line(cli, where, names, message):
    status, _, err = cli(['verify', *names, *where])
    assert status == 2 and message in err and err.count('\n') == 1


@pytest.mark.parametrize('command', ['strips', 'evaluate', 'explore'])
def test_configuration_without_its_row_is_one_line(cli, folder, where, command):
    run_folder.write_config(folder, run_folder.read_config(folder) | {'row': {}})
    before = {path: path.read_bytes() for path in folder.iterdir()}
    status, _, err = cli([command, RUN, *where])
    assert status == 2 and 'not a row' in err and len(err.splitlines()) == 1, err
    assert before == {path: path.read_bytes() for path in folder.iterdir()}
