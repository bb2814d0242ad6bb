"""`run` with several values of a field: all combinations, and a table of their measures."""
import json

import pytest

from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
FEW = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8']


@pytest.fixture
def run(on_digits):
    return lambda *words: on_digits('run', SOLO, *FEW, *words)


def test_all_combinations_are_trained_measured_and_sorted(cli, run, tmp_path):
    words = '--set', 'n_latent=2,5', '--seed', '0,1', '--sort', 'mean_squared_error'
    status, out, err = run(*words)
    assert status == 0, err
    finished = run_folder.finished_runs(tmp_path / 'results')
    rows = {run: run_folder.row_of(run_folder.read_config(folder), folder)
            for run, folder in finished.items()}
    assert {(row.n_latent, row.seed) for row in rows.values()} == {
        (z, seed) for z in (2, 5) for seed in (0, 1)}
    table = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in out.splitlines() if line.startswith('| ')]
    column = table[0].index('squared error')
    errors = [float(line[column]) for line in table[2:]]
    assert len(errors) == 4 and errors == sorted(errors)
    assert {*(f'{run_folder.read_evaluation(folder)["measures"]["mean_squared_error"]:.4f}'
              for folder in finished.values())} == {line[column] for line in table[2:]}
    # Again: all are passed over, and the table is there without a training
    status, again, err = run(*words)
    assert status == 0 and again.count('finished already, passed over') == 4
    assert again.splitlines()[-6:] == out.splitlines()[-6:]
    status, out, _ = cli(['list', '--json', '--match', SOLO, '--results-root',
                          str(tmp_path / 'results')])
    (line,) = json.loads(out)
    assert line['measures'] is None and len(line['variants']) == 4
    assert all(one['measures']['kl'] > 0 for one in line['variants'])


@pytest.mark.parametrize('words, message', [
    (['--set', 'n_latent=2,x'], "n_latent='x': expected a whole number"),
    (['--set', 'n_latent=2,'], "n_latent='': expected a whole number"),
    (['--set', 'n_latent=2,3', '--name', 'mine'], 'one value a field, found several runs'),
    (['--set', 'batch_size=8,100000'], 'expected a batch of 100000 or more')])
def test_bad_values_are_refused_before_any_training(run, tmp_path, words, message):
    status, _, err = run(*words)
    assert status == 2 and message in err.splitlines()[-1]
    assert not (tmp_path / 'results').exists()


def test_nets_that_cannot_be_built_are_refused_before_any_training(on_digits, tmp_path):
    status, _, err = on_digits('run', 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', *FEW,
                               '--set', 'disc=DenseLogReg,gluoncv:none')
    assert status == 2 and 'gluoncv:none' in err.splitlines()[-1], err
    assert not (tmp_path / 'results').exists()
