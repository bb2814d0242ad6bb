"""Nets with random weights, for the tests of the page in which nets draw."""
from dataclasses import replace

import numpy as np
from mxnet import autograd, cpu, nd

import models
from data import images
from models import plain
from training.evaluation.trained_net import decoder_of
from training.experiments.registry import EXPERIMENTS
from training.reporting import explorer

FACES, DIGITS = (3, 64, 64), (1, 28, 28)
SMALL = {'n_latent': 4, 'vae_base_channels': 4}
NETS = {  # of each family of nets: a row, what makes it small, and the shape of its pictures
    'dense': ('DenseVAE_on_MNIST/5_3_400_bce_50', {'n_hnodes': 16}, DIGITS),
    'published': ('ConvVAE_on_anime/512_32_200_seeded', SMALL, FACES),
    'repaired': ('ConvVAE_on_anime/128_16_100_repaired', SMALL, FACES),
    'gan': ('ConvDecoder_ResNet_on_anime/512_32_200', SMALL, FACES),
    'A': ('VAEGAN_on_MNIST/A_64_100', SMALL | {'n_hnodes': 8}, DIGITS),
    'A of faces': ('VAEGAN_on_adult/A_2048_100_lr1',
                   SMALL | {'n_hnodes': 8, 'pixels': 'signed'}, FACES),
    'B': ('VAEGAN_on_MNIST/B_20_50', {'n_hnodes': 8}, DIGITS),
    'paper': ('VAEGAN_on_anime/paper_128_200', SMALL | {'n_hnodes': 8}, FACES),
}


class RandomNet:
    """A net of a family, with weights that let pixels differ and BatchNorm of random statistics.

    Pictures are (n, h, w, c) uint8, codes and latents (n, z).
    """

    def __init__(self, family: str, seed: int = 0, **changes):
        name, small, self.shape = NETS[family]
        self.row = replace(EXPERIMENTS[name], **small | changes)
        self.vae = models.build_vae(self.row, self.shape)
        self.vae.initialize(ctx=cpu())
        rng = np.random.default_rng(seed)
        z = nd.array(rng.normal(size=(2, self.row.n_latent)))
        arguments = (nd.zeros((2, *self.shape)), z) if self.row.encodes else (z,)
        with autograd.predict_mode():
            self.vae(*arguments)  # which sets the shapes of parameters
        for parameter in self.vae._collect_params_with_prefix().values():
            parameter.set_data(nd.array(_random(parameter, rng)))
        self.decoder = decoder_of(self.row, self.vae)

    def decode(self, z: np.ndarray) -> np.ndarray:
        with autograd.predict_mode():
            return images.to_pixels(self.decoder(nd.array(z)).asnumpy(), self.row.layout)

    def encode(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with autograd.predict_mode():
            x = nd.array(images.Images(pictures, self.row.layout)[:])
            return tuple(part.asnumpy() for part in self.vae.split(nd, self.vae.encoder(x)))

    def layers(self) -> tuple[list | None, list]:
        """Return encoder (none of a plain GAN) and decoder as plain layers."""
        encoder = plain.layers(self.vae.encoder, self.shape) if self.row.encodes else None
        return encoder, plain.layers(self.decoder, (self.row.n_latent,))

    def in_page(self, pictures: np.ndarray, whole: bool = True, title: str = '') -> explorer.Net:
        """Return what the page takes. whole: with its encoder."""
        encoder, decoder = self.layers()
        codes = self.encode(pictures) if self.row.encodes else (None, None)
        return explorer.Net(self.row.name, title or self.row.nets, ('16 epochs',),
                            self.row.layout, decoder, encoder if whole else None,
                            '' if whole and encoder else 'its encoder is not in this page', *codes)


def _random(parameter, rng: np.random.Generator) -> np.ndarray:
    shape, name = parameter.shape, parameter.name
    if name.endswith(('gamma', 'running_var')):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) == 1:
        return rng.normal(0, 0.3, shape)
    n_in = np.prod(shape[1:]) / (1.5 if len(shape) == 4 else 1)  # roughly, that add to an output
    return rng.normal(0, (2 / n_in) ** 0.5, shape)


def pictures(shape: tuple[int, int, int], n: int) -> np.ndarray:
    """Return pictures (n, h, w, c) uint8 of blocks and noise."""
    channels, height, width = shape
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 200, (n, height // 4, width // 4, channels)).repeat(4, 1).repeat(4, 2)
    return (blocks + rng.integers(0, 56, (n, height, width, channels))).astype(np.uint8)
