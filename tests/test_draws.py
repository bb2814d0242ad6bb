"""What a run draws: initial weights, masks, and noise that nothing else sees."""
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from mxnet import autograd, cpu, nd
from mxnet.gluon import HybridBlock, nn

from data.images import Images
from data.loading import Dataset
from tests.test_models import networks_of, shrunk
from tests.test_resume import IMAGES, ROW, networks
from tests.test_vaegan import SMALL, setting
from training.evaluation import classifier
from training.evaluation.trained_net import FOR_CLASSES, FOR_GRID, TrainedNet
from training.experiments.registry import EXPERIMENTS
from training.run import loop
from training.runtime import parallel
from training.steps import rng, vaegan

NETS = {row.nets: replace(row, disc_base_channels=2) if row.disc == 'ResNet' else row
        for row in EXPERIMENTS.values() if row.combo_epochs}  # each pair of nets once


def initial_weights(row) -> dict[str, np.ndarray]:
    return {name: array.asnumpy() for name, array in networks_of(row).arrays().items()}


@pytest.mark.parametrize('row', NETS.values(), ids=NETS)
def test_every_seed_begins_with_weights_of_its_own(row):
    first, again, other = (initial_weights(replace(shrunk(row), seed=seed)) for seed in (3, 3, 4))
    drawn = [name for name, values in first.items() if np.ptp(values) > 0]
    assert len({name.split('/')[0] for name in drawn}) >= 2  # of all nets
    for name in first:
        assert (first[name] == again[name]).all(), name
    for name in drawn:
        assert (first[name] == other[name]).mean() < 0.02, name


@pytest.mark.parametrize('row', NETS.values(), ids=NETS)
def test_initial_weights_are_xaviers_or_their_systems(row):
    """Up to the root of 6 / (inputs + outputs), of B 1 / inputs, of the paper 1 / (3 inputs).

    Of a transposed convolution outputs count as its inputs. Biases are of B alone.
    """
    of_b, of_paper, n_checked = 'VAE_B' in row.nets, 'VAE_paper' in row.nets, 0
    wide = {'n_latent': 10, 'n_hnodes': 40, 'disc_hnodes': 40}
    row = replace(shrunk(row), **{k: v for k, v in wide.items() if getattr(row, k) is not None})
    arrays = initial_weights(row)
    for name, values in arrays.items():
        last = name.rpartition('.')[2]
        if last == 'weight':
            area = math.prod(values.shape[2:])
            ends = values.shape[0] * area, values.shape[1] * area
            bound = (ends[1] ** -0.5 if of_b else (3 * ends[1]) ** -0.5 if of_paper
                     else (6 / sum(ends)) ** 0.5)
        elif last == 'bias' and of_b:
            bound = arrays[name.replace('bias', 'weight')].shape[1] ** -0.5
        else:
            assert (values == (last in ('gamma', 'running_var'))).all(), name
            continue
        assert np.abs(values).max() <= bound * 1.0001, name
        if values.size >= 30:
            n_checked += 1
            assert np.abs(values).max() > 0.85 * bound, name
            assert values.std() == pytest.approx(bound / 3 ** 0.5, rel=0.25), name
    assert n_checked >= (7 if of_b else 3)


def test_every_epoch_of_every_seed_sees_each_image_once_in_an_order_of_its_own():
    class Seen:
        def __len__(self):
            return 20

        def __getitem__(self, indices):
            order.extend(indices.tolist())
            return IMAGES[indices]
    orders = []
    for seed in (0, 1):
        order, row = [], replace(ROW, solo_epochs=2, combo_epochs=1, seed=seed)
        assert len([*loop.train(networks(row), Seen(), IMAGES, row, cpu())]) == 3
        orders += [tuple(order[i:i + 20]) for i in (0, 20, 40)]
    assert all(sorted(one) == [*range(20)] for one in orders) and len(set(orders)) == 6


A = shrunk(EXPERIMENTS['VAEGAN_on_MNIST/A_64_100'])


@pytest.mark.parametrize('optimizer', ['adam', 'rmsprop'])
def test_nets_step_by_the_rates_of_their_schedules(optimizer):
    """Each optimizer has its own, by its net's losses so far."""
    row = replace(A, schedule='lr2', lr=0.5, n_validation=9, optimizer=optimizer)
    nets = networks_of(row)
    records = [{'val_enc_loss': 1.0, 'val_dec_loss': -epoch, 'val_disc_loss': 9 * (epoch < 9)}
               for epoch in range(11)]
    rates = vaegan.set_rates(nets, row, records)
    expected = {'encoder': 0.5 * 0.85, 'decoder': 0.5, 'disc': 0.5}
    assert {name: trainer.learning_rate for name, trainer in nets.trainers.items()} == expected
    assert [*rates.values()] == [*expected.values()]


def test_annealed_rates_fall_with_the_epochs():
    """From 0.025 to 1e-5 over 250 epochs, as the paper's authors have it for 64 images."""
    row = replace(A, schedule='annealed', lr=0.025, combo_epochs=250)
    nets = networks_of(row)
    for epoch, expected in ((0, 0.025), (1, 0.0246027), (100, 0.0124307), (249, 8.5008e-5)):
        rates = vaegan.set_rates(nets, row, [{}] * epoch)
        assert [*rates.values()] == pytest.approx(3 * [expected], rel=1e-3)


