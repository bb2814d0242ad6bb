"""The loop: phases, weights, means, draws; eager and hybridized alike."""
from dataclasses import replace

import numpy as np
import pytest
from mxnet import cpu, nd

from tests.test_models import FACES, networks_of
from training.experiments.registry import EXPERIMENTS, Experiment
from training.run import loop
from training.steps import rng, solo_combo

SHAPE = (1, 6, 6)
ROW = Experiment(name='', data='MNIST', vae='DenseVAE', n_latent=2,
                 n_hlayers=1, n_hnodes=4, disc='DenseLogReg',
                 disc_hlayers=1, disc_hnodes=3, solo_epochs=1, combo_epochs=1, batch_size=8)


def images(n: int, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(2).random((n, *shape)).astype(np.float32)


def train(row: Experiment, nets=None, x=None) -> list[dict]:
    x = images(20) if x is None else x
    return [{k: v for k, v in record.items() if k != 'seconds'}
            for record in loop.train(nets or networks_of(row, SHAPE), x, x[:9], row, cpu())]


@pytest.fixture
def seen(monkeypatch):
    """Steps that only note what they were given; disc_loss counts the combo steps."""
    noted = []

    def solo(networks, x, draw, weights):
        noted.append(('solo', len(x), weights))
        return nd.array([1, 2, len(x)])

    def combo(networks, x, draw, weights):
        noted.append(('combo', len(x), weights))
        return nd.array([0, len(noted), 0, 0, 0, 0, 0])

    monkeypatch.setattr(solo_combo, 'solo', solo)
    monkeypatch.setattr(solo_combo, 'COMBO_STEPS', {'published': combo})
    return noted


@pytest.mark.parametrize('limit, sizes', [(None, [8, 8, 4]), (11, [8, 3])])
def test_solo_epochs_come_first_and_the_short_batch_is_kept(seen, limit, sizes):
    records = train(replace(ROW, solo_epochs=2, limit=limit))
    assert [record['phase'] for record in records] == ['solo', 'solo', 'combo']
    assert [record['epoch'] for record in records] == [0, 1, 2]
    assert [(kind, n) for kind, n, _ in seen] == [
        (record['phase'], n) for record in records for n in sizes]
    assert records[0]['pixel'] == pytest.approx(np.mean(sizes))  # a mean over batches


@pytest.mark.parametrize('fields, term, expected', [
    # The pixel weight decays after every 25th epoch, counting solo ones: 24 and 49 of 0 .. 51
    (dict(solo_epochs=20, combo_epochs=32, pbp_weight=2.0, pbp_decay=0.5), 'pixel',
     [2.0] * 5 + [1.0] * 25 + [0.5] * 2),
    (dict(solo_epochs=30, combo_epochs=2, pbp_decay=0.5), 'pixel', [1.0, 1.0]),  # not in those
    # KL's grows evenly over its warm-up, of epochs of both kinds
    (dict(solo_epochs=3, combo_epochs=3, kl_weight=2.0, kl_warmup=4), 'kl',
     [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]),
    (dict(kl_weight=0.25), 'kl', [0.25, 0.25]),
    # The gate switches the adversarial term off after a worse epoch
    (dict(solo_epochs=0, combo_epochs=4, max_disc_loss=2, disc_weight=3.0), 'adversarial',
     [3.0, 3.0, 3.0, 0.0])])
def test_weights_of_epochs(seen, fields, term, expected):
    train(replace(ROW, batch_size=32, **fields))
    assert [getattr(weights, term) for kind, _, weights in seen
            if kind == 'combo' or term == 'kl'] == expected


def test_discriminator_weight_grows_evenly_over_combo_epochs(seen):
    records = train(replace(ROW, solo_epochs=2, combo_epochs=5, batch_size=32, disc_weight=8.0,
                            disc_warmup=4, pbp_weight=3.0, kl_weight=0.5, max_disc_loss=5))
    grown = [2.0, 4.0, 6.0, 8.0, 0.0]  # the gate, too
    assert [weights.adversarial for kind, _, weights in seen if kind == 'combo'] == grown
    assert [record['weight_adversarial'] for record in records] == [None, None, *grown]
    assert [record['weight_pixel'] for record in records] == [1.0] * 2 + [3.0] * 5
    assert {record['weight_kl'] for record in records} == {0.5}


@pytest.mark.parametrize('step', ['published', 'shared'])
def test_eager_and_hybridized_agree_to_the_bit(step):
    row, results = replace(ROW, step=step), []
    for hybridized in (True, False):
        nets = networks_of(row, SHAPE)
        nets.vae.hybridize(hybridized)
        nets.disc.hybridize(hybridized)
        results.append((train(row, nets), [p.data().asnumpy().tolist() for net in (
            nets.vae, nets.disc) for p in net.collect_params().values()]))
    assert results[0] == results[1]


def test_draws_depend_on_their_key_alone():
    keys = [(seed, purpose, epoch, batch, which) for seed in (0, 1) for purpose in (1, 2)
            for epoch in (0, 1) for batch in (0, 1) for which in (0, 1)]
    drawn = [rng.noise(*key, (3, 2)).tobytes() for key in keys]
    assert len(set(drawn)) == len(keys)
    assert rng.noise(*keys[5], (3, 2)).tobytes() == drawn[5]
    seeds = {rng.seed(*key) for key in np.ndindex(2, 3, 3, 2)}  # of dropout
    assert len(seeds) == 36 and rng.seed(1, 2, 2, 1) in seeds
    many = np.sort(rng.noise(*keys[0], (1000, 100)).ravel())
    # the normal distribution's quantiles, from tables
    for part, quantile in ((0.025, -1.96), (0.25, -0.6745), (0.5, 0), (0.8413, 1), (0.975, 1.96)):
        assert many[int(part * many.size)] == pytest.approx(quantile, abs=0.02)
    assert (rng.order(0, 3, 50) != rng.order(0, 4, 50)).any()


def test_held_out_loss_is_kl_plus_pixel_loss():
    row, x = replace(ROW, batch_size=4), images(9)
    nets = networks_of(row, SHAPE)
    total = 0.0
    for batch, start in enumerate((0, 4, 8)):
        part = x[start:start + 4].astype(np.float64)
        eps = rng.noise(row.seed, rng.HELD_OUT, 0, batch, 0, (len(part), 2))
        x_hat, mean, logvar = (v.asnumpy().astype(np.float64)
                               for v in nets.vae(nd.array(part), nd.array(eps)))
        total += -0.5 * (1 + logvar - mean ** 2 - np.exp(logvar)).sum()
        total -= (part * np.log(x_hat + 1e-10) + (1 - part) * np.log(1 - x_hat + 1e-10)).sum()
    assert solo_combo.held_out_losses(nets, x, row, cpu())['val_loss'] == pytest.approx(
        total / 9, rel=1e-5)


def test_held_out_loss_is_a_mean_over_the_first_thousand():
    row = replace(ROW, batch_size=200)
    nets = networks_of(row, SHAPE)
    x = np.concatenate([images(1000), np.ones((300, *SHAPE), np.float32)])
    first, more, fewer = (solo_combo.held_out_losses(nets, x[:n], row, cpu())['val_loss']
                          for n in (1000, 1300, 800))
    assert first == more and first == pytest.approx(fewer, rel=0.01) and first != fewer


@pytest.mark.parametrize('row', [
    replace(ROW, combo_epochs=0), replace(ROW, solo_epochs=0),
    replace(ROW, solo_epochs=0, step='shared'),
    replace(EXPERIMENTS['ConvDecoder_ResNet_on_anime/512_32_200'], vae_base_channels=1,
            n_latent=2, disc='ConvDisc', disc_base_channels=1, combo_epochs=1),
    *(replace(EXPERIMENTS['VAEGAN_on_MNIST/paper_5_3_400_1_200_50'], n_latent=2, n_hlayers=1,
              n_hnodes=4, disc_hnodes=3, combo_epochs=1, routing=routing)
      for routing in ('separate', 'accumulated'))],
    ids=['solo', 'published', 'shared', 'gan', 'vaegan', 'accumulated'])
def test_a_short_batch_is_trained_as_a_whole_one_of_its_size(row):
    """Its losses are means over its images, and its gradients those of such means."""
    shape, found = SHAPE if row.data == 'MNIST' else FACES, []
    for size in (8, 5):
        of_size = replace(row, batch_size=size)
        nets = networks_of(of_size, shape)
        found.append((train(of_size, nets, images(5, shape)), {
            name: array.asnumpy().tolist() for name, array in nets.arrays().items()}))
    assert found[0] == found[1]
