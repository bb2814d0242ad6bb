"""A VAE/GAN's step against plain NumPy, which loss reaches which net, and what is refused."""
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import autograd, cpu, nd, random, sym
from PIL import Image

import models
from data.images import Images
from tests.test_models import networks_of, shape_of
from tests.test_steps import BATCH, LR, SHAPE, ByHand, Z, add, assert_close, batch, draw, sigmoid
from training.experiments import kinds, registry
from training.experiments.registry import EXPERIMENTS, ExperimentError
from training.experiments.row import VaeGan
from training.reporting import pictures
from training.reporting.statistics import read_classes, read_statistics
from training.steps import losses, reference, rng, vaegan, vaegan_losses
from training.steps.solo_combo import Weights

ROWS = [name for name, row in EXPERIMENTS.items() if isinstance(row, VaeGan)]
GAMMA, BETA, WEIGHT = 0.3, 0.7, 1.9
DENSE = VaeGan(name='', data='MNIST', vae='DenseVAE', n_latent=Z,
               n_hlayers=2, n_hnodes=7, disc='DenseLogReg',
               disc_hlayers=1, disc_hnodes=5, combo_epochs=1, lr=LR, similarity='dense1',
               gamma=GAMMA, beta=BETA, disc_weight=WEIGHT, batch_size=BATCH)


class Reference(ByHand):
    """The three nets in NumPy, one batch through them, and the gradients of its losses."""

    def __init__(self, row, nets, x, draw=draw):
        super().__init__(nets, x)
        self.row, self.eps = row, draw(0).asnumpy()
        self.fakes = [self.reconstruct(self.eps), self.decode(draw(1).asnumpy())]
        images = self.x, *(fake.image for fake in self.fakes)
        self.real, *self.judged = map(self.discriminate, images)
        self.apart = self.judged[0].features - self.real.features
        self.seen = {'both': (1, 1), 'reconstructions': (1, 0), 'samples': (0, 1)}[row.fakes]

    def discriminate(self, images):
        logit, tape = self.disc.forward(images)
        features = logit if self.row.similarity == 'logit' else tape[1]
        return SimpleNamespace(logit=logit, tape=tape, features=features)

    def terms(self):
        if self.row.likelihood == 'gaussian':
            similarity = (self.apart ** 2 / 2 + np.log(2 * np.pi) / 2).sum(1).mean()
        else:
            similarity = (self.apart ** 2).mean()
        logits = [fake.logit for fake, seen in zip(self.judged, self.seen, strict=True) if seen]
        if self.row.gan_term == 'saturating':
            gan = sum(np.log(1 - sigmoid(v)).mean() for v in logits)
        else:
            gan = -sum(np.log(sigmoid(v)).mean() for v in logits)
        disc = -np.log(sigmoid(self.real.logit)).mean() - sum(
            np.log(1 - sigmoid(v)).mean() for v in logits)
        return {'enc_loss': self.kl * self.kl_weight() + BETA * similarity,
                'dec_loss': GAMMA * similarity + WEIGHT * gan, 'disc_loss': disc, 'kl': self.kl,
                'similarity': similarity, 'gan': gan,
                'disc_real_accuracy': (self.real.logit > 0).mean(),
                'disc_fake_accuracy': np.mean([v < 0 for v in logits])}

    def kl_weight(self):
        return {'images': 1, 'latents': 1 / Z, 'pixels': BATCH / self.row.batch_size / 16}[
            self.row.kl_normaliser]

    def through_disc(self, slope):
        """From d loss / d logit of fakes, by their probabilities: parameters, and fakes."""
        (of_first, first), (of_second, second) = (
            self.disc.backward(fake.tape, seen * slope(sigmoid(fake.logit)) / BATCH)
            for fake, seen in zip(self.judged, self.seen, strict=True))
        return add(of_first, of_second), [first, second]

    def d_disc(self):
        """Of the discriminator's loss: its parameters, and each fake image."""
        of_real, _ = self.disc.backward(self.real.tape, (sigmoid(self.real.logit) - 1) / BATCH)
        of_fakes, d_images = self.through_disc(lambda probability: probability)
        return add(of_real, of_fakes), d_images

    def d_gan(self):
        """Of the decoder's GAN term: each fake image."""
        return self.through_disc(lambda probability: -probability if self.row.gan_term ==
                                 'saturating' else probability - 1)[1]

    def d_similarity(self):
        """Of the similarity: the reconstruction."""
        d = self.apart / BATCH * (
            1 if self.row.likelihood == 'gaussian' else 2 / self.apart.shape[1])
        if self.row.similarity == 'logit':
            return self.disc.backward(self.judged[0].tape, d)[1]
        return (d * (self.judged[0].tape[1] > 0)) @ self.disc.arrays[0]

    def of_fakes(self, d_images):
        """The decoder's parameters, and z of the reconstruction."""
        (of_first, d_z), (of_second, _) = map(self.through_decoder, self.fakes, d_images)
        return add(of_first, of_second), d_z

    def decoders(self):
        """Of the decoder's loss, as `of_fakes`."""
        gan = self.d_gan()
        return self.of_fakes([GAMMA * self.d_similarity() + WEIGHT * gan[0], WEIGHT * gan[1]])

    def encoders(self):
        """Of the encoder's loss: its parameters."""
        _, d_z = self.of_fakes([BETA * self.d_similarity(), 0])
        return self.through_encoder(self.eps, d_z, self.kl_weight())

    def separate(self):
        """Each net's gradient of its own loss."""
        return {'encoder': self.encoders(), 'decoder': self.decoders()[0],
                'disc': self.d_disc()[0]}

    def accumulated(self):
        """B's: what every loss leaves with every net, through the weights as they then stand."""
        disc, d_images = self.d_disc()
        decoder, d_z = self.of_fakes(d_images)
        encoder = self.through_encoder(self.eps, d_z, 0)
        self.disc.step(disc)
        own, d_z = self.decoders()
        decoder = add(decoder, own)
        encoder = add(encoder, self.through_encoder(self.eps, d_z, 0))
        self.decoder.step(decoder)
        return {'encoder': add(encoder, self.encoders()), 'decoder': decoder, 'disc': disc}


