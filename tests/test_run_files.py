"""Runs in TOML files: `run --config` and `run --toml`."""
import json

import pytest

from training.experiments import registry

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
CHANGES = ['--limit', '640', '--layout', 'transpose', '--set', 'lr=3e-05', '--set',
           'shuffle_seed=none', '--set', 'batch_size=7']


@pytest.fixture
def dry(cli, tmp_path):
    """Dry runs with a file of that text: (exit status, rows, stderr)."""
    def call(text, *words):
        (tmp_path / 'run.toml').write_text(text)
        status, out, err = cli(['run', *words, '--config', str(tmp_path / 'run.toml'),
                                '--dry-run'])
        return status, json.loads(out or '[]'), err
    return call


@pytest.mark.parametrize('changes', [[], [*CHANGES, '--name', 'mine']], ids=['whole', 'changed'])
def test_file_of_every_row_trains_the_same_run(cli, dry, changes):
    for name in registry.EXPERIMENTS:
        status, text, err = cli(['run', name, *changes, '--toml'])
        assert status == 0, err
        status, rows, err = dry(text)
        assert status == 0, err
        assert rows == json.loads(cli(['run', name, *changes, '--dry-run'])[1])
        assert bool(changes) == ('/mine' in rows[0]['run'])


def test_command_line_counts_more_than_the_file(cli, dry):
    text = (f'experiment = "{SOLO}"\nname = "mine"\nsolo_epochs = 3\nlr = 1\nn_latent = 9  # so\n'
            'limit = 64\n')
    (row,) = dry(text)[1]
    assert row['run'] == 'DenseVAE_on_MNIST/mine' and (row['solo_epochs'], row['lr']) == (3, 1.0)
    (row,) = dry(text, '--epochs', '4', '--set', 'n_latent=8', '--name', 'x', '--limit', 'none')[1]
    assert row['run'] == 'DenseVAE_on_MNIST/x' and row['limit'] is None
    assert (row['solo_epochs'], row['lr'], row['n_latent']) == (4, 1.0, 8)
    rows = dry('lr = 0.5\nname = "mine"', '--match', '*_on_MNIST/5_3_400_*_50')
    assert rows[0] == 2 and 'found several runs' in rows[2]
    rows = dry('lr = 0.5', '--match', 'DenseVAE_on_MNIST/*')[1]
    assert {row['lr'] for row in rows} == {0.5} and [row['published'] for row in rows] == [
        name for name in registry.EXPERIMENTS if name.startswith('DenseVAE_on_MNIST/')]
    rows = dry(f'experiment = "{SOLO}"', '--set', 'n_latent=3,4')[1]
    assert [row['n_latent'] for row in rows] == [3, 4]
    status, out, err = cli(['run', SOLO, '--seed', '1,2', '--toml'])  # a file is of one run
    assert (status, out) == (2, '') and err.startswith('error: --toml: expected one NAME and')


def test_run_of_a_file_is_that_of_its_words(on_digits, tmp_path):
    words = [SOLO, '--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8', '--name', 'mine']
    (tmp_path / 'run.toml').write_text(  # with a mark, as Windows' editor keeps it
        on_digits('run', *words, '--toml')[1], encoding='utf-8-sig')
    found = []
    for i, asked in enumerate((words, ['--config', tmp_path / 'run.toml'])):
        status, _, err = on_digits('run', *asked, '--results-root', tmp_path / str(i))
        assert status == 0, err
        found.append([(tmp_path / str(i) / 'DenseVAE_on_MNIST/mine' / name).read_bytes()
                      for name in ('config.json', 'vae.params')])
    assert found[0] == found[1]


@pytest.mark.parametrize('text, said', [
    ('lr = fast', 'not TOML ('), ('\0', 'not TOML ('), ('x = ' + '[' * 9999, 'not TOML ('),
    ('experiment = 3', 'experiment=3: expected a name, in quotes'),
    ('name = ["x"]', "name=['x']: expected a name, in quotes"),
    ('experiment = "DenseVAE"', "unknown experiment 'DenseVAE'"),
    ('lr = 0.1', 'one of the arguments NAME --match is required, or --config with'),
    ('depth = 3', 'depth=3: expected a field of data, '),
    ('lr = "0.1"', "lr='0.1': expected float"), ('n_latent = 5.0', 'n_latent=5.0: expected int'),
    ('n_latent = [3, 4]', 'n_latent=[3, 4]: expected int'), ('seed = true', 'seed=True: expected'),
    ('mirror = true', 'mirror=True: expected one of no, yes'), ('lr = 0', 'lr=0.0: expected'),
    ('n_latent = "none"', "n_latent='none': expected int"),
    ('kl_weight = 1' + 400 * '0', 'kl_weight=inf: expected a finite number'),
    ('seed = 0x1' + 9999 * '0', 'run.toml: Exceeds the limit'),
    ('initial = "0123abcd"', "initial='0123abcd': expected --from a run")])
def test_bad_file_is_one_line(dry, capsys, text, said):
    words = [SOLO] if 'experiment' not in text and text != 'lr = 0.1' else []
    try:
        status, rows, err = dry(text, *words)
    except SystemExit as stop:  # argparse's
        status, rows, err = stop.code, [], capsys.readouterr().err
    line, = err.splitlines()
    assert status == 2 and line.startswith('error: ') and said in line and not rows
    if 'experiment' not in said and 'NAME' not in said and 'initial' not in said:
        assert 'run.toml: ' in line


@pytest.mark.parametrize('path, said', [
    ('gone.toml', 'gone.toml: No such file'), ('.', 'Is a directory'), ('~no-one/x', 'no such')])
def test_file_that_cannot_be_read_is_one_line(cli, tmp_path, monkeypatch, capsys, path, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli(['run', '--config', path, '--dry-run'])
    line, = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and said in line
