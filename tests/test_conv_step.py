"""One published combo step of ConvVAE + ConvDisc, against plain NumPy in float64.

Convolutions, BatchNorm and their gradients are written out by hand here; nothing of MXNet's
or of the project's computes them.
"""
import numpy as np
import pytest
from mxnet import cpu, nd
from mxnet.gluon import nn
from numpy.lib.stride_tricks import sliding_window_view

import models
from training.experiments.registry import Experiment
from training.steps import solo_combo
from training.steps.networks import make_networks

SHAPE, BATCH, Z, LR = (3, 64, 64), 8, 3, 1e-3
PIXEL, ADVERSARIAL, EPSILON, MOMENTUM = 0.7, 2.5, 1e-5, 0.9
TOLERANCE = 1e-5  # relative to each array's largest value
ROW = Experiment(name='', data='anime', vae='ConvVAE', n_latent=Z,
                 vae_base_channels=2, disc='ConvDisc',
                 disc_base_channels=3, combo_epochs=1, lr=LR)


class Conv:
    """4 x 4 kernels (out, in, 4, 4); x (b, in, h, w)."""

    def __init__(self, weight, stride, pad):
        self.parameters, self.stride, self.pad = [weight], stride, pad

    def forward(self, x):
        p, s = self.pad, self.stride
        x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        windows = sliding_window_view(x, (4, 4), (2, 3))[:, :, ::s, ::s]
        return np.einsum('bchwij,ocij->bohw', windows, self.parameters[0], optimize=True), x

    def backward(self, x, dy):
        s, p, (h, w) = self.stride, self.pad, dy.shape[2:]
        windows = sliding_window_view(x, (4, 4), (2, 3))[:, :, ::s, ::s]
        gradient, dx = np.einsum('bchwij,bohw->ocij', windows, dy, optimize=True), np.zeros_like(x)
        for i in range(4):
            for j in range(4):
                dx[:, :, i:i + s * h:s, j:j + s * w:s] += np.einsum(
                    'bohw,oc->bchw', dy, self.parameters[0][:, :, i, j])
        return dx[:, :, p:x.shape[2] - p, p:x.shape[3] - p], [gradient]


class ConvTransposed:
    """4 x 4 kernels (in, out, 4, 4): what Conv does to gradients."""

    def __init__(self, weight, stride, pad):
        self.parameters, self.stride, self.pad = [weight], stride, pad

    def _part(self, large, i, j, h, w):
        s = self.stride
        return large[:, :, i:i + s * h:s, j:j + s * w:s]

    def forward(self, x):
        b, _, h, w = x.shape
        side = [self.stride * (n - 1) + 4 for n in (h, w)]
        y = np.zeros((b, self.parameters[0].shape[1], *side))
        for i in range(4):
            for j in range(4):
                self._part(y, i, j, h, w)[...] += np.einsum(
                    'bchw,co->bohw', x, self.parameters[0][:, :, i, j])
        p = self.pad
        return y[:, :, p:side[0] - p, p:side[1] - p], x

    def backward(self, x, dy):
        p, (h, w) = self.pad, x.shape[2:]
        dy = np.pad(dy, ((0, 0), (0, 0), (p, p), (p, p)))
        dx, gradient = np.zeros_like(x), np.zeros_like(self.parameters[0])
        for i in range(4):
            for j in range(4):
                part = self._part(dy, i, j, h, w)
                dx += np.einsum('bohw,co->bchw', part, self.parameters[0][:, :, i, j])
                gradient[:, :, i, j] = np.einsum('bchw,bohw->co', x, part)
        return dx, [gradient]


class Dense:
    """Weight (out, in) and bias; x is flattened."""

    def __init__(self, weight, bias):
        self.parameters = [weight, bias]

    def forward(self, x):
        return x.reshape(len(x), -1) @ self.parameters[0].T + self.parameters[1], x

    def backward(self, x, dy):
        return (dy @ self.parameters[0]).reshape(x.shape), [
            dy.T @ x.reshape(len(x), -1), dy.sum(axis=0)]


class BatchNorm:
    """Over all axes but the second; `moved` notes batch means and variances in order."""

    def __init__(self, gamma, beta):
        self.parameters, self.moved = [gamma, beta], []

    def forward(self, x):
        axes = (0, *range(2, x.ndim))
        self.moved.append((x.mean(axis=axes), x.var(axis=axes)))
        mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
        normal = (x - mean) / np.sqrt(var + EPSILON)
        gamma, beta = (p.reshape(-1, *[1] * (x.ndim - 2)) for p in self.parameters)
        return gamma * normal + beta, (normal, np.sqrt(var + EPSILON))

    def backward(self, kept, dy):
        normal, deviation = kept
        axes = (0, *range(2, dy.ndim))
        gamma = self.parameters[0].reshape(-1, *[1] * (dy.ndim - 2))
        self.summed = [np.abs(dy * normal).sum(axis=axes).max(), np.abs(dy).sum(axis=axes).max()]
        centred = dy - dy.mean(axis=axes, keepdims=True) - normal * (dy * normal).mean(
            axis=axes, keepdims=True)
        return gamma * centred / deviation, [(dy * normal).sum(axis=axes), dy.sum(axis=axes)]