def stepped(row, nets, x) -> np.ndarray:
    """The terms of a step on images x (b, c, h, w), once it is done."""
    return vaegan.step_of(row)(nets, nd.array(x), draw, Weights(1, 1, BATCH)).asnumpy()


def values_in(nets, of='data') -> dict[str, list[np.ndarray]]:
    return {name: [getattr(p, of)().asnumpy() for p in parameters]
            for name, parameters in nets.parameters.items()}


def gradients_in(nets) -> dict[str, list[np.ndarray]]:
    return values_in(nets, 'grad')


def apart(left: dict, right: dict) -> set[str]:
    """Which nets' arrays are not the same to the bit."""
    return {name for name in left if not all(map(np.array_equal, left[name], right[name]))}


@pytest.mark.parametrize('by', ['kernels', 'operators'])  # as on the CPU, as on a GPU
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
    monkeypatch.setattr(losses, 'on_cpu', lambda array: by == 'kernels')
    row, x = replace(DENSE, **changes), batch()
    nets = networks_of(row, SHAPE)
    expected, stepping = Reference(row, nets, x), ByHand(nets, x)
    values = dict(zip(kinds.VAEGAN.phases[0].terms, stepped(row, nets, x), strict=True))
    for term, value in expected.terms().items():
        assert values[term] == pytest.approx(value, rel=1e-5), term
    for name, gradients in getattr(expected, row.routing)().items():
        if row.routing == 'separate' or name == 'encoder':  # else later losses have added theirs
            assert_close(gradients_in(nets)[name], gradients)
        net = getattr(stepping, name)
        net.step(gradients)
        assert_close(values_in(nets)[name], net.arrays)


