"""The benchmark's contenders do the same work, and its report says what was measured."""
import contextlib
import importlib
from dataclasses import replace

import numpy as np
import pytest

from models import build_discriminator, build_vae
from tests.benchmarks import contenders, memory, original, ours, profile, report, throughput, work
from training.experiments import registry
from training.reporting.statistics import read_csv
from training.studies import vaegan

SMALL = {'MNIST': {'n_hnodes': 8, 'disc_hnodes': 4, 'batch_size': 4},
         'anime': {'vae_base_channels': 2, 'n_latent': 4, 'batch_size': 4}}


def small_row(nets: str):
    row = contenders.row_of(nets)
    if nets in contenders.VAE_GANS:
        return replace(row, batch_size=4)
    fields = SMALL['MNIST' if row.vae == 'DenseVAE' else 'anime']
    if row.disc_base_channels:
        fields = fields | {'disc_base_channels': 2}
    return replace(row, **fields)


@pytest.mark.slow
@pytest.mark.parametrize('nets, kind', [
    case for case in contenders.CASES if 'Deep' not in case[0]])
def test_contenders_train_the_same_number_of_parameters(nets, kind):
    row, of_vae_gan = small_row(nets), kind == contenders.VAEGAN
    images, counts = contenders.images_of(row), set()
    makers = [ours.make] if of_vae_gan else [ours.make, original.make]
    with contextlib.suppress(ImportError):  # PyTorch has an environment of its own
        makers.append(importlib.import_module(
            f'tests.benchmarks.pytorch{"_vaegan" * of_vae_gan}').make)
    for make in makers:
        step, n_parameters = make(row, kind, images)
        step()
        counts.add(n_parameters())
    assert len(counts) == 1
    if len(makers) == 1:
        pytest.skip('PyTorch, with which they are compared, is not here')


def test_vae_gans_have_the_sizes_at_which_they_are_trained():
    for sizes, trained in ((contenders.A_REDUCED, vaegan.QUARTER),
                           (contenders.PAPER_REDUCED, vaegan.PAPER)):
        assert sizes.items() <= trained.items()
        assert {name for name in trained if 'hnodes' in name or 'channels' in name} < {*sizes}


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
    vae = build_vae(small_row('ConvVAE 512-32 + ConvDisc'), (3, 64, 64))
    # Of a transposed one each pixel of its input counts
    assert work.net_work(vae.decoder, 1, z=(1, 4)).flops == 2 * 16 * (
        4 * 16 + 16 * 8 * 4 ** 2 + 8 * 4 * 8 ** 2 + 4 * 2 * 16 ** 2 + 2 * 3 * 32 ** 2)


def lines_of(factors: dict[str, list[float]], case=('DenseVAE 5-3-400', 'solo')) -> list[dict]:
    """Lines of throughput.csv in which a contender's rounds take 10 ms times its factors."""
    return [{'nets': case[0], 'kind': case[1], 'contender': name, 'round': str(number),
             'milliseconds': ' '.join(f'{10 * factor * of:.4g}' for of in (1, 0.9, 5)),
             'parameters': '7', 'peak_mb': '300', 'library_mb': '200', 'processor': 'P',
             'gflops': '100', 'gb_per_second': '10'}
            for name, of_rounds in factors.items() for number, factor in enumerate(of_rounds)]


def test_ratios_are_of_the_same_round():
    slow_minute = [1, 1, 4, 1, 1]
    case, = report.cases(lines_of({
        'ours': slow_minute, 'original': [2 * of for of in slow_minute]})).values()
    assert report.ratios(case['original'], case['ours']) == pytest.approx([2] * 5)
    assert report.quartiles(case['ours'])[1] == 10


@pytest.mark.parametrize('milliseconds, expected', [
    ('1178.5 1130 1240', '1180 (1150 - 1210)'), ('5.31 5.32 5.33', '5.320 (5.315 - 5.325)'),
    ('1500 1100 1900', '1500 (1300 - 1700)'), ('10 10 10', '10.00 (10.00 - 10.00)')])
def test_medians_have_no_more_digits_than_their_spread_allows(milliseconds, expected):
    assert report.in_words([{'milliseconds': milliseconds}]) == expected


