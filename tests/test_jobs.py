"""Jobs of several workers on MXNet's parameter server: they go on, and they end."""
from dataclasses import replace

import numpy as np
import pytest
from mxnet import cpu

from data.images import Images
from tests.jobs import run_job
from tests.test_models import shape_of, shrunk
from training.commands.wiring import build_nets
from training.experiments.registry import EXPERIMENTS
from training.run import loop
from training.steps import phases
from training.steps.networks import make_networks
from training.storage import checkpoints

COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
A, B = 'VAEGAN_on_adult/A_2048_100_lr2', 'VAEGAN_on_MNIST/B_20_50'
CONV = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded'


def small(name: str, **changes):
    row = shrunk(EXPERIMENTS[name])
    epochs = {field: min(1, getattr(row, field)) for field in ('solo_epochs', 'combo_epochs')
              if field in row.fields()}
    return replace(row, batch_size=8, **epochs | changes)


ROWS = {
    'solo': small('DenseVAE_on_MNIST/5_3_400_bce_50', solo_epochs=3, kl_warmup=3, mirror='yes'),
    'stopped early': small('ConvVAE_on_anime/512_32_200_seeded', solo_epochs=9, stop_after=1,
                           lr=0.05),
    'published': small(COMBO, solo_epochs=1, combo_epochs=2, pbp_decay=0.5, decay_interval=2),
    'shared': small(COMBO, combo_epochs=3, step='shared', max_disc_loss=1.38),
    'conv': small(CONV, combo_epochs=3),
    'GAN': small('ConvDecoder_ResNet_on_anime/512_32_200', combo_epochs=2, disc='ConvDisc',
                 disc_base_channels=2),
    'A': small(A, combo_epochs=3, n_validation=8, schedule='lr4'),
    'B': small(B, combo_epochs=2),
    'B as published': small('VAEGAN_on_MNIST/B_20_50_as_published', combo_epochs=2),
    'the paper': small('VAEGAN_on_MNIST/paper_5_3_400_1_200_50', combo_epochs=2,
                       optimizer='rmsprop'),
}
N_IMAGES = 19  # batches of 8, 8 and 3


def trained(row, monkeypatch, ranks, folder, go_on: bool = False) -> list[tuple]:
    """Each worker's records and arrays in the end; the first one writes a checkpoint an epoch."""
    shape, rng = shape_of(row), np.random.default_rng(2)
    images = Images(rng.integers(0, 256, (N_IMAGES, *shape[1:], shape[0]), np.uint8), 'transpose')
    nets = {}

    def work(workers):
        vae, disc, features = build_nets(row, shape)
        networks = make_networks(row, vae, disc, shape, [cpu()], workers, features)
        nets[workers.rank] = networks
        progress = phases.Progress()
        if go_on and workers.rank == 0:
            progress = checkpoints.last(folder, networks, row, N_IMAGES)
        progress = checkpoints.share(workers, networks, progress, row)
        for _ in loop.train(networks, images, images, row, [cpu()], progress, workers=workers):
            if workers.rank == 0 and not go_on:
                checkpoints.save(folder, networks, progress)
        return ([{k: v for k, v in record.items() if k != 'seconds'}
                 for record in progress.records],
                {name: array.asnumpy() for name, array in networks.arrays().items()})
    return run_job(monkeypatch, work, ranks)


@pytest.mark.parametrize('row, n_workers', [
    *(pytest.param(row, 2, id=name) for name, row in ROWS.items()),
    *(pytest.param(ROWS[name], 3, id=f'{name} on three') for name in ('published', 'B'))])
def test_a_job_that_goes_on_ends_as_one_undisturbed(row, n_workers, tmp_path, monkeypatch):
    whole = trained(row, monkeypatch, range(n_workers), tmp_path)
    *_, last = checkpoints.paths_in(tmp_path)
    last.unlink()  # of the finished run
    again = trained(row, monkeypatch, range(n_workers)[::-1], tmp_path, go_on=True)
    for (records, arrays), (ours, theirs) in zip(whole, again, strict=True):
        assert records == ours == whole[0][0]
        assert arrays.keys() == theirs.keys()
        for name, values in arrays.items():
            if 'running' not in name or arrays is whole[0][1]:
                assert values.tobytes() == theirs[name].tobytes(), name
                assert 'running' in name or (values == whole[0][1][name]).all()
