"""What runs are called: names that fit file systems, names of the user's, paths as names."""
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training.experiments import naming, registry
from training.experiments.row import ExperimentError
from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8']
AUTOMATIC = 'DenseVAE_on_MNIST/5_3_400_bce_1_n64_n_hnodes-8'
LONG = [f'{field}={value}' for field, value in {
    'limit': 64, 'layout': 'transpose', 'seed': 123456, 'batch_size': 32, 'mirror': 'yes',
    'n_latent': 32, 'n_hnodes': 16, 'vae_base_channels': 8, 'disc_hnodes': 8,
    'disc_base_channels': 4, 'lr': 0.000123, 'beta': 0.0123, 'gamma': 0.000123,
    'kl_normaliser': 'images', 'gan_term': 'saturating', 'adam_beta1': 0.8, 'adam_beta2': 0.9,
    'disc_weight': 0.123, 'similarity_pass': 'own', 'dropout': 0.123, 'real_low': 0.876,
    'minibatch_kernels': 3, 'minibatch_dims': 2, 'n_classified': 100}.items()]


@pytest.fixture
def call(cli, tmp_path, mnist_root):
    def run(command, *words, root=tmp_path / 'results'):
        needs_data = command in ('run', 'strips', 'evaluate', 'explore', 'verify')
        return cli([command, *map(str, words), '--results-root', str(root),
                    *(['--data-root', str(mnist_root)] if needs_data else []),
                    *(['--ctx', 'cpu'] if command not in ('list', 'report', 'export') else [])])
    return run


@pytest.fixture
def pictures(tmp_path):
    """A folder with two digits."""
    folder = tmp_path / 'digits'
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.full((28, 28), 90 * i, np.uint8)).save(folder / f'{i}.png')
    return folder


def test_names_that_are_too_long_end_in_a_checksum():
    row = registry.get('VAEGAN_on_MNIST/A_64_100')
    names = [naming.run_name(registry.changed(row, LONG[:n])) for n in range(len(LONG) + 1)]
    other = naming.run_name(registry.changed(row, [*LONG, 'fake_high=0.2']))
    assert len({*names, other}) == len(LONG) + 1  # one field changes pictures only
    plain = [name for name in names if '_and-' not in name]
    assert 5 < len(plain) < len(names) and names[:len(plain)] == plain
    assert max(map(len, plain)) > 200
    for name in (*names, other):
        assert len(os.fsencode(f'{name.split("/")[1]}.replaced.unfinished')) <= 255


def test_run_with_a_name_that_is_too_long_is_whole_and_found(call, tmp_path):
    fields = ('n_latent=3', 'n_hlayers=2', 'n_hnodes=16', 'disc_hlayers=2', 'disc_hnodes=8',
              'disc_weight=0.123', 'pbp_weight=1.234', 'pbp_decay=0.9876', 'decay_interval=3',
              'max_disc_loss=12.34', 'kl_weight=1.234', 'kl_warmup=2', 'lr=0.00123', 'limit=64',
              'batch_size=16', 'seed=123456', 'step=shared', 'mirror=yes', 'stop_after=7')
    name = [COMBO, '--epochs', '1', *(word for field in fields for word in ('--set', field))]
    status, out, err = call('run', *name)
    assert status == 0, err
    folder, = (tmp_path / 'results').glob('DenseVAE_*/*')
    config = json.loads((folder / run_folder.CONFIG).read_text())
    assert '_and-' in config['run'] and config['row']['mirror'] == 'yes'
    assert call('verify', config['run'])[0] == 0
    assert call('run', *name)[0] == 2 and call('run', *name, '--force')[0] == 0


def test_run_has_the_users_name_for_every_command(call, tmp_path, pictures, cut_off):
    words = [SOLO, *SMALL, '--name', 'mine']
    cut_off(call, 'run', *words)
    status, out, err = call('run', *words)
    folder = tmp_path / 'results/DenseVAE_on_MNIST/mine'
    assert status == 0 and 'going on after 1 of 1' in out and out.splitlines()[-1] == str(folder)
    config = json.loads((folder / run_folder.CONFIG).read_text())
    assert config['own_name'] == 'mine' and config['run'] == 'DenseVAE_on_MNIST/mine'
    assert config['command'].endswith(' --name mine')
    assert '# DenseVAE_on_MNIST/mine' in (folder / 'README.md').read_text()
    outs = iter(tmp_path / f'out{i}' for i in range(20))
    for run in ('mine', 'DenseVAE_on_MNIST/mine', folder, os.path.relpath(folder)):
        for command, *rest in (
                ('verify', run), ('strips', run), ('evaluate', run), ('explore', run),
                ('reconstruct', run, pictures, '--out', next(outs)),
                ('encode', run, pictures, '--out', f'{next(outs)}.csv'),
                ('sample', run, '--n', '2', '--out', next(outs)),
                ('export', run, '--format', 'safetensors', '--out', f'{next(outs)}.safetensors')):
            if command in ('verify', 'reconstruct') or run == 'mine':
                status, out, err = call(command, *rest)
                assert status == 0, (command, run, err)
    assert '| DenseVAE_on_MNIST/mine |' in call('evaluate', 'mine')[1]
    variant, = json.loads(call('list', '--match', '*/mine', '--json')[1])[0]['variants']
    assert variant['name'] == 'DenseVAE_on_MNIST/mine' and variant['differs'][0] == 'called mine'
    assert call('report')[0] == 0
    status, out, err = call('run', SOLO, *SMALL, '--seed', '1', '--from', 'mine')
    assert status == 0, err


