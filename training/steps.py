"""What one batch does: `solo`, `combo` as published or shared, `gan`.

A step takes the players, the images x (b, c, h, w), `draw(which)` for noise (b, z) and the
weights of this epoch; it updates the nets and returns the batch means of its terms, in the
order of its `TERMS`. On several devices x and the noise are lists, one part of the batch a
device. Nothing is read back here.

A step is written for one device, as a generator that yields the trainer whose gradients are
there, and in the end its terms: `on_devices` runs it on all and updates in between. Each net's
backward pass gets its gradient by hand (`losses.with_gradient`), so that it runs once and
gives nothing that nobody uses.

Two properties of MXNet 1.9.1 shape this file. An array that stands in two recorded graphs
loses its place in the first when the second is recorded: hence `x.detach()`. And BatchNorm
moves its running statistics in the backward pass, not in the forward pass.
"""
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

from training.losses import PIXEL_LOSSES, judged, kl_divergence, leaf_of, with_gradient
from training.players import Players

SOLO = ('vae_loss', 'kl', 'pixel')
COMBO = ('vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial', 'disc_real_accuracy',
         'disc_fake_accuracy')
GAN = ('vae_loss', 'disc_loss', 'adversarial', 'disc_real_accuracy', 'disc_fake_accuracy')
FOR_DISC, FOR_ADVERSARIAL, FOR_PIXELS = range(3)  # which draw of a combo step
BATCHNORM_MOMENTUM = 0.9  # Gluon's default, and the original's


@dataclass(frozen=True)
class Weights:
    """What multiplies the terms of the VAE's loss in a combo epoch."""
    pixel: float
    adversarial: float
    n_images: int | None = None  # of the whole batch, on all devices; none: those of x


Draw = Callable[[int], NDArray]
Step = Iterator[gluon.Trainer | NDArray]


def on_devices(step: Callable[..., Step]) -> Callable[..., NDArray]:
    """A step for one device as a step for one or several; see above."""
    @functools.wraps(step)
    def run(players: Players, x: NDArray | list[NDArray], draw: Callable,
            weights: Weights) -> NDArray:
        parts = x if isinstance(x, list) else [x]
        draw = functools.cache(draw)  # once, though every device asks
        n_images = weights.n_images or sum(len(part) for part in parts)
        runs = [step(players, part, draw if part is x else lambda *what, i=i: draw(*what)[i],
                     weights, 1 / n_images) for i, part in enumerate(parts)]
        for yielded in zip(*runs, strict=True):
            if isinstance(yielded[0], gluon.Trainer):
                yielded[0].step(1)
        return functools.reduce(
            NDArray.__add__, (terms.as_in_context(parts[0].context) for terms in yielded))
    return run


@on_devices
def solo(players: Players, x: NDArray, draw: Draw, weights: Weights, scale: float) -> Step:
    """The VAE alone on KL + pixel loss, weight 1 whatever the row's. Returns SOLO (3,)."""
    with autograd.record():
        x_hat, mean, logvar = players.vae(x, draw(0))
    kl, d_mean, d_logvar = with_gradient(kl_divergence, mean, logvar, scale=scale)
    pixel, d_x_hat = _pixel_loss(players, x_hat, x, scale, 1.0)
    autograd.backward([x_hat, mean, logvar], [d_x_hat, d_mean, d_logvar])
    yield players.vae_trainer
    yield _terms(x, kl + pixel, kl, pixel)


