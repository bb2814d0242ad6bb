"""One step of each kind against a plain NumPy computation in float64, gradients by hand."""
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import autograd, nd

from tests.test_models import FACES, networks_of
from training.experiments.registry import Experiment
from training.steps import losses, phases, reference, solo_combo

SHAPE, BATCH, Z = (1, 4, 4), 6, 3
LR, PIXEL, ADVERSARIAL = 1e-3, 0.7, 2.5
TOLERANCE = 1e-5  # relative to each array's largest value
ROW = Experiment(name='', data='MNIST', vae='DenseVAE', n_latent=Z, n_hlayers=2, n_hnodes=7,
                 disc='DenseLogReg', disc_hlayers=1, disc_hnodes=5, combo_epochs=1, lr=LR)


def batch(shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(1).random((BATCH, *shape)).astype(np.float32)


def draw(which: int, width: int = Z) -> nd.NDArray:
    return nd.array(np.random.default_rng(which).standard_normal((BATCH, width)))


class MLP:
    """Dense layers, relu between them; forward keeps what backward needs."""

    def __init__(self, net):
        self.arrays = [array.astype(np.float64) for array in arrays(net)]

    @property
    def layers(self):
        return list(zip(self.arrays[::2], self.arrays[1::2], strict=True))

    def forward(self, x):
        """Outputs, and each layer's inputs."""
        tape, (*hidden, (weight, bias)) = [x], self.layers
        for w, b in hidden:
            tape.append(np.maximum(tape[-1] @ w.T + b, 0))
        return tape[-1] @ weight.T + bias, tape

    def backward(self, tape, gradient):
        """Gradients of weights and biases in order, and of the input."""
        collected = []
        for i, (weight, _) in reversed([*enumerate(self.layers)]):
            collected = [gradient.T @ tape[i], gradient.sum(axis=0), *collected]
            gradient = gradient @ weight
            if i:
                gradient = gradient * (tape[i] > 0)
        return collected, gradient

    def step(self, gradients):
        """Adam's first; what was kept of a forward pass stays as it was."""
        self.arrays = [p - LR * np.sqrt(1 - 0.999) / (1 - 0.9) * 0.1 * g
                       / (np.sqrt(0.001 * g ** 2) + 1e-8)
                       for p, g in zip(self.arrays, gradients, strict=True)]


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def add(left, right):
    return [a + b for a, b in zip(left, right, strict=True)]


class ByHand:
    """A VAE and its discriminator, a batch through the encoder, and gradients."""

    def __init__(self, nets, x):
        self.x = x.reshape(BATCH, -1).astype(np.float64)
        self.encoder, self.decoder = MLP(nets.vae.encoder), MLP(nets.vae.decoder)
        self.disc = MLP(nets.disc)
        code, self.tape = self.encoder.forward(self.x)
        self.mean, self.logvar = code[:, :Z], code[:, Z:]
        self.kl = (-0.5 * (1 + self.logvar - self.mean ** 2 - np.exp(self.logvar))).sum(1).mean()

    def decode(self, z):
        logit, tape = self.decoder.forward(z)
        return SimpleNamespace(image=sigmoid(logit), tape=tape)

    def reconstruct(self, eps):
        return self.decode(self.mean + np.exp(self.logvar / 2) * eps)

    def through_decoder(self, fake, d_image):
        """The decoder's parameters, and z."""
        return self.decoder.backward(fake.tape, d_image * fake.image * (1 - fake.image))

    def through_encoder(self, eps, d_z, d_kl):
        """From d loss / d z, and the weight of the KL term: the encoder's parameters."""
        d_mean = d_z + d_kl * self.mean / BATCH
        d_logvar = (d_z * eps * np.exp(self.logvar / 2) / 2
                    + d_kl * (np.exp(self.logvar) - 1) / 2 / BATCH)
        return self.encoder.backward(self.tape, np.concatenate([d_mean, d_logvar], axis=1))[0]

    def judge(self, images, real: bool):
        """Cross entropy, the share taken for what it is said to be, both gradients."""
        logit, tape = self.disc.forward(images)
        towards = -logit if real else logit
        d_logit = (sigmoid(logit) - real) / BATCH
        return (np.log1p(np.exp(towards)).mean(), (towards < 0).mean(),
                *self.disc.backward(tape, d_logit))


def assert_close(ours, expected):
    for mine, other in zip(ours, expected, strict=True):
        assert np.abs(mine - other).max() <= TOLERANCE * np.abs(other).max() + 1e-12


def arrays(net):
    return [p.data().asnumpy() for p in net.collect_params().values()]


def gradients(net):
    return [p.grad().asnumpy() for p in net.collect_params().values() if p.grad_req != 'null']


KINDS = {'solo': {'solo_epochs': 1}, 'published': {'step': 'published'},
         'shared': {'step': 'shared'}, 'gan': {'vae': 'ConvDecoder', 'pixel_loss': None}}
CONV = {'data': 'anime', 'vae': 'ConvVAE', 'vae_base_channels': 2, 'n_hlayers': None,
        'n_hnodes': None, 'disc': 'ConvDisc', 'disc_base_channels': 2}


@pytest.mark.parametrize('kl_weight', [1, 4.5])
@pytest.mark.parametrize('kind', ['solo', 'published', 'shared'])
def test_step_is_the_one_computed_by_hand(kind, kl_weight):
    """A solo step has pixel weight 1, and leaves the discriminator alone."""
    row, x = replace(ROW, **KINDS[kind]), batch()
    nets, is_solo = networks_of(row, SHAPE), kind == 'solo'
    hand = ByHand(nets, x)
    pixel, adversarial = (1, 0) if is_solo else (PIXEL, ADVERSARIAL)
    noise = [draw(which if kind == 'published' else 0).asnumpy() for which in range(3)]
    for_disc, for_adversarial, for_pixels = map(hand.reconstruct, noise)
    real_loss, real_right, of_real, _ = hand.judge(hand.x, True)
    fake_loss, fake_right, of_fake, _ = hand.judge(for_disc.image, False)
    if not is_solo:
        hand.disc.step(add(of_real, of_fake))
    fooled, _, _, d_fooled = hand.judge(for_adversarial.image, True)
    inside, outside = for_pixels.image + 1e-10, 1 - for_pixels.image + 1e-10
    bce = -(hand.x * np.log(inside) + (1 - hand.x) * np.log(outside)).sum(1).mean()
    d_bce = (-hand.x / inside + (1 - hand.x) / outside) / BATCH
    total = kl_weight * hand.kl + pixel * bce + adversarial * fooled

    terms = phases.plan(row)[0].step(nets, nd.array(x), draw,
                                     solo_combo.Weights(PIXEL, ADVERSARIAL, kl=kl_weight))
    np.testing.assert_allclose(
        terms.asnumpy(), [total, hand.kl, bce] if is_solo else
        [total, real_loss + fake_loss, hand.kl, bce, fooled, real_right, fake_right],
        rtol=TOLERANCE)
    of_fooled, d_z_fooled = hand.through_decoder(for_adversarial, adversarial * d_fooled)
    of_pixels, d_z_pixels = hand.through_decoder(for_pixels, pixel * d_bce)
    encoder = add(hand.through_encoder(noise[1], d_z_fooled, 0),
                  hand.through_encoder(noise[2], d_z_pixels, kl_weight))
    decoder = add(of_fooled, of_pixels)
    assert_close(gradients(nets.vae), encoder + decoder)
    hand.encoder.step(encoder)
    hand.decoder.step(decoder)
    assert_close(arrays(nets.vae), hand.encoder.arrays + hand.decoder.arrays)
    assert_close(arrays(nets.disc), hand.disc.arrays)


def running_mean(net) -> np.ndarray:
    """The first."""
    return next(p.data().asnumpy() for name, p in net.collect_params().items()
                if name.endswith('running_mean'))


@pytest.mark.parametrize('step, vae_passes, latents', [
    ('published', 3, (0, 1)), ('shared', 1, (0, 0))])
def test_running_statistics_move_as_often_as_in_the_original(step, vae_passes, latents, moved_in,
                                                             momentum):
    """The discriminator's for real images, fake ones, and those for the adversarial term."""
    nets, fresh = (networks_of(replace(ROW, **CONV | {'lr': 1e-12}), FACES) for _ in range(2))
    x = nd.array(batch(FACES))
    solo_combo.COMBO_STEPS[step](nets, x, draw, solo_combo.Weights(1.0, 1.0))
    first_layer = fresh.vae.encoder[0](x).asnumpy().mean(axis=(0, 2, 3))
    # Every pass sees the same images here, and so moves the mean by the same share of the way
    np.testing.assert_allclose(running_mean(nets.vae), first_layer * (1 - momentum ** vae_passes),
                               rtol=1e-4)
    with autograd.train_mode():
        fakes = [fresh.vae(x, draw(which))[0].copy() for which in latents]
    real, fake, fooling = (fresh.disc[2](fresh.disc[1](fresh.disc[0](images))).asnumpy()
                           .mean(axis=(0, 2, 3)) for images in (x, *fakes))
    np.testing.assert_allclose(
        running_mean(nets.disc),
        (1 - momentum) * (momentum ** 2 * real + momentum * fake + fooling), rtol=1e-3)


def accuracies(nets, x) -> list[float]:
    """Shares of real and generated images that the discriminator gets right before its step."""
    with autograd.train_mode():
        fakes = nets.vae(x, draw(0))[0] if nets.pixel_loss else nets.vae(draw(0))
        return [(nets.disc(x) > 0).mean().asscalar(), (nets.disc(fakes) < 0).mean().asscalar()]


@pytest.mark.parametrize('by', ['kernels', 'operators'])  # as on the CPU, as on a GPU
@pytest.mark.parametrize('kind, nets', [
    *product(('solo', 'published', 'shared'), ('dense', 'conv')), ('gan', 'conv')])
def test_step_is_that_of_its_equations(kind, nets, by, monkeypatch):
    monkeypatch.setattr(losses, 'on_cpu', lambda array: by == 'kernels')
    fields, shape = ({}, SHAPE) if nets == 'dense' else (CONV, FACES)
    row, x = replace(ROW, **fields | KINDS[kind]), nd.array(batch(shape))
    ours, theirs, fresh = (networks_of(row, shape) for _ in range(3))
    phase, weights = phases.plan(row)[0], solo_combo.Weights(PIXEL, ADVERSARIAL, kl=1.5)
    terms = dict(zip(phase.terms, phase.step(ours, x, draw, weights).asnumpy(), strict=True))
    expected = getattr(reference, phase.step.__name__)(theirs, x, draw, weights)
    *disc_loss, vae_loss = expected if isinstance(expected, tuple) else [expected]
    assert terms['vae_loss'] == pytest.approx(vae_loss.asscalar(), rel=1e-4)
    if disc_loss:
        assert terms['disc_loss'] == pytest.approx(disc_loss[0].asscalar(), rel=1e-5)
        assert [terms['disc_real_accuracy'], terms['disc_fake_accuracy']] == pytest.approx(
            accuracies(fresh, x))
    largest = max(np.abs(gradient).max() for gradient in gradients(theirs.vae))
    for mine, other in zip(gradients(ours.vae), gradients(theirs.vae), strict=True):
        assert np.abs(mine - other).max() <= 1e-4 * np.abs(other).max() + 1e-7 * largest
    statistics = ([p.data().asnumpy() for net in (one.vae, one.disc)
                   for p in net.collect_params().values() if p.grad_req == 'null']
                  for one in (ours, theirs))
    for mine, other in zip(*statistics, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-7)
    for mine, other in zip(arrays(ours.disc), arrays(theirs.disc), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=0.02 * LR)
