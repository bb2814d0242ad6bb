"""This project's steps, as the loop calls them."""
from training.commands.wiring import build_nets, set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
import itertools

from mxnet import cpu, nd, random

from tests.benchmarks import contenders
from training.steps import rng, solo_combo, vaegan
from training.steps.networks import make_networks


def make(row, kind, images):
    """A step of that kind, and how many parameters it trains."""
    shape = images.shape[1:]
    vae, disc, feature_disc = build_nets(row, shape)
    networks = make_networks(row, vae, disc, shape, cpu(), feature_disc=feature_disc)

    def n_parameters():
        return sum(p.data().size for net in (networks.vae, networks.disc)
                   for p in net.collect_params().values() if p.grad_req != 'null')
    return step_of(networks, row, kind, images), n_parameters


def step_of(networks, row, kind, images):
    """A function that does a step on those images with new noise, and waits for it."""
    x = nd.array(images)
    if kind == contenders.VAEGAN:
        step, weights = vaegan.step_of(row), solo_combo.Weights(1.0, 1.0)
    else:
        step = solo_combo.solo if kind == 'solo' else solo_combo.COMBO_STEPS[kind]
        weights = solo_combo.Weights(row.pbp_weight, row.disc_weight)
    batches = itertools.count()

    def one():
        batch = next(batches)
        if networks.has_dropout:
            random.seed(rng.seed(0, 0, batch, 0))
        step(networks, x, lambda which, width=row.n_latent: nd.from_numpy(rng.noise(
            0, rng.TRAINING, 0, batch, which, (len(images), width))), weights)
        nd.waitall()
    return one


if __name__ == '__main__':
    contenders.main(make)
