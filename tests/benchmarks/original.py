"""The steps as the original wrote them: eager Gluon, losses pulled to the host each batch.

Each term of a combo step comes from a pass of its own, and the discriminator's loss goes back
into the VAE, whose gradients then are thrown away. In one thing it differs where it has to: of
a VAE with BatchNorm MXNet's CPU build cannot differentiate two passes at once, so the terms go
back one by one, into gradients that add up.
"""
from training.commands.wiring import set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
from types import SimpleNamespace

from mxnet import autograd, gluon, init, nd, optimizer
from mxnet.gluon.loss import SigmoidBinaryCrossEntropyLoss

import models
from tests.benchmarks import contenders
from training.steps.losses import bce, kl_divergence

JUDGE = SigmoidBinaryCrossEntropyLoss()


def make(row, kind, images):
    """A step of that kind, and how many parameters it trains."""
    vae, disc = models.build_vae(row, images.shape[1:]), models.build_discriminator(row)
    x = nd.array(images)
    for net, examples in ((vae, (x[:1], nd.zeros((1, row.n_latent)))), (disc, (x[:1],))):
        net.infer_shape(*examples)
        net.initialize(init.Xavier())
    p = SimpleNamespace(
        x=x, row=row, vae=vae, disc=disc, apart=row.vae != 'DenseVAE' and kind == 'published',
        vae_trainer=trainer(vae, row.lr), disc_trainer=trainer(disc, row.lr))
    if p.apart:
        vae.collect_params().setattr('grad_req', 'add')
    step = {'solo': solo, 'published': published, 'shared': shared}[kind]
    return lambda: step(p), lambda: sum(
        q.data().size for net in (vae, disc) for q in net.collect_params().values()
        if q.grad_req != 'null')


def trainer(net, lr: float) -> gluon.Trainer:
    """With MXNet's own Adam."""
    return gluon.Trainer(net.collect_params(), optimizer.Adam(learning_rate=lr))


def generate(p):
    """One pass of the VAE with fresh noise: x_hat (b, c, h, w), mean, logvar (b, z)."""
    return p.vae(p.x.detach(), nd.random.normal(shape=(len(p.x), p.row.n_latent)))


def against(p, images, real: float):
    """The discriminator's loss of images (b, c, h, w) against a label, (b,)."""
    return JUDGE(p.disc(images), nd.full((len(p.x), 1), real))


def solo(p) -> float:
    with autograd.record():
        x_hat, mean, logvar = generate(p)
        loss = kl_divergence(mean, logvar) + bce(x_hat, p.x)
    loss.backward()
    p.vae_trainer.step(len(p.x))
    return loss.mean().asscalar()


def update_disc(p, fakes) -> float:
    """One step of the discriminator; fakes() makes the images inside the graph."""
    with autograd.record():
        loss = against(p, p.x.detach(), 1.0) + against(p, fakes(), 0.0)
    loss.backward()
    p.disc_trainer.step(len(p.x))
    return loss.mean().asscalar()


def published(p) -> tuple[float, float]:
    disc_loss = update_disc(p, lambda: generate(p)[0])
    if p.apart:
        p.vae.collect_params().zero_grad()
    with autograd.record():
        fooled = p.row.disc_weight * against(p, generate(p)[0], 1.0)
    if p.apart:
        fooled.backward()
    with autograd.record():
        x_hat, mean, logvar = generate(p)
        elbo = kl_divergence(mean, logvar) + p.row.pbp_weight * bce(x_hat, p.x)
        loss = elbo if p.apart else elbo + fooled
    loss.backward()
    p.vae_trainer.step(len(p.x))
    return disc_loss, (elbo + fooled).mean().asscalar()


def shared(p) -> tuple[float, float]:
    """What the original would have been with one pass of the VAE."""
    with autograd.record():
        x_hat, mean, logvar = generate(p)
    disc_loss = update_disc(p, x_hat.detach)
    with autograd.record():
        loss = (kl_divergence(mean, logvar) + p.row.pbp_weight * bce(x_hat, p.x)
                + p.row.disc_weight * against(p, x_hat, 1.0))
    loss.backward()
    p.vae_trainer.step(len(p.x))
    return disc_loss, loss.mean().asscalar()


if __name__ == '__main__':
    contenders.main(make)
