"""A batch over several devices and over several workers: the same training."""
import functools
from dataclasses import replace

import numpy as np
import pytest
from mxnet import cpu
from mxnet.gluon import nn

from tests.processes import Job, Run
from tests.test_jobs import small
from tests.test_models import shape_of
from training.commands.wiring import build_nets
from training.experiments import kinds
from training.experiments.registry import EXPERIMENTS, Experiment
from training.run import loop
from training.runtime import parallel
from training.steps.networks import make_networks
from training.storage import parameters, run_folder

TOLERANCE, LR = 1e-5, 1e-4
NAME = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
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
        small_row = small(row.name, **{
            field: value for field, value in ASIDE.items() if field in row.fields()})
        if row.disc == 'ResNet':  # of millions of weights rounding alone moves the next gradients
            small_row = replace(small_row, disc_base_channels=2)
        for step in row.STEPS if row.combo_epochs and row.encodes else [row.step]:
            key = [row.vae, row.disc, step, *(getattr(row, field) for field in (
                'encoder', 'routing') if field in row.fields())]
            rows['-'.join(map(str, key))] = small_row if row.kind is kinds.VAEGAN else replace(
                small_row, step=step, pbp_weight=0.7)
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
    vae, disc, features = build_nets(row, shape)
    nets = make_networks(row, vae, disc, shape, ctx, feature_disc=features)
    return list(loop.train(nets, images, images[:9], row, ctx)), nets


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


def test_devices_of_a_run_are_named_in_its_configuration(on_digits, tmp_path):
    status, _, err = on_digits('run', NAME, '--epochs', 1, '--limit', 40, '--set',
                               'batch_size=20', '--ctx', 'cpu:0,cpu:1')
    assert status == 0, err
    folder, = run_folder.finished_runs(tmp_path / 'results').values()
    assert run_folder.read_config(folder)['device'].startswith('cpu:0, cpu:1 (')


@pytest.mark.parametrize('words, message', [
    *((['--ctx', devices], '--ctx') for devices in (
        'cpu:0,cpu:0', 'cpu,', 'cpu:0,gpu', ',', 'cpu;cpu:1')),
    (['--kvstore', 'dist_sync'], 'training launch'),
    (['--kvstore', 'dist_async'], 'dist_async: expected dist_sync')], ids=str)
def test_what_cannot_share_a_batch_is_refused(on_digits, tmp_path, words, message):
    status, _, err = on_digits('run', NAME, *words)
    assert status == 2 and message in err and err.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_a_batch_too_small_to_share_is_refused():
    with pytest.raises(parallel.ParallelError, match='a batch of 1 images'):
        parallel.check_split(17, 8, 2)
    parallel.check_split(18, 8, 2)


@pytest.mark.parametrize('options', [['list'], [], ['--workers', '0', 'run', NAME],
                                     ['--servers', '0', 'run', NAME],
                                     ['run', NAME, '--epochs', '0'], ['run', 'no/such'],
                                     ['run', NAME, '--set', 'vae_base_channels=-1'],
                                     ['--hosts', 'no.such.host.invalid', 'run', NAME]], ids=str)
def test_launch_refuses_what_it_cannot_start(cli, options):
    status, _, err = cli(['launch', *options])
    assert status == 2 and err.startswith('error: ') and err.count('\n') == 1


@pytest.mark.slow
def test_two_workers_do_what_one_does(tmp_path, mnist_root):
    """Few steps: the discriminator's game makes rounding errors grow."""
    words = [NAME, '--epochs', '1+1', '--set', 'batch_size=54']
    one, two = Run(words, tmp_path / 'one', mnist_root), Job(words, tmp_path / 'two', mnist_root)
    for run in (one, two):
        run.finish(timeout=120)
    for name in ('vae.params', 'disc.params'):
        ours, theirs = (parameters.read(run.folder() / name) for run in (two, one))
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert np.abs(ours[key] - value).max() <= TOLERANCE, key
    assert 'on each of 2 workers' in run_folder.read_config(two.folder())['device']