@pytest.mark.parametrize('own_name, said', [
    ('a/b', 'expected letters'), ('..', 'expected letters'), ('', 'expected letters'),
    ('-x', 'expected'), ('a b', 'expected letters'), ('x' * 236, 'at most 235 bytes'),
    ('x.unfinished', 'expected letters'), ('5_3_400_bce_50', 'another beginning than 5'),
    ('paper_mine', 'another beginning than paper')])
def test_names_that_no_run_can_have_are_one_line(call, tmp_path, capsys, own_name, said):
    try:
        status, _, err = call('run', SOLO, *SMALL, '--name', own_name)
    except SystemExit as stop:  # argparse's
        status, err = stop.code, capsys.readouterr().err
    assert status == 2 and said in err and len(err.splitlines()) == 1
    assert not (tmp_path / 'results').exists()


def test_a_name_is_of_one_run(call, tmp_path, cut_off):
    assert call('run', SOLO, *SMALL, '--name', 'mine')[0] == 0
    folder = tmp_path / 'results/DenseVAE_on_MNIST/mine'
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for words, said in (([SOLO, *SMALL], run_folder.IN_THE_WAY),
                        ([SOLO, *SMALL, '--seed', '1'], run_folder.IN_THE_WAY),
                        ([COMBO, *SMALL], f'{folder}: called mine already')):
        status, _, err = call('run', *words, '--name', 'mine')
        assert status == 2 and said in err.splitlines()[-1]
    status, _, err = call('run', '--match', f'{SOLO[:-8]}*', *SMALL, '--name', 'mine')
    assert status == 2 and 'expected one NAME and one value a field' in err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    cut_off(call, 'run', SOLO, *SMALL, '--name', 'two')
    status, _, err = call('run', SOLO, *SMALL, '--seed', '1', '--name', 'two')
    assert status == 2 and 'begun with another row (seed 0, now 1); --fresh' in err
    status, _, err = call('run', COMBO, *SMALL, '--name', 'two')
    assert status == 2 and 'two.unfinished: called two already' in err


def test_configuration_that_lies_about_its_name_is_named(call, tmp_path):
    assert call('run', SOLO, *SMALL, '--name', 'mine')[0] == 0
    folder = tmp_path / 'results/DenseVAE_on_MNIST/mine'
    config = run_folder.read_config(folder)
    for own_name, said in (('other', 'that of DenseVAE_on_MNIST/other'), ('../x', 'own_name is'),
                           (None, 'own_name is'), (['x'], 'own_name is')):
        run_folder.write_config(folder, config | {'own_name': own_name})
        run_folder.write_checksums(folder)
        status, out, _ = call('verify', 'mine')
        assert status == 2 and said in out


def test_bare_names_of_several_runs_are_refused(call, tmp_path):
    for name in (SOLO, SOLO.replace('bce', 'l2')):
        assert call('run', name, *SMALL)[0] == 0
    first = tmp_path / 'results' / AUTOMATIC
    first.rename(first.with_name('same'))
    (tmp_path / 'results/Other').mkdir()
    second, = (tmp_path / 'results').glob('*/*l2*')
    second.rename(tmp_path / 'results/Other/same')
    status, _, err = call('sample', 'same', '--out', tmp_path / 'out')
    assert status == 2 and 'there are DenseVAE_on_MNIST/same and Other/same' in err


@pytest.mark.parametrize('name, said', [
    (AUTOMATIC, 'no finished run'), (SOLO, 'no finished run there'), ('mine', 'no finished run'),
    ('/nowhere', 'no finished run'), ('x' * 300, 'no finished run')])
@pytest.mark.parametrize('command', ['sample', 'strips', 'verify', 'export'])
def test_run_that_is_not_there_names_results_root(call, tmp_path, command, name, said):
    words = {'sample': ['--out', tmp_path / 'x'], 'export': [
        '--format', 'safetensors', '--out', tmp_path / 'x']}.get(command, [])
    status, _, err = call(command, name, *words)
    assert status == 2 and said in err and '--results-root' in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize('form', [str, lambda path: str(path).removesuffix('.unfinished')])
def test_unfinished_run_is_called_that(call, tmp_path, cut_off, form):
    cut_off(call, 'run', SOLO, *SMALL)
    path, = (tmp_path / 'results').glob('*/*.unfinished')
    status, _, err = call('sample', form(path), '--out', tmp_path / 'x')
    assert status == 2 and err == f'error: {path}: not finished yet; the command that began it ' \
                                  'goes on\n'


def test_own_names_stand_first_in_what_differs():
    row = replace(registry.get(SOLO), seed=3)
    assert naming.labels(row, 'mine') == ['called mine', 'seed 3']
    assert naming.run_name(row, 'mine') == 'DenseVAE_on_MNIST/mine'
    with pytest.raises(ExperimentError, match='letters, digits'):
        naming.check_own_name('x\n')
