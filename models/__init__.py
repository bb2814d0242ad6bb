"""Gluon HybridBlocks by name: `build_vae(row, shape)` and `build_discriminator(row)`.

Importing this package imports MXNet, and changes nothing else of the process.
"""
import io
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module

from models import mxnet_import

mxnet_import.import_mxnet()

# isort: split
from mxnet import MXNetError, sym
from mxnet.gluon import HybridBlock, nn

from models.conv import SIZE, SIZES
from models.layers import TransposedToOne
from models.resnet import BASE_CHANNELS
from models.similarity import Similarity


class ModelError(ValueError):
    """A net that is not known or does not fit; the message is for the user."""


@dataclass(frozen=True)
class Net:
    """A net by its name: the function that builds it, and what it is built from."""
    builder: str                 # a module of this package, and its function of (row, shape)
    fields: tuple[str, ...]      # of the row
    sizes: tuple[int, ...] = ()  # pixels a side of the images that it takes; none: any
    defaults: dict = field(default_factory=dict)  # what fields that may be none then are
    draws: tuple[int, int] = (0, 1)  # the range of a decoder's pictures

    def build(self, row, shape: tuple[int, int, int] | None) -> HybridBlock:
        """Return the net for images of (channels, height, width). Not initialised."""
        module, function = self.builder.split('.')
        return getattr(import_module(f'models.{module}'), function)(row, shape)


VAES = {
    'DenseVAE': Net('dense.dense_vae', ('n_hlayers', 'n_hnodes')),
    'ConvVAE': Net('conv.conv_vae', ('vae_base_channels', 'encoder', 'latent_head'), SIZES),
    'DeepConvVAE': Net('conv.deep_conv_vae', ('vae_base_channels', 'encoder', 'latent_head'),
                       (SIZE,)),
    'ConvDecoder': Net('conv.conv_decoder', ('vae_base_channels',), (SIZE,)),
    'VAE_A': Net('vaegan.vae_a', ('n_hnodes', 'vae_base_channels', 'norm', 'slope', 'pixels'),
                 (28, SIZE)),
    'VAE_B': Net('vaegan.vae_b', ('n_hlayers', 'n_hnodes', 'dropout', 'slope'), draws=(-1, 1)),
    'VAE_paper': Net('vaegan.vae_paper', ('n_hnodes', 'vae_base_channels', 'pixels'), (SIZE,)),
}
DISCRIMINATORS = {
    'DenseLogReg': Net('dense.dense_logreg', ('disc_hlayers', 'disc_hnodes')),
    'ConvDisc': Net('conv.conv_disc', ('disc_base_channels',)),
    'DeepConvDisc': Net('conv.deep_conv_disc', ('disc_base_channels',)),
    'ResNet': Net('resnet.resnet', ('disc_base_channels',),
                  defaults={'disc_base_channels': BASE_CHANNELS}),
    'Disc_A': Net('vaegan.disc_a', ('disc_hnodes', 'disc_base_channels', 'norm', 'slope',
                                    'pixels', 'dropout', 'minibatch_kernels', 'minibatch_dims')),
    'Disc_B': Net('vaegan.disc_b', ('disc_hlayers', 'disc_hnodes', 'dropout', 'slope')),
    'Disc_paper': Net('vaegan.disc_paper', ('disc_hnodes', 'disc_base_channels', 'pixels')),
}
GLUONCV = 'gluoncv:'  # before the name of a net of its model zoo


def check_row(row, changed) -> None:
    """Raise ModelError for a net that is not known, or for a field that none of the nets has.

    changed: fields of the row that differ from the published one.
    """
    nets = [_look_up(VAES, row, row.vae)]
    if row.disc and not row.disc.startswith(GLUONCV):
        nets.append(_look_up(DISCRIMINATORS, row, row.disc))
    own = {name for net in nets for name in net.fields}
    known = {name for net in (*VAES.values(), *DISCRIMINATORS.values()) for name in net.fields}
    for name in changed:
        if name in known - own and getattr(row, name) is not None:
            names = row.nets
            raise ModelError(f'{name}={getattr(row, name)!r}: {names} has no such thing; '
                             f'expected one of {", ".join(sorted(own))}')


