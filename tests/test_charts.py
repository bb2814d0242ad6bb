"""Figures: nothing is cut off, whatever the run is called; curves are those of the statistics."""
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from training.experiments.registry import EXPERIMENTS
from training.reporting import charts, pictures, run_charts, study_charts
from training.studies import claim, seeds

LONG = ('ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_16_10_seeded_shared_transpose_n_latent-128_'
        'vae_base_channels-16_disc_base_channels-8_encoder-strided_latent_head-linear')


@pytest.fixture
def figures(monkeypatch):
    """The figures that were drawn, in place of files.

    All that is drawn has to lie inside the figure, to a hundredth of an inch.
    """
    found = []

    def save(figure, path) -> None:
        FigureCanvasAgg(figure).draw()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01
        found.append(figure)
    for module in (charts, run_charts, study_charts):
        monkeypatch.setattr(module, 'save', save)
    return found


def vae_statistics(n_solo: int, n_combo: int) -> list[dict]:
    return [{'epoch': float(i), 'vae_loss': 1e4 / (i + 1), 'val_loss': 1.1e4 / (i + 1),
             'disc_loss': None if i < n_solo else 0.5} for i in range(n_solo + n_combo)]


def vaegan_statistics(n: int, rates: bool) -> list[dict]:
    return [{'epoch': float(i), **{f'{net}_loss': 300.0 / (i + k + 1)
                                   for k, net in enumerate(charts.NETS)},
             **{f'val_{net}_loss': 2.0 + k if rates else None
                for k, net in enumerate(charts.NETS)},
             **{f'{net}_lr': 5e-4 * (0.8 ** i if rates else 1) for net in charts.NETS}}
            for i in range(n)]


@pytest.mark.parametrize('n_solo, n_combo', [(3, 0), (2, 3), (0, 1)])
@pytest.mark.parametrize('title', ['a', LONG])
def test_losses_of_a_vae_are_whole(figures, n_solo, n_combo, title):
    published = [{'epoch': '1', 'vae_loss': '5001.5', 'disc_loss': '0.4'}]
    charts.draw_vae(Path(), vae_statistics(n_solo, n_combo), published, title)
    drawn = {line.get_label(): line.get_ydata() for line in figures[0].axes[0].lines}
    assert list(drawn['training']) == [1e4 / (i + 1) for i in range(n_solo + n_combo)]
    assert list(drawn['published']) == [5001.5]
    assert ('combo epochs begin' in drawn) == (n_solo > 0 and n_combo > 0)


@pytest.mark.parametrize('rates', [False, True])
@pytest.mark.parametrize('title', ['a', LONG])
def test_losses_of_a_vaegan_are_whole(figures, rates, title):
    statistics = vaegan_statistics(5, rates)
    charts.draw_vaegan(Path(), statistics, [], title)
    both, encoder, *others = figures[0].axes
    assert [line.get_label() for line in both.lines if 'held' not in line.get_label()] == [
        'encoder', 'decoder', 'discriminator']
    assert list(encoder.lines[0].get_ydata()) == [s['enc_loss'] for s in statistics]
    assert list(others[-1].lines[0].get_ydata()) == [  # the second scale of the second panel
        s['disc_loss'] for s in statistics]
    assert len(others) == 1 + rates


@pytest.mark.parametrize('n', [1, 2])
def test_a_single_epoch_is_seen_and_epochs_are_whole_numbers(figures, n):
    charts.draw_vaegan(Path(), vaegan_statistics(n, True), [], 'a')
    charts.draw_vae(Path(), vae_statistics(0, n), [], 'a')
    for axis in (axis for figure in figures for axis in figure.axes):
        assert all(line.get_marker() in ('.', 'o') or len(line.get_xdata()) > 1
                   for line in axis.lines)
        assert all(tick == round(tick) for tick in axis.get_xticks())


@pytest.mark.parametrize('n, has_held_out', [(1, True), (3, True), (1, False)])
def test_compared_losses_are_seen_and_explained(figures, tmp_path, n, has_held_out):
    statistics = [line | {'phase': 'solo'} | ({} if has_held_out else {'val_loss': None})
                  for line in vae_statistics(n, 0)]
    run_charts.draw(Path(), {name: (tmp_path, statistics) for name in 'ab'})
    figure, = figures
    lines = [line for axis in figure.axes for line in axis.lines]
    assert len(lines) == 2 + 2 * has_held_out and {line.get_marker() for line in lines} == {'.'}
    labels = [text.get_text() for part in figure.subfigs for legend in part.legends
              for text in legend.get_texts()]
    assert labels == ['a', 'b', *['dashed: held-out images'] * has_held_out]


