"""Layers that Gluon has not, or has with faults that matter here."""
from mxnet.gluon import HybridBlock, nn


class MinibatchDiscrimination(HybridBlock):
    """Beside its features, how near each image of a batch is to the others.

    (b, f) -> (b, f + kernels): o[i, k] = sum over j of exp(-|M[i, k] - M[j, k]|_1), where M is
    (b, kernels, dims), linear in the features. Salimans et al. (2016).
    """

    def __init__(self, kernels: int, dims: int):
        super().__init__()
        self.kernels, self.dims = kernels, dims
        self.matrices = nn.Dense(kernels * dims, use_bias=False)

    def hybrid_forward(self, F, x):
        m = self.matrices(x).reshape((0, self.kernels, self.dims))      # (b, k, d)
        return F.concat(x, self.nearness(F, m), dim=1)                  # (b, f + k)

    @staticmethod
    def nearness(F, matrices):
        """Return the sums o (b, k) of matrices M (b, k, d)."""
        apart = F.broadcast_sub(matrices.expand_dims(1), matrices.expand_dims(0))  # (b, b, k, d)
        return F.sum(F.exp(-F.sum(F.abs(apart), axis=3)), axis=1)       # (b, k)


class Dropout(nn.Dropout):
    """Dropout with the right gradient in every backward pass of a recorded graph.

    MXNet's own lets gradients through unmasked from the second pass on.
    """

    def hybrid_forward(self, F, x):
        return F.elemwise_mul(x, F.BlockGrad(super().hybrid_forward(F, F.ones_like(x))))


class Shaped(HybridBlock):
    """Vectors (b, c * h * w) -> (b, c, h, w).

    Copied: of a view MXNet's CPU build cannot take a convolution's gradient.
    """

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.shape = shape

    def hybrid_forward(self, F, x):
        return F.slice_axis(x.reshape((-1, *self.shape)), axis=0, begin=0, end=None)


class Linear(HybridBlock):
    """x -> factor * x + offset: between [0, 1] and the range in which a net sees images."""

    def __init__(self, factor: float, offset: float):
        super().__init__()
        self.factor, self.offset = factor, offset

    def hybrid_forward(self, F, x):
        return self.factor * x + self.offset


class TransposedToOne(nn.Conv2DTranspose):
    """Conv2DTranspose to one channel, as a matrix product and a sum of overlapping patches.

    MXNet's own crashes on CPUs, in backward, with fewer than three channels. own: let it be used
    all the same, where nothing goes backward.
    """

    def __init__(self, side_in: int, kernel: int, stride: int, **options):
        super().__init__(1, kernel, stride, **options)
        side = stride * (side_in - 1) + kernel
        self.patches = {'output_size': (side, side), 'kernel': (kernel, kernel),
                        'stride': (stride, stride)}
        self.size = kernel ** 2
        self.own = False

    def hybrid_forward(self, F, x, weight, bias):
        if self.own:
            return super().hybrid_forward(F, x, weight, bias)
        rows = F.transpose(weight.reshape((0, self.size)))              # (k * k, in)
        x = F.FullyConnected(x.transpose((0, 2, 3, 1)), rows, num_hidden=self.size, no_bias=True,
                             flatten=False)                             # (b, h, w, k * k)
        x = F.col2im(x.transpose((0, 3, 1, 2)).reshape((0, 0, -1)), **self.patches)
        return self.act(F.broadcast_add(x, bias.reshape((1, 1, 1, 1))))  # (b, 1, side, side)
