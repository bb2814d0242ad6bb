"""Fully connected nets: the two halves of DenseVAE, and DenseLogReg."""
from math import prod

from mxnet.gluon import HybridBlock, nn

from models.vae import VAE


def _hidden(net: nn.HybridSequential, n_hlayers: int, n_hnodes: int) -> None:
    for _ in range(n_hlayers):
        net.add(nn.Dense(n_hnodes, activation='relu'))                  # (b, n_hnodes)


class DenseDecoder(HybridBlock):
    """Latents (b, z) -> images (b, c, h, w) in [0, 1]."""

    def __init__(self, shape: tuple[int, int, int], n_hlayers: int, n_hnodes: int):
        super().__init__()
        self.shape = shape
        self.net = nn.HybridSequential()
        _hidden(self.net, n_hlayers, n_hnodes)
        self.net.add(nn.Dense(prod(shape), activation='sigmoid'))       # (b, c * h * w)

    def hybrid_forward(self, F, z):
        return self.net(z).reshape((-1, *self.shape))                   # (b, c, h, w)


def dense_vae(shape: tuple[int, int, int], *, n_latent: int, n_hlayers: int, n_hnodes: int) -> VAE:
    """Return DenseVAE: `n_hlayers` x Dense(`n_hnodes`, relu) on either side of the latent."""
    encoder = nn.HybridSequential()
    _hidden(encoder, n_hlayers, n_hnodes)
    encoder.add(nn.Dense(2 * n_latent))                                 # (b, 2z)
    return VAE(encoder, DenseDecoder(shape, n_hlayers, n_hnodes))


def dense_logreg(shape: tuple[int, int, int], *, n_hlayers: int,
                 n_hnodes: int) -> nn.HybridSequential:
    """Return DenseLogReg, logistic regression on hidden layers: images -> logits (b, 1)."""
    net = nn.HybridSequential()
    _hidden(net, n_hlayers, n_hnodes)
    net.add(nn.Dense(1))                                                # (b, 1)
    return net
