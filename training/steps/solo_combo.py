"""What one batch does: `solo`, `combo` as published or shared, `gan`.

A step takes the networks, the images x (b, c, h, w), `noise(which)` for noise (b, z) and the
weights of this epoch; it updates the nets and returns the batch means of its terms, in the
order of its phase's terms. On several devices x and the noise are lists, one part of the batch a
device. Nothing is read back here.

Each net's backward pass gets its gradient by hand (`losses.with_gradient`), so that it runs once
and gives nothing that nobody uses.

Two properties of MXNet 1.9.1 shape this file. An array that stands in two recorded graphs
loses its place in the first when the second is recorded: hence `x.detach()`. And BatchNorm
moves its running statistics in a pass forward or backward, by device: see `batchnorm`.
"""
import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

from training.experiments import early_stopping
from training.experiments.row import Row
from training.steps import rng
from training.steps.batchnorm import RunningStatistics
from training.steps.devices import Noise, Step, Weights, on_devices
from training.steps.losses import (
    PIXEL_LOSSES,
    adversarial_with_gradient,
    as_terms,
    kl_divergence,
    recorded,
    with_gradient,
)
from training.steps.networks import Networks

LATENTS = FOR_DISC, FOR_ADVERSARIAL, FOR_PIXELS = range(3)  # which noise of a combo step


def weights(row: Row, records: list[dict]) -> Weights:
    """Return the weights of the epoch that follows those of the records.

    The pixel weight has decayed after every interval, where that ended in a combo epoch; the
    gate takes the adversarial term away after a combo epoch whose discriminator loss was worse.
    That term's weight is `disc_weight`, to which it grows over the first `disc_warmup` combo
    epochs. KL's weight is `kl_weight`, to which it grows over the first `kl_warmup` epochs (Bowman
    et al., 2016, arXiv:1511.06349; the weight: Higgins et al., 2017, beta-VAE).
    """
    pixel, gate_open, n_combo = row.pbp_weight, True, 0
    for record in records:
        if record['phase'] == 'combo':
            n_combo += 1
            if (1 + record['epoch']) % row.decay_interval == 0:
                pixel *= row.pbp_decay
            gate_open = record['disc_loss'] <= row.max_disc_loss
    adversarial = _grown(n_combo, row.disc_warmup) * row.disc_weight if gate_open else 0.0
    return Weights(pixel, adversarial, kl=_grown(len(records), row.kl_warmup) * row.kl_weight)


def _grown(n_epochs: int, warmup: int) -> float:
    """Return the share of a weight in the epoch after so many of its warm-up."""
    return min(1.0, (n_epochs + 1) / warmup) if warmup else 1.0


def recorded_weights(networks: Networks, row: Row, records: list[dict]) -> dict:
    """Return what the coming epoch's record says of its weights: those of the terms it has."""
    of_epoch, is_combo = weights(row, records), len(records) >= row.solo_epochs
    return {'weight_kl': of_epoch.kl, 'weight_pixel': float(of_epoch.pixel) if is_combo else 1.0,
            'weight_adversarial': of_epoch.adversarial if is_combo else None}


@on_devices
def solo(networks: Networks, x: NDArray, noise: Noise, weights: Weights, scale: float) -> Step:
    """Update the VAE alone, on weighted KL + pixel loss with weight 1. Returns its terms (3,)."""
    with autograd.record():
        x_hat, mean, logvar = networks.vae(x, noise(0))
    kl, d_mean, d_logvar = _kl(mean, logvar, scale, weights)
    pixel, d_x_hat = _pixel_loss(networks, x_hat, x, scale, 1.0)
    autograd.backward([x_hat, mean, logvar], [d_x_hat, d_mean, d_logvar])
    yield networks.vae_trainer
    yield as_terms(weights.kl * kl + pixel, kl, pixel)


