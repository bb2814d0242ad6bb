"""Gluon HybridBlocks by name: `build_vae(row, shape)` and `build_discriminator(row, shape)`.

The table of nets says from which fields of a row each is built, and what else is known of it; the
functions that build them take keywords, and know of no row. Importing this package imports MXNet,
and changes nothing else of the process.
"""
import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field

from models import mxnet_import

mxnet_import.import_mxnet()

# isort: split
from mxnet import MXNetError, sym
from mxnet.gluon import HybridBlock, nn

from models.conv import (
    SIZE,
    SIZES,
    conv_decoder,
    conv_disc,
    conv_vae,
    deep_conv_disc,
    deep_conv_vae,
)
from models.dense import dense_logreg, dense_vae
from models.layers import TransposedToOne
from models.resnet import BASE_CHANNELS, resnet
from models.similarity import Similarity
from models.vaegan import disc_a, disc_b, disc_paper, vae_a, vae_b, vae_paper

Shape = tuple[int, int, int]  # channels, height and width of an image
KEYWORDS = {  # of builders, for fields of a row that say whose they are
    'vae_base_channels': 'base_channels', 'disc_base_channels': 'base_channels',
    'disc_hlayers': 'n_hlayers', 'disc_hnodes': 'n_hnodes'}


class ModelError(ValueError):
    """A net that is not known or does not fit; the message is for the user."""


@dataclass(frozen=True)
class Net:
    """What is known of a net: the function that builds it, from what, and what it takes."""
    builder: Callable[..., HybridBlock]  # of an image's shape, and of the fields as keywords
    fields: tuple[str, ...]      # of the row
    sizes: tuple[int, ...] = ()  # pixels a side of the images that it takes; none: any
    sizes_with: dict[tuple[str, str], tuple[int, ...]] = field(
        default_factory=dict)    # those that it takes where a field has a value
    defaults: dict = field(default_factory=dict)  # what fields that may be none then are
    encodes: bool = True         # of VAEs: whether there is an encoder
    draws: tuple[int, int] = (0, 1)  # the range of a decoder's pictures

    def build(self, row, shape: Shape | None) -> HybridBlock:
        """Return the net for images of that shape. Not initialised."""
        values = {name: getattr(row, name) for name in self.fields}
        return self.builder(shape, **{
            KEYWORDS.get(name, name): self.defaults.get(name) if value is None else value
            for name, value in values.items()})


_OF_CONV_VAE = ('n_latent', 'vae_base_channels', 'encoder', 'latent_head')
_OF_A = 'norm', 'slope', 'pixels', 'norm_momentum', 'norm_epsilon', 'weights'
VAES = {
    'DenseVAE': Net(dense_vae, ('n_latent', 'n_hlayers', 'n_hnodes')),
    'ConvVAE': Net(conv_vae, _OF_CONV_VAE, SIZES, {('encoder', 'published'): (SIZE,)}),
    'DeepConvVAE': Net(deep_conv_vae, _OF_CONV_VAE, (SIZE,)),
    'ConvDecoder': Net(conv_decoder, ('n_latent', 'vae_base_channels'), (SIZE,), encodes=False),
    'VAE_A': Net(vae_a, ('n_latent', 'n_hnodes', 'vae_base_channels', *_OF_A), (28, SIZE)),
    'VAE_B': Net(vae_b, ('n_latent', 'n_hlayers', 'n_hnodes', 'dropout', 'slope'), draws=(-1, 1)),
    'VAE_paper': Net(vae_paper, ('n_latent', 'n_hnodes', 'vae_base_channels', 'pixels'), (SIZE,)),
}
DISCRIMINATORS = {
    'DenseLogReg': Net(dense_logreg, ('disc_hlayers', 'disc_hnodes')),
    'ConvDisc': Net(conv_disc, ('disc_base_channels',)),
    'DeepConvDisc': Net(deep_conv_disc, ('disc_base_channels',)),
    'ResNet': Net(resnet, ('disc_base_channels',),
                  defaults={'disc_base_channels': BASE_CHANNELS}),
    'Disc_A': Net(disc_a, ('disc_hnodes', 'disc_base_channels', 'dropout', 'minibatch_kernels',
                           'minibatch_dims', *_OF_A)),
    'Disc_B': Net(disc_b, ('disc_hlayers', 'disc_hnodes', 'dropout', 'slope')),
    'Disc_paper': Net(disc_paper, ('disc_hnodes', 'disc_base_channels', 'pixels')),
}
GLUONCV = 'gluoncv:'  # before the name of a net of its model zoo


def check_row(row, changed) -> None:
    """Raise ModelError for a net that is not known or not for such a row, or for an idle field.

    Idle is one that none of the nets has. changed: fields of the row that differ from the
    published one.
    """
    nets = [_vae_of(row)]
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


def build_vae(row, shape: Shape) -> HybridBlock:
    """Return the row's VAE, or the plain GAN's decoder, for images of a shape.

    Not initialised. ModelError for an unknown name, a missing field, a size that does not fit.
    """
    net = _vae_of(row)
    if net.sizes and (shape[1] not in net.sizes or shape[1] != shape[2]):
        raise ModelError(f'{row.vae} makes {_sizes(net.sizes)} images, '
                         f'but {row.data} has {shape[1]} x {shape[2]}')
    for (name, value), sizes in net.sizes_with.items():
        if getattr(row, name) == value and shape[1] not in sizes:
            raise ModelError(f'{name}={value!r}: made for {_sizes(sizes)} images, expected '
                             f'another {name} for {shape[1]} x {shape[2]}')
    return net.build(row, shape)


def build_discriminator(row, shape: Shape | None = None) -> HybridBlock:
    """Return the row's discriminator: images (b, c, h, w) -> logits (b, 1). Not initialised.

    shape: of the images; only Disc_B has to know.
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


def check_discriminator(disc: HybridBlock, name: str, shape: Shape) -> None:
    """Raise ModelError unless a net makes logits (b, 1) of images (b, channels, height, width)."""
    try:
        with redirect_stdout(io.StringIO()):  # MXNet prints before it raises
            outputs = disc(sym.var('x')).infer_shape(x=(2, *shape))[1]
    except (MXNetError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise ModelError(f'{name} does not take images of {shape}: {reason}') from None
    if outputs != [(2, 1)]:
        raise ModelError(f'{name} gives {outputs} for two images of {shape}, expected [(2, 1)]')


def _vae_of(row) -> Net:
    """Return the row's VAE, or the plain GAN's decoder. ModelError if it is the other of both."""
    net = _look_up(VAES, row, row.vae)
    if net.encodes != row.encodes:
        expected = ('a net with an encoder, or a plain GAN (pixel_loss=none)' if row.encodes else
                    'a decoder alone, or a pixel_loss')
        raise ModelError(f'vae={row.vae!r}: expected {expected}')
    return net


def _sizes(sides: tuple[int, ...]) -> str:
    return ' or '.join(f'{side} x {side}' for side in sides)


def _look_up(nets: dict[str, Net], row, name: str) -> Net:
    if name not in nets:
        known = [*nets] + [f'{GLUONCV}<name>'] * (nets is DISCRIMINATORS)
        raise ModelError(f'unknown net {name!r}: expected one of {", ".join(known)}')
    missing = [one for one in nets[name].fields
               if one not in nets[name].defaults and getattr(row, one, None) is None]
    if missing:
        raise ModelError(f'{name} needs a value for {", ".join(missing)}')
    return nets[name]