class Watched(nn.Dropout):
    """Dropout that keeps its masks."""

    def __init__(self, masks: list):
        super().__init__(0.5)
        self.masks = masks

    def hybrid_forward(self, F, x):
        mask = super().hybrid_forward(F, F.ones_like(x))
        if F is nd and autograd.is_training():
            self.masks.append(mask.asnumpy().tobytes())
        return x * mask


def test_every_batch_of_every_epoch_drops_others(monkeypatch):
    """And every seed and worker: as often as not another half, of 64 and more."""
    monkeypatch.setattr(HybridBlock, 'hybridize', lambda *args, **options: None)
    masks = []
    for seed, rank in ((0, 0), (0, 1), (1, 0)):
        disc, workers = nn.HybridSequential(), parallel.Workers()
        disc.add(nn.Dense(16), Watched(masks), nn.Dense(1))
        row = replace(ROW, solo_epochs=0, combo_epochs=2, seed=seed)
        nets = networks(row, disc=disc)
        assert nets.has_dropout
        workers.rank = rank
        assert len([*loop.train(nets, IMAGES, IMAGES, row, cpu(), workers=workers)]) == 2
    assert len(masks) >= 3 * 2 * 3 and len(set(masks)) == len(masks)


def shown(z: nd.NDArray) -> nd.NDArray:
    """A decoder that draws latents (b, z) as brightness, 0.5 + z / 10, in as many pixels."""
    return 0.5 + z.reshape((len(z), 1, 1, -1)) / 10


def rows_of(pictures: np.ndarray) -> list[bytes]:
    return [picture.tobytes() for picture in pictures]


def vae(x: nd.NDArray, eps: nd.NDArray) -> tuple:
    """A net that adds its noise to the image."""
    return x + shown(eps) - 0.5, None, None


vae.decoder = shown
LATENTS = replace(ROW, n_latent=12)
GREY = Images(np.full((260, 1, 12, 1), 128, np.uint8))


def net_of(row, held_out=GREY) -> TrainedNet:
    return TrainedNet(row, None, vae, cpu(), Dataset(held_out, held_out))


def test_every_sample_is_of_noise_of_its_own():
    """Of hundreds and of fixed sets, of seeds, and beside validation pictures."""
    net, other = (net_of(replace(LATENTS, seed=seed)) for seed in (0, 1))
    sets = [rows_of(drawn) for one in (net, other) for drawn in (
        one.fixed_samples(250, FOR_GRID), one.fixed_samples(250, FOR_CLASSES),
        one.draw_again(250))] + [rows_of(net.sample(250, seed)) for seed in (0, 1)]
    assert len({row for one in sets for row in one}) == len(sets) * 250
    for n in (10, 130):  # a set begins alike, however much of it is drawn
        assert rows_of(net.fixed_samples(n)) == sets[0][:n]
        assert rows_of(net.draw_again(n)) == sets[2][:n]
        assert rows_of(net.sample(n, 0)) == sets[-2][:n]


def test_every_reconstruction_is_of_its_own_image():
    pixels = np.random.default_rng(0).integers(0, 256, (260, 1, 12, 1), np.uint8)
    row = replace(LATENTS, seed=2)
    noise = np.random.default_rng((2, rng.PICTURES, 0, 0, 0)).standard_normal(
        (250, 12), np.float32).reshape(250, 1, 12, 1)
    expected = np.clip(pixels[:250] / 255 + noise / 10, 0, 1) * 255
    assert np.abs(net_of(row, Images(pixels)).draw_again(250) - expected).max() <= 0.51


def test_training_held_out_and_pictures_share_no_noise(on_digits, monkeypatch):
    """Of two seeds: each array that a run draws is seen for one purpose only."""
    drawn, noise = {}, rng.noise

    def watched(*key):
        caller = sys._getframe(1).f_code
        array = noise(*key)
        place = caller.co_filename, caller.co_name, key[4] if caller.co_name == '_noise' else 0
        drawn.setdefault((seed, place), []).append(array.ravel()[:3].tobytes())
        return array
    monkeypatch.setattr(rng, 'noise', watched)
    monkeypatch.setattr(classifier, 'fit', lambda *_: lambda pixels: (None, [0] * len(pixels)))
    for seed in (0, 1):
        status, _, err = on_digits('run', 'VAEGAN_on_MNIST/B_20_50', '--epochs', 2, '--seed', seed,
                                   *setting(*SMALL, 'n_classified=10', 'n_validation=20',
                                            'grid_from=1'))
        assert status == 0, err
    assert len(drawn) == 2 * 5  # training, held out, ten pictures, samples, and their classes
    places = [set(arrays) for arrays in drawn.values()]
    assert sum(map(len, places)) == len(set.union(*places))
    training = [arrays for (_, place), arrays in drawn.items() if place[0] == loop.__file__]
    assert [len(arrays) for arrays in training] == 2 * [2 * 3 * 2]  # epochs, batches, latents
    assert all(len(set(arrays)) == len(arrays) for arrays in training)
