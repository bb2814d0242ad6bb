"""A VAE/GAN's step against plain NumPy, which loss reaches which net, and what is refused."""
import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import autograd, cpu, nd, random, sym
from PIL import Image

import models
from data.images import Images
from tests.test_steps import BATCH, LR, MLP, SHAPE, Z, add, batch, sigmoid
from training.experiments import kinds, registry
from training.experiments.registry import EXPERIMENTS, ExperimentError
from training.experiments.row import VaeGan
from training.reporting import pictures
from training.reporting.statistics import read_classes, read_csv, read_statistics
from training.steps import losses, reference, rng, schedules, vaegan, vaegan_losses
from training.steps.networks import make_networks
from training.steps.solo_combo import Weights
from training.storage import run_folder
from training.studies import STUDIES
from training.studies import vaegan as study

TOLERANCE = 1e-5  # relative to each array's largest value
ROWS = [name for name, row in EXPERIMENTS.items() if isinstance(row, VaeGan)]
GAMMA, BETA, WEIGHT = 0.3, 0.7, 1.9
DENSE = VaeGan(name='', data='MNIST', vae='DenseVAE', n_latent=Z,
               n_hlayers=2, n_hnodes=7, disc='DenseLogReg',
               disc_hlayers=1, disc_hnodes=5, combo_epochs=1, lr=LR, similarity='dense1',
               gamma=GAMMA, beta=BETA, disc_weight=WEIGHT, batch_size=BATCH)


def networks_of(row, shape=SHAPE):
    vae, disc = models.build_vae(row, shape), models.build_discriminator(row, shape)
    return make_networks(row, vae, disc, shape, cpu(),
                         feature_disc=models.build_similarity(disc, row))


def draw(which: int, width: int = Z) -> nd.NDArray:
    return nd.array(np.random.default_rng(which).standard_normal((BATCH, width)))


