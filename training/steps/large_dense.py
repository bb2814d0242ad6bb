"""A VAE's large Dense layer, outside of the compiled graph: its weight's gradient is no array.

Nearly all parameters of ConvVAE are those of one layer, from 215,296 features to mean and log
variance. What its gradient is made of goes to the optimizer (`product_kernel`); all else is as
in the whole VAE, to the bit.
"""
from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

from models.vae import VAE
from training.steps import kernels
from training.steps.losses import leaf_of
from training.steps.optim import FusedAdam

LARGE = 1 << 24  # weights: below, the whole layer's gradient is as fast


class VAEInParts:
    """What a step calls in place of a VAE: before its large Dense layer, that, behind it."""

    split, latent = staticmethod(VAE.split), staticmethod(VAE.latent)

    def __init__(self, vae: VAE, position: int, trainer: gluon.Trainer):
        layers = [*vae.encoder]
        self.dense, self.decoder = layers[position], vae.decoder
        self.before = _compiled([*layers[:position], gluon.nn.Flatten()])
        self.behind = _compiled(layers[position + 1:])
        self.trainer = trainer

    def encoder(self, x: NDArray) -> NDArray:
        """Map images (b, c, h, w) to mean and log variance, side by side: (b, 2z)."""
        return self.behind(_Dense(self.dense, self.trainer)(self.before(x)))

    def __call__(self, x: NDArray, eps: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        return VAE.hybrid_forward(self, nd, x, eps)


def position_of(vae: gluon.Block) -> int | None:
    """Return which layer of a VAE's encoder is a large Dense one behind others, if any is."""
    for i, layer in enumerate(getattr(vae, 'encoder', ())):
        if i and isinstance(layer, gluon.nn.Dense) and layer.act is None and (
                layer.weight.shape[0] * layer.weight.shape[1] >= LARGE):
            return i
    return None


class _Dense(autograd.Function):
    """A Dense layer (b, k) -> (b, n) that tells the optimizer what its weight's gradient is of."""

    def __init__(self, dense: gluon.nn.Dense, trainer: gluon.Trainer):
        super().__init__()
        self.dense, self.trainer = dense, trainer

    def forward(self, x):
        weight = self.dense.weight.data().detach()  # so that nothing goes back to it
        self.x = leaf_of(x)
        bias = self.dense.bias.data().detach()
        with autograd.record():
            self.output = nd.FullyConnected(self.x, weight, bias, num_hidden=len(weight))
        return self.output.detach()

    def backward(self, d_output):
        self.output.backward(d_output)
        weight, bias = self.dense.weight, self.dense.bias
        kernels.view(bias.grad())[:] = kernels.view(d_output).sum(axis=0)
        optimizer = self.trainer._optimizer
        assert isinstance(optimizer, FusedAdam)
        optimizer.factors[self.trainer._param2idx[weight.name]] = self.x.detach(), d_output.copy()
        for parameter in (weight, bias):
            parameter.data()._fresh_grad = True  # or Gluon's trainer refuses it
        return self.x.grad


def _compiled(layers: list[gluon.Block]) -> gluon.Block:
    net = gluon.nn.HybridSequential()
    net.add(*layers)
    net.hybridize(static_alloc=True, static_shape=True)
    return net
