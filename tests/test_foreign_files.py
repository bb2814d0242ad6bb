"""Files and folders that are not the project's, in and beside those of runs: left alone."""
import json
import os
from pathlib import Path

import pytest

from tests.small_pictures import write_folder
from training.reporting.statistics import STATISTICS
from training.storage import run_folder
from training.storage.unfinished import checkpoints_in

ROOT = Path(__file__).resolve().parent.parent
SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
RUN = 'DenseVAE_on_MNIST/5_3_400_bce_2_n64_n_hnodes-8'
FOREIGN = {'.ipynb_checkpoints/README-checkpoint.md': b'1', 'notes.md': b'2',
           'my pictures/0.png': b'3', '.DS_Store': b'4', 'face of mine.png': b'5',
           'checkpoint-000001-000000 copy.safetensors': b'6', 'checkpoint-mine/vae.params': b'7',
           'table.csv': b'8', '.nfs0001': b'9'}


@pytest.fixture
def call(cli, tmp_path, mnist_root):
    """A command on these results, with the data and the device if it takes them."""
    def run(command, *words):
        needs_data = command not in ('list', 'report')
        return cli([command, *words, '--results-root', str(tmp_path),
                    *['--data-root', str(mnist_root), '--ctx', 'cpu'] * needs_data])
    return run


@pytest.fixture
def train(call):
    return lambda *words: call('run', SOLO, '--epochs', '2', '--limit', '64', '--set',
                               'n_hnodes=8', *words)


def foreign_in(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FOREIGN if (folder / name).is_file()}


@pytest.mark.parametrize('words, goes_on', [((), True), (('--fresh',), False)])
def test_foreign_files_stay_in_an_unfinished_run(train, tmp_path, cut_off, words, goes_on):
    cut_off(train)
    unfinished, folder = tmp_path / f'{RUN}.unfinished', tmp_path / RUN
    write_folder(unfinished, FOREIGN | {'.config.json.123.tmp': b''})  # the last is the run's own
    (unfinished / 'link').symlink_to('nowhere')
    assert len(checkpoints_in(unfinished)) == 2
    status, out, err = train(*words)
    assert status == 0, err
    assert ('going on' in out) == goes_on
    assert foreign_in(folder) == FOREIGN and not unfinished.exists()
    assert os.readlink(folder / 'link') == 'nowhere'
    assert not [*folder.glob('*.tmp'), *folder.glob('.lock'), *checkpoints_in(folder)]
    assert not run_folder.read_checksums(folder).keys() & FOREIGN.keys()


def test_foreign_files_stay_in_a_finished_run(call, train, tmp_path, cut_off):
    assert train()[0] == 0
    folder = write_folder(tmp_path / RUN, FOREIGN)
    for command in ('strips', 'evaluate', 'explore', 'verify'):
        status, out, err = call(command, RUN)
        assert status == 0 and foreign_in(folder) == FOREIGN, out + err
    assert not run_folder.read_checksums(folder).keys() & FOREIGN.keys()
    cut_off(train, '--force')
    write_folder(tmp_path / f'{RUN}.unfinished', {'notes.md': b'of the second'})
    assert train('--force')[0] == 0  # replaces what is the run's alone, and keeps both of a name
    assert (folder / 'notes.md~').read_bytes() == FOREIGN['notes.md']
    assert foreign_in(folder) == FOREIGN | {'notes.md': b'of the second'}
    assert not (folder / run_folder.EVALUATION).exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_foreign_folders_beside_runs_are_passed_over(call, train, tmp_path):
    assert train()[0] == 0
    write_folder(tmp_path, {'notes.md': b'mine'} | dict.fromkeys([
        f'{place}/{run_folder.CONFIG}' for place in (
            '.ipynb_checkpoints/x', 'a net/of mine', 'DenseVAE_on_MNIST/other')],
        b'{"hidden_size": 3}'))
    (tmp_path / 'a net/folder/config.json').mkdir(parents=True)
    status, out, err = call('verify')
    assert status == 0 and out.count(': ok') == 1, out + err
    status, out, _ = call('list', '--match', RUN, '--json')
    assert status == 0 and len(json.loads(out)[0]['variants']) == 1
    assert call('report')[0] == 0 and call('strips', '--match', '*')[0] == 0
    # What is damaged is no foreign one
    (tmp_path / RUN / run_folder.CONFIG).write_text('{}')
    assert call('verify')[0] == 2


def test_all_that_runs_leave_is_known_as_theirs():
    """What is not would be taken for the user's, and have no checksum."""
    names = {path.name for config in (ROOT / 'results').rglob('*/config.json')
             for path in config.parent.iterdir() if path.name != run_folder.SUMS}
    assert len(names) > 30 and STATISTICS in names
    assert [name for name in names if not run_folder.RECORDED.fullmatch(name)] == []
