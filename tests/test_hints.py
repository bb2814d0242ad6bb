"""What leads a user on: hints, `list`, and commands over several runs at once."""
import fcntl
import os
import shlex
import shutil
from types import SimpleNamespace

import pytest
from mxnet import cpu

from data import fetch
from data.loading import load
from training.commands import repeating, wiring
from training.experiments import naming
from training.experiments.registry import EXPERIMENTS
from training.reporting import run_readme, verify
from training.run import train
from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
FOLDER = 'DenseVAE_on_MNIST/5_3_400_bce_1_n64'  # of SOLO, one epoch of 64 images


@pytest.fixture
def run(on_digits, tmp_path):
    return lambda command, *words: on_digits(command, *words, '--results-root', tmp_path)


@pytest.mark.parametrize('words, said', [
    *(([option, ''], f"{option}: '': ") for option in (  # as of a variable that is not set
        '--data-root', '--held-out', '--results-root', '--log', '--tensorboard', '--config')),
    *(([f'{option}=~nobody-of-that-name/x'], "'~nobody-of-that-name/x': no such home folder")
      for option in ('--data-root', '--results-root', '--tensorboard')),
    (['--fres', '--dry-run'], '--fres')])  # options are written out
def test_options_that_cannot_be_meant_are_refused_in_one_line(cli, capsys, words, said):
    with pytest.raises(SystemExit) as stopped:
        cli(['run', SOLO, *words])
    line, = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and said in line


def test_list_prints_to_a_terminal_without_a_size(cli, monkeypatch):
    monkeypatch.setattr(shutil, 'get_terminal_size', lambda: os.terminal_size((0, 0)))
    assert cli(['list'])[0] == 0


@pytest.mark.parametrize('before, kept', [
    ('', []), ("--results-root '/a b/it'\"'\"'s' --seed 1", ['--seed', '1']),
    ('--set x=1 --results-root /a/b', ['--set', 'x=1']), ('--results-root=/a', []),
    ('--data-root "/a --results-root b"', ['--data-root', '/a --results-root b'])])
def test_command_leads_to_where_the_results_are_now(tmp_path, before, kept):
    words = f'python -m training run {SOLO}'
    assert [shlex.split(naming.in_root(f'{words} {before}', root))
            for root in (tmp_path, naming.RESULTS / 'images')] == [
        [*words.split(), *kept, '--results-root', str(tmp_path)], [*words.split(), *kept]]


def test_command_edited_by_hand_stays_as_it_is():
    command = f"python -m training run {SOLO} --data-root 'half"
    assert naming.without_root(command) == command


def test_stopped_run_that_replaces_another_goes_on_as_list_says(run, cli, tmp_path, cut_off):
    words = 'run', SOLO, '--epochs', 1, '--limit', 64
    assert run(*words)[0] == 0
    cut_off(run, *words, '--force')
    listed = cli(['list', '--match', SOLO, '--results-root', str(tmp_path)])[1]
    line, = (line for line in listed.splitlines() if 'go on with' in line)
    status, out, err = cli([*shlex.split(line.split('go on with: ')[1])[3:], '--ctx', 'cpu'])
    assert status == 0 and 'going on after 1 of 1' in out, err


def test_several_runs_are_measured_but_for_those_on_other_data(run, tmp_path):
    for limit in (64, 65):
        assert run('run', SOLO, '--epochs', 1, '--limit', limit)[0] == 0
    config, measured = sorted(tmp_path.glob('*/*/config.json'))
    config.write_text(config.read_text().replace('"sha256": "', '"sha256": "0'))
    status, out, err = run('evaluate', '--match', '*')
    assert status == 0 and out.count('| DenseVAE_on_MNIST/') == 1
    assert f'passed over: {config}: trained on data with sha256' in err
    measured.unlink()
    status, _, err = run('evaluate', '--match', '*')
    assert status == 2 and 'and its data here' in err.splitlines()[-1]


