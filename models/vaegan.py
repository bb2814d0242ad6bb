"""The nets of two VAE/GAN systems and of the paper they follow.

A: github.com/Shuntw6096/VAE-GAN. B: github.com/edchengg/VAE_GAN. The paper: Larsen et al.
(2016). Encoders give mean and log variance side by side, discriminators a logit.
"""
from collections.abc import Callable
from functools import partial
from math import prod

from mxnet import init
from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.contrib.nn import HybridConcurrent

from models.layers import Dropout, Linear, MinibatchDiscrimination, Shaped, TransposedToOne
from models.vae import VAE

KERNEL_A, STRIDE_A = 4, 2
DCGAN_SIGMA = 0.02  # of initial weights: Radford et al. (2016), arXiv:1511.06434


def _normalised(net: nn.HybridSequential, layer: HybridBlock, activation: HybridBlock,
                norm: str = 'before', **options: float) -> None:
    batch_norm = nn.BatchNorm(**options)
    net.add(layer)
    net.add(*((batch_norm, activation) if norm == 'before' else (activation, batch_norm)))


def _started(pixels: str) -> nn.HybridSequential:
    """Return an empty net; it sees images in [0, 1], or 'signed' ones in [-1, 1]."""
    net = nn.HybridSequential()
    if pixels == 'signed':
        net.add(Linear(2, -1))
    return net


def _ended(net: nn.HybridSequential, pixels: str, last: type, *size, **options) -> None:
    """Add a decoder's last layer, with the activation for the range of pixels."""
    if pixels == 'signed':
        net.add(last(*size, activation='tanh', **options), Linear(0.5, 0.5))
    else:
        net.add(last(*size, activation='sigmoid', **options))


def _convolutions_a(base_channels: int, normalised: Callable, slope: float,
                    pixels: str) -> nn.HybridSequential:
    net = _started(pixels)
    net.add(nn.Conv2D(base_channels, KERNEL_A, STRIDE_A), nn.LeakyReLU(slope))  # 13 or 31
    normalised(net, nn.Conv2D(2 * base_channels, KERNEL_A, STRIDE_A),
               nn.LeakyReLU(slope))                                             # 5 or 14
    net.add(nn.Flatten())
    return net


def _begin(net: nn.HybridSequential, initializer: init.Initializer) -> None:
    """Let the weights of dense layers and convolutions be drawn so."""
    def look(block: HybridBlock) -> None:
        if isinstance(block, (nn.Dense, nn.Conv2D, nn.Conv2DTranspose)):
            block.weight.init = initializer
    net.apply(look)


