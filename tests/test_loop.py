"""The loop: phases, weights, means, draws; eager and hybridized alike."""
from dataclasses import replace

import numpy as np
import pytest
from mxnet import cpu, nd

import models
from data.images import Images
from data.loading import Dataset
from training.commands.wiring import build_nets
from training.evaluation.trained_net import TrainedNet
from training.experiments.registry import EXPERIMENTS, Experiment
from training.run import loop
from training.steps import rng, solo_combo
from training.steps.networks import make_networks

SHAPE = (1, 6, 6)
ROW = Experiment(name='', data='MNIST', vae='DenseVAE', n_latent=2,
                 n_hlayers=1, n_hnodes=4, disc='DenseLogReg',
                 disc_hlayers=1, disc_hnodes=3, solo_epochs=1, combo_epochs=1, batch_size=8)


def images(n: int) -> np.ndarray:
    return np.random.default_rng(2).random((n, *SHAPE)).astype(np.float32)


def networks(row: Experiment):
    vae, disc = models.build_vae(row, SHAPE), models.build_discriminator(row)
    return make_networks(row, vae, disc, SHAPE, cpu())


def train(row: Experiment, nets=None, n: int = 20) -> list[dict]:
    nets = nets or networks(row)
    return [{k: v for k, v in record.items() if k != 'seconds'}
            for record in loop.train(nets, images(n), images(9), row, cpu())]


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


def test_solo_epochs_come_first_and_the_short_batch_is_kept(seen):
    records = train(replace(ROW, solo_epochs=2))
    assert [record['phase'] for record in records] == ['solo', 'solo', 'combo']
    assert [record['epoch'] for record in records] == [0, 1, 2]
    assert [(kind, n) for kind, n, _ in seen] == [('solo', 8), ('solo', 8), ('solo', 4)] * 2 + [
        ('combo', 8), ('combo', 8), ('combo', 4)]
    assert records[0]['pixel'] == pytest.approx((8 + 8 + 4) / 3)  # a mean over batches


def test_limit_takes_the_first_images(seen):
    train(replace(ROW, limit=11))
    assert [n for _, n, _ in seen] == [8, 3, 8, 3]


def pixel_weights(seen) -> list[float]:
    return [weights.pixel for kind, _, weights in seen if kind == 'combo']


def test_pixel_weight_decays_every_25th_epoch_counting_solo_ones(seen):
    train(replace(ROW, solo_epochs=20, combo_epochs=32, pbp_weight=2.0, pbp_decay=0.5,
                  batch_size=32))
    # after epochs 24 and 49 of 0 .. 51
    assert pixel_weights(seen) == [2.0] * 5 + [1.0] * 25 + [0.5] * 2


def test_pixel_weight_does_not_decay_in_solo_epochs(seen):
    train(replace(ROW, solo_epochs=30, combo_epochs=2, pbp_decay=0.5, batch_size=32))
    assert pixel_weights(seen) == [1.0, 1.0]


def test_kl_weight_grows_evenly_over_its_warmup(seen):
    train(replace(ROW, solo_epochs=3, combo_epochs=3, batch_size=32, kl_weight=2.0, kl_warmup=4))
    assert [weights.kl for _, _, weights in seen] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    seen.clear()
    train(replace(ROW, solo_epochs=1, combo_epochs=1, batch_size=32, kl_weight=0.25))
    assert [weights.kl for _, _, weights in seen] == [0.25, 0.25]


def test_discriminator_weight_grows_evenly_over_combo_epochs(seen):
    records = train(replace(ROW, solo_epochs=2, combo_epochs=5, batch_size=32, disc_weight=8.0,
                            disc_warmup=4, pbp_weight=3.0, kl_weight=0.5, max_disc_loss=5))
    grown = [2.0, 4.0, 6.0, 8.0, 0.0]  # the gate, too
    assert [weights.adversarial for kind, _, weights in seen if kind == 'combo'] == grown
    assert [record['weight_adversarial'] for record in records] == [None, None, *grown]
    assert [record['weight_pixel'] for record in records] == [1.0] * 2 + [3.0] * 5
    assert {record['weight_kl'] for record in records} == {0.5}


