"""This project's steps, as the loop calls them."""
import models  # isort: skip  before anything that uses MXNet
from mxnet import cpu, nd

from tests.benchmarks import contenders
from training import draws, loop, steps


def make(row, kind, images, *options):
    shape = images.shape[1:]
    players = loop.make_players(row, models.build_vae(row, shape),
                                models.build_discriminator(row), shape, cpu())
    x, weights = nd.array(images), steps.Weights(row.pbp_weight, row.disc_weight)
    step = steps.solo if kind == 'solo' else steps.COMBO_STEPS[kind]
    batch = 0

    def one():
        nonlocal batch
        batch += 1
        step(players, x, lambda which: nd.array(draws.noise(
            0, draws.TRAINING, 0, batch, which, (len(images), row.n_latent))), weights)
        nd.waitall()

    def n_parameters():
        return sum(p.data().size for net in (players.vae, players.disc)
                   for p in net.collect_params().values() if p.grad_req != 'null')
    return one, n_parameters


if __name__ == '__main__':
    contenders.main(make)