@pytest.mark.parametrize('columns', [None, ['original'] * 9])
@pytest.mark.parametrize('label', ['', 'nearest; above:\nsquared error', 'latent 511\nKL 12.34'])
def test_rows_of_pictures_are_whole_and_where_their_labels_are(figures, columns, label):
    pictures = np.zeros((9, 64, 64, 3), np.uint8)
    rows = [(label, pictures), (label, pictures + np.uint8(200))]
    charts.draw_rows(Path(), 'Held-out image 0 with one latent changed', columns, rows)
    sheet = figures[0].axes[0].images[0].get_array()
    assert (sheet[:64, :64] == 0).all() and (sheet[68:132, -68:-4] == 200).all()


def test_seeds_and_classes_are_whole(figures):
    rng = np.random.default_rng(0)
    study_charts.draw_seeds(Path(), {
        title: {measure: {EXPERIMENTS[name].nets: rng.normal(0, 1, len(claim.SEEDS[title]))
                          for name in claim.NETS[title]} for measure in measures}
        for title, measures in claim.SHOWN.items()}, seeds.interval)
    counts = [{'epoch': e, **{str(d): 10 * (d + 1) for d in range(10)}} for e in (1, 2, 3)]
    charts.draw_classes(Path(), counts)
    shown = [axis for axis in figures[0].axes if axis.lines]
    assert all(axis.get_ylim()[0] >= 0 for axis in shown)  # intervals may reach below
    assert {'Frechet of samples', 'PSNR, dB'} <= {axis.get_title() for axis in shown}
    assert list(figures[1].axes[0].lines[9].get_ydata()) == pytest.approx(3 * [100 / 550])


def test_trade_of_two_measures_is_whole_and_of_the_runs(figures):
    tones = {'0.1': 50, '10': 200}
    study_charts.draw_trade(
        Path(), {label: (20.0 - i, 0.02 + 0.01 * i) for i, label in enumerate(('0.1', '1', '10'))},
        {label: np.full((4, 28, 28, 1), tone, np.uint8) for label, tone in tones.items()},
        ('KL, nats', 'squared error'), 'labels: weight of KL')
    trade, *samples = figures[0].axes
    assert trade.lines[0].get_xydata().tolist() == [[20, 0.02], [19, 0.03], [18, 0.04]]
    assert [text.get_text() for text in trade.texts] == ['10', '1', '0.1']  # from left to right
    assert (trade.get_xlabel(), trade.get_ylabel()) == ('KL, nats', 'squared error')
    assert [axis.images[0].get_array()[0, 0].item() for axis in samples] == list(tones.values())


def test_schedules_and_losses_over_minutes_are_whole(figures, tmp_path):
    def kept(name: str, *epochs: int) -> list[Path]:
        (tmp_path / name).mkdir()
        for n_epochs in epochs:
            pictures.write_samples(tmp_path / name, n_epochs, np.zeros((4, 28, 28, 1), np.uint8))
        return pictures.samples_in(tmp_path / name)
    samples = kept('few', 1, 20, 35, 50), kept('more', 1, 2, 8, 20, 35, 50)
    study_charts.draw_schedules(Path(), {
        f'lr{i}_as_logged': (vaegan_statistics(50, True), samples[i]) for i in range(2)})
    study_charts.draw_loss_over_minutes(Path(), {title: {
        label: [{'seconds': 60.0, 'val_loss': 9000.0 - i} for i in range(n)]
        for label in 'abcdef'} for title, n in (('Some faces', 4), ('All faces', 2))})
    titles = [axis.get_title() for axis in figures[0].axes]
    assert [title for title in titles if 'epoch' in title] == [
        f'after {n}' for n in ('1 epoch', '20 epochs', '35 epochs', '50 epochs') for _ in range(2)]
    assert [list(axis.lines[0].get_xdata()) for axis in figures[1].axes] == [[1, 2, 3, 4], [1, 2]]
