"""Losses as pure functions: one value an image, summed over pixels or latents."""
from collections.abc import Callable

from mxnet import autograd, nd
from mxnet.ndarray import NDArray

from training import kernels

LOG_FLOOR = kernels.LOG_FLOOR  # the original's, inside the logarithms of bce


def kl_divergence(mean: NDArray, logvar: NDArray) -> NDArray:
    """Of N(mean, exp(logvar)) from N(0, 1); mean, logvar (b, z) -> (b,).

    Kingma and Welling (2014), appendix B.
    """
    return -0.5 * nd.sum(1 + logvar - mean ** 2 - nd.exp(logvar), axis=1)


def bce(x_hat: NDArray, x: NDArray) -> NDArray:
    """Binary cross entropy of x_hat against x, both (b, c, h, w) in [0, 1] -> (b,)."""
    return -nd.sum(x * nd.log(x_hat + LOG_FLOOR)
                   + (1 - x) * nd.log(1 - x_hat + LOG_FLOOR), axis=(1, 2, 3))


def l2(x_hat: NDArray, x: NDArray) -> NDArray:
    """Sum of squared errors; x_hat, x (b, c, h, w) -> (b,)."""
    return nd.sum((x_hat - x) ** 2, axis=(1, 2, 3))


PIXEL_LOSSES = {'bce': bce, 'l2': l2}


def adversarial(logit: NDArray, real: bool) -> NDArray:
    """Cross entropy of a discriminator's logit (b, 1) against real (1) or generated (0) -> (b,).

    Goodfellow et al. (2014); with real=True on generated images, the non-saturating loss.
    """
    towards = -logit if real else logit                                 # (b, 1)
    softplus = nd.relu(towards) + nd.log1p(nd.exp(-nd.abs(towards)))
    return softplus.reshape((-1,))                                      # (b,)


KERNELS = {kl_divergence: kernels.kl_divergence, bce: kernels.bce, l2: kernels.l2,
           adversarial: kernels.adversarial}


def with_gradient(loss: Callable, *inputs, scale: float,
                  weight: float = 1.0) -> tuple[NDArray, ...]:
    """scale * the sum of a loss over images (1,), and weight times its gradients.

    One gradient for each input of the loss that has one: mean and logvar, x_hat, the logit. On
    the CPU in one pass over memory by the loss's kernel, which tests hold against this.
    """
    if inputs[0].context.device_type == 'cpu':
        return KERNELS[loss](*inputs, scale, weight)
    n_gradients = 2 if loss is kl_divergence else 1
    leaves = [array.detach() for array in inputs[:n_gradients]]
    for leaf in leaves:
        leaf.attach_grad()
    with autograd.record():
        value = scale * loss(*leaves, *inputs[n_gradients:]).sum()
    return value, *autograd.grad(weight * value, leaves)