def vae_a(shape: tuple[int, int, int], *, n_latent: int, n_hnodes: int, base_channels: int,
          norm: str = 'before', slope: float = 0.2, pixels: str = 'unit',
          norm_momentum: float = 0.9, norm_epsilon: float = 1e-5, weights: str = 'xavier') -> VAE:
    """Return system A's encoder and decoder, for images of 28 or 64 pixels a side.

    norm: BatchNorm 'before' or 'after' the activation, whose slope below 0 is `slope`. pixels:
    the nets see images in [0, 1] ('unit') or in [-1, 1] ('signed'). norm_momentum, norm_epsilon:
    of BatchNorm. weights: drawn as Xavier or as DCGAN ('normal').
    """
    channels, side, base = shape[0], shape[1], base_channels
    normalised = partial(_normalised, norm=norm, momentum=norm_momentum, epsilon=norm_epsilon)
    encoder = _convolutions_a(base, normalised, slope, pixels)
    normalised(encoder, nn.Dense(n_hnodes), nn.LeakyReLU(slope))
    encoder.add(nn.Dense(2 * n_latent))                                 # (b, 2z)
    start = ((side - KERNEL_A) // STRIDE_A - 2) // STRIDE_A + 1         # 6 or 15
    decoder = nn.HybridSequential()
    normalised(decoder, nn.Dense(n_hnodes), nn.Activation('relu'))
    normalised(decoder, nn.Dense(2 * base * start ** 2), nn.Activation('relu'))
    decoder.add(Shaped((2 * base, start, start)))
    normalised(decoder, nn.Conv2DTranspose(base, 3, STRIDE_A), nn.Activation('relu'))
    if channels == 1:                                                   # (b, c, side, side)
        _ended(decoder, pixels, TransposedToOne, 2 * start + 1, KERNEL_A, STRIDE_A)
    else:
        _ended(decoder, pixels, nn.Conv2DTranspose, channels, KERNEL_A, STRIDE_A)
    if weights == 'normal':
        _begin(encoder, init.Normal(DCGAN_SIGMA))
        _begin(decoder, init.Normal(DCGAN_SIGMA))
    return VAE(encoder, decoder)


def disc_a(shape: tuple[int, int, int], *, n_hnodes: int, base_channels: int, norm: str = 'before',
           slope: float = 0.2, pixels: str = 'unit', dropout: float = 0.0,
           minibatch_kernels: int = 0, minibatch_dims: int = 5, norm_momentum: float = 0.9,
           norm_epsilon: float = 1e-5, weights: str = 'xavier') -> nn.HybridSequential:
    """Return system A's discriminator: images (b, c, h, w) -> logits (b, 1).

    Without minibatch discrimination where it has no kernels; the rest as in `vae_a`.
    """
    normalised = partial(_normalised, norm=norm, momentum=norm_momentum, epsilon=norm_epsilon)
    net = _convolutions_a(base_channels, normalised, slope, pixels)
    if minibatch_kernels:
        net.add(MinibatchDiscrimination(minibatch_kernels, minibatch_dims))
    if dropout:
        net.add(Dropout(dropout))
    normalised(net, nn.Dense(n_hnodes), nn.LeakyReLU(slope))
    net.add(nn.Dense(1))                                                # (b, 1)
    if weights == 'normal':
        _begin(net, init.Normal(DCGAN_SIGMA))
    return net


def _linear_b(net: nn.HybridSequential, n_in: int, n_out: int, dropout: float) -> None:
    """Add dropout of a layer's input, then the layer, initialised as by PyTorch's default."""
    uniform = init.Uniform(n_in ** -0.5)
    net.add(Dropout(dropout), nn.Dense(n_out, in_units=n_in, weight_initializer=uniform,
                                       bias_initializer=uniform))


def _hidden_b(net: nn.HybridSequential, sizes: list[int], dropout: float, slope: float) -> None:
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        _linear_b(net, n_in, n_out, dropout)
        net.add(nn.LeakyReLU(slope))                                        # (b, n_out)


def vae_b(shape: tuple[int, int, int], *, n_latent: int, n_hlayers: int, n_hnodes: int,
          dropout: float = 0.0, slope: float = 0.2) -> VAE:
    """Return system B's encoder and decoder, fully connected; the decoder ends in tanh."""
    hidden = n_hlayers * [n_hnodes]
    encoder, heads = nn.HybridSequential(), HybridConcurrent(axis=1)
    encoder.add(nn.Flatten())
    _hidden_b(encoder, [prod(shape), *hidden], dropout, slope)
    for _ in ('mean', 'logvar'):
        head = nn.HybridSequential()
        _linear_b(head, n_hnodes, n_latent, dropout)
        heads.add(head)
    encoder.add(heads)                                                  # (b, 2z)
    decoder = nn.HybridSequential()
    _hidden_b(decoder, [n_latent, *hidden], dropout, slope)
    _linear_b(decoder, n_hnodes, prod(shape), dropout)
    decoder.add(nn.Activation('tanh'), Shaped(shape))                   # (b, c, h, w)
    return VAE(encoder, decoder)


def disc_b(shape: tuple[int, int, int], *, n_hlayers: int, n_hnodes: int, dropout: float = 0.0,
           slope: float = 0.2) -> nn.HybridSequential:
    """Return system B's discriminator, fully connected; each hidden layer half as wide."""
    sizes = [prod(shape), *(max(1, n_hnodes // 2 ** i) for i in range(n_hlayers))]
    net = nn.HybridSequential()
    net.add(nn.Flatten())
    _hidden_b(net, sizes, dropout, slope)
    _linear_b(net, sizes[-1], 1, dropout)                               # (b, 1)
    return net


def _begin_small(net: nn.HybridSequential) -> None:
    """Let weights be drawn from within 1 / sqrt(3 n), of n inputs, as the paper's authors did.

    See AutoFiller in github.com/andersbll/deeppy. Images begin as noise with a standard deviation
    of 0.10, from Xavier's weights 0.26 (16 base channels, 64 latents).
    """
    _begin(net, init.Xavier('uniform', 'in', 1 / 3))


def vae_paper(shape: tuple[int, int, int], *, n_latent: int, n_hnodes: int, base_channels: int,
              pixels: str = 'unit') -> VAE:
    """Return the paper's encoder and decoder for 64 x 64 images."""
    channels, side, base = shape[0], shape[1] // 8, base_channels
    encoder = _started(pixels)
    for factor in (1, 2, 4):                                            # 32, 16, 8 a side
        _normalised(encoder, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation('relu'))
    _normalised(encoder, nn.Dense(n_hnodes), nn.Activation('relu'))
    encoder.add(nn.Dense(2 * n_latent))                                 # (b, 2z)
    decoder = nn.HybridSequential()
    _normalised(decoder, nn.Dense(4 * base * side ** 2), nn.Activation('relu'))
    decoder.add(Shaped((4 * base, side, side)))
    for channels_up in (4 * base, 2 * base, max(1, base // 2)):         # 16, 32, 64 a side
        _normalised(decoder, nn.Conv2DTranspose(channels_up, 5, 2, 2, 1), nn.Activation('relu'))
    _ended(decoder, pixels, nn.Conv2D, channels, 5, 1, 2)
    _begin_small(encoder)
    _begin_small(decoder)
    return VAE(encoder, decoder)                                        # (b, c, 64, 64)


def disc_paper(shape: tuple[int, int, int], *, n_hnodes: int, base_channels: int,
               pixels: str = 'unit') -> nn.HybridSequential:
    """Return the paper's discriminator: images (b, c, h, w) -> logits (b, 1)."""
    base, net = base_channels, _started(pixels)
    net.add(nn.Conv2D(base, 5, 1, 2), nn.Activation('relu'))
    for factor in (4, 8, 8):                                            # 32, 16, 8 a side
        _normalised(net, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation('relu'))
    _normalised(net, nn.Dense(n_hnodes), nn.Activation('relu'))
    net.add(nn.Dense(1))                                                # (b, 1)
    _begin_small(net)
    return net
