"""Figures with axes and labels, drawn by Matplotlib. Never imports MXNet."""
import io
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from training.experiments import kinds
from training.experiments.kinds import NETS
from training.reporting.pictures import after, n_epochs_of
from training.storage import files

matplotlib.use('Agg')
SEAMS = (64 / 3, 2 * 64 / 3)  # rows where one interleaved band ends and the next begins


def draw_layouts(path: Path, originals: np.ndarray,
                 layouts: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """What nets see of faces (n, 64, 64, 3) uint8, and how they draw them again.

    layouts: by name, the channels (n, 3, 64, 64) uint8 that went in and the reconstructions
    (n, 64, 64, 3) uint8.
    """
    figure = Figure((2 + 9 * 1.3, 0.6 + 1.45 * len(originals)), layout='constrained')
    columns = ['original'] + [f'{layout}:\n{part}' for layout in layouts for part in (
        'channel 1', 'channel 2', 'channel 3', 'drawn again')]
    axes = figure.subplots(len(originals), len(columns), squeeze=False)
    for i, row in enumerate(axes):
        shown = [originals[i]]
        for channels, again in layouts.values():
            shown += [*channels[i], again[i]]
        for title, picture, one in zip(columns, shown, row, strict=True):
            one.imshow(picture, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
            one.set_xticks([])
            one.set_yticks(SEAMS if title == 'reshape:\ndrawn again' else [], ['seam'] * (
                2 if title == 'reshape:\ndrawn again' else 0), fontsize=7)
            if i == 0:
                one.set_title(title, fontsize=9)
    _save(figure, path)


def draw_timing(path: Path, lines: list[dict]) -> None:
    """Bars of the mixes' fractions of the first mix: published, and each of our series.

    lines: timing.csv's, those of the published mixes.
    """
    series = {'published, on a GPU, in 2019': [line['published_fraction'] for line in lines[:4]]}
    for line in lines:
        title = f'{line["kind"]}, {line["step"]} step, {line["scale"]}'
        series.setdefault(title, []).append(line['fraction'])
    figure = Figure((8, 4), layout='constrained')
    axis = figure.subplots()
    width = 0.8 / len(series)
    for i, (title, fractions) in enumerate(series.items()):
        places = np.arange(len(fractions)) + (i - (len(series) - 1) / 2) * width
        bars = axis.bar(places, [float(f) for f in fractions], width, label=title)
        axis.bar_label(bars, fmt='%.2f', fontsize=7)
    parts = ('all combo', '1/4 solo', '1/2 solo', '3/4 solo')
    axis.set_xticks(range(len(parts)), parts)
    axis.set(title='ConvVAE + ResNet: solo epochs first, then combo epochs',
             ylabel='time, all combo = 1', ylim=(0, 1.35))
    axis.legend(fontsize=8, frameon=False, loc='upper right')
    _save(figure, path)


def draw_vae(path: Path, statistics: list[dict], published: list[dict], title: str) -> None:
    """A VAE's loss over epochs, and its discriminator's; dots: what was published of them."""
    epochs = [line['epoch'] for line in statistics]
    judged = [line for line in statistics if line['disc_loss'] is not None]
    figure = Figure((5 + 5 * bool(judged), 3.6))  # every run draws this: no slow layout
    axes = figure.subplots(1, 1 + bool(judged), squeeze=False, gridspec_kw={
        'left': 0.17 - 0.07 * bool(judged), 'right': 0.98, 'bottom': 0.13, 'top': 0.84})[0]
    axes[0].plot(epochs, [line['vae_loss'] for line in statistics], '.-', label='training')
    held_out = [line['val_loss'] for line in statistics]
    if None not in held_out:  # as a plain GAN has them
        axes[0].plot(epochs, held_out, '.--', linewidth=0.8, label='KL + pixel, held out')
    axes[0].set(title='generator' if None in held_out else 'VAE', ylabel='loss')
    if judged:
        axes[1].plot([line['epoch'] for line in judged],
                     [line['disc_loss'] for line in judged], '.-', color='C2', label='training')
        axes[1].set(title='discriminator', ylabel='loss', ylim=(0, None))
    for axis, loss in zip(axes, ('vae_loss', 'disc_loss'), strict=False):
        dots = [(int(line['epoch']), float(line[loss])) for line in published if line[loss]]
        if dots:
            axis.plot(*zip(*dots, strict=True), 'ko', markersize=4, label='published')
        if judged and judged[0] is not statistics[0]:
            axis.axvline(judged[0]['epoch'] - 0.5, color='grey', linewidth=0.8, linestyle=':',
                         label='combo epochs begin')
        axis.set(xlabel='epoch')
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(fontsize=8, frameon=False)
    figure.suptitle('\n'.join(textwrap.wrap(title, 60 + 60 * bool(judged))), fontsize=8)
    _save(figure, path)


def draw_vaegan(path: Path, statistics: list[dict], published: list[dict], title: str) -> None:
    """A VAE/GAN's three losses over epochs, once more without the decoder's, and rates.

    Learning rates only where they change. published: nothing of them is drawn.
    """
    epochs = [line['epoch'] for line in statistics]
    rates = {net: [line[f'{net}_lr'] for line in statistics] for net in NETS}
    changing = any(len(set(values)) > 1 for values in rates.values())
    figure = Figure((10 + 4 * changing, 4), layout='constrained')
    axes = figure.subplots(1, 2 + changing)
    own_scale = axes[1].twinx()  # else an encoder's loss of hundreds would hide it
    for axis, net in [*zip(3 * [axes[0]], NETS, strict=True), (axes[1], 'enc'),
                      (own_scale, 'disc')]:
        line, = axis.plot(epochs, [s[f'{net}_loss'] for s in statistics], label=NETS[net],
                          color=f'C{[*NETS].index(net)}')
        held_out = [s[f'val_{net}_loss'] for s in statistics]
        if None not in held_out:
            axis.plot(epochs, held_out, '--', color=line.get_color(), linewidth=0.8,
                      label=f'{NETS[net]}, held out')
    axes[0].set(xlabel='epoch', ylabel='loss', title='all three')
    if max(abs(s['dec_loss']) for s in statistics) < max(s['enc_loss'] for s in statistics) / 100:
        axes[0].set_yscale('symlog')  # else an encoder's loss of thousands would hide both
    figure.legend(*axes[0].get_legend_handles_labels(), loc='outside lower center', ncols=6,
                  fontsize=8, frameon=False)
    axes[1].set(xlabel='epoch', title="without the decoder's")
    for axis, net in ((axes[1], 'enc'), (own_scale, 'disc')):
        axis.set_ylabel(f"{NETS[net]}'s loss", color=f'C{[*NETS].index(net)}')
    if changing:
        for net, values in rates.items():
            axes[2].plot(epochs, values, label=NETS[net], drawstyle='steps-mid')
        axes[2].set(xlabel='epoch', ylabel='learning rate', yscale='log', title='learning rates')
        axes[2].legend(fontsize=8, frameon=False)
    figure.suptitle('\n'.join(textwrap.wrap(title, 120)), fontsize=9)
    _save(figure, path)


def draw_schedules(path: Path, runs: dict[str, tuple[list[dict], list[Path]]]) -> None:
    """Runs side by side: losses (dashed: held out), learning rates, and samples over epochs.

    runs: by title, the statistics and the pictures of samples, the earliest first.
    """
    n_pictures = min(len(pictures) for _, pictures in runs.values())
    highest = max(s[f'{kind}{net}_loss'] for statistics, _ in runs.values() for s in statistics
                  for net in NETS for kind in ('', 'val_'))
    shown = np.unique(np.linspace(0, n_pictures - 1, min(4, n_pictures)).astype(int))
    figure = Figure((2.6 * len(runs), 3.6 + 2.6 * len(shown)), layout='constrained')
    axes = figure.subplots(2 + len(shown), len(runs), squeeze=False,
                           height_ratios=[2, 2, *[3] * len(shown)])
    for column, (title, (statistics, pictures)) in zip(axes.T, runs.items(), strict=True):
        epochs = [line['epoch'] for line in statistics]
        for i, (net, name) in enumerate(NETS.items()):
            column[0].plot(epochs, [s[f'{net}_loss'] for s in statistics], f'C{i}', label=name,
                           linewidth=1)
            column[0].plot(epochs, [s[f'val_{net}_loss'] for s in statistics], f'C{i}--',
                           linewidth=0.7)
            column[1].plot(epochs, [s[f'{net}_lr'] for s in statistics], f'C{i}',
                           drawstyle='steps-mid', linewidth=1)
        column[0].set(title=title, ylim=(0, min(1.05 * highest, 12)))  # A's own diverged
        column[1].set(yscale='log', ylim=(3e-6, 8e-4), xlabel='epoch, from 0')
        for axis, i in zip(column[2:], shown, strict=True):
            axis.imshow(_read(pictures[i]))
            axis.set_axis_off()
            axis.set_title(after(n_epochs_of(pictures[i])), fontsize=8)
    axes[0, 0].set_ylabel('loss')
    axes[0, 0].legend(fontsize=7, frameon=False)
    axes[1, 0].set_ylabel('learning rate')
    _save(figure, path)


def draw_rows(path: Path, title: str, columns: list[str] | None,
              rows: list[tuple[str, np.ndarray]]) -> None:
    """Rows of pictures (n, h, w, c) uint8, each with a label; columns may have headers.

    One picture with ticks in place of an axis a picture, which would take seconds.
    """
    n, (height, width) = len(rows[0][1]), rows[0][1].shape[1:3]
    step = np.array([height, width]) + height // 14
    sheet = np.full((*(step * (len(rows), n)), 3), 255, np.uint8)
    for i, (_, pictures) in enumerate(rows):
        for j, picture in enumerate(pictures):
            top, left = step * (i, j)
            sheet[top:top + height, left:left + width] = picture
    labelled = any(label for label, _ in rows)
    size = 0.85 * n, 0.85 * len(rows)                                   # inches
    left, top, edge = 0.1 + labelled, 0.4 + 0.2 * bool(columns), 0.1
    whole = size[0] + left + edge, size[1] + top + edge
    figure = Figure(whole)
    axis = figure.add_axes((left / whole[0], edge / whole[1], size[0] / whole[0],
                            size[1] / whole[1]))
    axis.imshow(sheet, interpolation='nearest', aspect='auto')
    axis.set_xticks([j * step[1] + width / 2 for j in range(n if columns else 0)],
                    columns or [], fontsize=8)
    axis.set_yticks([i * step[0] + height / 2 for i in range(len(rows) * labelled)],
                    [label for label, _ in rows] if labelled else [], fontsize=8)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=9, y=1 - 0.1 / whole[1], va='top')
    _save(figure, path)


def draw_seeds(path: Path, values: dict[str, dict[str, np.ndarray]], interval) -> None:
    """By measure and nets: a dot a seed, and the mean with its confidence interval.

    interval: sample (n,) -> mean, half a width.
    """
    figure = Figure((2.4 * len(values), 3.6), layout='constrained')
    figure.suptitle('a dot a seed; bars: mean and 95 % confidence interval; sharpness: '
                    'originals = 1', fontsize=9)
    for axis, (measure, samples) in zip(figure.subplots(1, len(values)), values.items(),
                                        strict=True):
        for i, sample in enumerate(samples.values()):
            mean, width = interval(sample)
            axis.plot(i + np.linspace(-0.15, 0.15, len(sample)), sample, 'o', color=f'C{i}',
                      markersize=4, alpha=0.6)
            axis.errorbar(i + 0.3, mean, width, fmt='_', color='black', capsize=4)
        axis.set(title=measure.replace('_', ' '), xlim=(-0.5, len(samples) - 0.3))
        axis.set_xticks(range(len(samples)), [nets.replace(' + ', '\n+ ') for nets in samples],
                        fontsize=8)
        axis.title.set_fontsize(9)
    _save(figure, path)


def draw_loss_over_minutes(path: Path, runs: dict[str, list[dict]]) -> None:
    """The held-out loss of runs over the minutes they trained; by label, their statistics."""
    figure = Figure((7, 5), layout='constrained')
    axis = figure.subplots()
    for label, statistics in runs.items():
        axis.plot(np.cumsum([line['seconds'] for line in statistics]) / 60,
                  [line['val_loss'] for line in statistics], '.-', label=label)
    axis.set(xlabel='minutes', ylabel='KL + pixel loss, held out', xlim=(0, None))
    axis.legend(fontsize=8, frameon=False)
    _save(figure, path)


def draw_classes(path: Path, counts: list[dict[str, int]]) -> None:
    """Draw how many samples a classifier takes for each digit, over the epochs trained.

    counts: the lines of classes.csv.
    """
    n_epochs = [line['epoch'] for line in counts]
    figure = Figure((8, 4), layout='constrained')
    axis = figure.subplots()
    for digit in range(10):
        shares = [line[str(digit)] / sum(line[str(d)] for d in range(10)) for line in counts]
        axis.plot(n_epochs, shares, 'o-', color=f'C{digit}', markersize=3, label=str(digit))
    axis.axhline(0.1, color='black', linewidth=0.5, linestyle=':')
    axis.set(xlabel='epochs trained', ylabel='share of samples', ylim=(0, None))
    axis.legend(ncols=2, fontsize=8, frameon=False, title='digit')
    _save(figure, path)


def _read(path: Path) -> np.ndarray:
    with Image.open(path, formats=['PNG']) as image:
        return np.asarray(image.convert('RGB'))


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=110, metadata={'Software': None})
    files.write(path, [content.getbuffer()])


LOSSES = {kinds.SOLO_COMBO: draw_vae, kinds.GAN: draw_vae, kinds.VAEGAN: draw_vaegan}