def test_gate_switches_the_adversarial_term_off_after_a_worse_epoch(seen):
    train(replace(ROW, solo_epochs=0, combo_epochs=4, max_disc_loss=2, batch_size=32,
                  disc_weight=3.0))
    assert [weights.adversarial for _, _, weights in seen] == [3.0, 3.0, 3.0, 0.0]


@pytest.mark.parametrize('step', ['published', 'shared'])
def test_eager_and_hybridized_agree_to_the_bit(step):
    results = []
    for hybridized in (True, False):
        nets = networks(replace(ROW, step=step))
        nets.vae.hybridize(hybridized)
        nets.disc.hybridize(hybridized)
        records = train(replace(ROW, step=step), nets)
        results.append((records, [p.data().asnumpy().tolist() for net in (nets.vae, nets.disc)
                                  for p in net.collect_params().values()]))
    assert results[0] == results[1]


def test_seed_decides_everything():
    assert train(ROW) == train(ROW)
    assert train(ROW) != train(replace(ROW, seed=1))


def test_initial_weights_do_not_depend_on_what_was_drawn_before():
    first = networks(ROW).vae.collect_params().values()
    nd.random.uniform(shape=(7,))
    again = networks(ROW).vae.collect_params().values()
    assert all((a.data() == b.data()).asnumpy().all() for a, b in zip(first, again, strict=True))


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
    assert sorted(rng.order(0, 3, 50)) == list(range(50))
    assert (rng.order(0, 3, 50) != rng.order(0, 4, 50)).any()


def test_held_out_loss_is_kl_plus_pixel_loss():
    row, x = replace(ROW, batch_size=4), images(9)
    nets = networks(row)
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
    nets, x = networks(row), np.concatenate([images(1000), np.ones((300, *SHAPE), np.float32)])
    first, more, fewer = (solo_combo.held_out_losses(nets, x[:n], row, cpu())['val_loss']
                          for n in (1000, 1300, 800))
    assert first == more and first == pytest.approx(fewer, rel=0.01) and first != fewer


@pytest.mark.parametrize('row', [
    replace(ROW, combo_epochs=0), replace(ROW, solo_epochs=0),
    replace(ROW, solo_epochs=0, step='shared'),
    replace(EXPERIMENTS['ConvDecoder_ResNet_on_anime/512_32_200'], vae_base_channels=1,
            n_latent=2, disc='ConvDisc', disc_base_channels=1, combo_epochs=1, batch_size=8),
    *(replace(EXPERIMENTS['VAEGAN_on_MNIST/paper_5_3_400_1_200_50'], n_latent=2, n_hlayers=1,
              n_hnodes=4, disc_hnodes=3, batch_size=8, combo_epochs=1, routing=routing)
      for routing in ('separate', 'accumulated'))],
    ids=['solo', 'published', 'shared', 'gan', 'vaegan', 'accumulated'])
def test_a_short_batch_is_trained_as_a_whole_one_of_its_size(row):
    """Its losses are means over its images, and its gradients those of such means."""
    shape = SHAPE if row.data == 'MNIST' else (3, 64, 64)
    x = np.random.default_rng(2).random((5, *shape)).astype(np.float32)
    found = []
    for size in (8, 5):
        of_size = replace(row, batch_size=size)
        vae, disc, similarity = build_nets(of_size, shape)
        nets = make_networks(of_size, vae, disc, shape, cpu(), feature_disc=similarity)
        record, = loop.train(nets, x, x, of_size, cpu())
        found.append(({k: v for k, v in record.items() if k != 'seconds'},
                      {k: v.asnumpy().tolist() for k, v in nets.arrays().items()}))
    assert found[0] == found[1]


def test_more_pictures_begin_with_the_same_ten():
    nets, x = networks(ROW), Images(np.uint8(255 * images(20).transpose(0, 2, 3, 1)))
    net = TrainedNet(ROW, None, nets.vae, cpu(), Dataset(x, x))
    ten, twenty = net.draw_again(), net.draw_again(20)
    assert ten.shape == (10, 6, 6, 1) and ten.std() > 0
    np.testing.assert_allclose(twenty[:10].astype(int), ten, atol=1)  # a last bit may round
