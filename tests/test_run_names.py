"""What runs are called: names that fit file systems, names of the user's, paths as names."""
import json
import os
import shutil

import pytest

from tests.small_pictures import encoded, noise, write_folder
from training.experiments import naming, registry
from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8']
LONG = ('n_latent=3', 'n_hlayers=2', 'n_hnodes=16', 'disc_hlayers=2', 'disc_hnodes=8',
        'disc_weight=0.123', 'pbp_weight=1.234', 'pbp_decay=0.9876', 'decay_interval=3',
        'max_disc_loss=12.34', 'kl_weight=1.234', 'kl_warmup=2', 'lr=0.00123', 'limit=64',
        'batch_size=16', 'seed=123456', 'step=shared', 'mirror=yes', 'stop_after=7')


@pytest.fixture
def call(cli, tmp_path, mnist_root):
    def run(command, *words):
        needs_data = command in ('run', 'strips', 'evaluate', 'explore', 'verify')
        return cli([command, *map(str, words), '--results-root', str(tmp_path / 'results'),
                    *(['--data-root', str(mnist_root)] if needs_data else []),
                    *(['--ctx', 'cpu'] if command not in ('list', 'report', 'export') else [])])
    return run


def test_names_that_are_too_long_end_in_a_checksum():
    row = registry.get(COMBO)
    names = [naming.run_name(registry.changed(row, LONG[:n])) for n in range(len(LONG) + 1)]
    names.append(naming.run_name(registry.changed(row, [*LONG, 'disc_warmup=2'])))
    assert len({*names}) == len(names)
    plain = [name for name in names if '_and-' not in name]
    assert 5 < len(plain) < len(names) and names[:len(plain)] == plain
    assert max(map(len, plain)) > 200
    for name in names:
        assert len(os.fsencode(f'{name.split("/")[1]}.replaced.unfinished')) <= 255


def test_run_with_a_name_that_is_too_long_is_whole_and_found(call, tmp_path):
    name = [COMBO, '--epochs', '1', *(word for field in LONG for word in ('--set', field))]
    status, out, err = call('run', *name)
    assert status == 0, err
    folder, = (tmp_path / 'results').glob('DenseVAE_*/*')
    config = json.loads((folder / run_folder.CONFIG).read_text())
    assert '_and-' in config['run'] and config['row']['mirror'] == 'yes'
    assert call('verify', config['run'])[0] == 0
    assert call('run', *name)[0] == 2 and call('run', *name, '--force')[0] == 0


def test_run_has_the_users_name_for_every_command(call, tmp_path, cut_off):
    words = [SOLO, *SMALL, '--name', 'mine']
    cut_off(call, 'run', *words)
    status, out, err = call('run', *words)
    folder = tmp_path / 'results/DenseVAE_on_MNIST/mine'
    assert status == 0 and 'going on after 1 of 1' in out and out.splitlines()[-1] == str(folder)
    config = json.loads((folder / run_folder.CONFIG).read_text())
    assert config['own_name'] == 'mine' and config['run'] == 'DenseVAE_on_MNIST/mine'
    assert config['command'].endswith(' --name mine')
    assert '# DenseVAE_on_MNIST/mine' in (folder / 'README.md').read_text()
    for name in ('DenseVAE_on_MNIST/mine', folder, os.path.relpath(folder)):
        assert call('verify', name)[0] == 0, name
    printed = {}
    digits = write_folder(tmp_path / 'digits', {
        f'{i}.png': encoded(noise(i, 28, 28)) for i in range(2)})
    for command, *rest in (
            ('verify',), ('strips',), ('evaluate',), ('explore',),
            ('reconstruct', digits, '--out', tmp_path / 'drawn'),
            ('encode', digits, '--out', tmp_path / 'latents.csv'),
            ('sample', '--n', '2', '--out', tmp_path / 'samples'),
            ('export', '--format', 'safetensors', '--out', tmp_path / 'nets.safetensors')):
        status, printed[command], err = call(command, 'mine', *rest)
        assert status == 0, (command, err)
    assert '| DenseVAE_on_MNIST/mine |' in printed['evaluate']
    variant, = json.loads(call('list', '--match', '*/mine', '--json')[1])[0]['variants']
    assert variant['name'] == 'DenseVAE_on_MNIST/mine' and variant['differs'][0] == 'called mine'
    assert call('report')[0] == 0
    status, out, err = call('run', SOLO, *SMALL, '--seed', '1', '--from', 'mine')
    assert status == 0, err


@pytest.mark.parametrize('own_name, said', [
    ('a/b', 'expected letters'), ('..', 'expected letters'), ('', 'expected letters'),
    ('-x', 'expected'), ('a b', 'expected letters'), ('x\n', 'expected letters'),
    ('x' * 236, 'at most 235 bytes'), ('x.unfinished', 'expected letters'),
    ('5_3_400_bce_50', 'another beginning than 5'),
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
                        ([COMBO, *SMALL], f'{folder}: called mine already'),
                        (['--match', f'{SOLO[:-8]}*', *SMALL],
                         'expected one NAME and one value a field')):
        status, _, err = call('run', *words, '--name', 'mine')
        assert status == 2 and said in err.splitlines()[-1]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    cut_off(call, 'run', SOLO, *SMALL, '--name', 'two')
    for words, said in (([SOLO, '--seed', '1'],
                         'begun with another row (seed 0, now 1); --fresh'),
                        ([COMBO], 'two.unfinished: called two already')):
        status, _, err = call('run', *words, *SMALL, '--name', 'two')
        assert status == 2 and said in err
    shutil.copytree(folder, tmp_path / 'results/Other/mine')
    status, _, err = call('sample', 'mine', '--out', tmp_path / 'out')
    assert status == 2 and 'there are DenseVAE_on_MNIST/mine and Other/mine' in err


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


@pytest.mark.parametrize('name', ['DenseVAE_on_MNIST/5_3_400_bce_1_n64_n_hnodes-8', SOLO, 'mine',
                                  '/nowhere', 'x' * 300])
def test_run_that_is_not_there_names_results_root(call, tmp_path, name):
    for command, *words in (
            ('strips',), ('evaluate',), ('verify',), ('sample', '--out', tmp_path / 'x'),
            ('export', '--format', 'safetensors', '--out', tmp_path / 'x')):
        status, _, err = call(command, name, *words)
        line, = err.splitlines()
        assert status == 2 and 'no finished run' in line and '--results-root' in line


def test_unfinished_run_is_called_that(call, tmp_path, cut_off):
    cut_off(call, 'run', SOLO, *SMALL)
    path, = (tmp_path / 'results').glob('*/*.unfinished')
    for name in (path, str(path).removesuffix('.unfinished')):
        status, _, err = call('sample', name, '--out', tmp_path / 'x')
        assert status == 2 and err == f'error: {path}: not finished yet; the command that began ' \
                                      'it goes on\n'
