"""The CPU kernels against the losses they stand for, with MXNet's gradients."""
import sys

import numpy as np
import pytest
from mxnet import autograd, nd

from training.steps import kernels, losses

RNG = np.random.default_rng(0)
SCALE, WEIGHT = 0.25, 3.0


def reference(loss, leaves, *others) -> tuple[float, list[np.ndarray]]:
    """scale * sum of the loss, and weight times its gradients, by autograd."""
    for leaf in leaves:
        leaf.attach_grad()
    with autograd.record():
        value = SCALE * loss(*leaves, *others).sum()
    value.backward()
    return value.asscalar(), [WEIGHT * leaf.grad.asnumpy() for leaf in leaves]


def assert_same(value, gradients, expected) -> None:
    assert value == pytest.approx(expected[0], rel=1e-5)
    for ours, theirs in zip(gradients, expected[1], strict=True):
        ours = ours.asnumpy()
        assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


def test_kl_divergence():
    mean, logvar = (nd.array(RNG.standard_normal((6, 5))) for _ in range(2))
    value, *gradients = losses.with_gradient(losses.kl_divergence, mean, logvar, scale=SCALE,
                                             weight=WEIGHT)
    assert_same(value, gradients, reference(losses.kl_divergence, [mean, logvar]))


@pytest.mark.parametrize('loss', [losses.bce, losses.l2])
@pytest.mark.parametrize('shape', [(6, 1, 5, 7), (3, 3, 64, 64)])
def test_pixel_losses(loss, shape):
    x_hat, x = nd.array(RNG.uniform(0.001, 0.999, shape)), nd.array(RNG.random(shape))
    value, gradient = losses.with_gradient(loss, x_hat, x, scale=SCALE, weight=WEIGHT)
    assert_same(value, [gradient], reference(loss, [x_hat], x))


def test_bce_at_black_and_white_is_that_of_the_floor():
    x_hat, x = nd.array([[[[0.0, 1.0, 0.0, 1.0]]]]), nd.array([[[[1.0, 0.0, 0.0, 1.0]]]])
    value, gradient = losses.with_gradient(losses.bce, x_hat, x, scale=1.0)
    assert value == pytest.approx(-2 * np.log(1e-10), rel=1e-6)
    np.testing.assert_allclose(gradient.asnumpy().ravel(), [-1e10, 1e10, 1, -1], rtol=1e-5)


@pytest.mark.parametrize('wrong', [np.nan, np.inf])
def test_what_is_not_finite_shows_in_the_loss(wrong):
    x_hat = nd.array([[[[wrong, 0.5]]]])
    value, _ = losses.with_gradient(losses.bce, x_hat, nd.ones((1, 1, 1, 2)), scale=1.0)
    assert not np.isfinite(value)


@pytest.mark.parametrize('n_real', [0, 4, 9])
def test_adversarial_is_the_loss_and_counts_who_is_right(n_real):
    logit = nd.array(4 * RNG.standard_normal((9, 1)))
    labels = nd.array((np.arange(9) < n_real).reshape(-1, 1))
    value, real_right, fake_right, gradient = losses.adversarial_with_gradient(
        logit, n_real, SCALE, WEIGHT)
    assert_same(value, [gradient], reference(losses.adversarial, [logit], labels))
    positive = logit.asnumpy().ravel() > 0
    assert real_right == SCALE * positive[:n_real].sum()
    assert fake_right == SCALE * (~positive[n_real:]).sum()


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


def test_adversarial_of_labels_is_that_of_each():
    logit = nd.array(RNG.standard_normal((4, 1)))
    mixed = losses.adversarial(logit, nd.array([[1], [0], [1], [0]])).asnumpy()
    real, fake = (losses.adversarial(logit, label).asnumpy() for label in (True, False))
    assert (mixed[::2] == real[::2]).all() and (mixed[1::2] == fake[1::2]).all()


def test_gpus_take_the_same_losses_by_autograd(monkeypatch):
    monkeypatch.setattr(losses, 'on_cpu', lambda array: False)
    mean, logvar = (nd.array(RNG.standard_normal((6, 5))) for _ in range(2))
    value, *gradients = losses.with_gradient(losses.kl_divergence, mean, logvar, scale=SCALE,
                                             weight=WEIGHT)
    assert_same(value.asscalar(), gradients, reference(losses.kl_divergence, [mean, logvar]))
    logit = nd.array(4 * RNG.standard_normal((9, 1)))
    on_gpu = losses.adversarial_with_gradient(logit, 4, SCALE, WEIGHT)
    monkeypatch.undo()
    on_cpu = losses.adversarial_with_gradient(logit, 4, SCALE, WEIGHT)
    for ours, theirs in zip(on_gpu[:3], on_cpu[:3], strict=True):
        assert ours.asscalar() == pytest.approx(theirs, rel=1e-6)
    np.testing.assert_allclose(on_gpu[3].asnumpy(), on_cpu[3].asnumpy(), rtol=1e-5)