B = {'vae': 'VAE_B', 'disc': 'Disc_B', 'disc_hlayers': 2, 'similarity': 'logit'}


@pytest.mark.parametrize('changes', [
    {}, {'similarity': 'logit', 'likelihood': 'mean_square', 'gan_term': 'saturating'},
    {'real_low': 0.8, 'flips': 0.1}, B | {'kl_normaliser': 'pixels', 'fakes': 'samples'},
    B | {'dropout': 0.4, 'similarity_pass': 'own'}],
    ids=['paper', 'other losses', 'soft labels', 'B', 'behind the same masks of dropout'])
def test_step_is_that_of_its_equations(changes):
    row, x = replace(DENSE, **changes), nd.array(batch())
    ours, theirs = networks_of(row, SHAPE), networks_of(row, SHAPE)
    random.seed(5)
    terms = stepped(row, ours, x)
    random.seed(5)
    losses_of_nets = reference.vaegan(row, theirs, x, draw)
    np.testing.assert_allclose(terms[:3], [loss.asscalar() for loss in losses_of_nets], rtol=1e-5)
    for name, gradients in gradients_in(ours).items():
        assert_close(gradients, gradients_in(theirs)[name])


A = dict(vae='VAE_A', disc='Disc_A', vae_base_channels=2, disc_base_channels=2, similarity='act2')
NETS_ROWS = {name: (replace(DENSE, **fields), shape) for name, fields, shape in (
    # of each kind, small; images of 28 or 64 pixels a side
    ('dense', {}, (1, 28, 28)), ('B', B, (1, 28, 28)), ('A digits', A, (1, 28, 28)),
    ('A faces', A | dict(minibatch_kernels=3, data='adult'), (3, 64, 64)),
    ('ConvVAE', A | dict(vae='ConvVAE', disc='ConvDisc', encoder='strided', latent_head='linear',
                         data='anime'), (3, 64, 64)),
    ('paper', A | dict(vae='VAE_paper', disc='Disc_paper', similarity='conv4', data='anime',
                       pixels='signed', disc_batches='together', similarity_pass='own'),
     (3, 64, 64)))}


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
    found, before = gradients_in(nets), values_in(nets)
    for net, parameters in nets.parameters.items():
        length = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in found[net]))
        values = []
        for step in (-3e-5, 3e-5, 0):  # along the gradient; longer ones meet the losses' bends
            for p, old, gradient in zip(parameters, before[net], found[net], strict=True):
                p.set_data(nd.array(old + step * gradient / length))
            with autograd.train_mode():
                terms = vaegan_losses.batch_losses(row, nets, x, draw, 1 / BATCH)
                values.append(own[net](terms).asscalar())
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


@pytest.mark.parametrize('name', NETS_ROWS)
def test_discriminator_that_is_not_trained_stays_as_it_was_drawn(name):
    row, shape = NETS_ROWS[name]
    nets = networks_of(replace(row, disc_trained='no'), shape)
    before = values_in(nets)
    stepped(replace(row, disc_trained='no'), nets, batch(shape))
    assert apart(before, values_in(nets)) == {'encoder', 'decoder'}
    # Others hear of it as of any other; it has no gradient, for nobody would use one
    assert apart(gradients_of(row, shape), gradients_in(nets)) == {'disc'}


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
    for begin in (lambda: None, moves_forward):
        begin()
        nets = networks_of(row, shape)
        for _ in range(2):
            stepped(row, nets, batch(shape))
        found.append([p.data().asnumpy() - p.name.endswith('var')  # variances begin at 1
                      for statistics in nets.statistics.values() for p, _ in statistics])
    for moved, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, moved, rtol=1e-3, atol=1e-4 * np.abs(moved).max())


