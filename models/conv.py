"""Convolutional nets: ConvVAE and its decoder, ConvDisc, and deeper ones.

They are made for 64 x 64 images; ConvVAE with a strided encoder also for 32 x 32 and 128 x 128.

The encoder's stride of 1, its BatchNorm and relu on mean and log variance (never negative)
are the original's; `encoder` and `latent_head` change them. Decoder and discriminator
are DCGAN's (Radford et al., 2016).
"""
from mxnet.gluon import HybridBlock, nn

from models.vae import VAE

DEEP_DECODER_CHANNELS = 64
SIZE = 64  # pixels a side as published: the decoder's four doublings of 4 x 4
SIZES = (32, SIZE, 128)


def _norm_relu(net: nn.HybridSequential, layer: HybridBlock) -> None:
    net.add(layer, nn.BatchNorm(), nn.Activation('relu'))


def conv_encoder(n_latent: int, base_channels: int, kind: str = 'published',
                 head: str = 'published') -> nn.HybridSequential:
    """Return an encoder: images (b, ch, 64, 64) -> mean and log variance (b, 2z).

    kind: published | strided, the decoder in reverse, with a thirtieth of the
    parameters. head: published, none of them negative | linear.
    """
    net = nn.HybridSequential()
    if kind == 'published':
        _norm_relu(net, nn.Conv2D(base_channels, 4, use_bias=False))    # (b, c, 61, 61)
        _norm_relu(net, nn.Conv2D(2 * base_channels, 4, use_bias=False))  # (b, 2c, 58, 58)
    else:
        for factor in (1, 2, 4, 8):                                     # 32, 16, 8, 4 a side
            _norm_relu(net, nn.Conv2D(factor * base_channels, 4, 2, 1, use_bias=False))
    if head == 'published':
        _norm_relu(net, nn.Dense(2 * n_latent))                         # (b, 2z)
    else:
        net.add(nn.Dense(2 * n_latent))
    return net


class ConvDecoder(HybridBlock):
    """Latents or noise (b, z) -> images (b, channels, size, size) in [0, 1].

    It doubles a sixteenth of the size four times. Sides below are those of 64.
    """

    def __init__(self, channels: int, n_latent: int, base_channels: int, size: int = SIZE):
        super().__init__()
        self.net = net = nn.HybridSequential()
        _norm_relu(net, nn.Conv2DTranspose(8 * base_channels, size // 16, use_bias=False,
                                           in_channels=n_latent))       # 4 x 4
        for factor in (4, 2, 1):                                        # 8, 16, 32 a side
            _norm_relu(net, nn.Conv2DTranspose(factor * base_channels, 4, 2, 1,
                                               use_bias=False))
        net.add(nn.Conv2DTranspose(channels, 4, 2, 1, use_bias=False,
                                   activation='sigmoid'))               # 64 x 64

    def hybrid_forward(self, F, z):
        return self.net(z.reshape((0, 0, 1, 1)))                        # (b, ch, 64, 64)


def conv_decoder(shape: tuple[int, int, int], *, n_latent: int,
                 base_channels: int) -> ConvDecoder:
    """Return ConvVAE's decoder alone, the generator of the plain GAN."""
    return ConvDecoder(shape[0], n_latent, base_channels, shape[1])


def conv_vae(shape: tuple[int, int, int], *, n_latent: int, base_channels: int,
             encoder: str = 'published', latent_head: str = 'published',
             decoder_channels: int | None = None) -> VAE:
    """Return ConvVAE; its decoder has the encoder's base channels, or `decoder_channels`."""
    return VAE(conv_encoder(n_latent, base_channels, encoder, latent_head),
               ConvDecoder(shape[0], n_latent, decoder_channels or base_channels, shape[1]))


def deep_conv_vae(shape: tuple[int, int, int], *, n_latent: int, base_channels: int,
                  encoder: str = 'published', latent_head: str = 'published') -> VAE:
    """Return DeepConvVAE: ConvVAE with a decoder of 64 base channels, whatever its encoder's."""
    return conv_vae(shape, n_latent=n_latent, base_channels=base_channels, encoder=encoder,
                    latent_head=latent_head, decoder_channels=DEEP_DECODER_CHANNELS)


def conv_disc(shape: tuple[int, int, int], *, base_channels: int) -> nn.HybridSequential:
    """Return ConvDisc, of three stages."""
    return _disc(base_channels, 3)


def deep_conv_disc(shape: tuple[int, int, int], *, base_channels: int) -> nn.HybridSequential:
    """Return DeepConvDisc, of four stages."""
    return _disc(base_channels, 4)


def _disc(base_channels: int, stages: int) -> nn.HybridSequential:
    """Return a discriminator: images (b, c, h, w) -> logits (b, 1).

    Every stage doubles the channels and halves the side; all but the first normalise.
    """
    net = nn.HybridSequential()
    for stage in range(stages):
        net.add(nn.Conv2D(base_channels * 2 ** stage, 4, 2, 1, use_bias=False))
        if stage:
            net.add(nn.BatchNorm())
        net.add(nn.LeakyReLU(0.2))                                      # side 32, 16, 8, 4
    net.add(nn.Dense(1))                                                # (b, 1)
    return net
