"""Checkpoints: a run that was cut off anywhere ends as one that was not, to the bit."""
import functools
import random
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mxnet import cpu
from mxnet.gluon import nn

import models
from tests.processes import ROOT, Run, talking_to_the_end
from training.experiments.registry import Experiment
from training.run import loop
from training.steps import phases
from training.steps.networks import make_networks
from training.storage import checkpoint_file, checkpoints
from training.storage.unfinished import checkpoints_in

SHAPE = (1, 6, 6)
ROW = Experiment(name='', data='MNIST', vae='DenseVAE', n_latent=2,
                 n_hlayers=1, n_hnodes=4, disc='DenseLogReg',
                 disc_hlayers=1, disc_hnodes=3, solo_epochs=2, combo_epochs=2, batch_size=8,
                 pbp_weight=2.0)
IMAGES = np.random.default_rng(2).random((20, *SHAPE)).astype(np.float32)
N_BATCHES = 3
SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
CONV = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/1024_32_64_200_10_1'


def networks(row=ROW, ctx=None, disc=None):
    return make_networks(row, models.build_vae(row, SHAPE),
                         disc or models.build_discriminator(row), SHAPE, ctx or [cpu()])


def train(nets, row, ctx=None, progress=None, on_batch=lambda *_: None) -> list[dict]:
    progress = progress or phases.Progress()
    for _ in loop.train(nets, IMAGES, IMAGES[:9], row, ctx or [cpu()], progress, on_batch):
        pass
    return [{k: v for k, v in record.items() if k != 'seconds'} for record in progress.records]


def values(nets) -> dict[str, bytes]:
    return {name: array.asnumpy().tobytes() for name, array in nets.arrays().items()}


def with_layer(layer) -> Callable:
    """What makes networks whose discriminator has such a layer."""
    def make(row, ctx):
        disc = nn.HybridSequential()
        disc.add(nn.Dense(8), layer(), nn.Dense(1))
        return networks(row, ctx, disc)
    return make


ANY = range(1, 4 * N_BATCHES + 1)
CASES = {  # row, what makes its networks, devices, the batches after which it is cut off
    'published': (ROW, networks, None, ANY),
    'shared': (replace(ROW, step='shared'), networks, None, ANY),
    'dropout': (replace(ROW, solo_epochs=0), with_layer(lambda: nn.Dropout(0.5)), None, [4]),
    'running statistics of two devices': (
        replace(ROW, solo_epochs=1), with_layer(nn.BatchNorm), [cpu(0), cpu(1)], [2, 4, 6, 8]),
    'pixel weight and gate': (
        replace(ROW, solo_epochs=0, combo_epochs=6, pbp_decay=0.5, max_disc_loss=1.386,
                decay_interval=2), networks, None, [4 * N_BATCHES + 1])}


@pytest.mark.parametrize('row, make, ctx, batches', CASES.values(), ids=CASES)
def test_run_cut_after_any_batch_ends_the_same(row, make, ctx, batches, tmp_path):
    nets, seen = make(row, ctx), []

    def on_batch(phase, progress, n_batches):
        seen.append(progress.batch)
        if len(seen) in batches:
            (tmp_path / str(len(seen))).mkdir()
            checkpoints.save(tmp_path / str(len(seen)), nets, progress)
    whole = train(nets, row, ctx, on_batch=on_batch), values(nets)
    if ctx:
        assert whole[1]['disc/1.running_mean'] != whole[1]['disc/1.running_mean@1']
    undisturbed = make(row, ctx)
    assert (train(undisturbed, row, ctx), values(undisturbed)) == whole
    for at in batches:
        again = make(row, ctx)
        progress = checkpoints.last(tmp_path / str(at), again, row, len(IMAGES))
        assert progress.batch == seen[at - 1]
        assert (train(again, row, ctx, progress), values(again)) == whole, at


@pytest.fixture
def saved(tmp_path) -> list[Path]:
    """The checkpoints of a run after its 7th and its 8th batch, in which both nets are trained."""
    nets = networks()

    def on_batch(phase, progress, n_batches):
        if N_BATCHES * len(progress.records) + progress.batch in (7, 8):
            checkpoints.save(tmp_path, nets, progress)
    train(nets, ROW, on_batch=on_batch)
    return checkpoints_in(tmp_path)


def assert_refused(path: Path, nets, row=ROW) -> None:
    before = values(nets)
    with pytest.raises(checkpoints.CheckpointError, match='not a whole checkpoint of this run'):
        checkpoint_file.load(path, nets, phases.plan(row), N_BATCHES)
    assert values(nets) == before