@pytest.mark.parametrize('kl_normaliser', ['images', 'latents', 'pixels'])
def test_held_out_losses_are_those_of_a_plain_computation(kl_normaliser):
    row = replace(DENSE, kl_normaliser=kl_normaliser, n_validation=2 * BATCH)
    nets, expected = networks_of(row, SHAPE), []
    pixels = np.random.default_rng(3).integers(0, 256, (3 * BATCH, 4, 4, 1), np.uint8)
    for i in range(2):
        def drawn(which, width=Z, i=i):
            return nd.array(rng.noise(row.seed, rng.HELD_OUT, 0, i, which, (BATCH, width)))
        x = pixels[i * BATCH:][:BATCH].transpose(0, 3, 1, 2) / 255
        expected.append(Reference(row, nets, x, drawn).terms())
    found = vaegan.held_out_losses(nets, Images(pixels), row, cpu())
    assert found == pytest.approx({f'val_{net}_loss': np.mean(
        [terms[f'{net}_loss'] for terms in expected]) for net in kinds.NETS}, rel=1e-5)


def test_equilibrium_lets_the_one_ahead_wait():
    row = replace(DENSE, equilibrium=0.68, margin=0.35)
    for costs, waiting in [((0.68, 0.68), set()), ((0.2, 0.7), {'disc'}), ((0.7, 0.2), {'disc'}),
                           ((1.2, 0.7), {'decoder'}), ((0.2, 1.2), set()),
                           # the mean of two fakes counts, not their sum
                           ((0.68, 0.3, 1.3), set()), ((0.68, 0.2, 0.3), {'disc'}),
                           ((0.68, 1.0, 1.2), {'decoder'})]:
        stepping = vaegan._stepping(row, [nd.array([cost]) for cost in costs])
        assert {*stepping} == {'encoder', 'decoder', 'disc'} - waiting
    row = replace(row, equilibrium=0.01, margin=0.001)
    nets = networks_of(row, SHAPE)
    before = values_in(nets)
    stepped(row, nets, batch())
    assert apart(before, values_in(nets)) == {'encoder', 'disc'}


def test_labels_are_soft_noisy_and_sometimes_flipped():
    row = replace(DENSE, real_low=0.8, real_high=1.0, fake_high=0.1, flips=0.25)
    of_real, of_fakes = (0.8, 1.0), (0.0, 0.1)

    def many(which, width):
        return nd.array(np.random.default_rng(which).standard_normal((20_000, width)))
    with autograd.train_mode():
        real, *fakes = (label.asnumpy() for label in vaegan_losses._labels(row, many))
    assert real.shape == (20_000, 1)
    for labels, (low, high), (other_low, other_high) in (
            (real, of_real, of_fakes), *((fake, of_fakes, of_real) for fake in fakes)):
        is_kept = (labels >= low) & (labels <= high)
        assert 1 - is_kept.mean() == pytest.approx(0.25, abs=0.02)
        assert labels[is_kept].mean() == pytest.approx((low + high) / 2, abs=0.01)
        assert np.ptp(labels[is_kept]) > 0.98 * (high - low)
        flipped = labels[~is_kept]
        assert other_low <= flipped.min() and flipped.max() <= other_high
        assert flipped.mean() == pytest.approx((other_low + other_high) / 2, abs=0.01)
    assert not np.array_equal(fakes[0], fakes[1])
    assert vaegan_losses._labels(row, many) == [1, 0, 0]  # not in training: hard ones


@pytest.mark.parametrize('name', ROWS)
def test_features_have_the_documented_shape(name):
    row = EXPERIMENTS[name]
    shape = shape_of(row)
    feature_disc = models.build_similarity(models.build_discriminator(row, shape), row)
    features, logit = sym.Group([*feature_disc(sym.var('x'))]).infer_shape(x=(2, *shape))[1]
    system = row.vae if row.vae == 'ConvVAE' else name.split('/')[1].split('_')[0]
    of_digits = {'A': (128, 5, 5), 'B': (1,), 'paper': (200,)}
    of_faces = {'A': (128, 14, 14), 'paper': (256, 8, 8), 'ConvVAE': (16, 16, 16)}
    assert features == (2, *(of_digits if row.data == 'MNIST' else of_faces)[system])
    assert logit == (2, 1)


