"""Whole nets against MXNet's plain operators, layer by layer as papers and sources write them.

The dense nets are computed by hand in test_steps.py.
"""
from dataclasses import replace

import numpy as np
import pytest
from mxnet import nd, random

import models
from tests.test_models import (
    CONV_512,
    CONV_1024,
    CONV_DISC,
    DEEP,
    MNIST,
    REPAIRED,
    networks_of,
    shape_of,
    shrunk,
)
from training.experiments.registry import EXPERIMENTS

BATCH = 3


class Plain:
    """Operators in sequence; each takes a net's next parameters, in the order of its layers."""

    def __init__(self, net, x, epsilon=1e-5):
        self.epsilon = epsilon
        self.values, self.x = iter(p.data() for p in net.collect_params().values()), x

    def conv(self, stride=1, pad=0, bias=True):
        w, *b = self._weights(bias)
        self.x = nd.Convolution(self.x, w, *b, kernel=w.shape[2:], num_filter=w.shape[0],
                                stride=(stride, stride), pad=(pad, pad), no_bias=not bias)
        return self

    def transposed(self, stride=1, pad=0, adjusted=0, bias=True):
        w, *b = self._weights(bias)
        self.x = nd.Deconvolution(self.x, w, *b, kernel=w.shape[2:], num_filter=w.shape[1],
                                  stride=(stride, stride), pad=(pad, pad),
                                  adj=(adjusted, adjusted), no_bias=not bias)
        return self

    def dense(self):
        w, b = self._weights(True)
        self.x = nd.dot(self.x.reshape((BATCH, -1)), w.T) + b
        return self

    def _weights(self, bias):
        return [next(self.values) for _ in range(1 + bias)]

    def norm(self):
        gamma, beta, mean, var = (
            next(self.values).reshape((1, -1) + (1,) * (self.x.ndim - 2)) for _ in range(4))
        self.x = gamma * (self.x - mean) / nd.sqrt(var + self.epsilon) + beta
        return self

    def apply(self, function):
        self.x = function(self.x)
        return self

    def relu(self):
        return self.apply(lambda x: nd.where(x > 0, x, nd.zeros_like(x)))

    def leaky(self, slope):
        return self.apply(lambda x: nd.where(x > 0, x, slope * x))

    def sigmoid(self):
        return self.apply(lambda x: 1 / (1 + nd.exp(-x)))

    def shaped(self, *shape):
        return self.apply(lambda x: x.reshape((BATCH, *shape)))

    def pooled(self):
        """3 x 3 with stride 2: the largest."""
        padded = np.pad(self.x.asnumpy(), ((0, 0), (0, 0), (1, 1), (1, 1)),
                        constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
        self.x = nd.array(windows.max((4, 5)))
        return self

    def end(self):
        assert next(self.values, None) is None  # no parameter is left over
        return self.x.asnumpy()


def filled(net, *inputs):
    """The net with parameters that bring out every layer: none of them is zero."""
    random.seed(0)
    net.initialize()
    net(*inputs)
    rng = np.random.default_rng(0)
    for p in net.collect_params().values():
        values = rng.normal(0, 0.3, p.shape)
        p.set_data(nd.array(np.abs(values) + 0.5 if p.name.endswith('var') else values))
    return net


def conv_encoder(plain, row):
    for stride, pad in [(1, 0)] * 2 if row.encoder == 'published' else [(2, 1)] * 4:
        plain.conv(stride, pad, bias=False).norm().relu()
    plain.dense()
    return plain.norm().relu() if row.latent_head == 'published' else plain


def conv_decoder(plain, row):
    plain.shaped(row.n_latent, 1, 1).transposed(bias=False).norm().relu()
    for _ in range(3):
        plain.transposed(2, 1, bias=False).norm().relu()
    return plain.transposed(2, 1, bias=False).sigmoid()


def conv_disc(stages):
    def disc(plain, row):
        plain.conv(2, 1, bias=False).leaky(0.2)
        for _ in range(stages - 1):
            plain.conv(2, 1, bias=False).norm().leaky(0.2)
        return plain.dense()
    return disc


def resnet(plain, row):
    plain.conv(2, 3).norm().relu().pooled()
    for block in range(8):
        strided, before = block in (2, 4, 6), plain.x
        plain.conv(2 if strided else 1, 1).norm().relu().conv(1, 1).norm()
        body, plain.x = plain.x, before
        skip = plain.conv(2).x if strided else before
        plain.x = body + skip
        plain.relu()
    return plain.apply(lambda x: x.mean(axis=(2, 3))).dense()


def signed(plain, row):
    return plain.apply(lambda x: 2 * x - 1) if row.pixels == 'signed' else plain


def in_range(plain, row):
    if row.pixels == 'signed':
        return plain.apply(lambda x: (nd.tanh(x) + 1) / 2)
    return plain.sigmoid()


def features_a(plain, row):
    signed(plain, row).conv(2).leaky(row.slope)
    return plain.conv(2).norm().leaky(row.slope).shaped(-1)


def encoder_a(plain, row):
    return features_a(plain, row).dense().norm().leaky(row.slope).dense()


def decoder_a(plain, row):
    side = 6 if row.data == 'MNIST' else 15
    for _ in range(2):
        plain.dense().norm().relu()
    plain.shaped(-1, side, side).transposed(2).norm().relu()
    return in_range(plain.transposed(2), row)


def near(plain, row):
    """Salimans et al. (2016), section 3.2, in loops."""
    features, weight = plain.x.asnumpy(), next(plain.values).asnumpy()
    m = (features @ weight.T).reshape(BATCH, row.minibatch_kernels, row.minibatch_dims)
    o = np.array([[sum(np.exp(-np.abs(m[i, k] - m[j, k]).sum()) for j in range(BATCH))
                   for k in range(row.minibatch_kernels)] for i in range(BATCH)])
    plain.x = nd.array(np.concatenate([features, o], axis=1))
    return plain


def disc_a(plain, row):
    features_a(plain, row)
    if row.minibatch_kernels:
        near(plain, row)
    return plain.dense().norm().leaky(row.slope).dense()


def encoder_b(plain, row):
    plain.shaped(-1)
    for _ in range(row.n_hlayers):
        plain.dense().leaky(row.slope)
    hidden = plain.x
    mean = plain.dense().x
    plain.x = hidden
    plain.x = nd.concat(mean, plain.dense().x, dim=1)
    return plain


def decoder_b(plain, row):
    for _ in range(row.n_hlayers):
        plain.dense().leaky(row.slope)
    return plain.dense().apply(nd.tanh).shaped(*MNIST)


def disc_b(plain, row):
    plain.shaped(-1)
    for _ in range(row.disc_hlayers):
        plain.dense().leaky(row.slope)
    return plain.dense()


def encoder_paper(plain, row):
    signed(plain, row)
    for _ in range(3):
        plain.conv(2, 2).norm().relu()
    return plain.dense().norm().relu().dense()


def decoder_paper(plain, row):
    plain.dense().norm().relu().shaped(-1, 8, 8)
    for _ in range(3):
        plain.transposed(2, 2, 1).norm().relu()
    return in_range(plain.conv(1, 2), row)


def disc_paper(plain, row):
    signed(plain, row).conv(1, 2).relu()
    for _ in range(3):
        plain.conv(2, 2).norm().relu()
    return plain.dense().norm().relu().dense()


A, PAPER = 'VAEGAN_on_adult/A_2048_100_lr1', 'VAEGAN_on_anime/paper_128_200'
MNIST_A, B = 'VAEGAN_on_MNIST/A_64_100', 'VAEGAN_on_MNIST/B_20_50'
NETS = [  # row, changes, its encoder, decoder, discriminator
    (CONV_DISC + '512_32_32_200_10_seeded', {}, conv_encoder, conv_decoder, conv_disc(3)),
    (CONV_512, REPAIRED, conv_encoder, conv_decoder),
    (DEEP, {}, conv_encoder, conv_decoder, conv_disc(4)),
    (CONV_1024, {'disc_base_channels': 2}, conv_encoder, conv_decoder, resnet),
    (MNIST_A, {'norm_epsilon': 0.5}, encoder_a, decoder_a, disc_a),
    (A, {}, encoder_a, decoder_a, disc_a),
    (B, {}, encoder_b, decoder_b, disc_b),
    (PAPER, {}, encoder_paper, decoder_paper, disc_paper)]


@pytest.mark.parametrize('name, changes, part, expected', [
    pytest.param(name, changes, part, expected, id=f'{name}-{part}')
    for name, changes, *parts in NETS
    for part, expected in zip(('encoder', 'decoder', 'disc'), parts, strict=False)])
def test_net_is_what_its_source_says(name, changes, part, expected):
    row = replace(shrunk(EXPERIMENTS[name]), **changes)
    shape, rng = shape_of(row), np.random.default_rng(1)
    x = nd.array(rng.normal(0, 1, (BATCH, row.n_latent)) if part == 'decoder' else
                 rng.random((BATCH, *shape)))
    net = (models.build_discriminator(row, shape) if part == 'disc' else
           getattr(models.build_vae(row, shape), part))
    ours = filled(net, x)(x).asnumpy()
    theirs = expected(Plain(net, x, getattr(row, 'norm_epsilon', 1e-5)), row).end()
    assert ours.shape == theirs.shape and theirs.std() > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


def test_weights_and_running_statistics_of_system_a_are_as_asked():
    nets = networks_of(replace(EXPERIMENTS[MNIST_A], norm_momentum=0.75, weights='normal'))
    for net, parameters in nets.parameters.items():
        assert {momentum for _, momentum in nets.statistics[net]} == {0.75}
        weights = [p.data().asnumpy() for p in parameters if p.name.endswith('weight')]
        assert {round(float(w.std()), 3) for w in weights if w.size > 5000} == {0.02}, net
