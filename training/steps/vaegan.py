"""The step of a VAE/GAN with a learned similarity: Algorithm 1 of Larsen et al. (2016).

Images are compared by features of the discriminator. Which loss trains which net: the encoder
KL + similarity, the decoder similarity + GAN term, the discriminator real against fakes. Each
gets the gradient of its own loss alone, but for B's flaw (`_accumulated`).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
from mxnet import autograd, nd
from mxnet.ndarray import NDArray

from training.experiments import kinds
from training.experiments.row import VaeGan
from training.steps import rng, schedules
from training.steps.batchnorm import RunningStatistics
from training.steps.devices import on_devices
from training.steps.losses import as_terms, kl_divergence, with_gradient
from training.steps.networks import VaeGanNetworks
from training.steps.passes import Passes
from training.steps.vaegan_losses import (
    FOR_RECONSTRUCTION,
    FOR_SAMPLE,
    batch_losses,
    judge,
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
        yield as_terms(losses.encoder(row, n_pixels, share), losses.decoder(row), losses.disc,
                       losses.kl, losses.similarity, sum(losses.gan[1:], losses.gan[0]),
                       *losses.accuracies)
    return vaegan


def _separate(row: VaeGan, networks: VaeGanNetworks, x: NDArray, noise: Callable, scale: float,
              share: float) -> Iterator:
    """Update each net by the gradient of its own loss, all from the weights before the step.

    From net to net gradients are handed on by hand. That stops them where the paper wants them
    stopped, asks no net for what nobody uses; and of two transposed convolutions' gradients in
    one pass MXNet's CPU build crashes.
    """
    vae = networks.vae
    of_decoder, of_disc = (RunningStatistics(networks.statistics[net], x.context)
                           for net in ('decoder', 'disc'))
    with autograd.record():
        code = vae.encoder(x)                                           # (b, 2z)
    mean, logvar = vae.split(nd, code.detach())                         # (b, z)
    z = vae.latent(nd, mean, logvar, noise(FOR_RECONSTRUCTION, row.n_latent))
    drawn = Passes.through(
        vae.decoder, [z, noise(FOR_SAMPLE, row.n_latent)], networks.one_by_one['decoder'],
        [nullcontext, of_decoder.kept if row.fakes == 'reconstructions' else nullcontext])
    judged = judge(row, networks, [x, *drawn.parts()], noise, scale, of_disc)
    if row.disc_trained == 'yes':
        judged.logits.train(networks.parameters['disc'], judged.d_costs)
    of_disc.move_on()
    with of_disc.kept():  # one pass forward and backward moves them, as in the systems themselves
        d_similarity = judged.features.gradient(1, judged.d_features)   # (b, c, h, w)
        d_gan = judged.logits.gradients(judged.d_gan)
    with of_decoder.kept():
        d_z = drawn.gradient(0, [row.beta * d_similarity, None])
    d_x_hat = row.gamma * d_similarity
    if d_gan[1] is not None:
        d_x_hat = d_x_hat + row.disc_weight * d_gan[1]
    drawn.train_apart(networks.parameters['decoder'],
                      [d_x_hat, None if d_gan[2] is None else row.disc_weight * d_gan[2]])
    kl, d_mean, d_logvar = with_gradient(
        kl_divergence, mean, logvar, scale=scale,
        weight=normalised(row, 1.0, math.prod(x.shape[1:]), share))
    code.backward(nd.concat(d_mean + d_z, d_logvar + d_z * 0.5 * (z - mean), dim=1))
    for name in _stepping(row, judged.losses.costs):
        yield networks.trainers[name]
    return replace(judged.losses, kl=kl)


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
    if row.disc_trained == 'no':
        return 'encoder', 'decoder'
    if row.equilibrium is None:
        return 'encoder', 'decoder', 'disc'
    real, *fakes = (cost.asscalar() if isinstance(cost, NDArray) else cost for cost in costs)
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
    """Set and return each net's learning rate, by its own losses so far, or by the epoch."""
    rates, rule = {}, schedules.rule_of(row)
    initial = (row.lr if row.schedule != 'annealed'
               else schedules.annealed(row.lr, len(records), row.combo_epochs))
    for net, trainer in zip(kinds.NETS, networks.trainers.values(), strict=True):
        losses_so_far = [record[f'val_{net}_loss'] for record in records] if rule else []
        rates[f'{net}_lr'] = schedules.rates(initial, rule, losses_so_far)[-1]
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