@pytest.mark.parametrize('assignment, message', [
    ('gamma=-1', 'not below 0'), ('beta=nan', 'finite'), ('flips=1.5', 'at most 1'),
    ('fake_low=0.5', 'at most fake_high'), ('dropout=1', 'at most 0.99'),
    ('schedule=lr2', 'n_validation=0: expected some images'), ('schedule=lr9', 'constant, lr2'),
    ('step=shared', 'has no such field'), ('disc=none', 'a discriminator'),
    ('equilibrium=0', 'above 0'), ('grid_side=0', 'above 0'),
    ('disc_batches=together', "similarity_pass='same': expected own")])
def test_bad_fields_are_refused(assignment, message):
    with pytest.raises(ExperimentError, match=re.escape(message)):
        registry.changed(DENSE, [assignment])


SMALL = 'n_hnodes=8', 'disc_hnodes=8', 'n_latent=3', 'batch_size=16'
CONV = *SMALL, 'vae_base_channels=2', 'disc_base_channels=2'


def setting(*assignments: str) -> list[str]:
    return ['--limit', '40', *(word for one in assignments for word in ('--set', one))]


def test_digits_run_leaves_samples_curves_and_classes(on_digits, tmp_path):
    status, out, err = on_digits('run', 'VAEGAN_on_MNIST/A_64_100', '--epochs', 3, *setting(
        *CONV, 'grid_from=1', 'grid_every=2', 'n_classified=30'))
    assert status == 0, err
    folder = tmp_path / 'results' / out.splitlines()[-1]
    assert [p.name for p in pictures.samples_in(folder)] == ['samples_001.png', 'samples_003.png']
    with Image.open(folder / pictures.ANIMATION) as animation:
        assert animation.n_frames == 2
    classes = read_classes(folder / pictures.CLASSES)
    assert [line['epoch'] for line in classes] == [1, 3]
    assert all(sum(line[str(d)] for d in range(10)) == 30 for line in classes)
    assert [(line['val_enc_loss'], line['enc_lr']) for line in read_statistics(folder)] == [
        (None, 5e-4)] * 3
    readme = (folder / 'README.md').read_text()
    assert all(part in readme for part in ('samples_003.png', pictures.LOSSES,
                                           'samples for each digit'))
    assert on_digits('verify')[0] == 0


@pytest.mark.parametrize('name, assignments, message', [
    ('MNIST/B_20_50', [*SMALL, 'similarity=conv9'],
     "similarity='conv9': expected one of flatten0, dropout0, dense1"),
    ('MNIST/B_20_50', [*SMALL, 'vae=ConvDecoder', 'vae_base_channels=2'],
     "vae='ConvDecoder': expected a net with an encoder"),
    ('MNIST/A_64_100', [*CONV, 'routing=accumulated'],
     "routing='accumulated': expected separate, for nets with convolutions"),
    ('MNIST/B_20_50', [*SMALL, 'equilibrium=0.7'],
     'equilibrium=0.7: expected none on several devices'),
    ('MNIST/A_64_100', [*CONV, 'data=sketch_digits'], 'only MNIST has classes'),
    ('MNIST/B_20_50', [*SMALL, 'norm=after'], "norm='after': VAE_B + Disc_B has no such thing"),
    ('anime/paper_128_200', [*CONV, 'minibatch_kernels=4'],
     'minibatch_kernels=4: VAE_paper + Disc_paper has no such thing')])
def test_what_cannot_be_trained_is_refused(on_digits, tmp_path, name, assignments, message):
    status, _, err = on_digits('run', f'VAEGAN_on_{name}', *setting(*assignments),
                               '--ctx', 'cpu:0,cpu:1')
    assert status == 2 and message in err.splitlines()[-1]
    assert not [*(tmp_path / 'results').glob('*')]