def idle(row) -> dict[str, str]:
    """Return the fields that say what a net does by itself, and so change nothing, and why."""
    net = DISCRIMINATORS.get(row.disc)
    return {} if net is None else {
        name: f'{row.disc} has {value} by default' for name, value in net.defaults.items()
        if getattr(row, name) == value}


def build_vae(row, shape: tuple[int, int, int]) -> HybridBlock:
    """Return the row's VAE, or the plain GAN's decoder, for images of (channels, height, width).

    Not initialised. ModelError for an unknown name, a missing field, a size that does not fit.
    """
    net = _look_up(VAES, row, row.vae)
    if net.sizes and (shape[1] not in net.sizes or shape[1] != shape[2]):
        made = ' or '.join(f'{side} x {side}' for side in net.sizes)
        raise ModelError(f'{row.vae} makes {made} images, '
                         f'but {row.data} has {shape[1]} x {shape[2]}')
    if row.vae == 'ConvVAE' and row.encoder == 'published' and shape[1] != SIZE:
        raise ModelError(f'encoder={row.encoder!r}: made for {SIZE} x {SIZE} images, expected '
                         f'strided for {shape[1]} x {shape[2]}')
    return net.build(row, shape)


def build_discriminator(row, shape: tuple[int, int, int] | None = None) -> HybridBlock:
    """Return the row's discriminator: images (b, c, h, w) -> logits (b, 1). Not initialised.

    shape: (channels, height, width) of the images; only Disc_B has to know.
    `gluoncv:<name>` is any classification net of GluonCV's model zoo, with one class.
    """
    if row.disc.startswith(GLUONCV):
        from models.zoo import one_logit_net  # GluonCV needs OpenCV, and that libGL
        try:
            return one_logit_net(row.disc.removeprefix(GLUONCV))
        except ValueError as error:
            raise ModelError(f'disc={row.disc!r}: {error}') from None
    return _look_up(DISCRIMINATORS, row, row.disc).build(row, shape)


def as_plain_layers(net: HybridBlock) -> HybridBlock:
    """Return a net that will not be trained, with MXNet's own layers where ours stand in."""
    net.apply(lambda block: setattr(block, 'own', True) if isinstance(block, TransposedToOne)
              else None)
    return net


def build_similarity(disc: HybridBlock, row) -> HybridBlock:
    """Return the discriminator with the row's features.

    Images (b, c, h, w) -> features (b, ...), logits (b, 1).
    """
    if not isinstance(disc, nn.HybridSequential):
        raise ModelError(f'disc={row.disc!r}: its layers are not one after the other, so none of '
                         'them can be compared')
    try:
        return Similarity(disc, row.similarity)
    except ValueError as error:
        raise ModelError(f'similarity={row.similarity!r}: {error}') from None


def check_discriminator(disc: HybridBlock, name: str, shape: tuple[int, int, int]) -> None:
    """Raise ModelError unless a net makes logits (b, 1) of images (b, channels, height, width)."""
    try:
        with redirect_stdout(io.StringIO()):  # MXNet prints before it raises
            outputs = disc(sym.var('x')).infer_shape(x=(2, *shape))[1]
    except (MXNetError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise ModelError(f'{name} does not take images of {shape}: {reason}') from None
    if outputs != [(2, 1)]:
        raise ModelError(f'{name} gives {outputs} for two images of {shape}, expected [(2, 1)]')


def _look_up(nets: dict[str, Net], row, name: str) -> Net:
    if name not in nets:
        known = [*nets] + [f'{GLUONCV}<name>'] * (nets is DISCRIMINATORS)
        raise ModelError(f'unknown net {name!r}: expected one of {", ".join(known)}')
    missing = [one for one in nets[name].fields
               if one not in nets[name].defaults and getattr(row, one, None) is None]
    if missing:
        raise ModelError(f'{name} needs a value for {", ".join(missing)}')
    return nets[name]