def test_the_last_two_are_kept_and_the_older_one_stands_in(tmp_path, capsys):
    nets = networks()
    for _ in range(2):
        for batch in range(1, 4):
            progress = phases.Progress(batch=batch, sums=np.ones(3, np.float32))
            checkpoints.save(tmp_path, nets, progress)
    old, new = checkpoints_in(tmp_path)
    assert {*tmp_path.iterdir()} == {old, new}
    new.write_bytes(new.read_bytes()[:-1])
    assert checkpoints.last(tmp_path, nets, ROW, len(IMAGES)).batch == 2
    assert str(new) in capsys.readouterr().err
    old.write_bytes(b'')
    with pytest.raises(checkpoints.CheckpointError, match='--fresh starts over'):
        checkpoints.last(tmp_path, nets, ROW, len(IMAGES))


def test_a_changed_byte_anywhere_is_refused(saved):
    content, nets = saved[-1].read_bytes(), networks()
    rng = np.random.default_rng(0)
    for at in [*range(0, 400, 9), *rng.integers(400, len(content), 150)]:
        saved[-1].write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        assert_refused(saved[-1], nets)


@pytest.mark.parametrize('change', [
    {'n_hnodes': 5}, {'n_hlayers': 2}, {'disc_hnodes': 4}, {'solo_epochs': 1},
    {'solo_epochs': 0, 'combo_epochs': 1}])
def test_checkpoint_of_another_row_is_refused(change, saved):
    other = replace(ROW, **change)
    assert_refused(saved[-1], networks(other), other)


def test_save_that_fails_keeps_what_is_there(saved, tmp_path, monkeypatch):
    before = {path: path.read_bytes() for path in saved}
    monkeypatch.setattr(checkpoint_file.files.os, 'fsync', lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoints.save(tmp_path, networks(),
                         phases.Progress(batch=2, sums=np.ones(3, np.float32)))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# The real command, as a process of its own


RUNS = {
    'dense solo': [SOLO, '--epochs', '60'],
    'dense combo': [COMBO, '--epochs', '40', '--set', 'n_hnodes=100'],
    'conv combo': [CONV, '--epochs', '5+35', '--set', 'n_latent=8', '--set',
                   'vae_base_channels=2', '--set', 'disc_base_channels=4', '--set',
                   'batch_size=8'],
}


@pytest.fixture(scope='module')
def whole(tmp_path_factory, data_root):
    """What a run of these words leaves if nothing disturbs it."""
    return functools.cache(lambda *words: Run(
        [*words], tmp_path_factory.mktemp('whole'), data_root).whole())


def is_writing(root: Path) -> bool:
    return any(root.glob('*/*.unfinished/.*checkpoint*.tmp'))


@pytest.mark.slow
@pytest.mark.parametrize('kind', RUNS)
def test_run_killed_25_times_ends_as_one_that_was_not(kind, tmp_path, data_root, whole):
    killed, rng, in_writing = Run(RUNS[kind], tmp_path, data_root), random.Random(0), 0
    for i in range(25):
        process = killed.start()
        time.sleep(rng.uniform(0, 0.6))
        deadline = time.monotonic() + 2
        while i % 3 == 0 and not is_writing(killed.root) and time.monotonic() < deadline:
            pass
        assert process.poll() is None, f'ended before it was killed for the {i + 1}th time'
        in_writing += is_writing(killed.root)
        process.kill()
        process.communicate()
        assert not list(killed.root.glob('*/*/README.md'))
    assert in_writing >= 4
    assert 'going on after ' in killed.finish()
    assert killed.result() == whole(*RUNS[kind])
    assert not [p for p in killed.folder().iterdir() if p.name.startswith(('.', 'checkpoint'))]


def not_under_nohup() -> None:
    """Hear SIGHUP, also where whoever runs the tests does not."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize('signum, status', [
    (signal.SIGINT, 130), (signal.SIGHUP, 129),
    pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)])
def test_signal_writes_a_checkpoint_and_says_how_to_go_on(signum, status, tmp_path, data_root,
                                                          whole):
    arguments = [SOLO, '--epochs', '8', '--set', 'n_hnodes=16']
    run = Run(arguments, tmp_path / 'stopped', data_root)
    process = run.start(env=talking_to_the_end(tmp_path) | {'PWD': str(ROOT)},
                        preexec_fn=not_under_nohup)
    time.sleep(0.3)
    process.send_signal(signum)
    output = process.communicate()[0]
    last = output.splitlines()[-1]
    assert process.returncode == status
    assert 'stopped after ' in last and ' epochs' in last and 'Traceback' not in output
    assert last.endswith(f'go on with: {shlex.join(run.command)}')  # as it was typed
    assert checkpoints_in(run.unfinished())
    assert run.whole() == whole(*arguments)


@pytest.mark.slow
def test_second_signal_stops_at_once(tmp_path, data_root):
    run = Run([SOLO, '--epochs', '12', '--set', 'n_hnodes=16'], tmp_path, data_root)
    process = run.start()
    time.sleep(0.3)
    for signum in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        process.send_signal(signum)  # the second and the third while it is stopped
    output = process.communicate()[0]
    assert process.returncode in (130, 143) and 'Traceback' not in output
    assert 'stopped after ' not in output
    run.finish()
