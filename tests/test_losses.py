"""Losses by MXNet's operators and by the CPU's kernels, both against NumPy in float64; views."""
import sys

import numpy as np
import pytest
from mxnet import nd

from training.steps import kernels, losses

RNG = np.random.default_rng(0)
SCALE, WEIGHT, FLOOR = 0.25, 3.0, 1e-10


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def uniform(*shape):
    return RNG.uniform(0.001, 0.999, shape).astype(np.float32)


def kl(mean, logvar):
    return -0.5 * (1 + logvar - mean ** 2 - np.exp(logvar)), mean, (np.exp(logvar) - 1) / 2


def bce(x_hat, x):
    inside, outside = x_hat + FLOOR, 1 - x_hat + FLOOR
    return -(x * np.log(inside) + (1 - x) * np.log(outside)), (1 - x) / outside - x / inside


def l2(x_hat, x):
    return (x_hat - x) ** 2, 2 * (x_hat - x)


def gaussian(x_hat, x):
    return -np.log(np.exp(-(x_hat - x) ** 2 / 2) / np.sqrt(2 * np.pi)), x_hat - x


def mean_square(x_hat, x):
    n = x[0].size
    return (x_hat - x) ** 2 / n, 2 * (x_hat - x) / n


@pytest.fixture(params=['kernels', 'operators'])
def by(request, monkeypatch) -> str:
    """What computes losses: on the CPU kernels, on a GPU MXNet's operators."""
    monkeypatch.setattr(losses, 'on_cpu', lambda array: request.param == 'kernels')
    return request.param


def number(value) -> float:
    return value.asscalar() if isinstance(value, nd.NDArray) else value


def assert_near(ours: nd.NDArray, expected: np.ndarray) -> None:
    assert np.abs(ours.asnumpy() - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize('of, arrays', [
    (kl, (normal(6, 5), normal(6, 5))),
    *((of, (uniform(*shape), uniform(*shape))) for of in (bce, l2)
      for shape in ((6, 1, 5, 7), (3, 3, 64, 64))),
    *((of, (normal(3, 2, 4, 4), normal(3, 2, 4, 4))) for of in (gaussian, mean_square))])
def test_loss_and_its_gradients_are_those_by_hand(of, arrays, by):
    loss = getattr(losses, 'kl_divergence' if of is kl else of.__name__)
    terms, *gradients = of(*(array.astype(np.float64) for array in arrays))
    arrays = [nd.array(array) for array in arrays]
    of_images = terms.reshape(len(terms), -1).sum(axis=1)
    np.testing.assert_allclose(loss(*arrays).asnumpy(), of_images, rtol=1e-5)
    value, *ours = losses.with_gradient(loss, *arrays, scale=SCALE, weight=WEIGHT)
    assert number(value) == pytest.approx(SCALE * of_images.sum(), rel=1e-5)
    for own, expected in zip(ours, gradients, strict=True):
        assert_near(own, SCALE * WEIGHT * expected)


def test_bce_at_black_and_white_is_that_of_the_floor(by):
    x_hat, x = nd.array([[[[0.0, 1.0, 0.0, 1.0]]]]), nd.array([[[[1.0, 0.0, 0.0, 1.0]]]])
    value, gradient = losses.with_gradient(losses.bce, x_hat, x, scale=1.0)
    assert number(value) == pytest.approx(-2 * np.log(FLOOR), rel=1e-6)
    np.testing.assert_allclose(gradient.asnumpy().ravel(), [-1e10, 1e10, 1, -1], rtol=1e-5)


@pytest.mark.parametrize('wrong', [np.nan, np.inf])
def test_what_is_not_finite_shows_in_the_loss(wrong):
    x_hat = nd.array([[[[wrong, 0.5]]]])
    value, _ = losses.with_gradient(losses.bce, x_hat, nd.ones((1, 1, 1, 2)), scale=1.0)
    assert not np.isfinite(value)


@pytest.mark.parametrize('n_real', [0, 4, 9])
def test_adversarial_is_cross_entropy_of_the_sigmoid_and_counts_who_is_right(n_real, by):
    logit, real = 4 * normal(9, 1), (np.arange(9) < n_real).reshape(-1, 1)
    probability = 1 / (1 + np.exp(-logit.astype(np.float64)))
    terms = -np.log(np.where(real, probability, 1 - probability))[:, 0]
    np.testing.assert_allclose(losses.adversarial(nd.array(logit), nd.array(real)).asnumpy(),
                               terms, rtol=1e-5)
    value, real_right, fake_right, gradient = losses.adversarial_with_gradient(
        nd.array(logit), n_real, SCALE, WEIGHT)
    assert number(value) == pytest.approx(SCALE * terms.sum(), rel=1e-5)
    assert_near(gradient, SCALE * WEIGHT * (probability - real))
    assert number(real_right) == SCALE * (logit[:n_real] > 0).sum()
    assert number(fake_right) == SCALE * (logit[n_real:] < 0).sum()


@pytest.mark.parametrize('real', [True, False])
def test_adversarial_stays_finite_far_out(real):
    logit = nd.array([[-1e4], [1e4]])
    assert losses.adversarial(logit, real).asnumpy().tolist() == ([1e4, 0] if real else [0, 1e4])


def test_cross_entropy_takes_labels_between():
    logit, label = normal(3, 1), np.array([[0.0], [0.3], [1.0]])
    p = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(
        losses.cross_entropy(nd.array(logit), nd.array(label)).asnumpy(),
        -(label * np.log(p) + (1 - label) * np.log(1 - p))[:, 0], rtol=1e-5)


@pytest.mark.parametrize('of', [lambda array: array, lambda array: array.reshape((10, 100)),
                                lambda array: array[200:700]], ids=['whole', 'reshaped', 'part'])
def test_a_view_holds_on_to_what_it_shows(of):
    """Of arrays that nobody else holds: others would soon be where they were."""
    views = [kernels.view(of(nd.ones((1000,)) * i)) for i in range(40)]
    others = [nd.ones((1000,)) * -1 for _ in range(200)]
    nd.waitall()
    assert [np.unique(values).tolist() for values in views] == [[i] for i in range(40)]
    del others


def test_a_view_lets_go_of_what_it_showed():
    array = nd.ones((1000,))
    before = sys.getrefcount(array)
    values = kernels.view(array)
    part = values[:10]
    assert sys.getrefcount(array) == before + 1
    del values
    assert sys.getrefcount(array) == before + 1 and part.sum() == 10
    del part
    assert sys.getrefcount(array) == before