@on_devices
def combo_published(networks: Networks, x: NDArray, noise: Noise, weights: Weights,
                    scale: float) -> Step:
    """Update the discriminator, then the VAE, from three latents an image. Returns its terms (7,).

    As the original: there is new noise for the generated images that the discriminator sees,
    for the adversarial term, and for KL and pixel loss. The original ran the encoder each
    time, on the same images and with the same weights; once gives the same three times.
    """
    statistics = RunningStatistics(networks.encoder_statistics, x.context)
    with autograd.record():
        mean, logvar, for_disc, pair = networks.sampler(x, *map(noise, LATENTS))
    disc_terms = _disc_gradients(networks, x, _generate(networks, networks.vae.decoder, for_disc),
                                 scale)
    yield networks.disc_trainer
    kl, d_mean, d_logvar = _kl(mean, logvar, scale, weights)
    fooled, pixel, d_pair = _decode_twice(networks, pair, x, scale, weights)
    autograd.backward([mean, logvar, pair], [d_mean, d_logvar, d_pair])
    statistics.count(passes=3)
    yield networks.vae_trainer
    yield _combo_terms(weights, disc_terms, kl, pixel, fooled)


@on_devices
def combo_shared(networks: Networks, x: NDArray, noise: Noise, weights: Weights,
                 scale: float) -> Step:
    """Update as `combo_published`, but from one pass of the VAE. Returns its terms (7,).

    The adversarial term comes from the discriminator after its step, on the very images of
    that step.
    """
    with autograd.record():
        x_hat, mean, logvar = networks.vae(x, noise(0))
    disc_terms = _disc_gradients(networks, x, x_hat.detach(), scale)
    yield networks.disc_trainer
    fooled, d_fooled = _fool(networks, x_hat, scale, weights)
    kl, d_mean, d_logvar = _kl(mean, logvar, scale, weights)
    pixel, d_x_hat = _pixel_loss(networks, x_hat, x, scale, weights.pixel)
    d_x_hat += d_fooled
    autograd.backward([x_hat, mean, logvar], [d_x_hat, d_mean, d_logvar])
    yield networks.vae_trainer
    yield _combo_terms(weights, disc_terms, kl, pixel, fooled)


@on_devices
def gan(networks: Networks, x: NDArray, noise: Noise, weights: Weights, scale: float) -> Step:
    """Update the discriminator, then the generator, weight 1. Returns its terms (5,)."""
    disc_terms = _disc_gradients(networks, x, _generate(networks, networks.vae, noise(FOR_DISC)),
                                 scale)
    yield networks.disc_trainer
    with autograd.record():
        fakes = networks.vae(noise(FOR_ADVERSARIAL))
    fooled, d_fakes = _fool(networks, fakes, scale, Weights(1.0, 1.0))
    fakes.backward(d_fakes)
    yield networks.vae_trainer
    yield as_terms(fooled, disc_terms[0], fooled, *disc_terms[1:])


def _kl(mean, logvar, scale: float, weights: Weights) -> tuple:
    """Return KL (1,), and its weighted gradients of mean and log variance (b, z)."""
    return with_gradient(kl_divergence, mean, logvar, scale=scale, weight=weights.kl)


def _pixel_loss(networks: Networks, x_hat, x, scale: float, weight: float) -> tuple:
    """Return the row's pixel loss (1,) and its gradient (b, c, h, w)."""
    return with_gradient(PIXEL_LOSSES[networks.pixel_loss], x_hat, x, scale=scale, weight=weight)


def _generate(networks: Networks, decoder: gluon.Block, z: NDArray) -> NDArray:
    """Return images (b, c, h, w) for the discriminator's step, from a pass in train mode.

    In the original this pass moves the running statistics of a decoder with BatchNorm. On the
    CPU only a backward pass does that; this one stops at z.
    """
    if not networks.vae_normalises:
        with autograd.train_mode():
            return decoder(z)
    leaf, images = recorded(decoder, z)
    autograd.grad(images, [leaf], head_grads=nd.zeros_like(images))
    return images.detach()


