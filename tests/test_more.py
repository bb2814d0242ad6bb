"""`run --more`: a finished run goes on."""
import numpy as np
import pytest

from training.reporting.statistics import read_statistics
from training.storage import run_folder

CASES = {  # how a run is begun, with epochs; how many more
    'solo': (['DenseVAE_on_MNIST/5_3_400_bce_50', '--epochs', '2', '--set', 'kl_warmup=3',
              '--snapshot-every', '1', '--set', 'n_hnodes=8'], 2),
    'combo': (['DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', '--epochs', '1+1', '--set',
               'n_hnodes=8', '--set', 'disc_hnodes=8'], 1),
    'vaegan': (['VAEGAN_on_MNIST/paper_5_3_400_1_200_50', '--epochs', '2', '--set', 'n_hnodes=8',
                '--set', 'disc_hnodes=8', '--set', 'grid_from=1', '--set', 'grid_every=1'], 1)}


@pytest.fixture
def run(on_digits, tmp_path):
    return lambda folder, *words: on_digits('run', *words, '--limit', '96', '--results-root',
                                            tmp_path / folder)


def contents(folder) -> dict:
    """All that has to be the same: not times, nor what names the command."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()
             if path.suffix not in ('.csv', '.md') and path.name not in (
                 run_folder.SUMS, run_folder.KEPT_CHECKPOINT)}
    found['epochs'] = [{name: value for name, value in line.items() if name != 'seconds'}
                       for line in read_statistics(folder)]
    return found


@pytest.mark.parametrize('case', CASES)
def test_more_epochs_are_those_of_a_longer_run(run, tmp_path, case):
    words, more = CASES[case]
    epochs = words.index('--epochs') + 1
    status, out, err = run('a', *words, '--keep-checkpoint')
    assert status == 0 and 'checkpoint.safetensors: ' in out, err
    status, out, err = run('a', *words, '--more', str(more))
    assert status == 0 and f'going on after 2 of {2 + more} epochs' in out, err
    longer = [*words]
    longer[epochs] = f'1+{1 + more}' if case == 'combo' else str(2 + more)
    assert run('b', *longer)[0] == 0
    (name, once), = run_folder.finished_runs(tmp_path / 'b').items()
    assert contents(once) == contents(tmp_path / 'a' / name)
    assert len(run_folder.finished_runs(tmp_path / 'a')) == 2  # the shorter one stays
    # Another time: from what the longer one has kept there is nothing
    status, _, err = run('a', *longer, '--more', '1')
    assert status == 2 and 'train it with --keep-checkpoint' in err


def test_longer_run_says_what_it_is_called_where_the_name_is_taken(run, tmp_path):
    words = [*CASES['solo'][0], '--name', 'mine', '--keep-checkpoint']
    assert run('a', *words)[0] == 0
    status, out, err = run('a', *words, '--more', '1')
    assert status == 0
    called = out.splitlines()[-1].removeprefix(f'{tmp_path}/a/')
    assert f'--name mine: of the finished run, which stays; the longer one is {called}' in err
    words[words.index('mine')] = 'longer'
    status, out, err = run('a', *words, '--more', '1')
    assert status == 0 and out.splitlines()[-1].endswith('/longer') and '--name' not in err


def test_kept_checkpoint_is_replaced_with_its_run(run, tmp_path):
    words = CASES['solo'][0]
    assert run('a', *words, '--keep-checkpoint')[0] == 0
    (_, folder), = run_folder.finished_runs(tmp_path / 'a').items()
    before = (folder / run_folder.KEPT_CHECKPOINT).stat().st_size
    assert before > 3 * sum(np.prod(shape) for shape in ((8, 784), (784, 8))) * 4
    assert run('a', *words, '--force')[0] == 0
    assert not (folder / run_folder.KEPT_CHECKPOINT).exists()


@pytest.mark.parametrize('case, asked, without', [
    ('solo', ['--stop-after', '1'], 'stop_after or keep=best'),
    ('solo', ['--set', 'keep=best'], 'stop_after or keep=best'),
    ('vaegan', ['--set', 'schedule=annealed'], 'schedule=annealed')], ids=str)
def test_run_that_would_have_begun_otherwise_cannot_go_on(run, case, asked, without):
    """Or that ends with other parameters than it keeps."""
    words = [*CASES[case][0], *asked]
    assert run('a', *words, '--keep-checkpoint')[0] == 0
    status, _, err = run('a', *words, '--more', '1')
    assert status == 2 and f'expected a run without {without}' in err


def test_what_goes_on_without_a_run_is_refused(run, tmp_path):
    status, out, err = run('a', *CASES['solo'][0], '--more', '3', '--dry-run')
    assert status == 2 and 'no checkpoint.safetensors' in err and not (tmp_path / 'a').exists()


def test_more_epochs_without_the_data_are_one_line(cli, run, tmp_path, monkeypatch):
    words = CASES['solo'][0]
    assert run('a', *words, '--keep-checkpoint')[0] == 0
    monkeypatch.setenv('VAEGAN_DATA', str(tmp_path / 'none'))
    status, _, err = cli(['run', *words, '--limit', '96', '--more', '1', '--ctx', 'cpu',
                          '--results-root', str(tmp_path / 'a')])
    assert status == 2 and 'no such file or folder' in err.splitlines()[-1]
