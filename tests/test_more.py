"""`run --more`: a finished run goes on."""
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


def test_longer_run_needs_the_data_a_name_and_what_was_kept(cli, run, tmp_path, monkeypatch):
    """The user's name, unless the finished run has it; what was kept is replaced with its run."""
    words = [*CASES['solo'][0], '--name', 'mine']
    assert run('a', *words, '--keep-checkpoint')[0] == 0
    with monkeypatch.context() as patched:
        patched.setenv('VAEGAN_DATA', str(tmp_path / 'none'))
        status, _, err = cli(['run', *words, '--limit', '96', '--more', '1', '--ctx', 'cpu',
                              '--results-root', str(tmp_path / 'a')])
    assert status == 2 and 'no such file or folder' in err.splitlines()[-1]
    status, out, err = run('a', *words, '--more', '1')
    called = out.splitlines()[-1].removeprefix(f'{tmp_path}/a/')
    assert status == 0 and (
        f'--name mine: of the finished run, which stays; the longer one is {called}') in err
    status, out, err = run('a', *words[:-1], 'longer', '--more', '1')
    assert status == 0 and out.splitlines()[-1].endswith('/longer') and '--name' not in err
    assert run('a', *words, '--force')[0] == 0
    status, _, err = run('a', *words, '--more', '1')
    assert status == 2 and 'no checkpoint.safetensors' in err


@pytest.mark.parametrize('case, asked, without', [
    ('solo', ['--stop-after', '1'], 'stop_after or keep=best'),
    ('solo', ['--set', 'keep=best'], 'stop_after or keep=best'),
    ('vaegan', ['--set', 'schedule=annealed'], 'schedule=annealed')], ids=str)
def test_run_that_would_have_begun_otherwise_cannot_go_on(run, case, asked, without):
    """Or that ends with other parameters than it keeps."""
    status, _, err = run('a', *CASES[case][0], *asked, '--more', '1')
    assert status == 2 and f'expected a run without {without}' in err
