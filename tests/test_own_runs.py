"""Runs on a user's own pictures: what lets them go on, and which commands repeat them."""
import json
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest

from training.storage import run_folder
from training.storage.unfinished import checkpoints_in

FACES = 'DenseVAE_on_anime/512_5_1024_200'
SMALL = ['--epochs', '2', '--set', 'n_hnodes=8', '--set', 'n_hlayers=1', '--set', 'n_latent=2',
         '--set', 'batch_size=16', '--limit', '32', '--ctx', 'cpu']


@pytest.fixture
def folder(data_root, tmp_path) -> Path:
    """A folder of pictures that are not those of the shown results."""
    with zipfile.ZipFile(data_root / 'anime_faces.zip') as archive:
        archive.extractall(tmp_path / 'faces')
    return tmp_path / 'faces'


@pytest.fixture
def run(cli, tmp_path, known_images):
    return lambda folder, *words: cli(['run', FACES, *SMALL, '--data-root', str(folder),
                                       '--results-root', str(tmp_path / 'results'),
                                       *map(str, words)])


@pytest.fixture
def stopped(run, folder, tmp_path, cut_off) -> Path:
    """The folder of a run of them that was cut off."""
    cut_off(run, folder)
    unfinished, = (tmp_path / 'results').glob('*/*.unfinished')
    return unfinished


def litter(folder: Path) -> Path:
    (folder / '.DS_Store').write_bytes(b'')
    (folder / 'list.txt').write_text('mine')
    return folder


@pytest.mark.parametrize('change', [
    litter, lambda folder: folder.rename(folder.with_name('renamed')),
    lambda folder: Path(shutil.make_archive(str(folder), 'zip', folder))])
def test_run_on_the_same_pictures_goes_on(run, folder, stopped, change):
    status, out, err = run(change(folder))
    assert status == 0 and 'going on after 2 of 2 epochs' in out, err
    assert not stopped.exists() and 'left unfinished' not in err


def test_run_on_other_images_or_parameters_says_which_one_is_left(run, folder, stopped):
    shutil.copy(folder / '001.png', folder / '000.png')
    status, out, err = run(folder)
    line, = (line for line in err.splitlines() if 'left unfinished' in line)
    assert status == 0 and 'going on' not in out
    before, now = (path.name.split('_images-')[1][:8] for path in (
        stopped, Path(out.splitlines()[-1])))
    assert line == (f'{stopped}: left unfinished: it was begun with images {before}, and this is '
                    f'another run, with images {now}')
    assert checkpoints_in(stopped)
    status, out, err = run(folder, '--seed', '1')  # has nothing to do with it
    assert status == 0 and 'left unfinished' not in err
    err = run(folder, '--from', Path(out.splitlines()[-1]))[2]
    assert f'it was begun with images {before} and initial drawn, and this is' in err


def test_run_on_own_pictures_says_where_they_are(run, cli, folder, tmp_path):
    mine, other = folder.rename(folder.with_name('my faces')), tmp_path / 'others'
    _, out, _ = run(mine, '--keep-checkpoint')
    finished = Path(out.splitlines()[-1])
    shown, = json.loads(run(mine, '--more', '1', '--dry-run')[1])
    assert '512_5_1024_3_n32_images-' in shown['run']
    shutil.copytree(mine, other)
    (other / '000.png').unlink()

    def evaluate(*where) -> tuple[int, str]:
        status, _, err = cli(['evaluate', str(finished), *where, '--ctx', 'cpu'])
        return status, err.splitlines()[-1]

    status, line = evaluate('--data-root', str(other))
    assert status == 2 and '(my faces), found ' in line and f' in {other}; ' in line
    assert evaluate(*shlex.split(line.split('its data are named with ')[1]))[0] == 0
    # One that cannot be read any more names the option
    config = finished / 'config.json'
    config.write_text(config.read_text().replace("'", '').replace('--data-root', "'--data-root"))
    status, line = evaluate('--data-root', str(other))
    assert status == 2 and line.endswith('its data are named with --data-root')


