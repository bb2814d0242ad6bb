"""The steps as the original wrote them: eager Gluon, losses pulled to the host each batch.

They are those of `training/steps/reference.py`, on nets that are not compiled and with MXNet's own
Adam.
"""
from training.commands.wiring import set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
from types import SimpleNamespace

from mxnet import gluon, init, nd, optimizer

import models
from tests.benchmarks import contenders
from training.steps import reference
from training.steps.devices import Weights

STEPS = {'solo': reference.solo, 'published': reference.combo_published,
         'shared': reference.combo_shared}


def make(row, kind, images):
    """A step of that kind, and how many parameters it trains."""
    vae, disc = models.build_vae(row, images.shape[1:]), models.build_discriminator(row)
    x = nd.array(images)
    for net, examples in ((vae, (x[:1], nd.zeros((1, row.n_latent)))), (disc, (x[:1],))):
        net.infer_shape(*examples)
        net.initialize(init.Xavier())
    nets = SimpleNamespace(vae=vae, disc=disc, vae_trainer=trainer(vae, row.lr),
                           disc_trainer=trainer(disc, row.lr))
    weights = Weights(row.pbp_weight, row.disc_weight)

    def noise(which):
        return nd.random.normal(shape=(len(x), row.n_latent))

    def one():
        losses = STEPS[kind](nets, x, noise, weights)
        return [loss.asscalar() for loss in (losses if isinstance(losses, tuple) else [losses])]
    return one, lambda: sum(p.data().size for net in (vae, disc) for p in reference.trained(net))


def trainer(net, lr: float) -> gluon.Trainer:
    """With MXNet's own Adam."""
    return gluon.Trainer(net.collect_params(), optimizer.Adam(learning_rate=lr))


if __name__ == '__main__':
    contenders.main(make)
