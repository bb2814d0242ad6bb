"""The step of a VAE/GAN with a learned similarity: Algorithm 1 of Larsen et al. (2016).

Images are compared by features of the discriminator. Which loss trains which net: the encoder
KL + similarity, the decoder similarity + GAN term, the discriminator real against fakes. Each
gets the gradient of its own loss alone, but for B's flaw (`_accumulated`).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
from mxnet import autograd, nd
from mxnet.ndarray import NDArray

from training.experiments import kinds
from training.experiments.row import VaeGan
from training.steps import rng, schedules
from training.steps.batchnorm import RunningStatistics
from training.steps.devices import on_devices
from training.steps.losses import kl_divergence, leaf_of, recorded, with_gradient
from training.steps.networks import VaeGanNetworks
from training.steps.vaegan_losses import (
    FOR_RECONSTRUCTION,
    FOR_SAMPLE,
    Losses,
    batch_losses,
    discriminator_terms,
    normalised,
)


def step_of(row: VaeGan) -> Callable:
    """Return the row's step, which updates all three nets and returns its terms (8,)."""
    update = {'separate': _separate, 'accumulated': _accumulated}[row.routing]

    @on_devices
    def vaegan(networks: VaeGanNetworks, x: NDArray, noise: Callable, weights,
               scale: float) -> Iterator:
        n_pixels, share = math.prod(x.shape[1:]), 1 / (scale * row.batch_size)
        losses = yield from update(row, networks, x, noise, scale, share)
        yield nd.concat(losses.encoder(row, n_pixels, share), losses.decoder(row), losses.disc,
                        losses.kl, losses.similarity, sum(losses.gan[1:], losses.gan[0]),
                        *losses.accuracies, dim=0)
    return vaegan


def _separate(row: VaeGan, networks: VaeGanNetworks, x: NDArray, noise: Callable, scale: float,
              share: float) -> Iterator:
    """Update each net by the gradient of its own loss, all from the weights before the step.

    From net to net gradients are handed on by hand. That stops them where the paper wants them
    stopped; and of two transposed convolutions' gradients in one pass MXNet's CPU build crashes.
    """
    vae = networks.vae
    of_decoder, of_disc = (RunningStatistics(networks.statistics[net], x.context)
                           for net in ('decoder', 'disc'))
    with autograd.record():
        mean, logvar = vae.split(nd, vae.encoder(x))                    # (b, z)
        z = vae.latent(nd, mean, logvar, noise(FOR_RECONSTRUCTION, row.n_latent))
    leaf, x_hat = recorded(vae.decoder, z)
    with of_decoder.kept() if row.fakes == 'reconstructions' else nullcontext():
        _, sample = recorded(vae.decoder, noise(FOR_SAMPLE, row.n_latent))   # (b, c, h, w)
    images = [leaf_of(x_hat), leaf_of(sample)]
    with autograd.record():
        similarity, gan, costs, right = discriminator_terms(
            row, networks.feature_disc, x.detach(), *images, noise, scale, of_disc)
    autograd.backward(costs, retain_graph=True)
    of_disc.move_on()
    with of_disc.kept():  # one pass forward and backward moves them, as in the systems themselves
        d_similarity, = autograd.grad(similarity, images[:1], retain_graph=True)
        of_gan = autograd.grad(gan, images[:1] if row.fakes == 'reconstructions' else
                               images[1:] if row.fakes == 'samples' else images)
    d_x_hat = row.gamma * d_similarity
    if row.fakes != 'samples':
        d_x_hat += row.disc_weight * of_gan[0]
    with of_decoder.kept():
        d_z, = autograd.grad(x_hat, [leaf], row.beta * d_similarity, retain_graph=True)
    x_hat.backward(d_x_hat, retain_graph=True)  # or the other graph would lose its leaves
    if row.fakes != 'reconstructions':
        gradients = [p.grad(x.context) for p in networks.parameters['decoder']]
        of_x_hat = [gradient.copy() for gradient in gradients]
        sample.backward(row.disc_weight * of_gan[-1])
        for gradient, other in zip(gradients, of_x_hat, strict=True):
            gradient += other
    n_pixels = math.prod(x.shape[1:])
    kl, d_mean, d_logvar = with_gradient(kl_divergence, mean, logvar, scale=scale,
                                         weight=normalised(row, 1.0, n_pixels, share))
    autograd.backward([mean, logvar, z], [d_mean, d_logvar, d_z])
    for name in _stepping(row, costs):
        yield networks.trainers[name]
    return Losses(kl if isinstance(kl, NDArray) else nd.array([kl], x.context), similarity, gan,
                  costs, right)


