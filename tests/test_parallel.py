"""A batch over several devices and over several workers: the same training."""
import functools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mxnet import cpu, nd
from mxnet.gluon import nn

import models
from tests.test_models import shape_of, shrunk
from training.experiments import kinds
from training.experiments.registry import EXPERIMENTS, Experiment
from training.run import loop
from training.runtime import launch, parallel
from training.steps.networks import make_networks

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE, LR = 1e-5, 1e-4
NAME = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'


def assert_same(ours: dict, theirs: dict) -> None:
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert np.abs(ours[name] - value).max() <= TOLERANCE, name


# What is a batch's, not an image's, each device has of its part: minibatch discrimination, the
# masks of dropout, BatchNorm's means; `equilibrium` is refused on several devices.
ASIDE = {'dropout': 0.0, 'minibatch_kernels': 0, 'equilibrium': None, 'n_validation': 8}
VAE_GAN = replace(EXPERIMENTS['VAEGAN_on_MNIST/paper_5_3_400_1_200_50'], n_latent=3, n_hlayers=1,
                  n_hnodes=6, disc_hnodes=4)
OPTIONS = [{'routing': 'accumulated'}, {'fakes': 'samples'}, {'fakes': 'reconstructions'},
           {'similarity_pass': 'own'}, {'similarity_pass': 'own', 'disc_batches': 'together'},
           {'similarity': 'logit', 'likelihood': 'mean_square'}, {'gan_term': 'saturating'},
           {'kl_normaliser': 'latents'}, {'kl_normaliser': 'pixels'}, {'optimizer': 'rmsprop'},
           {'adam_beta1': 0.5}, {'real_low': 0.8, 'fake_high': 0.2, 'flips': 0.3},
           {'routing': 'accumulated', 'similarity': 'logit', 'kl_normaliser': 'pixels',
            'fakes': 'samples', 'similarity_pass': 'own', 'flips': 0.3}]


def kinds_of_rows() -> list:
    """A row of each kind in the registry, small, with each of its steps; and each option."""
    rows = {}
    for row in EXPERIMENTS.values():
        epochs = {field: min(1, getattr(row, field)) for field in ('solo_epochs', 'combo_epochs')
                  if field in row.fields()}
        small = replace(shrunk(row), batch_size=8, **epochs, **{
            field: value for field, value in ASIDE.items() if field in row.fields()})
        if row.disc == 'ResNet':  # of millions of weights rounding alone moves the next gradients
            small = replace(small, disc_base_channels=2)
        for step in row.STEPS if row.combo_epochs and row.encodes else [row.step]:
            key = [row.vae, row.disc, step, *(getattr(row, field) for field in (
                'encoder', 'routing') if field in row.fields())]
            rows['-'.join(map(str, key))] = small if row.kind is kinds.VAEGAN else replace(
                small, step=step, pbp_weight=0.7)
    for option in OPTIONS:
        rows['-'.join(f'{k}={v}' for k, v in option.items())] = replace(
            VAE_GAN, batch_size=8, combo_epochs=1, **option)
    cases = [(row, 2, name) for name, row in rows.items()] + [
        (replace(row, solo_epochs=1), 3, f'{name} on three') for name, row in rows.items()
        if row.disc == 'DenseLogReg' and row.kind is kinds.SOLO_COMBO]
    return [pytest.param(row, n_devices, id=name,
                         marks=[pytest.mark.slow] * bool(row.vae_base_channels))
            for row, n_devices, name in cases]


@pytest.fixture
def each_image_by_itself(monkeypatch):
    """BatchNorm normalises by its running statistics, in training too."""
    monkeypatch.setattr(nn, 'BatchNorm', functools.partial(nn.BatchNorm, use_global_stats=True))


def networks_after_two_steps(row: Experiment, n_devices: int):
    """The row's nets after an epoch of 13 images: batches of 8 and 5."""
    shape, ctx = shape_of(row), [cpu(i) for i in range(n_devices)]
    images = np.random.default_rng(2).random((13, *shape)).astype(np.float32)
    vae, disc = models.build_vae(row, shape), None
    if row.combo_epochs:
        disc = models.build_discriminator(row, shape)
    similarity = models.build_similarity(disc, row) if row.kind is kinds.VAEGAN else None
    nets = make_networks(row, vae, disc, shape, ctx, feature_disc=similarity)
    records = list(loop.train(nets, images, images[:9], row, ctx))
    return records, nets