@on_devices
def combo_published(players: Players, x: NDArray, draw: Draw, weights: Weights,
                    scale: float) -> Step:
    """The discriminator, then the VAE, from three latents of each image. Returns COMBO (7,).

    As the original: noise is drawn anew for the generated images that the discriminator sees,
    for the adversarial term, and for KL and pixel loss. The original ran the encoder each
    time, on the same images and with the same weights; once gives the same three times.
    """
    vae = players.vae
    with autograd.record():
        mean, logvar = vae.split(nd, vae.encoder(x))
        latents = [vae.latent(nd, mean, logvar, draw(which)) for which in range(3)]  # (b, z)
    disc_terms = _disc_gradients(players, x, _generate(players, vae.decoder, latents[FOR_DISC]),
                                 scale)
    yield players.disc_trainer
    kl, d_mean, d_logvar = with_gradient(kl_divergence, mean, logvar, scale=scale)
    fooled, pixel, d_latents = _decode_twice(players, latents[1:], x, scale, weights)
    with _moving_thrice(players.encoder_statistics, x.context):
        autograd.backward([mean, logvar, *latents[1:]], [d_mean, d_logvar, *d_latents])
    yield players.vae_trainer
    yield _combo_terms(x, weights, disc_terms, kl, pixel, fooled)


@on_devices
def combo_shared(players: Players, x: NDArray, draw: Draw, weights: Weights,
                 scale: float) -> Step:
    """As `combo_published`, but one pass of the VAE serves all three. Returns COMBO (7,).

    The adversarial term comes from the discriminator after its step, on the very images of
    that step.
    """
    with autograd.record():
        x_hat, mean, logvar = players.vae(x, draw(0))
    disc_terms = _disc_gradients(players, x, x_hat.detach(), scale)
    yield players.disc_trainer
    fooled, d_fooled = _fool(players, x_hat, scale, weights)
    kl, d_mean, d_logvar = with_gradient(kl_divergence, mean, logvar, scale=scale)
    pixel, d_x_hat = _pixel_loss(players, x_hat, x, scale, weights.pixel)
    d_x_hat += d_fooled
    autograd.backward([x_hat, mean, logvar], [d_x_hat, d_mean, d_logvar])
    yield players.vae_trainer
    yield _combo_terms(x, weights, disc_terms, kl, pixel, fooled)


@on_devices
def gan(players: Players, x: NDArray, draw: Draw, weights: Weights, scale: float) -> Step:
    """The plain GAN: the discriminator, then the generator, weight 1. Returns GAN (5,)."""
    disc_terms = _disc_gradients(players, x, _generate(players, players.vae, draw(FOR_DISC)),
                                 scale)
    yield players.disc_trainer
    with autograd.record():
        fakes = players.vae(draw(FOR_ADVERSARIAL))
    fooled, d_fakes = _fool(players, fakes, scale, Weights(1.0, 1.0))
    fakes.backward(d_fakes)
    yield players.vae_trainer
    yield _terms(x, fooled, disc_terms[0], fooled, *disc_terms[1:])


def _pixel_loss(players: Players, x_hat, x, scale: float, weight: float) -> tuple:
    """The row's pixel loss (1,) and its gradient (b, c, h, w)."""
    return with_gradient(PIXEL_LOSSES[players.pixel_loss], x_hat, x, scale=scale, weight=weight)


def _generate(players: Players, decoder: gluon.Block, z: NDArray) -> NDArray:
    """Images (b, c, h, w) for the discriminator's step, from a pass in train mode.

    In the original this pass moves the running statistics of a decoder with BatchNorm. Only a
    backward pass does that; this one stops at z.
    """
    if not players.vae_normalises:
        with autograd.train_mode():
            return decoder(z)
    leaf, images = recorded(decoder, z)
    autograd.grad(images, [leaf], head_grads=nd.zeros_like(images))
    return images.detach()