class Reference:
    """The three nets in NumPy, one batch through them, and the gradients of its losses."""

    def __init__(self, row, nets, x, draw=draw):
        self.row, self.x = row, x.reshape(BATCH, -1).astype(np.float64)
        self.encoder, self.decoder = MLP(nets.vae.encoder), MLP(nets.vae.decoder)
        self.disc = MLP(nets.disc)
        code, self.encoder_tape = self.encoder.forward(self.x)
        self.mean, self.logvar = code[:, :Z], code[:, Z:]
        self.eps = draw(0).asnumpy()
        self.fakes = [self.decode(self.mean + np.exp(self.logvar / 2) * self.eps),
                      self.decode(draw(1).asnumpy())]
        images = self.x, *(fake.image for fake in self.fakes)
        self.real, *self.fake_logits = map(self.discriminate, images)
        self.seen = {'both': [0, 1], 'reconstructions': [0], 'samples': [1]}[row.fakes]

    def decode(self, z):
        logit, tape = self.decoder.forward(z)
        return SimpleNamespace(image=sigmoid(logit), tape=tape)

    def discriminate(self, images):
        logit, tape = self.disc.forward(images)
        features = logit if self.row.similarity == 'logit' else tape[1]
        return SimpleNamespace(logit=logit, tape=tape, features=features)

    def terms(self):
        kl = (-0.5 * (1 + self.logvar - self.mean ** 2 - np.exp(self.logvar))).sum(1).mean()
        apart = self.fake_logits[0].features - self.real.features
        if self.row.likelihood == 'gaussian':
            similarity = (apart ** 2 / 2 + np.log(2 * np.pi) / 2).sum(1).mean()
        else:
            similarity = (apart ** 2).mean()
        logits = [self.fake_logits[i].logit for i in self.seen]
        if self.row.gan_term == 'saturating':
            gan = sum(np.log(1 - sigmoid(v)).mean() for v in logits)
        else:
            gan = -sum(np.log(sigmoid(v)).mean() for v in logits)
        disc = -np.log(sigmoid(self.real.logit)).mean() - sum(
            np.log(1 - sigmoid(v)).mean() for v in logits)
        return {'enc_loss': kl * self.kl_weight() + BETA * similarity,
                'dec_loss': GAMMA * similarity + WEIGHT * gan, 'disc_loss': disc, 'kl': kl,
                'similarity': similarity, 'gan': gan,
                'disc_real_accuracy': (self.real.logit > 0).mean(),
                'disc_fake_accuracy': np.mean([v < 0 for v in logits])}

    def kl_weight(self):
        return {'images': 1, 'latents': 1 / Z, 'pixels': BATCH / self.row.batch_size / 16}[
            self.row.kl_normaliser]

    def d_disc(self):
        """Of the discriminator's loss: its parameters, and each fake image."""
        gradients, _ = self.disc.backward(self.real.tape, (sigmoid(self.real.logit) - 1) / BATCH)
        d_images = [0, 0]
        for i in self.seen:
            own, d_images[i] = self.disc.backward(self.fake_logits[i].tape,
                                                  sigmoid(self.fake_logits[i].logit) / BATCH)
            gradients = add(gradients, own)
        return gradients, d_images

    def d_gan(self):
        """Of the decoder's GAN term: each fake image."""
        d_images = [0, 0]
        for i in self.seen:
            towards = sigmoid(self.fake_logits[i].logit)
            d_logit = -towards if self.row.gan_term == 'saturating' else towards - 1
            _, d_images[i] = self.disc.backward(self.fake_logits[i].tape, d_logit / BATCH)
        return d_images

    def d_similarity(self):
        """Of the similarity: the reconstruction."""
        apart = self.fake_logits[0].features - self.real.features
        d = apart / BATCH * (1 if self.row.likelihood == 'gaussian' else 2 / apart.shape[1])
        if self.row.similarity == 'logit':
            return self.disc.backward(self.fake_logits[0].tape, d)[1]
        return (d * (self.fake_logits[0].tape[1] > 0)) @ self.disc.layers[0][0]

    def through_decoder(self, d_images):
        """The decoder's parameters, and z of the reconstruction."""
        gradients, d_z = None, 0
        for i, fake in enumerate(self.fakes):
            if np.ndim(d_images[i]):
                own, d = self.decoder.backward(fake.tape, d_images[i] * fake.image
                                               * (1 - fake.image))
                gradients = add(gradients, own) if gradients else own
                d_z = d if i == 0 else d_z
        return gradients, d_z

    def through_encoder(self, d_z, kl_weight):
        d_mean = d_z + kl_weight * self.mean / BATCH
        d_logvar = (d_z * self.eps * np.exp(self.logvar / 2) / 2
                    + kl_weight * (np.exp(self.logvar) - 1) / 2 / BATCH)
        return self.encoder.backward(self.encoder_tape, np.concatenate([d_mean, d_logvar], 1))[0]

    def separate(self):
        """Each net's gradient of its own loss."""
        gan, similarity = self.d_gan(), self.d_similarity()
        decoder, _ = self.through_decoder([GAMMA * similarity + WEIGHT * gan[0],
                                           WEIGHT * gan[1]])
        _, d_z = self.through_decoder([BETA * similarity, 0])
        return {'encoder': self.through_encoder(d_z, self.kl_weight()), 'decoder': decoder,
                'disc': self.d_disc()[0]}

    def accumulated(self):
        """B's: what every loss leaves with every net, through the weights as they then stand."""
        disc, d_images = self.d_disc()
        decoder, d_z = self.through_decoder(d_images)
        encoder = self.through_encoder(d_z, 0)
        self.step(self.disc, disc)
        gan, similarity = self.d_gan(), self.d_similarity()
        own, d_z = self.through_decoder([GAMMA * similarity + WEIGHT * gan[0], WEIGHT * gan[1]])
        decoder, encoder = add(decoder, own), add(encoder, self.through_encoder(d_z, 0))
        self.step(self.decoder, decoder)
        _, d_z = self.through_decoder([BETA * self.d_similarity(), 0])
        encoder = add(encoder, self.through_encoder(d_z, self.kl_weight()))
        return {'encoder': encoder, 'decoder': decoder, 'disc': disc}

    def step(self, net, gradients):
        """Adam's first; what was kept of the forward pass stays as it was."""
        updated = net.adam(gradients)
        net.layers = list(zip(updated[::2], updated[1::2], strict=True))


