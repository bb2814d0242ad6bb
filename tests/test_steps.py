"""One step of each kind against a plain NumPy computation in float64, gradients by hand."""
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mxnet import autograd, cpu, nd

import models  # noqa: F401  before MXNet
from training.experiments import kinds
from training.experiments.registry import Experiment
from training.steps import losses, reference, solo_combo
from training.steps.networks import make_networks

SHAPE, FACES, BATCH, Z = (1, 4, 4), (3, 64, 64), 6, 3
LR, PIXEL, ADVERSARIAL = 1e-3, 0.7, 2.5
TOLERANCE = 1e-5  # relative to each array's largest value


def row(**fields) -> Experiment:
    return Experiment(**{'name': '', 'data': 'MNIST', 'vae': 'DenseVAE', 'n_latent': Z,
                         'n_hlayers': 2, 'n_hnodes': 7, 'disc': 'DenseLogReg',
                         'disc_hlayers': 1, 'disc_hnodes': 5, 'combo_epochs': 1,
                         'lr': LR} | fields)


def networks(experiment: Experiment, shape=SHAPE):
    vae = models.build_vae(experiment, shape)
    return make_networks(experiment, vae, models.build_discriminator(experiment), shape, cpu())


def batch(shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(1).random((BATCH, *shape)).astype(np.float32)


def draw(which: int) -> nd.NDArray:
    return nd.array(np.random.default_rng(which).standard_normal((BATCH, Z)))


class MLP:
    """Dense layers, relu between them; forward keeps what backward needs."""

    def __init__(self, net):
        arrays = [p.data().asnumpy().astype(np.float64) for p in net.collect_params().values()]
        self.layers = list(zip(arrays[::2], arrays[1::2], strict=True))

    def forward(self, x):
        tape, value = [], x
        for i, (weight, bias) in enumerate(self.layers):
            tape.append(value)
            value = value @ weight.T + bias
            if i < len(self.layers) - 1:
                value = np.maximum(value, 0)
        return value, tape

    def backward(self, tape, gradient):
        """Gradients of weights and biases in order, and of the input."""
        collected = []
        for i in reversed(range(len(self.layers))):
            collected = [gradient.T @ tape[i], gradient.sum(axis=0), *collected]
            gradient = gradient @ self.layers[i][0]
            if i:
                gradient = gradient * (tape[i] > 0)
        return collected, gradient

    def adam(self, gradients):
        """Parameters after the first Adam step."""
        parameters = [array for layer in self.layers for array in layer]
        return [p - LR * np.sqrt(1 - 0.999) / (1 - 0.9) * 0.1 * g
                / (np.sqrt(0.001 * g ** 2) + 1e-8)
                for p, g in zip(parameters, gradients, strict=True)]


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def add(left, right):
    return [a + b for a, b in zip(left, right, strict=True)]


class Reference:
    """The VAE and its discriminator, and the terms of their losses."""

    def __init__(self, nets):
        self.encoder, self.decoder = MLP(nets.vae.encoder), MLP(nets.vae.decoder)
        self.disc = MLP(nets.disc)

    def generate(self, x, eps):
        code, encoder_tape = self.encoder.forward(x)
        mean, logvar = code[:, :Z], code[:, Z:]
        z = mean + np.exp(logvar / 2) * eps
        logit, decoder_tape = self.decoder.forward(z)
        return SimpleNamespace(x_hat=sigmoid(logit), mean=mean, logvar=logvar, eps=eps,
                               encoder_tape=encoder_tape, decoder_tape=decoder_tape)

    def vae_gradients(self, run, d_x_hat, d_kl):
        """From d loss / d x_hat, and the weight of the KL term: encoder's, then decoder's."""
        d_logit = d_x_hat * run.x_hat * (1 - run.x_hat)
        decoder, d_z = self.decoder.backward(run.decoder_tape, d_logit)
        d_mean = d_z + d_kl * run.mean / BATCH
        d_logvar = (d_z * run.eps * np.exp(run.logvar / 2) / 2
                    + d_kl * (np.exp(run.logvar) - 1) / 2 / BATCH)
        encoder, _ = self.encoder.backward(run.encoder_tape,
                                           np.concatenate([d_mean, d_logvar], axis=1))
        return encoder + decoder

    def pixel_terms(self, run, x):
        """KL, bce, d bce / d x_hat."""
        kl = (-0.5 * (1 + run.logvar - run.mean ** 2 - np.exp(run.logvar))).sum(1).mean()
        inside, outside = run.x_hat + 1e-10, 1 - run.x_hat + 1e-10
        bce = -(x * np.log(inside) + (1 - x) * np.log(outside)).sum(1).mean()
        return kl, bce, (-x / inside + (1 - x) / outside) / BATCH

    def disc_step(self, x, fakes):
        """Loss, accuracies, gradients; the discriminator is updated."""
        real, real_tape = self.disc.forward(x)
        fake, fake_tape = self.disc.forward(fakes)
        loss = (np.log1p(np.exp(-real)) + np.log1p(np.exp(fake))).mean()
        gradients = add(self.disc.backward(real_tape, (sigmoid(real) - 1) / BATCH)[0],
                        self.disc.backward(fake_tape, sigmoid(fake) / BATCH)[0])
        updated = self.disc.adam(gradients)
        self.disc.layers = list(zip(updated[::2], updated[1::2], strict=True))
        return loss, (real > 0).mean(), (fake < 0).mean(), updated

    def adversarial_term(self, run):
        """BCE(disc(x_hat), 1) and its gradient with respect to x_hat."""
        logit, tape = self.disc.forward(run.x_hat)
        return (np.log1p(np.exp(-logit)).mean(),
                self.disc.backward(tape, (sigmoid(logit) - 1) / BATCH)[1])

    def updated_vae(self, gradients):
        n = 2 * len(self.encoder.layers)
        return self.encoder.adam(gradients[:n]) + self.decoder.adam(gradients[n:])


def reference_combo(by_hand, x, draws, shared: bool, kl_weight=1):
    runs = [by_hand.generate(x, draws[0 if shared else which]) for which in range(3)]
    loss_disc, real, fake, disc = by_hand.disc_step(x, runs[solo_combo.FOR_DISC].x_hat)
    fooled, d_fooled = by_hand.adversarial_term(runs[solo_combo.FOR_ADVERSARIAL])
    kl, bce, d_bce = by_hand.pixel_terms(runs[solo_combo.FOR_PIXELS], x)
    gradients = add(
        by_hand.vae_gradients(runs[solo_combo.FOR_ADVERSARIAL], ADVERSARIAL * d_fooled, 0),
        by_hand.vae_gradients(runs[solo_combo.FOR_PIXELS], PIXEL * d_bce, kl_weight))
    total = kl_weight * kl + PIXEL * bce + ADVERSARIAL * fooled
    return ([total, loss_disc, kl, bce, fooled, real, fake], gradients,
            by_hand.updated_vae(gradients), disc)


def assert_close(ours, expected):
    for mine, other in zip(ours, expected, strict=True):
        assert np.abs(mine - other).max() <= TOLERANCE * np.abs(other).max() + 1e-12


def arrays(net, what='data'):
    return [getattr(p, what)().asnumpy() for p in net.collect_params().values()]


@pytest.mark.parametrize('kl_weight', [1, 4.5])
@pytest.mark.parametrize('step', ['published', 'shared'])
def test_combo_step_is_the_one_computed_by_hand(step, kl_weight):
    nets, x = networks(row(step=step)), batch()
    by_hand = Reference(nets)
    draws = [draw(which).asnumpy().astype(np.float64) for which in range(3)]
    terms, gradients, vae, disc = reference_combo(
        by_hand, x.reshape(BATCH, -1).astype(np.float64), draws, shared=step == 'shared',
        kl_weight=kl_weight)
    ours = solo_combo.COMBO_STEPS[step](nets, nd.array(x), draw,
                                        solo_combo.Weights(PIXEL, ADVERSARIAL, kl=kl_weight))
    np.testing.assert_allclose(ours.asnumpy().ravel(), terms, rtol=TOLERANCE)
    assert_close(arrays(nets.vae, 'grad'), gradients)
    assert_close(arrays(nets.vae), vae)
    assert_close(arrays(nets.disc), disc)


@pytest.mark.parametrize('kl_weight', [1, 0, 4.5])
def test_solo_step_has_pixel_weight_one_and_leaves_the_discriminator_alone(kl_weight):
    nets, x = networks(row()), batch()
    by_hand, before = Reference(nets), arrays(nets.disc)
    flat = x.reshape(BATCH, -1).astype(np.float64)
    run = by_hand.generate(flat, draw(0).asnumpy())
    kl, bce, d_bce = by_hand.pixel_terms(run, flat)
    gradients = by_hand.vae_gradients(run, d_bce, kl_weight)
    ours = solo_combo.solo(nets, nd.array(x), draw,
                           solo_combo.Weights(PIXEL, ADVERSARIAL, kl=kl_weight))
    np.testing.assert_allclose(ours.asnumpy().ravel(), [kl_weight * kl + bce, kl, bce],
                               rtol=TOLERANCE)
    assert_close(arrays(nets.vae), by_hand.updated_vae(gradients))
    assert all((a == b).all() for a, b in zip(arrays(nets.disc), before, strict=True))


CONV = {'data': 'anime', 'vae': 'ConvVAE', 'vae_base_channels': 2, 'n_hlayers': None,
        'n_hnodes': None, 'disc': 'ConvDisc', 'disc_base_channels': 2, 'lr': 1e-12}


def running_mean(net) -> np.ndarray:
    return next(p.data().asnumpy() for name, p in net.collect_params().items()
                if name.endswith('running_mean'))


@pytest.mark.parametrize('step, vae_passes', [('published', 3), ('shared', 1)])
def test_running_statistics_move_as_often_as_in_the_original(step, vae_passes, moved_in, momentum):
    nets, x = networks(row(**CONV), FACES), nd.array(batch(FACES))
    first_layer = nets.vae.encoder[0](x).asnumpy().mean(axis=(0, 2, 3))
    solo_combo.COMBO_STEPS[step](nets, x, draw, solo_combo.Weights(1.0, 1.0))
    # Every pass sees the same images here, and so moves the mean by the same share of the way
    np.testing.assert_allclose(running_mean(nets.vae), first_layer * (1 - momentum ** vae_passes),
                               rtol=1e-4)


def test_discriminators_running_statistics_move_for_real_fake_and_fake(moved_in):
    nets, x = networks(row(**CONV), FACES), nd.array(batch(FACES))
    solo_combo.combo_shared(nets, x, draw, solo_combo.Weights(1.0, 1.0))
    moved = running_mean(nets.disc)
    nets = networks(row(**CONV), FACES)
    real, fake = (nets.disc[2](nets.disc[1](nets.disc[0](images))).asnumpy().mean((0, 2, 3))
                  for images in (x, train_mode_images(nets.vae, x)))
    np.testing.assert_allclose(moved, 0.1 * (0.81 * real + 0.9 * fake + fake), rtol=1e-3)


def train_mode_images(vae, x):
    with autograd.train_mode():
        return vae(x, draw(0))[0]


def accuracies(nets, kind, x) -> list[float]:
    """Shares of real and generated images that the discriminator gets right before its step."""
    with autograd.train_mode():
        fakes = nets.vae(draw(0)) if kind == 'gan' else nets.vae(x, draw(0))[0]
        return [(nets.disc(x) > 0).mean().asscalar(), (nets.disc(fakes) < 0).mean().asscalar()]


STEPS = {'solo': solo_combo.solo, **solo_combo.COMBO_STEPS, 'gan': solo_combo.gan}
SMALL_CONV = CONV | {'lr': LR}
PLAIN = {'solo': reference.solo, 'published': reference.combo_published,
         'shared': reference.combo_shared, 'gan': reference.gan}


@pytest.mark.parametrize('by', ['kernels', 'operators'])  # as on the CPU, as on a GPU
@pytest.mark.parametrize('kind, fields, shape', [
    *((kind, fields, shape) for kind in ('solo', 'published', 'shared')
      for fields, shape in (({}, SHAPE), (SMALL_CONV, FACES))),
    ('gan', SMALL_CONV | {'vae': 'ConvDecoder', 'pixel_loss': None}, FACES)],
    ids=lambda value: value.get('vae', 'DenseVAE') if isinstance(value, dict) else None)
def test_step_is_that_of_its_equations(kind, fields, shape, by, monkeypatch):
    monkeypatch.setattr(losses, 'on_cpu', lambda array: by == 'kernels')
    x, weights = nd.array(batch(shape)), solo_combo.Weights(PIXEL, ADVERSARIAL, kl=1.5)
    ours, theirs = (networks(row(**fields), shape) for _ in range(2))
    terms = STEPS[kind](ours, x, draw, weights).asnumpy().ravel()
    losses_of = PLAIN[kind](theirs, x, draw, weights)
    names = next(phase.terms for kind_of_run in (kinds.GAN, kinds.SOLO_COMBO)
                 for phase in kind_of_run.phases if len(phase.terms) == len(terms))
    named = dict(zip(names, terms, strict=True))
    *disc_loss, vae_loss = losses_of if isinstance(losses_of, tuple) else [losses_of]
    assert named['vae_loss'] == pytest.approx(vae_loss.asscalar(), rel=1e-4)
    if disc_loss:
        assert named['disc_loss'] == pytest.approx(disc_loss[0].asscalar(), rel=1e-5)
        assert [named['disc_real_accuracy'], named['disc_fake_accuracy']] == pytest.approx(
            accuracies(networks(row(**fields), shape), kind, x))
    largest = max(np.abs(gradient).max() for gradient in gradients(theirs.vae))
    for mine, other in zip(gradients(ours.vae), gradients(theirs.vae), strict=True):
        assert np.abs(mine - other).max() <= 1e-4 * np.abs(other).max() + 1e-7 * largest
    for net, plain in ((ours.vae, theirs.vae), (ours.disc, theirs.disc)):
        for mine, other in zip(net.collect_params().values(), plain.collect_params().values(),
                               strict=True):
            if mine.grad_req == 'null':  # running statistics
                np.testing.assert_allclose(mine.data().asnumpy(), other.data().asnumpy(),
                                           rtol=1e-4, atol=1e-7)
    for mine, other in zip(arrays(ours.disc), arrays(theirs.disc), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=0.02 * LR)


@pytest.mark.parametrize('momentum', [0.7], indirect=True)
def test_statistics_go_by_each_layers_momentum(momentum, monkeypatch):
    test_step_is_that_of_its_equations('published', SMALL_CONV, FACES, 'kernels', monkeypatch)


def test_step_is_that_of_its_equations_by_the_engine_of_several_threads():
    """It runs on while Python reads what it has not yet moved."""
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:xdist', '-p', 'no:cacheprovider',
         __file__, '-k', 'its_equations and published and kernels'],
        capture_output=True, text=True,
        env=os.environ | {'MXNET_ENGINE_TYPE': 'ThreadedEnginePerDevice'})
    assert done.returncode == 0 and '2 passed' in done.stdout, done.stdout


def gradients(net):
    return [p.grad().asnumpy() for p in net.collect_params().values() if p.grad_req != 'null']