def _decode_twice(players: Players, latents: list[NDArray], x: NDArray, scale: float,
                  weights: Weights) -> tuple[NDArray, NDArray, list[NDArray]]:
    """Adversarial and pixel term (1,), each from images of its own latents (b, z).

    Leaves the decoder's gradients with it, and returns those of the latents. With BatchNorm the
    two passes have to be apart, and so their backward passes: of two convolutions' gradients in
    one graph MXNet's CPU build crashes.
    """
    if not players.vae_normalises:
        z = nd.concat(*latents, dim=0)                                  # (2b, z)
        leaf, images = recorded(players.pair_decoder, z)               # ..., (2b, c, h, w)
        fakes, x_hat = nd.split(images, num_outputs=2, axis=0)
        fooled, d_fakes = _fool(players, fakes, scale, weights)
        pixel, d_x_hat = _pixel_loss(players, x_hat, x, scale, weights.pixel)
        images.backward(nd.concat(d_fakes, d_x_hat, dim=0))
        return fooled, pixel, nd.split(leaf.grad, num_outputs=2, axis=0)
    decoder = players.vae.decoder
    gradients = [p.grad(x.context) for p in decoder.collect_params().values()
                 if p.grad_req != 'null']
    first, fakes = recorded(decoder, latents[0])
    fooled, d_fakes = _fool(players, fakes, scale, weights)
    fakes.backward(d_fakes)
    of_fakes = [gradient.copy() for gradient in gradients]
    second, x_hat = recorded(decoder, latents[1])
    pixel, d_x_hat = _pixel_loss(players, x_hat, x, scale, weights.pixel)
    x_hat.backward(d_x_hat)
    for gradient, other in zip(gradients, of_fakes, strict=True):
        gradient += other
    return fooled, pixel, [first.grad, second.grad]


def recorded(net: gluon.Block, values: NDArray) -> tuple[NDArray, NDArray]:
    """A leaf with those values, and what the net makes of it in a graph that starts there."""
    leaf = leaf_of(values)
    with autograd.record():
        return leaf, net(leaf)


def _disc_gradients(players: Players, x: NDArray, fakes: NDArray, scale: float) -> list:
    """Gradients of real + generated. Returns batch means: loss, both accuracies."""
    if not players.disc_normalises:
        images = nd.concat(x.detach(), fakes, dim=0)                    # (2b, c, h, w)
        with autograd.record():
            logit = players.disc(images)                                # (2b, 1)
        *terms, gradient = judged(logit, len(x), scale)
        logit.backward(gradient)
        return terms
    with autograd.record():  # each batch normalised by itself
        real, fake = players.disc(x.detach()), players.disc(fakes)      # (b, 1) each
    real_loss, real_accuracy, _, d_real = judged(real, len(x), scale)
    fake_loss, _, fake_accuracy, d_fake = judged(fake, 0, scale)
    # The last head's pass is visited first: statistics move for real, then fake
    autograd.backward([fake, real], [d_fake, d_real])
    return [real_loss + fake_loss, real_accuracy, fake_accuracy]


def _fool(players: Players, fakes: NDArray, scale: float,
          weights: Weights) -> tuple[NDArray, NDArray]:
    """The adversarial term (1,) of generated images, and its weighted gradient of them."""
    leaf, logit = recorded(players.critic, fakes)                      # ..., (b, 1)
    fooled, _, _, d_logit = judged(logit, len(logit), scale, weights.adversarial)
    return fooled, autograd.grad(logit, [leaf], head_grads=d_logit)[0]


@contextmanager
def _moving_thrice(statistics: list[gluon.Parameter], ctx) -> Iterator[None]:
    """Running statistics that one backward pass moves, moved as far as by three of the same."""
    arrays = [p.data(ctx) for p in statistics]
    before = [array.copy() for array in arrays]
    yield
    for array, old in zip(arrays, before, strict=True):
        array += (BATCHNORM_MOMENTUM + BATCHNORM_MOMENTUM ** 2) * (array - old)


def _combo_terms(x: NDArray, weights: Weights, disc_terms, kl, pixel, fooled) -> NDArray:
    disc_loss, *accuracies = disc_terms
    loss = kl + weights.pixel * pixel + weights.adversarial * fooled
    return _terms(x, loss, disc_loss, kl, pixel, fooled, *accuracies)


def _terms(x: NDArray, *values) -> NDArray:
    """Values, on the CPU numbers and else (1,) each, as one array (n,) on the device of x."""
    if isinstance(values[0], NDArray):
        return nd.concat(*values, dim=0)
    return nd.from_numpy(np.array(values, np.float32))


COMBO_STEPS = {'published': combo_published, 'shared': combo_shared}