def _accumulated(row: VaeGan, networks: VaeGanNetworks, x: NDArray, noise: Callable, scale: float,
                 share: float) -> Iterator:
    """Update the nets as B does: nothing is detached, no gradient cleared between them.

    Discriminator, decoder, encoder: what one loss leaves with the nets that step later adds to
    their gradients. Each backward pass goes through the weights as they then stand.
    """
    for parameter in sum(networks.parameters.values(), []):
        parameter.grad(x.context)[:] = 0  # of this device: others may have gone on already
    with autograd.record():
        losses = batch_losses(row, networks, x, noise, scale)
        heads = {'disc': losses.disc, 'decoder': losses.decoder(row),
                 'encoder': losses.encoder(row, math.prod(x.shape[1:]), share)}
    for name, loss in heads.items():
        loss.backward(retain_graph=True)  # each gradient is added: see `make_networks`
        yield networks.trainers[name]
    return losses


def _stepping(row: VaeGan, costs: list[NDArray]) -> tuple[str, ...]:
    """Return the nets that step: a discriminator or a decoder that is too far ahead waits."""
    if row.equilibrium is None:
        return 'encoder', 'decoder', 'disc'
    real, *fakes = (float(cost.asscalar()) for cost in costs)
    fake = sum(fakes) / len(fakes)
    waiting = set()
    if min(real, fake) < row.equilibrium - row.margin:
        waiting.add('disc')
    if max(real, fake) > row.equilibrium + row.margin:
        waiting.add('decoder')
    everyone = 'encoder', 'decoder', 'disc'
    if len(waiting) == 2:
        return everyone
    return tuple(name for name in everyone if name not in waiting)


def set_rates(networks: VaeGanNetworks, row: VaeGan, records: list[dict]) -> dict[str, float]:
    """Set and return each net's learning rate, by its validation losses so far."""
    rates, rule = {}, schedules.rule_of(row)
    for net, trainer in zip(kinds.NETS, networks.trainers.values(), strict=True):
        losses_so_far = [record[f'val_{net}_loss'] for record in records] if rule else []
        rates[f'{net}_lr'] = schedules.rates(row.lr, rule, losses_so_far)[-1]
        trainer.set_learning_rate(rates[f'{net}_lr'])
    return rates


def held_out_losses(networks: VaeGanNetworks, images, row: VaeGan, ctx) -> dict[str, float | None]:
    """Return the nets' losses on held-out images, without dropout and with hard labels."""
    n_images = min(len(images), row.n_validation)
    if not n_images:
        return {f'val_{net}_loss': None for net in kinds.NETS}
    totals, n_pixels = np.zeros(len(kinds.NETS)), math.prod(images.shape)
    for batch, start in enumerate(range(0, n_images, row.batch_size)):
        indices = np.arange(start, min(start + row.batch_size, n_images))
        n = len(indices)

        def noise(which, width, batch=batch, n=n):
            return nd.array(rng.noise(row.seed, rng.HELD_OUT, 0, batch, which, (n, width)),
                            ctx)
        losses = batch_losses(row, networks, nd.array(images[indices], ctx), noise, 1 / n)
        of_nets = (losses.encoder(row, n_pixels), losses.decoder(row), losses.disc)
        totals += [n * float(loss.asscalar()) for loss in of_nets]
    return dict(zip((f'val_{net}_loss' for net in kinds.NETS), (totals / n_images).tolist(),
                    strict=True))