@pytest.mark.parametrize('row, n_devices', kinds_of_rows())
def test_devices_train_every_kind_of_row_as_one_does(row, n_devices, each_image_by_itself):
    row = replace(row, lr=LR)
    (one, alone), (two, split) = (networks_after_two_steps(row, n) for n in (1, n_devices))
    expected = {name: array.asnumpy() for name, array in alone.arrays().items()}
    assert any('.mean/' in name for name in expected)
    for name, array in split.arrays().items():
        if '@' in name:  # a second device's running statistics
            continue
        whole = expected.pop(name)
        apart = np.abs(array.asnumpy() - whole)
        if '.' in name.split('/')[0]:  # Adam's mean or variance
            assert apart.max() <= 5 * TOLERANCE * np.abs(whole).max(), name
        else:  # the step of a gradient that is next to nothing has the sign of its rounding error
            assert np.sqrt((apart ** 2).mean()) <= 0.1 * LR, name
    assert not expected
    for net in (split.vae, split.disc)[:1 + bool(row.combo_epochs)]:
        for parameter in net.collect_params().values():
            first, *others = (array.asnumpy() for array in parameter.list_data())
            assert len(others) == n_devices - 1
            assert all((other == first).all() for other in others), parameter.name
    for ours, theirs in zip(two, one, strict=True):
        for term, value in theirs.items():
            if term != 'seconds' and isinstance(value, float):
                assert ours[term] == pytest.approx(value, rel=1e-4, abs=1e-5), term


def test_devices_of_a_run_are_named_in_its_configuration(cli, tmp_path, mnist_root):
    arguments = ['run', NAME, '--epochs', '1', '--limit', '40', '--set', 'batch_size=20',
                 '--results-root', str(tmp_path), '--data-root', str(mnist_root)]
    status, _, err = cli([*arguments, '--ctx', 'cpu:0,cpu:1'])
    assert status == 0, err
    config, = tmp_path.rglob('config.json')
    assert json.loads(config.read_text())['device'].startswith('cpu:0, cpu:1 (')


@pytest.mark.parametrize('spec', ['cpu:0,cpu:0', 'cpu,', 'cpu:0,gpu', ',', 'cpu;cpu:1'])
def test_devices_that_cannot_share_are_refused(spec, cli, tmp_path, mnist_root):
    status, _, err = cli(['run', NAME, '--ctx', spec, '--results-root', str(tmp_path),
                          '--data-root', str(mnist_root)])
    assert status == 2 and '--ctx' in err and err.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_a_batch_too_small_to_share_is_refused():
    with pytest.raises(parallel.ParallelError, match='a batch of 1 images'):
        parallel.check_split(17, 8, 2)
    parallel.check_split(18, 8, 2)


def test_one_worker_is_no_job():
    alone = parallel.Workers()
    array = nd.array([1, 2])
    assert alone.total(array) is array and alone.agree(True) and not alone.agree(False)
    assert alone.part(np.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_workers_need_a_job(cli, tmp_path, mnist_root):
    places = ['--results-root', str(tmp_path), '--data-root', str(mnist_root)]
    status, _, err = cli(['run', NAME, '--kvstore', 'dist_sync', *places])
    assert status == 2 and 'training launch' in err and err.count('\n') == 1
    status, _, err = cli(['run', NAME, '--kvstore', 'dist_async', *places])
    assert status == 2 and 'dist_async: expected dist_sync' in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('options', [['list'], [], ['--workers', '0', 'run', NAME],
                                     ['--servers', '0', 'run', NAME],
                                     ['run', NAME, '--epochs', '0'], ['run', 'no/such'],
                                     ['run', NAME, '--set', 'vae_base_channels=-1'],
                                     ['--hosts', 'no.such.host.invalid', 'run', NAME]], ids=str)
def test_launch_refuses_what_it_cannot_start(cli, options):
    status, _, err = cli(['launch', *options])
    assert status == 2 and err.startswith('error: ') and err.count('\n') == 1


def test_launched_processes_start_where_the_project_is():
    assert (launch.ROOT / 'training' / '__main__.py').is_file()


def command(*arguments: str, results: Path, data: Path) -> list[str]:
    return [sys.executable, '-m', 'training', *arguments, '--epochs', '1+1',
            '--results-root', str(results), '--data-root', str(data)]


def parameters(results: Path) -> dict[str, np.ndarray]:
    files = sorted(results.rglob('*.params'))
    return {f'{file.name} {name}': value.asnumpy() for file in files
            for name, value in nd.load(str(file)).items()}


@pytest.fixture
def shell() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(('DMLC_', 'PS_'))}


@pytest.mark.slow
def test_two_workers_do_what_one_does(tmp_path, mnist_root, shell):
    """Few steps: the discriminator's game makes rounding errors grow."""
    for results, arguments in (('one', ['run', NAME]),
                               ('two', ['launch', '--workers', '2', 'run', NAME])):
        done = subprocess.run(command(*arguments, '--set', 'batch_size=54',
                                      results=tmp_path / results, data=mnist_root),
                              cwd=ROOT, env=shell, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    one, two = parameters(tmp_path / 'one'), parameters(tmp_path / 'two')
    assert len(one) > 10
    assert_same(two, one)
    config, = (tmp_path / 'two').rglob('config.json')
    assert 'on each of 2 workers' in config.read_text()
