"""Gluon HybridBlocks by name: `build_vae(row, shape)` and `build_discriminator(row)`.

Importing this package sets up MXNet, for the whole process: import it before anything else that
uses MXNet.
"""
import io
from contextlib import redirect_stdout

from models import mxnet_setup

mxnet_setup.set_up()

# isort: split
from mxnet import MXNetError, sym
from mxnet.gluon import HybridBlock, nn

from models.conv import SIZE, ConvDecoder, conv_disc, conv_vae
from models.dense import dense_logreg, dense_vae
from models.resnet import BASE_CHANNELS as RESNET_CHANNELS
from models.resnet import resnet
from models.similarity import Similarity
from models.vaegan import disc_a, disc_b, disc_paper, vae_a, vae_b, vae_paper

DEEP_DECODER_CHANNELS = 64  # DeepConvVAE's, whatever its encoder's


class ModelError(ValueError):
    """A net that is not known or does not fit; the message is for the user."""


VAES = {
    'DenseVAE': lambda row, shape: dense_vae(shape, row.n_latent, row.n_hlayers, row.n_hnodes),
    'ConvVAE': lambda row, shape: conv_vae(shape, row),
    'DeepConvVAE': lambda row, shape: conv_vae(shape, row, DEEP_DECODER_CHANNELS),
    'ConvDecoder': lambda row, shape: ConvDecoder(shape[0], row.vae_base_channels),
    'VAE_A': vae_a, 'VAE_B': vae_b, 'VAE_paper': vae_paper,
}
DISCRIMINATORS = {
    'DenseLogReg': lambda row, shape: dense_logreg(row.disc_hlayers, row.disc_hnodes),
    'ConvDisc': lambda row, shape: conv_disc(row.disc_base_channels),
    'DeepConvDisc': lambda row, shape: conv_disc(row.disc_base_channels, stages=4),
    'ResNet': lambda row, shape: resnet(row.disc_base_channels or RESNET_CHANNELS),
    'Disc_A': lambda row, shape: disc_a(row),
    'Disc_B': disc_b,
    'Disc_paper': lambda row, shape: disc_paper(row),
}
FIELDS = {  # of the row, from which a net is built
    'DenseVAE': ('n_hlayers', 'n_hnodes'), 'DenseLogReg': ('disc_hlayers', 'disc_hnodes'),
    'ConvVAE': ('vae_base_channels', 'encoder', 'latent_head'),
    'DeepConvVAE': ('vae_base_channels', 'encoder', 'latent_head'),
    'ConvDecoder': ('vae_base_channels',),
    'ConvDisc': ('disc_base_channels',), 'DeepConvDisc': ('disc_base_channels',),
    'ResNet': ('disc_base_channels',),
    'VAE_A': ('n_hnodes', 'vae_base_channels', 'norm', 'slope', 'pixels'),
    'Disc_A': ('disc_hnodes', 'disc_base_channels', 'norm', 'slope', 'pixels', 'dropout',
               'minibatch_kernels', 'minibatch_dims'),
    'VAE_B': ('n_hlayers', 'n_hnodes', 'dropout', 'slope'),
    'Disc_B': ('disc_hlayers', 'disc_hnodes', 'dropout', 'slope'),
    'VAE_paper': ('n_hnodes', 'vae_base_channels', 'pixels'),
    'Disc_paper': ('disc_hnodes', 'disc_base_channels', 'pixels'),
}
WITH_DEFAULTS = ('ResNet',)  # nets whose fields may be none
SIZES = {'ConvVAE': (SIZE,), 'DeepConvVAE': (SIZE,), 'ConvDecoder': (SIZE,),
         'VAE_A': (28, SIZE), 'VAE_paper': (SIZE,)}  # pixels a side; others take any


def check_fields(row, changed) -> None:
    """Raise ModelError for a changed field from which nets are built, but none of the row's."""
    nets = [net for net in (row.vae, row.disc) if net]
    own = {field for net in nets for field in FIELDS.get(net, ())}
    others = {field for fields in FIELDS.values() for field in fields} - own
    for field in changed:
        if field in others and getattr(row, field) is not None:
            raise ModelError(f'{field}={getattr(row, field)!r}: {" + ".join(nets)} has no such '
                             f'thing; expected one of {", ".join(sorted(own))}')


def build_vae(row, shape: tuple[int, int, int]) -> HybridBlock:
    """Return the row's VAE, or the plain GAN's decoder, for images (channels, height, width).

    Not initialised. ModelError for an unknown name, a missing field, a size that does not fit.
    """
    builder = _look_up(VAES, row, row.vae)
    sizes = SIZES.get(row.vae, shape[1:2])
    if shape[1] not in sizes or shape[1] != shape[2] and row.vae in SIZES:
        made = ' or '.join(f'{side} x {side}' for side in sizes)
        raise ModelError(f'{row.vae} makes {made} images, '
                         f'but {row.data} has {shape[1]} x {shape[2]}')
    return builder(row, shape)


def build_discriminator(row, shape: tuple[int, int, int] | None = None) -> HybridBlock:
    """Return the row's discriminator, not initialised: images (b, c, h, w) -> logits (b, 1).

    shape: (channels, height, width) of the images; only Disc_B has to know.
    `gluoncv:<name>` is any classification net of GluonCV's model zoo, with one class.
    """
    if row.disc.startswith('gluoncv:'):
        from models.zoo import one_logit_net  # GluonCV needs OpenCV, and that libGL
        try:
            return one_logit_net(row.disc.removeprefix('gluoncv:'))
        except ValueError as error:
            raise ModelError(f'disc={row.disc!r}: {error}') from None
    return _look_up(DISCRIMINATORS, row, row.disc)(row, shape)


def build_similarity(disc: HybridBlock, row) -> HybridBlock:
    """Return the discriminator with the row's features: images -> features, logits (b, 1)."""
    if not isinstance(disc, nn.HybridSequential):
        raise ModelError(f'disc={row.disc!r}: its layers are not one after the other, so none of '
                         'them can be compared')
    try:
        return Similarity(disc, row.similarity)
    except ValueError as error:
        raise ModelError(f'similarity={row.similarity!r}: {error}') from None


def check_discriminator(disc: HybridBlock, name: str, shape: tuple[int, int, int]) -> None:
    """Raise ModelError unless the net turns images (channels, height, width) into one logit."""
    try:
        with redirect_stdout(io.StringIO()):  # MXNet prints before it raises
            outputs = disc(sym.var('x')).infer_shape(x=(2, *shape))[1]
    except (MXNetError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise ModelError(f'{name} does not take images of {shape}: {reason}') from None
    if outputs != [(2, 1)]:
        raise ModelError(f'{name} gives {outputs} for two images of {shape}, expected [(2, 1)]')


def _look_up(builders: dict, row, name: str):
    if name not in builders:
        known = list(builders) + (['gluoncv:<name>'] if builders is DISCRIMINATORS else [])
        raise ModelError(f'unknown net {name!r}: expected one of {", ".join(known)}')
    needed = () if name in WITH_DEFAULTS else FIELDS.get(name, ())
    missing = [field for field in needed if getattr(row, field, None) is None]
    if missing:
        raise ModelError(f'{name} needs a value for {", ".join(missing)}')
    return builders[name]
