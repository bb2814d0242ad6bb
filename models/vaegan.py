"""The nets of two VAE/GAN systems and of the paper they follow.

A: github.com/Shuntw6096/VAE-GAN. B: github.com/edchengg/VAE_GAN. The paper: Larsen et al.
(2016). Encoders give mean and log variance side by side, discriminators a logit.
"""
from math import prod

from mxnet import init
from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.contrib.nn import HybridConcurrent

from models.vae import VAE

KERNEL_A, STRIDE_A = 4, 2


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
        apart = F.broadcast_sub(m.expand_dims(1), m.expand_dims(0))     # (b, b, k, d)
        near = F.exp(-F.sum(F.abs(apart), axis=3))                      # (b, b, k)
        return F.concat(x, F.sum(near, axis=1), dim=1)                  # (b, f + k)


class Dropout(nn.Dropout):
    """Dropout with the right gradient in every backward pass of a recorded graph.

    MXNet's own lets gradients through unmasked from the second pass on.
    """

    def hybrid_forward(self, F, x):
        return x * F.BlockGrad(super().hybrid_forward(F, F.ones_like(x)))


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

    MXNet's own crashes on CPUs, in backward, with fewer than three channels.
    """

    def __init__(self, side_in: int, kernel: int, stride: int, **options):
        super().__init__(1, kernel, stride, **options)
        side = stride * (side_in - 1) + kernel
        self.patches = {'output_size': (side, side), 'kernel': (kernel, kernel),
                        'stride': (stride, stride)}
        self.size = kernel ** 2

    def hybrid_forward(self, F, x, weight, bias):
        rows = F.transpose(weight.reshape((0, self.size)))              # (k * k, in)
        x = F.FullyConnected(x.transpose((0, 2, 3, 1)), rows, num_hidden=self.size, no_bias=True,
                             flatten=False)                             # (b, h, w, k * k)
        x = F.col2im(x.transpose((0, 3, 1, 2)).reshape((0, 0, -1)), **self.patches)
        return self.act(F.broadcast_add(x, bias.reshape((1, 1, 1, 1))))  # (b, 1, side, side)


def _normalised(net: nn.HybridSequential, layer: HybridBlock, activation: HybridBlock,
                norm: str = 'before') -> None:
    net.add(layer)
    net.add(*((nn.BatchNorm(), activation) if norm == 'before' else (activation, nn.BatchNorm())))


def _started(row) -> nn.HybridSequential:
    """An empty net; it sees images in the range that the row says."""
    net = nn.HybridSequential()
    if row.pixels == 'signed':
        net.add(Linear(2, -1))
    return net


def _ended(net: nn.HybridSequential, row, last: type, *size, **options) -> None:
    """Add a decoder's last layer, with the activation for the range that the row says."""
    if row.pixels == 'signed':
        net.add(last(*size, activation='tanh', **options), Linear(0.5, 0.5))
    else:
        net.add(last(*size, activation='sigmoid', **options))


def _convolutions_a(row, base_channels: int) -> nn.HybridSequential:
    net = _started(row)
    net.add(nn.Conv2D(base_channels, KERNEL_A, STRIDE_A), nn.LeakyReLU(row.slope))  # 13 or 31
    _normalised(net, nn.Conv2D(2 * base_channels, KERNEL_A, STRIDE_A), nn.LeakyReLU(row.slope),
                row.norm)                                                           # 5 or 14
    net.add(nn.Flatten())
    return net


