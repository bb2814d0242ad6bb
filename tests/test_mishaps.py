"""What goes wrong on the way, on disks and in folders, and how a user goes on from there."""
import errno
import itertools
import json
import os
import re
import shlex
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.readmes import IMAGES
from training.experiments import early_stopping, registry
from training.reporting import pictures
from training.run import loop, train
from training.runtime import signals
from training.storage import checkpoints, run_folder
from training.storage.unfinished import checkpoints_in

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
FEW = ['--limit', '64', '--set', 'n_hnodes=8']


@pytest.fixture
def run(on_digits):
    return lambda *words: on_digits('run', SOLO, *FEW, *words)


@pytest.fixture
def results(tmp_path) -> Path:
    return tmp_path / 'results'


@pytest.fixture
def stop(run, results, monkeypatch):
    """Stop a run of these words after its first epoch; return its folder."""
    def call(*words: str) -> Path:
        save = checkpoints.save

        def save_and_stop(*arguments):
            save(*arguments)
            signal.raise_signal(signal.SIGTERM)
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, 'save', save_and_stop)
            status, _, err = run(*words)
        assert status == 143 and 'go on with: ' in err, err
        folder, = results.glob(f'*/*{run_folder.UNFINISHED}')
        return folder
    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


# Sweeps and divergence


def test_sweep_goes_on_after_a_run_that_diverges(run, results):
    for _ in range(2):
        status, out, err = run('--epochs', '2', '--set', 'lr=1e8,1e-2')
        assert status == 2
        (failed, found), = re.findall(r'^(DenseVAE.*_lr-100000000.0): (diverged in .*)', err, re.M)
        assert err.splitlines()[-1] == f'error: 1 of 2 runs have failed: {failed}'
        (name,) = run_folder.finished_runs(results)
        assert 'lr-0.01' in name and 'learning rate 0.01' in out


def test_epoch_without_a_finite_held_out_loss_is_never_the_best():
    row = registry.changed(registry.get(SOLO), ['keep=best'])
    records = [{'val_loss': loss} for loss in (float('nan'), 1.0, 0.5, float('inf'), None)]
    assert early_stopping.kept_epoch(row, records) == 2


# Unfinished runs


def test_list_says_all_that_lets_a_run_go_on(cli, stop, run, results, tmp_path):
    folder = stop('--epochs', '2', '--keep-checkpoint', '--snapshot-every', '1', '--tensorboard',
                  str(tmp_path / 'my board'))
    line, = (line for line in cli(['list', '--results-root', str(results)])[1].splitlines()
             if line.startswith('unfinished: '))
    command = line.partition('; go on with: ')[2]
    assert {'--keep-checkpoint', '--snapshot-every', str(tmp_path / 'my board'), '--data-root',
            str(results)} <= {*shlex.split(command)}
    status, out, err = cli([*shlex.split(command)[3:], '--ctx', 'cpu'])
    assert status == 0 and 'going on after 1 of 2 epochs' in out, err
    finished = folder.with_name(folder.name.removesuffix(run_folder.UNFINISHED))
    assert (finished / run_folder.KEPT_CHECKPOINT).exists()
    assert (finished / 'strip_002.png').exists()
    assert run_folder.RESUME not in run_folder.read_config(finished)
    assert '--keep-checkpoint' not in run_folder.read_config(finished)['command']


def test_held_out_loss_that_is_not_finite_ends_a_run_as_list_says(cli, run, stop, results,
                                                                  monkeypatch):
    folder, plan = stop('--epochs', '3'), loop.plan
    before = checkpoints_in(folder)
    monkeypatch.setattr(loop, 'plan', lambda row: [
        replace(phase, watch=lambda *_: {'val_loss': float('nan')}) for phase in plan(row)])
    status, _, err = run('--epochs', '3')
    assert status == 2 and 'diverged in epoch 1 (solo, 2 of 3), batch 1: val_loss not' in err
    assert checkpoints_in(folder) == before and not run_folder.finished_runs(results)
    out = cli(['list', '--results-root', str(results)])[1]
    line, = (line for line in out.splitlines() if line.startswith('unfinished: '))
    assert 'diverged, and would again' in line and 'go on with' not in line


def test_folder_that_lost_its_suffix_is_left_alone(stop, run, results):
    folder = stop('--epochs', '2')
    renamed = folder.rename(folder.with_name(folder.name.removesuffix(run_folder.UNFINISHED)))
    before = contents(renamed)
    for words in ([], ['--seed', '0,1']):
        status, _, err = run('--epochs', '2', *words)
        assert status == 2 and err.splitlines()[-1].startswith(f'error: {renamed}: there already, '
                                                               'and not a finished run (no SHA')
        assert contents(renamed) == before
    assert not run_folder.finished_runs(results)
    renamed.rename(folder)
    status, out, err = run('--epochs', '2')
    assert status == 0 and 'going on after 1 of 2 epochs' in out, err


def cut_checkpoints(folder: Path) -> None:
    for path in checkpoints_in(folder):
        path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize('spoil, message', [
    (lambda folder: (folder / run_folder.CONFIG).unlink(),
     'config.json: No such file or directory; --fresh starts over'),
    (lambda folder: (folder / run_folder.CONFIG).write_text('{'), 'config.json: not JSON '),
    (cut_checkpoints, 'safetensors: not a whole checkpoint of this run ')])
