"""The page that `explorer` writes: nets of finished runs that draw in a browser, without network.

Nets, pictures and what the encoders said of them stand inside the one file. Never imports MXNet.
"""
import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from training.evaluation import metrics
from training.storage import files

NAME = 'explorer.html'  # beside the page of all runs, which links it there
TEMPLATES = Path(__file__).parent / 'templates'
N_PICTURES = 20         # held-out images to begin with, at most
N_LATENTS = 8           # that have a slider, at most
N_DIGITS = 4            # of numbers that are shown


@dataclass(frozen=True, eq=False)  # each is itself alone, also where two are of one name
class Net:
    """A run's nets in inference mode, and what its encoder says of the first held-out images.

    decoder, encoder: layers with `kind`, `arrays` (float32) and `options`, as models/plain.py
    describes them; no encoder where there is none in the page, for which `absent` is the reason.
    layout: how pictures become channel-first. mean, logvar: (n, z), n of which have originals in
    the page; none of a plain GAN.
    """
    name: str
    title: str
    labels: tuple[str, ...]
    layout: str
    decoder: Sequence
    encoder: Sequence | None = None
    absent: str = ''
    mean: np.ndarray | None = None
    logvar: np.ndarray | None = None


@dataclass(frozen=True)
class Group:
    """Nets of as many latents on the same images.

    title: of its choice. shape: (channels, height, width) of a picture. originals: the first
    held-out images, (n, h, w, c) uint8; none of plain GANs alone.
    """
    title: str
    shape: tuple[int, int, int]
    n_latent: int
    originals: np.ndarray | None
    nets: Sequence[Net]

    @property
    def shown(self) -> np.ndarray:
        """Return the pictures to begin with, (n, h, w, c) uint8."""
        if self.originals is None:
            return np.zeros((0, *self.shape[1:], self.shape[0]), np.uint8)
        return self.originals[:N_PICTURES]


def write(path: Path, groups: Sequence[Group]) -> None:
    """Write the page of these nets, in place of an older one."""
    nets = [net for group in groups for net in group.nets]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    page = environment.get_template(NAME).render(
        groups=groups, n_nets=len(nets),
        style=_text('explorer.css'), script=_text('explorer.js'), worker=_text('explorer_nets.js'),
        data=[_of_group(group, nets) for group in groups],
        held={**{f'pictures-{i}': _packed(group.shown.tobytes())
                 for i, group in enumerate(groups)},
              **{f'codes-{i}': _packed(_codes(net, group)) for i, (net, group) in enumerate(
                  (net, group) for group in groups for net in group.nets)},
              **{f'values-{i}': _packed(_halves(net)) for i, net in enumerate(nets)}})
    files.write_text(path, page)


def _text(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding='utf-8'))


def _of_group(group: Group, nets: Sequence[Net]) -> dict:
    return {'title': group.title, 'shape': group.shape, 'latents': group.n_latent,
            'pictures': len(group.shown),
            'nets': [_of_net(net, nets.index(net), group) for net in group.nets]}


def _of_net(net: Net, place: int, group: Group) -> dict:
    """Return what the page has to know of a net beside its values."""
    if net.mean is None:
        kl, spread = np.zeros(group.n_latent), np.ones(group.n_latent)
    else:
        kl, spread = metrics.kl_per_latent(net.mean, net.logvar), net.mean.std(axis=0)
    most = np.argsort(-kl, kind='stable')[:N_LATENTS]
    return {'place': place, 'name': net.name, 'title': net.title, 'labels': net.labels,
            'encodes': net.encoder is not None, 'absent': net.absent,
            'codes': net.mean is not None, 'measured': 0 if net.mean is None else len(net.mean),
            'sliders': [{'latent': int(i), 'kl': _short(kl[i]), 'spread': _short(spread[i]),
                         'reach': 3 if net.mean is None else
                         max(3, int(np.ceil(np.abs(net.mean[:, i]).max())))} for i in most],
            'parts': {'layout': net.layout, 'shape': group.shape,
                      **{name: [_of_layer(layer) for layer in layers]
                         for name, layers in _parts(net)}}}


def _parts(net: Net) -> list[tuple[str, Sequence]]:
    """Return a net's parts by name, in the order of their values in the page."""
    return [(name, layers) for name, layers in (('encoder', net.encoder), ('decoder', net.decoder))
            if layers is not None]


def _of_layer(layer) -> dict:
    described = {'kind': layer.kind, **layer.options, 'arrays': [
        {'size': array.size, 'scale': _largest(array)} for array in layer.arrays]}
    if layer.kind in ('conv', 'deconv'):
        described['kernel'] = layer.arrays[0].shape[-1]
    return described


def _largest(array: np.ndarray) -> float:
    """Return the value that is 1 in the page, so that none is beyond 16-bit floats."""
    return float(np.abs(array).max()) or 1.0


def _halves(net: Net) -> bytes:
    """Return all values of a net as 16-bit floats: their low bytes, then their high ones.

    So they deflate to some nine tenths, for high bytes are much alike.
    """
    values = [(array / _largest(array)).astype('<f2').reshape(-1)
              for _, layers in _parts(net) for layer in layers for array in layer.arrays]
    return np.concatenate(values).view(np.uint8).reshape(-1, 2).T.tobytes()


def _codes(net: Net, group: Group) -> bytes:
    """Return mean and log variance of the group's pictures, float32 (2, n, z)."""
    if net.mean is None:
        return b''
    n = len(group.shown)
    return np.stack([net.mean[:n], net.logvar[:n]]).astype('<f4').tobytes()


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _short(value: float) -> float:
    return float(f'{value:.{N_DIGITS}g}')