def test_report_says_where_we_are_not_faster():
    said, faster = (report.misses(report.cases(lines_of(factors))) for factors in (
        {'ours': [1, 1], 'original': [3, 3], 'PyTorch': [1.2, 0.9], 'PyTorch, compiled': [2, 2]},
        {'ours': [1], 'original': [3], 'PyTorch': [1.6], 'PyTorch, compiled': [2]}))
    assert 'Not faster in every round than PyTorch: DenseVAE 5-3-400, solo.' in said
    assert '0 of 1 steps are at least 1.5 times' in said and 'solo (1.05)' in said
    assert 'Faster in every round' in faster and '1 of 1' in faster


def test_chart_is_of_pairs(tmp_path):
    path, vae_gans = tmp_path / 'chart.png', {name: [1, 2] for name in contenders.OF_VAE_GANS}
    assert not report.draw(path, lines_of(vae_gans, ('B', contenders.VAEGAN)))
    assert not path.exists()
    assert report.draw(path, lines_of({name: [1, 2] for name in contenders.CONTENDERS}))
    assert path.stat().st_size > 10_000


def test_some_nets_measured_again_take_the_place_of_theirs_alone(tmp_path):
    path, cases = tmp_path / 'throughput.csv', contenders.CASES[:2]
    throughput.save(path, [line for case in reversed(cases)
                           for line in lines_of({'ours': [1, 1]}, case)])
    throughput.save(path, lines_of({'ours': [3]}, cases[0]))
    found = report.cases(read_csv(path))
    assert [*found] == [*cases]
    assert [len(found[case]['ours']) for case in cases] == [1, 2]


def test_solo_steps_are_measured_once_a_vae():
    solos = [nets for nets, kind in contenders.CASES if kind == 'solo']
    assert len(solos) == len({*solos}) == 4
    assert len(contenders.CASES) == 14 + len(contenders.VAE_GANS)
    for row, nets in ((contenders.row_of(nets), nets) for nets, kind in contenders.CASES
                      if kind != contenders.VAEGAN):
        images = contenders.images_of(row)
        assert (row.vae, images.dtype, len(images)) == (nets.split()[0], np.float32, 64)


VERBOSE = """dnnl_verbose,info,oneDNN v2.4.4
dnnl_verbose,exec,cpu,inner_product,x64:gemm:jit,{},src_f32::blocked:ab:f0,,,mb64ic784oc400,{}
dnnl_verbose,exec,cpu,eltwise,jit:avx512_common,forward_training,data,,alg:eltwise_relu,64x400,0.01
"""


def test_profile_adds_up_what_a_step_calls():
    output = ''.join(VERBOSE.format('forward_training', ms) for ms in (9, 1, 3, 2))
    parts = profile.primitives(output, n_steps=2)  # two calls a step, at a median of 2.5 ms
    assert parts == {'Dense, forward': (5.0, 2 * 2.0 * 64 * 784 * 400),
                     'activations': (0.02, 0)}
    assert profile.operations(
        'mb8_ic3oc32_ih64oh61kh4sh1dh0ph0_iw64ow61kw4sw1dw0pw0') == 2 * 8 * 3 * 32 * 61 ** 2 * 16
    assert profile.operations(  # a transposed one: from each place of its input
        'mb8_ic32oc3_ih32oh64kh4sh2dh0ph1_iw32ow64kw4sw2dw0pw1') == 2 * 8 * 3 * 32 * 32 ** 2 * 16


def test_committed_measurement_is_of_all_nets_in_rounds_of_all_contenders():
    found = report.cases(read_csv(report.RESULTS / 'throughput.csv'))
    assert [*found] == [*contenders.CASES]
    for (_, kind), case in found.items():
        assert {*case} == {*contenders.contenders_of(kind)}
        rounds, steps = (3, 12) if kind == contenders.VAEGAN else (5, 20)
        for lines in case.values():
            assert len(lines) >= rounds and len(report.steps(lines)) >= steps


def test_rows_are_measured_once_for_all_that_take_the_same_memory():
    """All but those that were added since."""
    lines, sizes = read_csv(report.RESULTS / 'memory.csv'), {}
    for line in lines:
        row, measured = (registry.get(line[name]) for name in ('experiment', 'measured_as'))
        assert memory.sizes(row) == memory.sizes(measured)
        sizes[line['measured_as']] = memory.sizes(row)
    assert len({*sizes.values()}) == len(sizes)
