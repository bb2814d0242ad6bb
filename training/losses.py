"""Losses as pure functions: one value an image, summed over pixels or latents."""
from mxnet import nd
from mxnet.ndarray import NDArray

LOG_FLOOR = 1e-10  # the original's, inside the logarithms of bce


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
