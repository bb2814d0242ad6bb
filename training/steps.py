"""What one batch does: `solo`, `combo` as published or shared, `gan`.

A step takes the players, the images x (b, c, h, w), `draw(which)` for noise (b, z) and the
weights of this epoch; it updates the nets and returns the batch means of its terms, in the
order of its `TERMS`. Nothing is read back here.

Two properties of MXNet 1.9.1 shape this file. An array that stands in two recorded graphs
loses its place in the first when the second is recorded: hence `x.detach()`. And BatchNorm
moves its running statistics in the backward pass, not in the forward pass: hence
`_generate`.
"""
from collections.abc import Callable
from dataclasses import dataclass

from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

from training.losses import PIXEL_LOSSES, adversarial, kl_divergence

SOLO = ('vae_loss', 'kl', 'pixel')
COMBO = ('vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial', 'disc_real_accuracy',
         'disc_fake_accuracy')
GAN = ('vae_loss', 'disc_loss', 'adversarial', 'disc_real_accuracy', 'disc_fake_accuracy')
FOR_DISC, FOR_ADVERSARIAL, FOR_PIXELS = range(3)  # which draw of a combo step


@dataclass(frozen=True)
class Players:
    """The nets and their optimizers. The VAE's gradients add up until they are zeroed."""
    vae: gluon.Block
    vae_trainer: gluon.Trainer
    pixel_loss: str | None
    disc: gluon.Block | None = None
    disc_trainer: gluon.Trainer | None = None

    def __post_init__(self) -> None:
        self.vae.collect_params().setattr('grad_req', 'add')
        parameters = self.vae.collect_params().values()
        object.__setattr__(self, 'normalises', any(p.grad_req == 'null' for p in parameters))


@dataclass(frozen=True)
class Weights:
    """What multiplies the terms of the VAE's loss in a combo epoch."""
    pixel: float
    adversarial: float


Draw = Callable[[int], NDArray]


def solo(players: Players, x: NDArray, draw: Draw, weights: Weights) -> NDArray:
    """The VAE alone on KL + pixel loss, weight 1 whatever the row's. Returns SOLO (3,)."""
    with autograd.record():
        kl, pixel = _pixel_terms(players, x, *players.vae(x, draw(0)))
        loss = kl + pixel
    _update_vae(players, loss)
    return nd.stack(loss, kl, pixel)


def combo_published(players: Players, x: NDArray, draw: Draw, weights: Weights) -> NDArray:
    """The discriminator, then the VAE, from three passes of the VAE. Returns COMBO (7,).

    As the original: the noise is drawn anew for the generated images the discriminator sees,
    for the adversarial term, and for KL and pixel loss. One backward a term: the sum is the
    same gradient, and two passes of a conv VAE in one graph crash MXNet's CPU build.
    """
    disc_terms = _update_disc(players, x, _generate(players, x, draw(FOR_DISC)))
    _zero_grad(players.vae)
    with autograd.record():
        x_hat, _, _ = players.vae(x, draw(FOR_ADVERSARIAL))
        fooled = adversarial(players.disc(x_hat), real=True).mean()
        weighted = weights.adversarial * fooled
    weighted.backward()
    with autograd.record():
        kl, pixel = _pixel_terms(players, x, *players.vae(x, draw(FOR_PIXELS)))
        elbo = kl + weights.pixel * pixel
    elbo.backward()
    players.vae_trainer.step(1)
    return _combo_terms(elbo + weighted, kl, pixel, fooled, disc_terms)


def combo_shared(players: Players, x: NDArray, draw: Draw, weights: Weights) -> NDArray:
    """As `combo_published`, but one pass of the VAE serves all three. Returns COMBO (7,).

    The adversarial term comes from the discriminator after its step, on the very images of
    that step.
    """
    with autograd.record():
        x_hat, mean, logvar = players.vae(x, draw(0))
    disc_terms = _update_disc(players, x, x_hat.detach())
    with autograd.record():
        kl, pixel = _pixel_terms(players, x, x_hat, mean, logvar)
        fooled = adversarial(players.disc(x_hat), real=True).mean()
        loss = kl + weights.pixel * pixel + weights.adversarial * fooled
    _update_vae(players, loss)
    return _combo_terms(loss, kl, pixel, fooled, disc_terms)


def gan(players: Players, x: NDArray, draw: Draw, weights: Weights) -> NDArray:
    """The plain GAN: the discriminator, then the generator, weight 1. Returns GAN (5,)."""
    with autograd.record():
        generated = players.vae(draw(FOR_DISC))
    disc_terms = _update_disc(players, x, generated)
    with autograd.record():
        fooled = adversarial(players.disc(players.vae(draw(FOR_ADVERSARIAL))), real=True).mean()
    _update_vae(players, fooled)
    return nd.stack(fooled, disc_terms[0], fooled, *disc_terms[1:])


def _pixel_terms(players: Players, x, x_hat, mean, logvar) -> tuple[NDArray, NDArray]:
    """Batch means (1,) of KL and of the row's pixel loss."""
    return (kl_divergence(mean, logvar).mean(),
            PIXEL_LOSSES[players.pixel_loss](x_hat, x).mean())


def _generate(players: Players, x: NDArray, eps: NDArray) -> NDArray:
    """Images (b, c, h, w) for the discriminator's step, from a pass in train mode.

    A VAE with BatchNorm stays in the graph, as in the original: only the backward pass
    through it moves its running statistics. Its gradients are zeroed before they are used.
    """
    if players.normalises:
        with autograd.record():
            return players.vae(x, eps)[0]
    with autograd.train_mode():
        return players.vae(x, eps)[0]


def _update_disc(players: Players, x: NDArray, generated: NDArray) -> list[NDArray]:
    """One step on real + generated. Returns batch means (1,): loss, both accuracies."""
    with autograd.record():
        real, fake = players.disc(x.detach()), players.disc(generated)  # (b, 1) each
        # Backward goes through the second summand first: statistics move for real, then fake
        loss = (adversarial(fake, real=False) + adversarial(real, real=True)).mean()
    loss.backward()
    players.disc_trainer.step(1)
    return [loss, (real > 0).mean(), (fake < 0).mean()]


def _update_vae(players: Players, loss: NDArray) -> None:
    _zero_grad(players.vae)
    loss.backward()
    players.vae_trainer.step(1)


def _zero_grad(net: gluon.Block) -> None:
    net.collect_params().zero_grad()


def _combo_terms(loss, kl, pixel, fooled, disc_terms) -> NDArray:
    disc_loss, *accuracies = disc_terms
    return nd.stack(loss, disc_loss, kl, pixel, fooled, *accuracies)


COMBO_STEPS = {'published': combo_published, 'shared': combo_shared}