class Slope:
    """max(x, a x)."""
    parameters = ()

    def __init__(self, a):
        self.a = a

    def forward(self, x):
        return np.where(x > 0, x, self.a * x), x

    def backward(self, x, dy):
        return np.where(x > 0, dy, self.a * dy), []


class Sigmoid:
    parameters = ()

    def forward(self, x):
        y = 1 / (1 + np.exp(-x))
        return y, y

    def backward(self, y, dy):
        return dy * y * (1 - y), []


class Net:
    """Plain layers with the parameters of a Gluon net."""

    def __init__(self, net):
        self.layers, self.norms, self.before_norm = [], [], []
        for block in net:
            arrays = [p.data().asnumpy().astype(np.float64)
                      for p in block._reg_params.values() if p.grad_req != 'null']
            match block:
                case nn.Conv2DTranspose():
                    size = block._kwargs
                    self.layers.append(ConvTransposed(*arrays[:1], size['stride'][0],
                                                      size['pad'][0]))
                case nn.Conv2D():
                    size = block._kwargs
                    self.layers.append(Conv(*arrays[:1], size['stride'][0], size['pad'][0]))
                case nn.Dense():
                    self.layers.append(Dense(*arrays))
                case nn.BatchNorm():
                    self.layers.append(BatchNorm(*arrays))
                    self.norms.append((block, self.layers[-1]))
                case nn.LeakyReLU():
                    self.layers.append(Slope(0.2))
                case nn.Activation():
                    self.layers.append(Slope(0.0))
            if isinstance(block, nn.Conv2DTranspose) and block.act is not None:
                self.layers.append(Sigmoid())

    def forward(self, x):
        kept = []
        for layer in self.layers:
            x, what = layer.forward(x)
            kept.append(what)
        return x, kept

    def backward(self, kept, dy):
        """Gradients of the parameters in order, and of the input."""
        collected = []
        for layer, what in zip(reversed(self.layers), reversed(kept), strict=True):
            dy, gradients = layer.backward(what, dy)
            collected = [*gradients, *collected]
        return collected, dy

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters]

    def summed(self, gradients):
        """By a BatchNorm gradient's id: the largest sum of what it adds up, without signs."""
        owners = [(layer, i) for layer in self.layers for i, _ in enumerate(layer.parameters)]
        return {id(gradient): max(np.abs(gradient).max(), layer.summed[i])
                for gradient, (layer, i) in zip(gradients, owners, strict=True)
                if isinstance(layer, BatchNorm)}

    def adam(self, gradients):
        """The first step of Adam."""
        for p, g in zip(self.parameters(), gradients, strict=True):
            p -= LR * np.sqrt(1 - 0.999) / (1 - 0.9) * 0.1 * g / (np.sqrt(0.001 * g * g) + 1e-8)


def trained(net):
    return [p for p in net.collect_params().values() if p.grad_req != 'null']


def bce(logit, label):
    """Mean loss, and its gradient; logit (b, 1)."""
    loss = np.logaddexp(0, logit) - label * logit
    return loss.mean(), (1 / (1 + np.exp(-logit)) - label) / len(logit)


def plain_step(encoder, decoder, disc, x, noise):
    """The published combo step: losses, gradients by net. Parameters and statistics move."""
    code, of_encoder = encoder.forward(x)
    mean, logvar = np.split(code, 2, axis=1)
    latents = [(mean + np.exp(logvar / 2) * eps)[..., None, None] for eps in noise]
    fakes, _ = decoder.forward(latents[0])
    real, of_real = disc.forward(x)
    fake, of_fake = disc.forward(fakes)
    (real_loss, d_real), (fake_loss, d_fake) = bce(real, 1), bce(fake, 0)
    d_disc = [a + b for a, b in zip(disc.backward(of_real, d_real)[0],
                                    disc.backward(of_fake, d_fake)[0], strict=True)]
    disc.adam(d_disc)

    fakes, of_fakes = decoder.forward(latents[1])
    logit, of_logit = disc.forward(fakes)
    adversarial, d_logit = bce(logit, 1)
    d_fakes = ADVERSARIAL * disc.backward(of_logit, d_logit)[1]
    first, d_first = decoder.backward(of_fakes, d_fakes)

    x_hat, of_x_hat = decoder.forward(latents[2])
    pixel = -(x * np.log(x_hat + 1e-10) + (1 - x) * np.log(1 - x_hat + 1e-10)).sum() / len(x)
    d_x_hat = PIXEL / len(x) * ((1 - x) / (1 - x_hat + 1e-10) - x / (x_hat + 1e-10))
    second, d_second = decoder.backward(of_x_hat, d_x_hat)

    kl = -0.5 * (1 + logvar - mean ** 2 - np.exp(logvar)).sum() / len(x)
    d_first, d_second = d_first[..., 0, 0], d_second[..., 0, 0]
    d_mean = mean / len(x) + d_first + d_second
    d_logvar = 0.5 * (np.exp(logvar) - 1) / len(x) + 0.5 * np.exp(logvar / 2) * (
        d_first * noise[1] + d_second * noise[2])
    d_encoder, _ = encoder.backward(of_encoder, np.concatenate([d_mean, d_logvar], axis=1))
    d_decoder = [a + b for a, b in zip(first, second, strict=True)]
    encoder.adam(d_encoder)
    decoder.adam(d_decoder)
    terms = [kl + PIXEL * pixel + ADVERSARIAL * adversarial, real_loss + fake_loss, kl, pixel,
             adversarial, (real > 0).mean(), (fake < 0).mean()]
    return terms, {'encoder': d_encoder, 'decoder': d_decoder, 'disc': d_disc}