def test_damaged_unfinished_run_says_how_to_start_over(stop, run, spoil, message):
    spoil(stop('--epochs', '2'))
    status, _, err = run('--epochs', '2')
    assert status == 2 and err.count(message) == err.count('--fresh starts over') == 1
    assert 'go on with' not in err
    assert run('--epochs', '2', '--fresh')[0] == 0


def test_signal_while_results_are_written_says_how_to_go_on(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(train, '_finish', lambda *_: signals.at_once(signal.SIGTERM, None))
        status, _, err = run('--epochs', '1')
    assert status == 143 and 'interrupted; the last checkpoint stays; go on with: ' in err
    status, out, err = run('--epochs', '1')
    assert status == 0 and 'going on after 1 of 1 epochs' in out, err


def test_run_folder_on_another_disk_is_replaced_more_than_once(run, results, tmp_path):
    assert run('--epochs', '1')[0] == 0
    (name, folder), = run_folder.finished_runs(results).items()
    elsewhere = Path(shutil.move(folder, tmp_path / 'elsewhere'))
    folder.symlink_to(elsewhere)
    for _ in range(2):
        status, _, err = run('--epochs', '1', '--force')
        assert status == 0, err
    assert [*run_folder.finished_runs(results)] == [name]
    assert not [*results.glob(f'*/*{run_folder.UNFINISHED}')]


@pytest.mark.parametrize('number, expected', [(errno.ENOLCK, 0), (errno.EIO, 2)])
def test_disk_that_knows_no_locks_is_said(run, monkeypatch, number, expected):
    def refuse(*_):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr('training.storage.files.fcntl.flock', refuse)
    status, _, err = run('--epochs', '1')
    assert status == expected and os.strerror(number) in err
    assert ('cannot be locked' in err) == (expected == 0)


# Finished runs


def test_damaged_strip_of_originals_is_no_mans_land(run, results):
    strip = results / 'MNIST_test_images' / pictures.STRIP
    strip.parent.mkdir(parents=True)
    strip.write_bytes(content := b'\x89PNG\r\n\x1a\n')
    status, _, err = run('--epochs', '1')
    assert status == 0 and strip.read_bytes() == content, err
    beside, = results.glob('MNIST_test_images_*')
    assert np.asarray(Image.open(beside / pictures.STRIP)).std() > 10


def test_damaged_strip_is_named(cli, results, tmp_path):
    runs = SOLO, SOLO.replace('bce', 'l2')
    for name in runs:
        shutil.copytree(IMAGES / name, results / name)
    strip = results / runs[1] / pictures.STRIP
    strip.write_bytes(strip.read_bytes()[:strip.stat().st_size // 2])
    status, _, err = cli(['compare', *runs, '--out', str(tmp_path / 'a.png'), '--results-root',
                          str(results)])
    assert (status, err) == (2, f'error: {strip}: expected a PNG picture, found none\n')
    assert not (tmp_path / 'a.png').exists()


def test_copies_of_a_run_are_told_apart(cli, on_digits, run, results):
    assert run('--epochs', '1', '--name', 'mine')[0] == 0
    folder = results / 'DenseVAE_on_MNIST' / 'mine'
    shutil.copytree(folder, folder.with_name('mine_backup'))
    status, out, err = on_digits('evaluate', '--match', '*mine*', '--json')
    assert status == 0 and {*json.loads(out)} == {'DenseVAE_on_MNIST/mine',
                                                  'DenseVAE_on_MNIST/mine_backup'}, err
    listed = cli(['list', '--results-root', str(results)])[1]
    assert 'DenseVAE_on_MNIST/mine_backup, called mine, ' in ' '.join(listed.split())


@pytest.mark.parametrize('spoil', [
    lambda text: 'a,b\n1,2\n', lambda text: text.replace('solo_epoch_seconds', 'solo', 1),
    lambda text: text.replace('0', 'x')])
def test_table_of_times_that_is_none_is_named_before_anything_is_timed(cli, tmp_path, monkeypatch,
                                                                       spoil):
    path = tmp_path / 'timing.csv'
    shutil.copytree(IMAGES / SOLO, tmp_path / SOLO)
    path.write_text(spoil((IMAGES.parent / 'timing.csv').read_text()))
    before = path.read_text()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path.with_suffix('.png'))
    monkeypatch.setattr('training.commands.timing._epoch_seconds', lambda *_: pytest.fail())
    for words in (['time', '--match', SOLO, '--steps', '1'], ['report']):
        status, _, err = cli([*words, '--results-root', str(tmp_path)])
        assert status == 2 and len(err.splitlines()) == 1
        assert err.startswith(f'error: {path}: expected experiment, step, kind')
        assert path.read_text() == before


# TensorBoard


def test_full_disk_of_the_board_ends_a_run_in_one_line(run, results, tmp_path, monkeypatch):
    from tensorboardX.record_writer import RecordWriter
    flushes = itertools.count(1)

    def flush(writer):
        if next(flushes) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(RecordWriter, 'flush', flush)
        status, _, err = run('--epochs', '3', '--tensorboard', str(tmp_path / 'board'))
    assert status == 2 and 'Traceback' not in err
    line = err.splitlines()[-1]
    assert line.startswith(f'error: {tmp_path}/board/{SOLO.split("/")[0]}/') and (
        'No space left on device; the last checkpoint stays' in line)
    folder, = results.glob(f'*/*{run_folder.UNFINISHED}')
    assert len(checkpoints_in(folder)) == 1
