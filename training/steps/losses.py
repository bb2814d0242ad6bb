"""Losses as pure functions: one value an image, summed over pixels or latents."""
import math
from collections.abc import Callable

import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

from training.steps import kernels

LOG_FLOOR = kernels.LOG_FLOOR  # the original's, inside the logarithms of bce


def kl_divergence(mean: NDArray, logvar: NDArray) -> NDArray:
    """Return the divergence of N(mean, exp(logvar)) from N(0, 1); both (b, z) -> (b,).

    Kingma and Welling (2014), appendix B.
    """
    return -0.5 * nd.sum(1 + logvar - mean ** 2 - nd.exp(logvar), axis=1)


def bce(x_hat: NDArray, x: NDArray) -> NDArray:
    """Return the binary cross entropy of x_hat against x, both (b, c, h, w) in [0, 1] -> (b,)."""
    return -nd.sum(x * nd.log(x_hat + LOG_FLOOR)
                   + (1 - x) * nd.log(1 - x_hat + LOG_FLOOR), axis=(1, 2, 3))


def l2(x_hat: NDArray, x: NDArray) -> NDArray:
    """Return the sum of squared errors; x_hat, x (b, c, h, w) -> (b,)."""
    return nd.sum((x_hat - x) ** 2, axis=(1, 2, 3))


PIXEL_LOSSES = {'bce': bce, 'l2': l2}


def adversarial(logit: NDArray, real: bool | NDArray) -> NDArray:
    """Return the cross entropy of logits (b, 1) against real (1) or generated (0) -> (b,).

    Goodfellow et al. (2014); with real=True on generated images, the non-saturating loss. real
    may be an array (b, 1).
    """
    towards = logit * (1 - 2 * real)                                    # (b, 1)
    softplus = nd.relu(towards) + nd.log1p(nd.exp(-nd.abs(towards)))
    return softplus.reshape((-1,))                                      # (b,)


def cross_entropy(logit: NDArray, label: float | NDArray) -> NDArray:
    """Return what `adversarial` does, for labels between 0 and 1: a number, or (b, 1)."""
    softplus = nd.relu(logit) + nd.log1p(nd.exp(-nd.abs(logit)))        # (b, 1)
    return (softplus - label * logit).reshape((-1,))                    # (b,)


def gaussian(features_hat: NDArray, features: NDArray) -> NDArray:
    """Return -log N(features; features_hat, 1) with its constant, features (b, ...) -> (b,).

    Larsen et al. (2016), of features of a discriminator.
    """
    squares = (0.5 * (features_hat - features) ** 2).reshape((len(features), -1))
    return squares.sum(axis=1) + 0.5 * math.log(2 * math.pi) * squares.shape[1]


def mean_square(features_hat: NDArray, features: NDArray) -> NDArray:
    """Return the mean of squared differences over features (b, ...) -> (b,)."""
    return ((features_hat - features) ** 2).reshape((len(features), -1)).mean(axis=1)


LIKELIHOODS = {'gaussian': gaussian, 'mean_square': mean_square}
KERNELS = {kl_divergence: kernels.kl_divergence, bce: kernels.bce, l2: kernels.l2,
           gaussian: kernels.gaussian, mean_square: kernels.mean_square}


def with_gradient(loss: Callable, *inputs: NDArray, scale: float, weight: float = 1.0) -> tuple:
    """Return scale * the sum of a loss over images, and weight times its gradients.

    One gradient for each input of the loss that has one: mean and logvar, or the first. On the CPU
    in one pass over memory by the loss's kernel, which tests hold against this; the value is a
    number there, and (1,) on a GPU.
    """
    if on_cpu(inputs[0]):
        return KERNELS[loss](*inputs, scale, weight)
    n_gradients = 2 if loss is kl_divergence else 1
    leaves = [leaf_of(array) for array in inputs[:n_gradients]]
    others = [array.detach() for array in inputs[n_gradients:]]  # of a graph already
    with autograd.record():
        value = scale * loss(*leaves, *others).sum()
    return value, *autograd.grad(value, leaves, [nd.full((1,), weight, value.context)])


def adversarial_with_gradient(logit: NDArray, n_real: int, scale: float,
                              weight: float = 1.0) -> tuple:
    """Return the sum of `adversarial` of logits (b, 1), accuracies, and weight times its gradient.

    The first n_real logits are of real images. All is times scale: the sum; how many of the real,
    and how many of the others, are taken for what they are; the gradient (b, 1). Numbers on the
    CPU, on a GPU (1,).
    """
    if on_cpu(logit):
        return kernels.adversarial(logit, n_real, scale, weight)
    real = (nd.arange(len(logit), ctx=logit.context) < n_real).reshape((-1, 1))
    leaf = leaf_of(logit)
    with autograd.record():
        value = scale * adversarial(leaf, real).sum()
    gradient, = autograd.grad(value, [leaf], [nd.full((1,), weight, value.context)])
    right = (2 * real - 1) * logit > 0                                  # (b, 1)
    return value, scale * (right * real).sum(), scale * (right * (1 - real)).sum(), gradient


def as_terms(*values: float | NDArray) -> NDArray:
    """Return values, on the CPU numbers and else (1,) each, as one array (n,)."""
    if isinstance(values[0], NDArray):
        return nd.concat(*values, dim=0)
    return nd.from_numpy(np.array(values, np.float32))


def leaf_of(array: NDArray) -> NDArray:
    """Return an array's values at the root of a new graph, with room for their gradient."""
    leaf = array.detach()
    # Unlike attach_grad it fills nothing: a backward pass overwrites it, autograd.grad passes by
    autograd.mark_variables([leaf], [nd.empty(leaf.shape, leaf.context)])
    return leaf


def recorded(net: gluon.Block, values: NDArray) -> tuple:
    """Return a leaf with those values, and the net's output in a graph that starts there."""
    leaf = leaf_of(values)
    with autograd.record():
        return leaf, net(leaf)


def on_cpu(array: NDArray) -> bool:
    """Return whether losses of an array are kernels' and NumPy's numbers, not MXNet's arrays."""
    return array.context.device_type == 'cpu'
