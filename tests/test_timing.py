"""Seconds of epochs and mixes: arithmetic on given times, and the real command once."""
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from training.experiments import naming
from training.experiments.registry import EXPERIMENTS
from training.reporting.published import published_numbers
from training.reporting.statistics import read_csv, write_statistics
from training.run import stopwatch
from training.storage import run_folder
from training.studies import anime, mixes

BASELINE = EXPERIMENTS[mixes.BASELINE]
PUBLISHED = published_numbers()
PUBLISHED_SECONDS = [6782.88, 5515.20, 4325.86, 3120.53]
PUBLISHED_FRACTIONS = [1, 0.813, 0.638, 0.460]
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'


def test_estimate_is_the_sum_of_its_epochs_beside_the_published():
    lines = mixes.estimates(BASELINE, 'shared', {'solo': 2.0, 'combo': 10.0}, PUBLISHED)
    assert [line['seconds'] for line in lines] == [2000, 1600, 1200, 800]
    assert [line['fraction'] for line in lines] == [1, 0.8, 0.6, 0.4]
    assert [line['published_seconds'] for line in lines] == pytest.approx(PUBLISHED_SECONDS)
    assert [line['published_fraction'] for line in lines] == pytest.approx(PUBLISHED_FRACTIONS,
                                                                           abs=5e-4)
    assert {line['kind'] for line in lines} == {'estimate'}


def test_solo_epoch_is_the_same_in_both_steps():
    assert mixes.with_one_solo({'published': {'solo': 2., 'combo': 5.},
                                 'shared': {'solo': 4., 'combo': 3.}}) == {
        'published': {'solo': 3., 'combo': 5.}, 'shared': {'solo': 3., 'combo': 3.}}
    assert mixes.with_one_solo({'vaegan': {'vaegan': 2.}}) == {'vaegan': {'vaegan': 2.}}


@pytest.mark.parametrize('name, kind, published_seconds', [
    ('ConvVAE_on_anime/512_32_200_seeded', 'solo', 1981.67),
    ('ConvDecoder_ResNet_on_anime/512_32_200', 'gan', 3444.18)])
def test_row_of_one_kind_of_epoch_has_one_line(name, kind, published_seconds):
    line, = mixes.estimates(EXPERIMENTS[name], 'published', {kind: 3.0}, PUBLISHED)
    assert (line['seconds'], line['published_seconds']) == (600, published_seconds)


def test_stopwatch_takes_medians_after_a_warm_up():
    watch, seconds = stopwatch.Stopwatch(), {'solo': [9.0, 18.0, 19.0, 21.0, 24.0],
                                             'combo': [5.0, 6.0, 6.5]}
    for phase, of_phase in seconds.items():
        for batch, so_far in enumerate(of_phase, start=1):
            watch.on_batch(SimpleNamespace(name=phase),
                           SimpleNamespace(batch=batch, seconds=so_far), len(of_phase))
    assert watch.medians() == {'solo': 2.0, 'combo': 0.5}  # of 1, 2, 3, and of 0.5


def finished(divisor: int = 1):
    """Rows of the four mixes at a scale, with a second a solo and four a combo epoch."""
    for name in mixes.MIXES:
        row = anime.at_scale(EXPERIMENTS[name])
        row = replace(row, name='ConvVAE_ResNet_on_anime/512_32_200_10_seeded'
                      if name == mixes.BASELINE else name, limit=divisor)
        yield row, [{'phase': phase, 'seconds': seconds} for phase, seconds, n in (
            ('solo', 1.0, row.solo_epochs), ('combo', 4.0, row.combo_epochs)) for _ in range(n)]


def test_runs_of_different_scales_are_not_mixed():
    runs = [*list(finished(1))[:2], *list(finished(2))[2:]]
    with pytest.raises(mixes.TimingError, match='all four mixes at one scale'):
        mixes.from_runs(runs, PUBLISHED)


def test_new_lines_replace_those_of_their_kind_only():
    old = mixes.estimates(BASELINE, 'published', {'solo': 1.0, 'combo': 1.0}, PUBLISHED)
    new = mixes.estimates(BASELINE, 'shared', {'solo': 2.0, 'combo': 2.0}, PUBLISHED)
    assert mixes.merged(old, new) == old + new
    assert mixes.merged(old + new, new) == old + new


def test_chart_is_of_the_published_mixes_once():
    lines = [line for name in mixes.MIXES for line in mixes.estimates(
        EXPERIMENTS[name], 'shared', {'solo': 1.0, 'combo': 2.0}, PUBLISHED)]
    assert len(lines) == 16 and mixes.of_mixes(lines) == lines[:4]
    measured = [line | {'kind': mixes.MEASUREMENT, 'experiment': name}
                for line, name in zip(lines[:4], mixes.MIXES, strict=True)]
    assert mixes.of_mixes(lines + measured) == lines[:4] + measured


@pytest.mark.parametrize('steps', [[], ['--step', 'both']])  # as older READMEs have it
def test_command_times_a_row_and_writes_the_table(cli, tmp_path, steps):
    status, out, err = cli(['time', '--match', COMBO, '--steps', '2', '--results-root',
                            str(tmp_path), '--ctx', 'cpu', '--json', *steps])
    assert status == 0, err
    lines = json.loads(out)
    assert [(line['step'], line['solo_epochs']) for line in lines] == [
        (step, n) for step in BASELINE.STEPS for n in (0, 12, 25, 38)]
    assert all(line['solo_epoch_seconds'] > 0 and line['combo_epoch_seconds'] > 0
               for line in lines)
    assert len(read_csv(tmp_path / 'timing.csv')) == len(lines)
    assert [p.name for p in tmp_path.iterdir()] == ['timing.csv']  # no chart: not those mixes


def test_measured_mixes_are_those_of_finished_runs(cli, tmp_path):
    for row, statistics in finished():
        folder = tmp_path / naming.run_name(row)
        folder.mkdir(parents=True)
        run_folder.write_config(folder, {
            **{field: kind() for field, kind in run_folder.CONFIG_FIELDS.items()},
            'name': row.name, 'row': row.configuration(),
            'data': dict.fromkeys(run_folder.DATA_FIELDS, '')})
        write_statistics(folder, [
            {'epoch': i, 'vae_loss': 1.0, **line} for i, line in enumerate(statistics)])
    status, out, err = cli(['time', '--from-runs', '--results-root', str(tmp_path), '--json'])
    assert status == 0, err
    lines = json.loads(out)
    assert [line['experiment'] for line in lines] == list(mixes.MIXES)
    assert [line['seconds'] for line in lines] == [64, 52, 40, 28]
    assert [line['fraction'] for line in lines] == [1, 52 / 64, 40 / 64, 28 / 64]
    assert {(line['kind'], line['scale']) for line in lines} == {
        ('measurement', '16 epochs of 1 images')}
    assert Image.open(tmp_path / 'timing.png').size[0] > 500


@pytest.mark.parametrize('arguments, message', [
    (['--steps', '0'], "'0': expected a whole number above 0"),
    (['--step', 'none'], 'invalid choice'), (['--match', '*CIFAR*'], 'no experiment matches'),
    (['--from-runs'], 'no finished runs of all four mixes')])
def test_bad_input_is_one_line(cli, capsys, tmp_path, arguments, message):
    try:
        status, _, err = cli(['time', *arguments, '--results-root', str(tmp_path)])
    except SystemExit as stop:
        status, err = stop.code, capsys.readouterr().err
    assert status == 2 and message in err and err.count('\n') == 1
    assert not [*tmp_path.iterdir()]