def vae_a(row, shape: tuple[int, int, int]) -> VAE:
    """System A's encoder and decoder, for images of 28 or 64 pixels a side."""
    channels, side, base = shape[0], shape[1], row.vae_base_channels
    encoder = _convolutions_a(row, base)
    _normalised(encoder, nn.Dense(row.n_hnodes), nn.LeakyReLU(row.slope), row.norm)
    encoder.add(nn.Dense(2 * row.n_latent))                             # (b, 2z)
    start = ((side - KERNEL_A) // STRIDE_A - 2) // STRIDE_A + 1         # 6 or 15
    decoder = nn.HybridSequential()
    _normalised(decoder, nn.Dense(row.n_hnodes), nn.Activation('relu'), row.norm)
    _normalised(decoder, nn.Dense(2 * base * start ** 2), nn.Activation('relu'), row.norm)
    decoder.add(Shaped((2 * base, start, start)))
    _normalised(decoder, nn.Conv2DTranspose(base, 3, STRIDE_A), nn.Activation('relu'), row.norm)
    if channels == 1:                                                   # (b, c, side, side)
        _ended(decoder, row, TransposedToOne, 2 * start + 1, KERNEL_A, STRIDE_A)
    else:
        _ended(decoder, row, nn.Conv2DTranspose, channels, KERNEL_A, STRIDE_A)
    return VAE(encoder, decoder)


def disc_a(row) -> nn.HybridSequential:
    """System A's discriminator; minibatch discrimination and dropout as the row says."""
    net = _convolutions_a(row, row.disc_base_channels)
    if row.minibatch_kernels:
        net.add(MinibatchDiscrimination(row.minibatch_kernels, row.minibatch_dims))
    if row.dropout:
        net.add(Dropout(row.dropout))
    _normalised(net, nn.Dense(row.disc_hnodes), nn.LeakyReLU(row.slope), row.norm)
    net.add(nn.Dense(1))                                                # (b, 1)
    return net


def _linear_b(net: nn.HybridSequential, n_in: int, n_out: int, dropout: float) -> None:
    """Dropout of a layer's input, then the layer, drawn as PyTorch does by default."""
    uniform = init.Uniform(n_in ** -0.5)
    net.add(Dropout(dropout), nn.Dense(n_out, in_units=n_in, weight_initializer=uniform,
                                       bias_initializer=uniform))


def _hidden_b(net: nn.HybridSequential, sizes: list[int], row) -> None:
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        _linear_b(net, n_in, n_out, row.dropout)
        net.add(nn.LeakyReLU(row.slope))                                    # (b, n_out)


def vae_b(row, shape: tuple[int, int, int]) -> VAE:
    """System B's encoder and decoder, fully connected; the decoder ends in tanh."""
    hidden = row.n_hlayers * [row.n_hnodes]
    encoder, heads = nn.HybridSequential(), HybridConcurrent(axis=1)
    encoder.add(nn.Flatten())
    _hidden_b(encoder, [prod(shape), *hidden], row)
    for _ in ('mean', 'logvar'):
        head = nn.HybridSequential()
        _linear_b(head, row.n_hnodes, row.n_latent, row.dropout)
        heads.add(head)
    encoder.add(heads)                                                  # (b, 2z)
    decoder = nn.HybridSequential()
    _hidden_b(decoder, [row.n_latent, *hidden], row)
    _linear_b(decoder, row.n_hnodes, prod(shape), row.dropout)
    decoder.add(nn.Activation('tanh'), Shaped(shape))                   # (b, c, h, w)
    return VAE(encoder, decoder)


def disc_b(row, shape: tuple[int, int, int]) -> nn.HybridSequential:
    """System B's discriminator, fully connected; each hidden layer half as wide."""
    sizes = [prod(shape), *(max(1, row.disc_hnodes // 2 ** i) for i in range(row.disc_hlayers))]
    net = nn.HybridSequential()
    net.add(nn.Flatten())
    _hidden_b(net, sizes, row)
    _linear_b(net, sizes[-1], 1, row.dropout)                           # (b, 1)
    return net


def vae_paper(row, shape: tuple[int, int, int]) -> VAE:
    """The paper's encoder and decoder for 64 x 64 images."""
    channels, side, base = shape[0], shape[1] // 8, row.vae_base_channels
    encoder = _started(row)
    for factor in (1, 2, 4):                                            # 32, 16, 8 a side
        _normalised(encoder, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation('relu'))
    _normalised(encoder, nn.Dense(row.n_hnodes), nn.Activation('relu'))
    encoder.add(nn.Dense(2 * row.n_latent))                             # (b, 2z)
    decoder = nn.HybridSequential()
    _normalised(decoder, nn.Dense(4 * base * side ** 2), nn.Activation('relu'))
    decoder.add(Shaped((4 * base, side, side)))
    for channels_up in (4 * base, 2 * base, max(1, base // 2)):         # 16, 32, 64 a side
        _normalised(decoder, nn.Conv2DTranspose(channels_up, 5, 2, 2, 1), nn.Activation('relu'))
    _ended(decoder, row, nn.Conv2D, channels, 5, 1, 2)
    return VAE(encoder, decoder)                                        # (b, c, 64, 64)


def disc_paper(row) -> nn.HybridSequential:
    """The paper's discriminator."""
    base, net = row.disc_base_channels, _started(row)
    net.add(nn.Conv2D(base, 5, 1, 2), nn.Activation('relu'))
    for factor in (4, 8, 8):                                            # 32, 16, 8 a side
        _normalised(net, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation('relu'))
    _normalised(net, nn.Dense(row.disc_hnodes), nn.Activation('relu'))
    net.add(nn.Dense(1))                                                # (b, 1)
    return net


class Similarity(HybridBlock):
    """A discriminator that also gives the features in which images are compared.

    images (b, c, h, w) -> features (b, ...), logits (b, 1). Shares the discriminator's layers.
    """

    def __init__(self, disc: nn.HybridSequential, layer: str):
        """layer: one of `layer_names`. ValueError if there is no such layer."""
        super().__init__()
        names = layer_names(disc)
        if layer not in names:
            raise ValueError(f'expected one of {", ".join(names)}')
        n = names.index(layer) + 1
        self.before, self.after = disc[:n], list(disc)[n:]
        for i, block in enumerate(self.after):
            self.register_child(block, f'after{i}')

    def hybrid_forward(self, F, x):
        features = logit = self.before(x)
        for block in self.after:
            logit = block(logit)
        return features, logit


NAMES = {nn.BatchNorm: 'norm', nn.LeakyReLU: 'act', nn.Activation: 'act', Dropout: 'dropout',
         nn.Flatten: 'flatten', MinibatchDiscrimination: 'minibatch', Linear: 'input',
         nn.MaxPool2D: 'pool', nn.GlobalAvgPool2D: 'pool'}


def layer_names(disc: nn.HybridSequential) -> list[str]:
    """What the layers of a discriminator are called: conv1, norm1, act1, conv2 .. logit.

    The number is that of the layer with weights that stands before.
    """
    names, n = [], 0
    for block in disc:
        if type(block) not in NAMES:
            n += 1
        kind = NAMES.get(type(block)) or {nn.Conv2D: 'conv', nn.Dense: 'dense'}.get(
            type(block), 'block')
        names.append(f'{kind}{n}')
    return [*names[:-1], 'logit']