def test_folder_is_held_while_what_belongs_together_is_written(run, tmp_path, monkeypatch):
    assert run('run', SOLO, '--epochs', 1, '--limit', 64)[0] == 0
    write, held = run_readme.write_readme, []

    def look(folder, published):
        descriptor = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        held.append(folder)
        write(folder, published)
    monkeypatch.setattr(run_readme, 'write_readme', look)
    assert run('evaluate', '--match', '*')[0] == 0 and held == [tmp_path / FOLDER]


def test_paths_that_are_no_text_are_compared_as_they_were_written(run, tmp_path, monkeypatch):
    assert run('run', SOLO, '--epochs', 1, '--limit', 64)[0] == 0
    folder, readme, path = tmp_path / FOLDER, run_readme.readme, os.fsdecode(b'fac\xe9s')
    monkeypatch.setattr(run_readme, 'readme', lambda *words: f'{readme(*words)}{path}\n')
    run_readme.write_readme(folder, {})
    run_folder.update_checksums(folder, 'README.md')
    assert verify.check(folder, {}).problems == []
    run_folder.mark_replaced(folder, f'run --data-root {path}')
    assert run_folder.is_replaced(folder, f'run --data-root {path}')
    assert not run_folder.is_replaced(folder, 'run --data-root faces')


@pytest.mark.parametrize('n_workers, goes_on', [
    (1, 'python -m training run DenseVAE_on_MNIST/5_3_400_bce_50'),
    (2, 'python -m training launch --workers 2 run NAME')])
def test_a_job_goes_on_as_a_job(mnist_root, tmp_path, monkeypatch, n_workers, goes_on):
    row, dataset = EXPERIMENTS[SOLO], load('MNIST', mnist_root)
    monkeypatch.setattr(train, 'train', lambda *words: words[5])
    options = wiring.train_row(row, dataset, [cpu()], train.Options(
        tmp_path, 'python -m training launch --workers 2 run NAME', False, False, 10),
        workers=SimpleNamespace(count=n_workers))
    assert train._config(row, dataset, 'cpu', options)[run_folder.RESUME] == goes_on


def test_places_of_a_job_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'faces').mkdir()
    words = ['run', SOLO, '--data-root', 'faces', '--results-root=new', '--held-out', '0.3',
             '--held-out', 'faces', '--from', 'five', '--seed', '1']
    assert repeating.absolute(words) == [
        'run', SOLO, '--data-root', f'{tmp_path}/faces', f'--results-root={tmp_path}/new',
        '--held-out', '0.3', '--held-out', f'{tmp_path}/faces', '--from', 'five', '--seed', '1']


def test_run_goes_on_with_other_pictures_on_the_way(run, cut_off):
    words = ('run', 'VAEGAN_on_MNIST/paper_5_3_400_1_200_50', '--epochs', 2, '--limit', 64,
             '--set', 'n_hnodes=8', '--set', 'disc_hnodes=8', '--name', 'mine')
    cut_off(run, *words, '--set', 'grid_every=15', '--keep-checkpoint')
    status, out, err = run(*words, '--set', 'grid_from=1', '--keep-checkpoint')
    assert status == 0 and 'going on after 2 of 2' in out, err
    status, out, err = run(*words, '--more', 1)
    assert status == 0 and 'going on after 2 of 3' in out, err
    status, out, err = run(*words, '--more', 2, '--toml')
    assert status == 0 and 'mine' not in out and '--name mine' in err


def test_showing_a_longer_run_downloads_nothing(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, 'download', lambda *_: pytest.fail('downloads'))
    status, _, err = cli(['run', SOLO, '--more', '1', '--dry-run', '--results-root',
                          str(tmp_path)])
    assert status == 2 and 'no checkpoint.safetensors' in err


def test_run_begins_with_a_net_whose_weights_were_drawn_otherwise(run, tmp_path):
    words = ('run', 'VAEGAN_on_MNIST/A_64_100', '--epochs', 1, '--limit', 100, '--set',
             'vae_base_channels=2', '--set', 'disc_base_channels=2', '--set', 'n_hnodes=4',
             '--set', 'disc_hnodes=4', '--set', 'n_classified=0')
    assert run(*words, '--set', 'weights=normal', '--set', 'norm_momentum=0.99', '--name',
               'base')[0] == 0
    assert run(*words, '--from', 'base')[0] == 0
