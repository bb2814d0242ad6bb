"""`run` with several values of a field: all combinations, and a table of their measures."""
import json

import pytest

from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
FEW = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8']


def test_all_combinations_are_trained_measured_and_sorted(cli, on_digits, tmp_path):
    words = ('run', SOLO, *FEW, '--set', 'n_latent=2,5', '--seed', '0,1', '--sort',
             'mean_squared_error')
    status, out, err = on_digits(*words)
    assert status == 0, err
    finished = run_folder.finished_runs(tmp_path / 'results').values()
    rows = [run_folder.row_of(run_folder.read_config(folder), folder) for folder in finished]
    assert sorted((row.n_latent, row.seed) for row in rows) == [(2, 0), (2, 1), (5, 0), (5, 1)]
    table = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in out.splitlines() if line.startswith('| ')]
    column = table[0].index('squared error')
    errors = [line[column] for line in table[2:]]
    assert errors == sorted(
        f'{run_folder.read_evaluation(folder)["measures"]["mean_squared_error"]:.4f}'
        for folder in finished)
    # Again: all are passed over, and the table is there without a training
    status, again, err = on_digits(*words)
    assert status == 0 and again.count('finished already, passed over') == 4
    assert again.splitlines()[-6:] == out.splitlines()[-6:]
    status, out, _ = cli(['list', '--json', '--match', SOLO, '--results-root',
                          str(tmp_path / 'results')])
    (line,) = json.loads(out)
    assert line['measures'] is None and len(line['variants']) == 4
    assert all(one['measures']['kl'] > 0 for one in line['variants'])


@pytest.mark.parametrize('name, words, message', [
    (SOLO, ['--set', 'n_latent=2,x'], "n_latent='x': expected a whole number"),
    (SOLO, ['--set', 'n_latent=2,'], "n_latent='': expected a whole number"),
    (SOLO, ['--set', 'n_latent=2,3', '--name', 'mine'], 'one value a field, found several runs'),
    (SOLO, ['--set', 'batch_size=8,100000'], 'expected a batch of 100000 or more'),
    ('DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50',
     ['--set', 'disc=DenseLogReg,gluoncv:none'], 'gluoncv:none')])
def test_bad_values_are_refused_before_any_training(on_digits, tmp_path, name, words, message):
    status, _, err = on_digits('run', name, *FEW, *words)
    assert status == 2 and message in err.splitlines()[-1]
    assert not (tmp_path / 'results').exists()
