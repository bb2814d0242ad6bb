"""This project's steps, as the loop calls them."""
from training.commands.wiring import set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
import itertools

from mxnet import cpu, nd

import models
from tests.benchmarks import contenders
from training.steps import rng, solo_combo
from training.steps.networks import make_networks


def make(row, kind, images):
    """A step of that kind, and how many parameters it trains."""
    shape = images.shape[1:]
    networks = make_networks(row, models.build_vae(row, shape),
                                models.build_discriminator(row), shape, cpu())

    def n_parameters():
        return sum(p.data().size for net in (networks.vae, networks.disc)
                   for p in net.collect_params().values() if p.grad_req != 'null')
    return step_of(networks, row, kind, images), n_parameters


def step_of(networks, row, kind, images):
    """A function that does a step on those images with new noise, and waits for it."""
    x, weights = nd.array(images), solo_combo.Weights(row.pbp_weight, row.disc_weight)
    step = solo_combo.solo if kind == 'solo' else solo_combo.COMBO_STEPS[kind]
    batches = itertools.count()

    def one():
        batch = next(batches)
        step(networks, x, lambda which: nd.from_numpy(rng.noise(
            0, rng.TRAINING, 0, batch, which, (len(images), row.n_latent))), weights)
        nd.waitall()
    return one


if __name__ == '__main__':
    contenders.main(make)