def close(ours, expected, scale=None) -> bool:
    scale = np.abs(expected).max() if scale is None else scale
    return bool(np.abs(ours - expected).max() <= TOLERANCE * scale)


@pytest.fixture(scope='module')
def both():
    """Our step and the plain one: networks, plain nets, terms and gradients of each."""
    vae = models.build_vae(ROW, SHAPE)
    networks = make_networks(ROW, vae, models.build_discriminator(ROW), SHAPE, cpu())
    gluon = {'encoder': vae.encoder, 'decoder': vae.decoder.net, 'disc': networks.disc}
    rng = np.random.default_rng(3)
    for net in gluon.values():  # else all offsets are 0 and all scales 1
        for p in trained(net):
            if p.shape != () and len(p.shape) == 1:
                p.set_data(nd.array(rng.uniform(0.5, 1.5, p.shape)))
    plain = {name: Net(net) for name, net in gluon.items()}
    x = rng.random((BATCH, *SHAPE))
    noise = [rng.standard_normal((BATCH, Z)).astype(np.float32) for _ in range(3)]
    terms = solo_combo.combo_published(networks, nd.array(x), lambda which: nd.array(noise[which]),
                                  solo_combo.Weights(PIXEL, ADVERSARIAL)).asnumpy()
    expected, gradients = plain_step(*plain.values(), x.astype(np.float32).astype(np.float64),
                                     noise)
    return gluon, plain, terms, expected, gradients


def test_losses_are_those_computed_by_hand(both):
    _, _, terms, expected, _ = both
    np.testing.assert_allclose(terms, expected, rtol=TOLERANCE)


@pytest.mark.parametrize('name', ['encoder', 'decoder', 'disc'])
def test_gradients_are_those_computed_by_hand(both, name):
    gluon, plain, _, _, gradients = both
    parameters = trained(gluon[name])
    summed = plain[name].summed(gradients[name])
    assert len(parameters) == len(gradients[name]) > 5
    for p, expected in zip(parameters, gradients[name], strict=True):
        if feeds_norm(gluon[name], p):
            assert np.abs(p.grad().asnumpy()).max() < 1e-3 and np.abs(expected).max() < 1e-12
        else:
            # BatchNorm's are sums over a batch's pixels that cancel: to float32 what was summed
            # is the measure
            assert close(p.grad().asnumpy(), expected, summed.get(id(expected))), p.name


def feeds_norm(net, parameter) -> bool:
    """Whether it is the bias of a layer before BatchNorm, whose true gradient is 0."""
    blocks = list(net)
    return any(isinstance(block, nn.Dense) and block.bias is parameter
               and isinstance(after, nn.BatchNorm)
               for block, after in zip(blocks, blocks[1:], strict=False))


@pytest.mark.parametrize('name', ['encoder', 'decoder', 'disc'])
def test_updated_parameters_are_those_computed_by_hand(both, name):
    gluon, plain, _, _, gradients = both
    for p, expected, gradient in zip(trained(gluon[name]), plain[name].parameters(),
                                     gradients[name], strict=True):
        if feeds_norm(gluon[name], p):
            continue
        # Adam's first step is the gradient's sign: where that is rounding, nobody knows it
        known = np.abs(gradient) > TOLERANCE * np.abs(gradient).max()
        assert known.mean() > 0.999
        assert close(p.data().asnumpy()[known], expected[known]), p.name


@pytest.mark.parametrize('name, moves', [('encoder', 3), ('decoder', 3), ('disc', 3)])
def test_running_statistics_move_three_times(both, name, moves):
    _, plain, _, _, _ = both
    for block, norm in plain[name].norms:
        batches = norm.moved * (moves // len(norm.moved))  # the encoder's passes are all the same
        mean, var = 0.0, 1.0
        for batch_mean, batch_var in batches:
            mean = MOMENTUM * mean + (1 - MOMENTUM) * batch_mean
            var = MOMENTUM * var + (1 - MOMENTUM) * batch_var
        assert len(batches) == 3
        assert close(block.running_mean.data().asnumpy(), mean)
        assert close(block.running_var.data().asnumpy(), var)