def _decode_twice(networks: Networks, z: NDArray, x: NDArray, scale: float,
                  weights: Weights) -> tuple[NDArray, NDArray, NDArray]:
    """Return adversarial and pixel term (1,), and the gradient of their latents z (2b, z).

    The first half of the latents is for the adversarial term. The decoder's gradients stay with
    it. With BatchNorm the two passes have to be apart, and so their backward passes: of two
    convolutions' gradients in one graph MXNet's CPU build crashes.
    """
    if not networks.vae_normalises:
        leaf, images = recorded(networks.pair_decoder, z)               # ..., (2b, c, h, w)
        fakes, x_hat = images[:len(x)], images[len(x):]
        fooled, d_fakes = _fool(networks, fakes, scale, weights)
        pixel, d_x_hat = _pixel_loss(networks, x_hat, x, scale, weights.pixel)
        images.backward(nd.concat(d_fakes, d_x_hat, dim=0))
        return fooled, pixel, leaf.grad
    decoder = networks.vae.decoder
    gradients = [p.grad(x.context) for p in decoder.collect_params().values()
                 if p.grad_req != 'null']
    first, fakes = recorded(decoder, z[:len(x)])
    fooled, d_fakes = _fool(networks, fakes, scale, weights)
    fakes.backward(d_fakes)
    of_fakes = [gradient.copy() for gradient in gradients]
    second, x_hat = recorded(decoder, z[len(x):])
    pixel, d_x_hat = _pixel_loss(networks, x_hat, x, scale, weights.pixel)
    x_hat.backward(d_x_hat)
    for gradient, other in zip(gradients, of_fakes, strict=True):
        gradient += other
    return fooled, pixel, nd.concat(first.grad, second.grad, dim=0)


def _disc_gradients(networks: Networks, x: NDArray, fakes: NDArray, scale: float) -> list:
    """Compute the discriminator's gradients. Returns batch means: loss, both accuracies."""
    if not networks.disc_normalises:
        images = nd.concat(x.detach(), fakes, dim=0)                    # (2b, c, h, w)
        with autograd.record():
            logit = networks.disc(images)                                # (2b, 1)
        *terms, gradient = adversarial_with_gradient(logit, len(x), scale)
        logit.backward(gradient)
        return terms
    with autograd.record():  # each batch normalised by itself
        real, fake = networks.disc(x.detach()), networks.disc(fakes)      # (b, 1) each
    real_loss, real_accuracy, _, d_real = adversarial_with_gradient(real, len(x), scale)
    fake_loss, _, fake_accuracy, d_fake = adversarial_with_gradient(fake, 0, scale)
    # Backward the last head's pass comes first: so too statistics move for real, then fake
    autograd.backward([fake, real], [d_fake, d_real])
    return [real_loss + fake_loss, real_accuracy, fake_accuracy]


def _fool(networks: Networks, fakes: NDArray, scale: float,
          weights: Weights) -> tuple[NDArray, NDArray]:
    """Return the adversarial term (1,) of generated images, and its weighted gradient."""
    leaf, logit = recorded(networks.critic, fakes)                      # ..., (b, 1)
    fooled, _, _, d_logit = adversarial_with_gradient(logit, len(logit), scale,
                                                      weights.adversarial)
    return fooled, autograd.grad(logit, [leaf], head_grads=d_logit)[0]


def _combo_terms(weights: Weights, disc_terms, kl, pixel, fooled) -> NDArray:
    disc_loss, *accuracies = disc_terms
    loss = weights.kl * kl + weights.pixel * pixel + weights.adversarial * fooled
    return as_terms(loss, disc_loss, kl, pixel, fooled, *accuracies)


COMBO_STEPS = {
    'published': combo_published,
    'shared': combo_shared,
}

N_HELD_OUT = 1000  # held-out images behind val_loss, at most


def held_out_losses(networks: Networks, images, row: Row, ctx) -> dict[str, float | None]:
    """Return `val_loss`: mean KL + pixel loss of the first held-out images; none of a plain GAN.

    KL has the weight that `early_stopping` says. BatchNorm is in inference mode.
    """
    if not row.encodes:
        return {'val_loss': None}
    n_images = min(len(images), N_HELD_OUT)
    weight, total = early_stopping.held_out_kl_weight(row), 0.0
    for batch, start in enumerate(range(0, n_images, row.batch_size)):
        indices = np.arange(start, min(start + row.batch_size, n_images))
        x = nd.array(images[indices], ctx)
        eps = nd.array(rng.noise(row.seed, rng.HELD_OUT, 0, batch, 0,
                                 (len(indices), row.n_latent)), ctx)
        x_hat, mean, logvar = networks.vae(x, eps)
        loss = weight * kl_divergence(mean, logvar) + PIXEL_LOSSES[networks.pixel_loss](x_hat, x)
        total += float(loss.sum().asscalar())  # in double precision by any NumPy
    return {'val_loss': total / n_images}