def test_run_on_two_devices_goes_on_as_list_says(cli, data_root, tmp_path, known_images, cut_off):
    words = ['run', 'ConvVAE_on_anime/128_16_100_repaired', '--epochs', '1', '--limit', '16',
             '--set', 'n_latent=2', '--set', 'vae_base_channels=2', '--set', 'batch_size=8',
             '--data-root', str(data_root), '--results-root', str(tmp_path)]
    cut_off(cli, [*words, '--ctx', 'cpu:0,cpu:1'])
    status, _, err = cli([*words, '--ctx', 'cpu'])
    assert status == 2 and ': of a run on 2 devices, expected 1: --ctx names as many' in err

    def listed(*form: str) -> str:
        return cli(['list', '--results-root', str(tmp_path), *form])[1]

    line, = (line for line in listed().splitlines() if line.startswith('unfinished: '))
    said, _, command = line.partition('; go on with: ')
    stopped, = tmp_path.glob('*/*.unfinished')
    name = f'{stopped.parent.name}/{stopped.name.removesuffix(run_folder.UNFINISHED)}'
    assert said == f'unfinished: {name}, 1 of 1 epochs'
    (one,), = filter(None, (row['unfinished'] for row in json.loads(listed('--json'))))
    assert one['command'] == command and (one['epochs_done'], one['epochs']) == (1, 1)
    status, out, err = cli(shlex.split(command)[3:])
    assert status == 0 and 'going on after 1 of 1' in out, err
    stopped.mkdir()  # nothing that could go on
    (stopped / 'config.json').write_text('{')
    assert 'unfinished: ' not in listed()


@pytest.mark.parametrize('words, variable', [(['--data-root', 'faces'], ''), ([], 'faces')])
def test_command_that_repeats_a_run_works_from_anywhere(known_images, cli, folder, tmp_path,
                                                        monkeypatch, words, variable):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('VAEGAN_DATA', variable)
    status, out, err = cli(['run', FACES, *SMALL, *words, '--results-root', 'my results'])
    assert status == 0, err
    finished = tmp_path / out.splitlines()[-1]
    command = run_folder.read_config(finished)['command']
    assert command in (finished / 'README.md').read_text()
    before = (finished / 'vae.params').read_bytes()
    (finished / 'vae.params').unlink()
    monkeypatch.delenv('VAEGAN_DATA')
    monkeypatch.chdir('/')
    status, out, err = cli([*shlex.split(command)[3:], '--force', '--ctx', 'cpu'])
    assert status == 0 and out.splitlines()[-1] == str(finished), err
    assert (finished / 'vae.params').read_bytes() == before
    # One that was begun with it, named by its path, in another place
    status, out, err = cli(['run', FACES, *SMALL, '--data-root', str(folder), '--from',
                            str(finished), '--results-root', str(tmp_path / 'second')])
    assert status == 0, err
    command = run_folder.read_config(Path(out.splitlines()[-1]))['command']
    assert shlex.split(command)[-4:] == ['--results-root', str(tmp_path / 'second'), '--from',
                                         str(finished)]
    assert cli([*shlex.split(command)[3:], '--force', '--ctx', 'cpu'])[0] == 0


@pytest.mark.parametrize('place, words, called', [
    ('faces', [], 'faces'), ('faces', ['--data-name', 'my cats'], 'my cats'),
    ('anime_faces', [], 'pictures of your own')])
def test_own_pictures_are_called_by_their_own_name(run, folder, place, words, called):
    folder = folder.rename(folder.with_name(place))
    status, out, err = run(folder, *words)
    assert status == 0, err
    finished = Path(out.splitlines()[-1])
    readme = (finished / 'README.md').read_text()
    assert f'data: {called} in {folder}' in err and f'images of {called}, on' in readme
    assert 'anime faces' not in err + readme
    config = run_folder.read_config(finished)
    assert config['data']['description'] == called
    assert ('--data-name' in config['command']) == bool(words)


def test_images_of_the_shown_results_keep_their_name_and_need_no_place(cli, folder, tmp_path):
    words = ['run', FACES, *SMALL, '--data-root', str(folder), '--results-root',
             str(tmp_path / 'results')]
    status, _, err = cli([*words, '--data-name', 'mine'])
    assert status == 2 and '--data-name mine: expected none' in err.splitlines()[-1]
    assert not (tmp_path / 'results').exists()
    status, out, err = cli(words)
    assert status == 0, err
    assert '-root' not in run_folder.read_config(Path(out.splitlines()[-1]))['command']