def stepped(row, nets, x, draw=draw) -> np.ndarray:
    """The terms of a step on images x (b, c, h, w), once it is done."""
    return vaegan.step_of(row)(nets, nd.array(x), draw, Weights(1, 1, BATCH)).asnumpy()


def gradients_in(nets) -> dict[str, list[np.ndarray]]:
    return {name: [p.grad().asnumpy() for p in ps] for name, ps in nets.parameters.items()}


def values_in(nets) -> dict[str, list[np.ndarray]]:
    return {name: [p.data().asnumpy() for p in ps] for name, ps in nets.parameters.items()}


def apart(left: dict, right: dict) -> set[str]:
    """Which nets' arrays are not the same to the bit."""
    return {name for name in left if not all(
        np.array_equal(a, b) for a, b in zip(left[name], right[name], strict=True))}


def assert_near(ours, reference):
    for own, expected in zip(ours, reference, strict=True):
        np.testing.assert_allclose(own, expected.reshape(own.shape), rtol=0,
                                   atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize('by', ['compiled', 'one by one', 'as on a GPU'])
@pytest.mark.parametrize('changes', [
    {}, {'similarity': 'logit', 'likelihood': 'mean_square'}, {'gan_term': 'saturating'},
    {'kl_normaliser': 'latents'}, {'kl_normaliser': 'pixels', 'batch_size': 2 * BATCH},
    {'fakes': 'samples'}, {'fakes': 'reconstructions'},
    {'similarity_pass': 'own'}, {'disc_batches': 'together', 'similarity_pass': 'own'},
    {'routing': 'accumulated'},
    {'routing': 'accumulated', 'similarity': 'logit', 'likelihood': 'mean_square',
     'gan_term': 'saturating', 'kl_normaliser': 'pixels'},
], ids=lambda changes: '-'.join(map(str, changes.values())) or 'paper')
def test_step_is_that_of_a_plain_computation(changes, by, monkeypatch):
    monkeypatch.setattr(losses, 'on_cpu', lambda array: by != 'as on a GPU')
    row = replace(DENSE, **changes)
    nets, x = networks_of(row), batch()
    if by == 'one by one':
        for net in (nets.vae, nets.feature_disc):
            net.hybridize(False)
    expected = Reference(row, nets, x)
    values = dict(zip(kinds.VAEGAN.phases[0].terms, stepped(row, nets, x), strict=True))
    for term, value in expected.terms().items():
        assert values[term] == pytest.approx(value, rel=1e-5), term
    gradients = getattr(expected, row.routing)()
    for name, values in values_in(nets).items():
        if row.routing == 'separate' or name == 'encoder':  # else later losses have added theirs
            assert_near(gradients_in(nets)[name], gradients[name])
        fresh = Reference(row, networks_of(row), x)
        assert_near(values, getattr(fresh, name).adam(gradients[name]))


B = {'vae': 'VAE_B', 'disc': 'Disc_B', 'disc_hlayers': 2, 'similarity': 'logit'}


@pytest.mark.parametrize('changes', [
    {}, {'similarity': 'logit', 'likelihood': 'mean_square', 'gan_term': 'saturating'},
    {'real_low': 0.8, 'flips': 0.1}, B | {'kl_normaliser': 'pixels', 'fakes': 'samples'},
    B | {'dropout': 0.4, 'similarity_pass': 'own'}],
    ids=['paper', 'other losses', 'soft labels', 'B', 'behind the same masks of dropout'])
def test_step_is_that_of_its_equations(changes):
    row, x = replace(DENSE, **changes), nd.array(batch())
    ours, theirs = networks_of(row), networks_of(row)
    random.seed(5)
    terms = stepped(row, ours, x)
    random.seed(5)
    losses_of_nets = reference.vaegan(row, theirs, x, draw)
    np.testing.assert_allclose(terms[:3], [loss.asscalar() for loss in losses_of_nets], rtol=1e-5)
    for name, gradients in gradients_in(ours).items():
        assert_near(gradients, gradients_in(theirs)[name])


NETS = {  # of each kind, small; images of 28 or 64 pixels a side
    'dense': ({}, (1, 28, 28)),
    'A digits': (dict(vae='VAE_A', disc='Disc_A', vae_base_channels=2, disc_base_channels=2,
                      similarity='act2'), (1, 28, 28)),
    'A faces': (dict(vae='VAE_A', disc='Disc_A', vae_base_channels=2, disc_base_channels=2,
                     similarity='act2', minibatch_kernels=3, data='adult'), (3, 64, 64)),
    'B': (B, (1, 28, 28)),
    'ConvVAE': (dict(vae='ConvVAE', disc='ConvDisc', vae_base_channels=2, disc_base_channels=2,
                     encoder='strided', latent_head='linear', similarity='act2', data='anime'),
                (3, 64, 64)),
    'paper': (dict(vae='VAE_paper', disc='Disc_paper', vae_base_channels=2, disc_base_channels=2,
                   similarity='conv4', data='anime', pixels='signed',
                   disc_batches='together', similarity_pass='own'), (3, 64, 64))}
NETS_ROWS = {name: (replace(DENSE, **fields), shape) for name, (fields, shape) in NETS.items()}


def gradients_of(row, shape) -> dict[str, list[np.ndarray]]:
    """Of each net, after one step from the same weights on the same batch."""
    nets = networks_of(row, shape)
    stepped(row, nets, batch(shape))
    return gradients_in(nets)


@pytest.mark.parametrize('name', NETS_ROWS)
def test_which_loss_reaches_which_net(name):
    row, shape = NETS_ROWS[name]
    base = gradients_of(row, shape)
    reached = [  # a change of this moves the gradients of these nets alone
        ({'beta': 2 * BETA}, {'encoder'}), ({'gamma': 2 * GAMMA}, {'decoder'}),
        ({'disc_weight': 2 * WEIGHT}, {'decoder'}), ({'kl_normaliser': 'latents'}, {'encoder'}),
        ({'real_low': 0.8, 'real_high': 0.8}, {'disc'})]
    for changes, nets in reached:
        assert apart(base, gradients_of(replace(row, **changes), shape)) == nets, changes
    for net, gradients in base.items():
        assert all(np.isfinite(g).all() for g in gradients), net
        # biases before a BatchNorm have no gradient but rounding errors
        assert sum(np.abs(g).max() > 0 for g in gradients) > len(gradients) / 2, net


@pytest.mark.parametrize('name', ['A digits', 'A faces', 'ConvVAE', 'paper'])
def test_gradients_are_those_of_differences(name):
    """Of convolutions with BatchNorm: each net's own loss falls as its gradient says."""
    row, shape = NETS_ROWS[name]
    row, x = replace(row, lr=1e-12), nd.array(batch(shape))
    nets = networks_of(row, shape)
    stepped(row, nets, x)
    own = {'encoder': lambda terms: terms.encoder(row, x.size / BATCH),
           'decoder': lambda terms: terms.decoder(row), 'disc': lambda terms: terms.disc}
    for net, parameters in nets.parameters.items():
        gradients = [p.grad().asnumpy().astype(np.float64) for p in parameters]
        length = np.sqrt(sum((g ** 2).sum() for g in gradients))
        before, values = [p.data().copy() for p in parameters], []
        for step in (-3e-5, 3e-5):  # along the gradient; longer ones meet the losses' bends
            for p, old, gradient in zip(parameters, before, gradients, strict=True):
                p.set_data(old + nd.array(step * gradient / length))
            with autograd.train_mode():
                terms = vaegan_losses.batch_losses(row, nets, x, draw, 1 / BATCH)
                values.append(own[net](terms).asscalar())
        for p, old in zip(parameters, before, strict=True):
            p.set_data(old)
        assert (values[1] - values[0]) / 6e-5 == pytest.approx(length, rel=0.03), net


@pytest.mark.parametrize('hybrid', [True, False])
def test_dropout_drops_the_same_in_every_backward_pass(hybrid):
    net, x = models.layers.Dropout(0.3), nd.ones((8, 50))
    net.initialize()
    if hybrid:
        net.hybridize(static_alloc=True, static_shape=True)
    x.attach_grad()
    with autograd.record():
        y = net(x)
    for _ in range(3):
        gradient, = autograd.grad(y, [x], retain_graph=True)
        assert np.array_equal(gradient.asnumpy(), y.asnumpy())
    kept = y.asnumpy() > 0
    assert 0.6 < kept.mean() < 0.8 and y.asnumpy()[kept] == pytest.approx(1 / 0.7)
    assert np.array_equal(net(x).asnumpy(), x.asnumpy())  # not in training: nothing


@pytest.mark.parametrize('name', NETS)
def test_discriminator_that_is_not_trained_stays_as_it_was_drawn(name):
    row, shape = NETS_ROWS[name]
    row = replace(row, disc_trained='no')
    nets = networks_of(row, shape)
    before = values_in(nets)
    stepped(row, nets, batch(shape))
    assert apart(before, values_in(nets)) == {'encoder', 'decoder'}
    trained = gradients_of(replace(row, disc_trained='yes'), shape)
    # Others hear of it as of any other; it has no gradient, for nobody would use one
    assert apart(trained, gradients_in(nets)) == {'disc'}


@pytest.mark.parametrize('name', ['A faces', 'paper'])
def test_running_statistics_move_once_a_forward_pass(name, moved_in, momentum):
    row, shape = NETS_ROWS[name]
    row = replace(row, norm_momentum=momentum)  # the paper's nets have it by the fixture
    nets, start = networks_of(row, shape), 1e8  # beside which a batch's own statistics are nothing
    for statistics in nets.statistics.values():
        for p, of_layer in statistics:
            assert of_layer == momentum
            p.set_data(nd.full(p.shape, start))
    stepped(row, nets, batch(shape))
    disc = {'apart': 3, 'together': 1}[row.disc_batches]
    for net, times in {'encoder': 1, 'decoder': 2, 'disc': disc}.items():
        assert nets.statistics[net]
        for p, _ in nets.statistics[net]:
            np.testing.assert_allclose(p.data().asnumpy(), start * momentum ** times, rtol=1e-4)


@pytest.mark.parametrize('fields', [
    {}, {'similarity_pass': 'own'}, {'fakes': 'samples'}, {'fakes': 'reconstructions'},
    {'disc_batches': 'together', 'similarity_pass': 'own'}], ids=str)
def test_step_is_the_same_where_forward_passes_move_running_statistics(fields, moves_forward):
    row, shape = NETS_ROWS['A faces']
    row, found = replace(row, **fields), []
    for where in ('backward', 'forward'):
        if where == 'forward':
            moves_forward()
        nets = networks_of(row, shape)
        for _ in range(2):
            stepped(row, nets, batch(shape))
        found.append(nets.statistics)
    for name, statistics in found[0].items():
        assert statistics
        for (p, _), (q, _) in zip(statistics, found[1][name], strict=True):
            start = 1 if p.name.endswith('var') else 0
            moved, other = p.data().asnumpy() - start, q.data().asnumpy() - start
            np.testing.assert_allclose(other, moved, rtol=1e-3, atol=1e-4 * np.abs(moved).max())


@pytest.mark.parametrize('kl_normaliser', ['images', 'latents', 'pixels'])
def test_held_out_losses_are_those_of_a_plain_computation(kl_normaliser):
    row = replace(DENSE, kl_normaliser=kl_normaliser, n_validation=2 * BATCH)
    nets = networks_of(row)
    pixels = np.random.default_rng(3).integers(0, 256, (3 * BATCH, 4, 4, 1), np.uint8)
    images, expected = Images(pixels), []
    for i in range(2):
        def drawn(which, width=Z, i=i):
            return nd.array(rng.noise(row.seed, rng.HELD_OUT, 0, i, which, (BATCH, width)))
        x = pixels[i * BATCH:][:BATCH].transpose(0, 3, 1, 2) / 255
        expected.append(Reference(row, nets, x, drawn).terms())
    found = vaegan.held_out_losses(nets, images, row, cpu())
    for net in ('enc', 'dec', 'disc'):
        assert found[f'val_{net}_loss'] == pytest.approx(
            np.mean([terms[f'{net}_loss'] for terms in expected]), rel=1e-5)


def test_equilibrium_lets_the_one_ahead_wait():
    row = replace(DENSE, equilibrium=0.68, margin=0.35)
    for costs, stepping in [((0.68, 0.68), {'encoder', 'decoder', 'disc'}),
                            ((0.2, 0.7), {'encoder', 'decoder'}),
                            ((0.7, 0.2), {'encoder', 'decoder'}),
                            ((1.2, 0.7), {'encoder', 'disc'}),
                            ((0.2, 1.2), {'encoder', 'decoder', 'disc'}),
                            # the mean of two fakes counts, not their sum
                            ((0.68, 0.3, 1.3), {'encoder', 'decoder', 'disc'}),
                            ((0.68, 0.2, 0.3), {'encoder', 'decoder'}),
                            ((0.68, 1.0, 1.2), {'encoder', 'disc'})]:
        assert {*vaegan._stepping(row, [nd.array([cost]) for cost in costs])} == stepping
    row = replace(row, equilibrium=0.01, margin=0.001)
    nets = networks_of(row)
    before = values_in(nets)
    stepped(row, nets, batch())
    assert apart(before, values_in(nets)) == {'encoder', 'disc'}


def test_labels_are_soft_noisy_and_sometimes_flipped():
    row = replace(DENSE, real_low=0.8, real_high=1.0, fake_high=0.1, flips=0.25)

    def many(which, width):
        return nd.array(np.random.default_rng(which).standard_normal((20_000, width)))
    with autograd.train_mode():
        real, *fakes = (label.asnumpy() for label in vaegan_losses._labels(row, many))
    assert real.shape == (20_000, 1)
    for labels, (low, high) in ((real, (0.8, 1.0)), *((fake, (0.0, 0.1)) for fake in fakes)):
        kept = labels[(labels >= low) & (labels <= high)]
        assert 1 - len(kept) / len(labels) == pytest.approx(0.25, abs=0.02)
        assert kept.mean() == pytest.approx((low + high) / 2, abs=0.01)
        assert np.ptp(kept) > 0.98 * (high - low)
        other_low, other_high = (0.0, 0.1) if low > 0.5 else (0.8, 1.0)  # where flips arrive
        flipped = labels[(labels < low) | (labels > high)]
        assert other_low <= flipped.min() and flipped.max() <= other_high
        assert flipped.mean() == pytest.approx((other_low + other_high) / 2, abs=0.01)
    assert not np.array_equal(fakes[0], fakes[1])
    assert vaegan_losses._labels(row, many) == [1, 0, 0]  # not in training: hard ones


@pytest.mark.parametrize('name', ROWS)
def test_features_have_the_documented_shape(name):
    row = EXPERIMENTS[name]
    shape = (1, 28, 28) if row.data == 'MNIST' else (3, 64, 64)
    feature_disc = models.build_similarity(models.build_discriminator(row, shape), row)
    features, logit = sym.Group([*feature_disc(sym.var('x'))]).infer_shape(x=(2, *shape))[1]
    system = row.vae if row.vae == 'ConvVAE' else name.split('/')[1].split('_')[0]
    of_digits = {'A': (128, 5, 5), 'B': (1,), 'paper': (200,)}
    of_faces = {'A': (128, 14, 14), 'paper': (256, 8, 8), 'ConvVAE': (16, 16, 16)}
    assert features == (2, *(of_digits if row.data == 'MNIST' else of_faces)[system])
    assert logit == (2, 1)


@pytest.mark.parametrize('assignment, message', [
    ('gamma=-1', 'not below 0'), ('beta=nan', 'finite'), ('flips=1.5', 'at most 1'),
    ('real_low=0.9', None), ('fake_low=0.5', 'at most fake_high'), ('dropout=1', 'at most 0.99'),
    ('schedule=lr2', 'n_validation=0: expected some images'), ('schedule=lr9', 'constant, lr2'),
    ('step=shared', 'has no such field'), ('pbp_weight=2', 'has no such field'),
    ('solo_epochs=1', 'has no such field'),
    ('disc=none', 'a discriminator'),
    ('equilibrium=0', 'above 0'), ('kl_normaliser=none', 'one of images'),
    ('likelihood=l1', 'gaussian'),
    ('disc_batches=together', "similarity_pass='same': expected own"),
    ('disc_trained=maybe', 'yes, no'), ('grid_side=0', 'above 0'),
    ('norm=between', 'before, after')])
def test_bad_fields_are_refused(assignment, message):
    if message is None:
        registry.changed(DENSE, [assignment])
        return
    with pytest.raises(ExperimentError, match=re.escape(message)):
        registry.changed(DENSE, [assignment])


def test_net_without_an_encoder_is_refused():
    row = registry.changed(DENSE, ['vae=ConvDecoder', 'vae_base_channels=2'])
    with pytest.raises(models.ModelError, match="vae='ConvDecoder': expected a net with an enc"):
        models.check_row(row, ())


SMALL = ['--set', 'n_hnodes=8', '--set', 'disc_hnodes=8', '--set', 'n_latent=3',
         '--set', 'batch_size=16', '--limit', '40', '--ctx', 'cpu']
CONV = ['--set', 'vae_base_channels=2', '--set', 'disc_base_channels=2']


def test_digits_run_leaves_samples_curves_and_classes(cli, mnist_root, tmp_path):
    where = ['--data-root', str(mnist_root), '--results-root', str(tmp_path)]
    status, _, err = cli(['run', 'VAEGAN_on_MNIST/A_64_100', *SMALL, *CONV, '--epochs', '3',
                          '--set', 'grid_from=1', '--set', 'grid_every=2', '--set',
                          'n_classified=30', *where])
    assert status == 0, err
    folder, = (tmp_path / 'VAEGAN_on_MNIST').iterdir()
    assert [p.name for p in pictures.samples_in(folder)] == ['samples_001.png', 'samples_003.png']
    with Image.open(folder / pictures.ANIMATION) as animation:
        assert animation.n_frames == 2
    classes = read_classes(folder / pictures.CLASSES)
    assert [line['epoch'] for line in classes] == [1, 3]
    assert all(sum(line[str(d)] for d in range(10)) == 30 for line in classes)
    statistics = read_statistics(folder)
    assert len(statistics) == 3 and statistics[0]['val_enc_loss'] is None
    readme = (folder / 'README.md').read_text()
    assert all(part in readme for part in ('samples_003.png', pictures.LOSSES,
                                           'samples for each digit'))
    assert cli(['verify', *where])[0] == 0


def test_rates_follow_each_nets_own_validation_loss(cli, tmp_path, data_root):
    faces = tmp_path / 'faces'
    faces.mkdir()
    (faces / 'adult_faces.zip').write_bytes((data_root / 'anime_faces.zip').read_bytes())
    results = tmp_path / 'results'
    status, _, err = cli(['run', 'VAEGAN_on_adult/A_2048_100_lr4', *SMALL, *CONV, '--epochs', '9',
                          '--set', 'lr=0.01', '--data-root', str(faces), '--results-root',
                          str(results)])
    assert status == 0, err
    folder, = (results / 'VAEGAN_on_adult').iterdir()
    statistics = read_statistics(folder)
    changed = 0
    for net in kinds.NETS:
        held_out = [line[f'val_{net}_loss'] for line in statistics]
        expected = schedules.rates(0.01, schedules.RULES['documented']['lr4'], held_out)[:-1]
        assert [line[f'{net}_lr'] for line in statistics] == pytest.approx(expected)
        changed += sum(a != b for a, b in pairwise(expected))
    assert changed
    source = json.loads((folder / run_folder.CONFIG).read_text())['data']
    assert source['data'] == 'adult' and source['description'] == 'photographs of faces'


@pytest.mark.parametrize('name, words, message', [
    ('VAEGAN_on_MNIST/B_20_50', ['--set', 'similarity=conv9'],
     "similarity='conv9': expected one of flatten0, dropout0, dense1"),
    ('VAEGAN_on_MNIST/B_20_50', ['--set', 'similarity='], 'expected one of'),
    ('VAEGAN_on_MNIST/A_64_100', ['--set', 'routing=accumulated'],
     "routing='accumulated': expected separate, for nets with convolutions"),
    ('VAEGAN_on_MNIST/B_20_50', ['--set', 'equilibrium=0.7', '--ctx', 'cpu:0,cpu:1'],
     'equilibrium=0.7: expected none on several devices'),
    ('VAEGAN_on_MNIST/A_64_100', ['--set', 'data=sketch_digits'], 'only MNIST has classes'),
    ('VAEGAN_on_MNIST/B_20_50', ['--set', 'norm=after'], "norm='after': VAE_B + Disc_B has no"),
    ('VAEGAN_on_MNIST/B_20_50', ['--set', 'pixels=signed'], "pixels='signed': VAE_B + Disc_B has"),
    ('VAEGAN_on_anime/paper_128_200', ['--set', 'weights=normal'],
     "weights='normal': VAE_paper + Disc_paper has no such thing"),
    ('VAEGAN_on_anime/paper_128_200', ['--set', 'minibatch_kernels=4'],
     'minibatch_kernels=4: VAE_paper + Disc_paper has no such thing')])
def test_what_cannot_be_trained_is_refused(cli, mnist_root, tmp_path, name, words, message):
    small = SMALL[:-2] + (CONV if 'B_20' not in name else [])
    status, _, err = cli(['run', name, *small, *words, '--data-root',
                          str(mnist_root), '--results-root', str(tmp_path)])
    assert status == 2 and message in err.splitlines()[-1]
    assert not [*tmp_path.iterdir()]


def test_study_trains_measures_and_draws(cli, tmp_path, data_root, monkeypatch):
    root = tmp_path / 'data'
    shutil.copytree(data_root, root)
    shutil.copy(root / 'anime_faces.zip', root / 'adult_faces.zip')
    small = dict(n_latent=3, n_hnodes=8, disc_hnodes=8, limit=16, batch_size=8, combo_epochs=2,
                 grid_from=1, grid_every=1)
    digits = replace(EXPERIMENTS['VAEGAN_on_MNIST/B_20_50'], **small)
    alone = replace(EXPERIMENTS['DenseVAE_on_MNIST/5_3_400_bce_50'], solo_epochs=1, limit=16)
    faces = {name: replace(EXPERIMENTS[f'VAEGAN_on_adult/A_2048_100_{name}'], **small,
                           vae_base_channels=2, disc_base_channels=2, n_validation=8)
             for name in ('lr1', 'lr2')}
    monkeypatch.setitem(STUDIES, 'vaegan', replace(study.STUDY, comparisons=lambda: {
        'Digits': {'B': digits, 'alone': alone}, study.QUARTER_TITLE: faces}))
    where = ['--results-root', str(tmp_path / 'out'), '--data-root', str(root), '--ctx', 'cpu']
    status, _, err = cli(['study', 'vaegan', *where])
    assert status == 0, err
    lines = read_csv(tmp_path / 'out' / 'vaegan.csv')
    assert len(lines) == 4 and all(float(line['diversity']) > 0 for line in lines)
    assert [line['accuracy'] is None for line in lines] == [False, False, True, True]
    assert [line['enc_loss'] is None for line in lines] == [False, True, False, False]
    with Image.open(tmp_path / 'out' / 'schedules.png') as figure:
        assert np.asarray(figure).std() > 10
    shown = cli(['study', 'vaegan', '--markdown', '--results-root', str(tmp_path / 'out')])[1]
    assert shown.count(f'/{pictures.STRIP}" alt=') == 4
