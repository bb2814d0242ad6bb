"""The benchmark's contenders do the same work, and its report says what was measured."""
import csv
from dataclasses import replace

import numpy as np
import pytest

from models import build_discriminator, build_vae
from tests.benchmarks import contenders, original, ours, throughput, work
from training.experiments import registry

SMALL = {'MNIST': {'n_hnodes': 8, 'disc_hnodes': 4, 'batch_size': 4},
         'anime': {'vae_base_channels': 2, 'n_latent': 4, 'batch_size': 4}}


def small_row(pair: str):
    row = registry.get(contenders.PAIRS[pair])
    fields = SMALL['MNIST' if row.vae == 'DenseVAE' else 'anime']
    if row.disc_base_channels:
        fields = fields | {'disc_base_channels': 2}
    return replace(row, **fields)


@pytest.mark.slow
@pytest.mark.parametrize('kind', contenders.KINDS)
@pytest.mark.parametrize('pair', [pair for pair in contenders.PAIRS if 'Deep' not in pair])
def test_contenders_train_the_same_number_of_parameters(pair, kind):
    row = small_row(pair)
    images, counts = contenders.images_of(row), []
    makers = [ours.make, original.make]
    try:
        from tests.benchmarks import pytorch
        makers.append(pytorch.make)
    except ImportError:  # it has an environment of its own
        pass
    for make in makers:
        step, n_parameters = make(row, kind, images)
        step()
        counts.append(n_parameters())
    assert len(set(counts)) == 1


def test_work_is_that_of_the_layers():
    row = replace(small_row('DenseVAE 5-3-400 + DenseLogReg'), n_hlayers=1)
    net = work.net_work(build_vae(row, (1, 28, 28)).encoder, 4, x=(4, 1, 28, 28))
    first, second = 784 * 8, 8 * 2 * row.n_latent
    assert (net.first, net.flops) == (2 * 4 * first, 2 * 4 * (first + second))
    assert net.parameters == first + 8 + second + 2 * row.n_latent
    conv = work.net_work(build_discriminator(small_row('ConvVAE 512-32 + ConvDisc')), 4,
                         x=(4, 3, 64, 64))
    # 4 x 4 kernels, stride 2: 32, 16, 8 pixels wide, 2, 4, 8 channels; then one number
    assert conv.flops == 2 * 4 * (16 * (3 * 2 * 32 ** 2 + 2 * 4 * 16 ** 2 + 4 * 8 * 8 ** 2)
                                  + 8 * 8 ** 2)


def test_decoder_work_counts_each_input_pixel():
    vae = build_vae(small_row('ConvVAE 512-32 + ConvDisc'), (3, 64, 64))
    net = work.net_work(vae.decoder, 1, z=(1, 4))
    assert net.flops == 2 * 16 * (4 * 16 + 16 * 8 * 4 ** 2 + 8 * 4 * 8 ** 2 + 4 * 2 * 16 ** 2
                                  + 2 * 3 * 32 ** 2)


def measured(factor: dict[str, float]) -> dict:
    pair = 'DenseVAE 5-3-400 + DenseLogReg'
    seconds = {'solo': 1.0, 'published': 3.0, 'shared': 2.0}
    return {(pair, kind, name): {'seconds': [9 * slow * factor[name], slow * factor[name],
                                             slow * factor[name]],
                                 'n_parameters': 7, 'peak_bytes': 3e8, 'library_bytes': 2e8}
            for kind, slow in seconds.items() for name in factor}


def test_ratios_are_of_medians_and_misses_are_said(capsys, tmp_path):
    found = measured({'ours': 1.0, 'original': 2.0, 'PyTorch': 1.1})
    pair, = {key[0] for key in found}
    ratios = throughput.ratios(found, pair)
    assert ratios['original published / our shared'] == 3.0  # 3 * 2 / 2
    assert ratios['PyTorch published / ours'] == pytest.approx(1.1)
    assert ratios['compiled solo / ours'] is None
    throughput.print_ratios(found, [pair])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split('  ')[1].strip() for line in lines if 'MISSED' in line] == [
        'PyTorch published / ours']
    rows = throughput.rows_of(found, 1e12, 1e10)
    flops, _ = work.work_of(contenders.PAIRS[pair], 'solo')
    assert rows[0]['matrix_share'] == f'{flops / 1e12:.2f}' and len(rows) == 9
    throughput.draw(found, [pair], tmp_path / 'chart.png')
    assert (tmp_path / 'chart.png').stat().st_size > 10_000


def test_images_are_one_batch():
    for pair, name in contenders.PAIRS.items():
        images = contenders.images_of(registry.get(name))
        assert images.dtype == np.float32 and images.shape[0] == 64, pair


def test_committed_measurement_is_of_all_pairs_and_kinds():
    with open(throughput.ROOT / 'results' / 'throughput.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert {(row['pair'], row['kind']) for row in rows if row['contender'] == 'ours'} == {
        (pair, kind) for pair in contenders.PAIRS for kind in contenders.KINDS}
