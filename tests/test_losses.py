"""Losses against NumPy, and against closed forms."""
import numpy as np
import pytest
from mxnet import nd

from training.steps import losses

RNG = np.random.default_rng(0)


def close(ours, expected, tolerance=1e-5):
    np.testing.assert_allclose(ours.asnumpy(), expected, rtol=tolerance)


def test_kl_divergence():
    mean, logvar = RNG.standard_normal((2, 4, 3))
    expected = -0.5 * (1 + logvar - mean ** 2 - np.exp(logvar)).sum(axis=1)
    close(losses.kl_divergence(nd.array(mean), nd.array(logvar)), expected)


def test_kl_divergence_agrees_with_sampling():
    mean, logvar = np.array([0.7]), np.array([-0.4])
    z = mean + np.exp(logvar / 2) * RNG.standard_normal(400_000)
    log_ratio = (-0.5 * (logvar + (z - mean) ** 2 / np.exp(logvar)) + 0.5 * z ** 2).mean()
    ours = losses.kl_divergence(nd.array([mean]), nd.array([logvar])).asscalar()
    assert ours == pytest.approx(log_ratio, rel=0.02)


def test_bce_sums_over_pixels_with_the_floor_inside_the_logs():
    x, x_hat = RNG.random((2, 3, 2, 4, 4))
    x_hat[0, 0, 0, 0], x[0, 0, 0, 0] = 0.0, 1.0  # without the floor, infinite
    expected = -(x * np.log(x_hat + 1e-10) + (1 - x) * np.log(1 - x_hat + 1e-10))
    close(losses.bce(nd.array(x_hat), nd.array(x)), expected.sum(axis=(1, 2, 3)))


def test_l2_sums_over_pixels():
    x, x_hat = RNG.random((2, 3, 2, 4, 4))
    close(losses.l2(nd.array(x_hat), nd.array(x)), ((x_hat - x) ** 2).sum(axis=(1, 2, 3)))


@pytest.mark.parametrize('real', [True, False])
def test_adversarial_is_cross_entropy_of_the_sigmoid(real):
    logit = np.array([[-3.0], [0.0], [2.5]])
    probability = 1 / (1 + np.exp(-logit[:, 0]))
    expected = -np.log(probability if real else 1 - probability)
    close(losses.adversarial(nd.array(logit), real), expected)


def test_adversarial_stays_finite_far_out():
    logit = nd.array([[-1e4], [1e4]])
    assert losses.adversarial(logit, real=True).asnumpy().tolist() == [1e4, 0]
