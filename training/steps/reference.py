"""The steps as their equations: every loss written out, every gradient by autograd.

To be read first. Nothing trains with it: `solo_combo` and `vaegan` compute the same in less
time, and the tests hold them against this. x are images (b, c, h, w); noise(which) gives standard
normal noise (b, z); the nets come with their optimizers, as `networks.Networks` has them. Losses
are means over the batch, (1,).

What the fast steps do otherwise: they take the gradient of a loss by its kernel, give no net a
gradient that nobody uses, and run the encoder once for all latents of an image.
"""
import math

from mxnet import autograd, nd
from mxnet.ndarray import NDArray

from training.steps.losses import adversarial, bce, kl_divergence
from training.steps.vaegan_losses import batch_losses


def solo(nets, x: NDArray, noise, weights, pixel_loss=bce) -> NDArray:
    """Update the VAE alone. Kingma and Welling (2014): E = kl * KL(q(z|x), N(0, 1)) + pixel(x)."""
    with autograd.record():
        x_hat, mean, logvar = nets.vae(x, noise(0))
        loss = (weights.kl * kl_divergence(mean, logvar) + pixel_loss(x_hat, x)).mean()
    loss.backward()
    nets.vae_trainer.step(1)
    return loss


def combo_published(nets, x: NDArray, noise, weights, pixel_loss=bce) -> tuple:
    """Update the discriminator, then the VAE, each term from a pass and noise of its own.

    D = -log D(x) - log(1 - D(vae(x)));  E = kl * KL + pixel * pixel(x) - adversarial * log
    D(vae(x)). In the original D goes back into the VAE too, whose gradients are then thrown away;
    what is left of that is that BatchNorm's running statistics move. Returns both losses.
    """
    with autograd.record():
        fakes = nets.vae(x, noise(0))[0]
    fakes.backward(nd.zeros_like(fakes))
    disc_loss = _update_disc(nets, x, fakes.detach())
    with autograd.record():
        logit = nets.disc(nets.vae(x, noise(1))[0])
        fooled = weights.adversarial * adversarial(logit, True).mean()
    fooled.backward()
    # One by one: of a VAE with BatchNorm MXNet's CPU build cannot differentiate two passes at once
    of_fooled = [(p, p.grad().copy()) for p in trained(nets.vae)]
    with autograd.record():
        x_hat, mean, logvar = nets.vae(x, noise(2))
        elbo = (weights.kl * kl_divergence(mean, logvar)
                + weights.pixel * pixel_loss(x_hat, x)).mean()
    elbo.backward()
    for parameter, gradient in of_fooled:
        parameter.grad()[:] += gradient
    nets.vae_trainer.step(1)
    return disc_loss, elbo + fooled


def combo_shared(nets, x: NDArray, noise, weights, pixel_loss=bce) -> tuple:
    """Update as `combo_published`, but from one pass of the VAE. Returns both losses."""
    with autograd.record():
        x_hat, mean, logvar = nets.vae(x, noise(0))
    disc_loss = _update_disc(nets, x, x_hat.detach())
    with autograd.record():
        loss = (weights.kl * kl_divergence(mean, logvar) + weights.pixel * pixel_loss(x_hat, x)
                + weights.adversarial * adversarial(nets.disc(x_hat), True)).mean()
    loss.backward()
    nets.vae_trainer.step(1)
    return disc_loss, loss


def gan(nets, x: NDArray, noise, weights) -> tuple:
    """Update the discriminator, then the generator. Returns both losses.

    Goodfellow et al. (2014): D = -log D(x) - log(1 - D(G(z)));  G = -log D(G(z')).
    """
    with autograd.record():
        fakes = nets.vae(noise(0))
    fakes.backward(nd.zeros_like(fakes))  # as in `combo_published`
    disc_loss = _update_disc(nets, x, fakes.detach())
    with autograd.record():
        fooled = adversarial(nets.disc(nets.vae(noise(1))), True).mean()
    fooled.backward()
    nets.vae_trainer.step(1)
    return disc_loss, fooled


def vaegan(row, nets, x: NDArray, noise) -> tuple:
    """Update encoder, decoder and discriminator of a VAE/GAN, each by its own loss alone.

    Larsen et al. (2016), Algorithm 1, from the weights before the step; the losses are those of
    `vaegan_losses.Losses`. noise(which, width): (b, width). Returns the three losses. Dense nets
    only: of two convolutions' gradients in one graph MXNet's CPU build crashes.
    """
    with autograd.record():
        losses = batch_losses(row, nets, x, noise, 1 / len(x))
        of_nets = {'encoder': losses.encoder(row, math.prod(x.shape[1:])),
                   'decoder': losses.decoder(row), 'disc': losses.disc}
    own = {}
    for name, loss in of_nets.items():
        loss.backward(retain_graph=True)  # gives every net a gradient, and its own counts
        own[name] = [p.grad().copy() for p in nets.parameters[name]]
    for name, gradients in own.items():
        for parameter, gradient in zip(nets.parameters[name], gradients, strict=True):
            parameter.grad()[:] = gradient
        nets.trainers[name].step(1)
    return tuple(of_nets.values())


def _update_disc(nets, x: NDArray, fakes: NDArray) -> NDArray:
    """Update the discriminator on real images and fakes, a batch each. Returns its loss."""
    with autograd.record():
        # Fakes first: on the CPU statistics move backward, and so for real images, then fakes
        loss = (adversarial(nets.disc(fakes), False)
                + adversarial(nets.disc(x.detach()), True)).mean()
    loss.backward()
    nets.disc_trainer.step(1)
    return loss


def trained(net) -> list:
    """Return the parameters of a net that have a gradient."""
    return [p for p in net.collect_params().values() if p.grad_req != 'null']
