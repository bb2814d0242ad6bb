"""Figures of studies, with axes and labels, drawn by Matplotlib. Never imports MXNet."""
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from training.evaluation.measures import in_tables
from training.reporting.charts import NETS, save
from training.reporting.pictures import after, grid, n_epochs_of, read

SEAMS = (64 / 3, 2 * 64 / 3)  # rows where one interleaved band ends and the next begins


def draw_layouts(path: Path, originals: np.ndarray,
                 layouts: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw what nets see of faces (n, 64, 64, 3) uint8, and their reconstructions.

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
    save(figure, path)


def draw_timing(path: Path, lines: list[dict]) -> None:
    """Draw the mixes' times as fractions of the first: published, and each of our series.

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
    save(figure, path)


def draw_schedules(path: Path, runs: dict[str, tuple[list[dict], list[Path]]]) -> None:
    """Draw runs side by side: losses (dashed: held out), learning rates, samples over epochs.

    runs: by title, the statistics and the pictures of samples. Shown are those after the first,
    the last and up to two more of the epochs after which all runs have some.
    """
    by_epoch = {title: {n_epochs_of(path): path for path in pictures}
                for title, (_, pictures) in runs.items()}
    common = sorted(set.intersection(*map(set, by_epoch.values())))
    highest = max(s[f'{kind}{net}_loss'] for statistics, _ in runs.values() for s in statistics
                  for net in NETS for kind in ('', 'val_'))
    chosen = np.linspace(0, len(common) - 1, min(4, len(common))).astype(int)
    shown = [common[i] for i in chosen]
    figure = Figure((2.6 * len(runs), 3.6 + 2.6 * len(shown)), layout='constrained')
    axes = figure.subplots(2 + len(shown), len(runs), squeeze=False,
                           height_ratios=[2, 2, *[3] * len(shown)])
    for column, (title, (statistics, _)) in zip(axes.T, runs.items(), strict=True):
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
        for axis, n_epochs in zip(column[2:], shown, strict=True):
            axis.imshow(read(by_epoch[title][n_epochs]), cmap='gray', vmin=0, vmax=255)
            axis.set_axis_off()
            axis.set_title(after(n_epochs), fontsize=8)
    axes[0, 0].set_ylabel('loss')
    axes[0, 0].legend(fontsize=7, frameon=False)
    axes[1, 0].set_ylabel('learning rate')
    save(figure, path)


def draw_seeds(path: Path, comparisons: dict[str, dict[str, dict[str, np.ndarray]]],
               interval) -> None:
    """Draw by comparison, measure and nets a dot a seed, and the mean with its interval.

    comparisons: by title, measure and nets, one value a seed (n,). interval: (n,) -> mean, half
    a width.
    """
    headers, n_columns = in_tables(), max(map(len, comparisons.values()))
    figure = Figure((2.6 * n_columns, 3.2 * len(comparisons)), layout='constrained')
    figure.suptitle('a dot a seed; bars: mean and 95 % confidence interval; sharpness: '
                    'originals = 1', fontsize=9)
    parts = figure.subfigures(len(comparisons), 1, squeeze=False)[:, 0]
    for part, (title, values) in zip(parts, comparisons.items(), strict=True):
        part.suptitle(title, fontsize=10, fontweight='bold')
        axes = part.subplots(1, n_columns)
        for axis in axes[len(values):]:
            axis.set_axis_off()
        for axis, (measure, samples) in zip(axes, values.items(), strict=False):
            for i, sample in enumerate(samples.values()):
                mean, width = interval(sample)
                axis.plot(i + np.linspace(-0.15, 0.15, len(sample)), sample, 'o', color=f'C{i}',
                          markersize=4, alpha=0.6)
                axis.errorbar(i + 0.3, mean, width, fmt='_', color='black', capsize=4)
            axis.set(title=headers[measure].header, xlim=(-0.5, len(samples) - 0.3),
                     ylim=(max(0, axis.get_ylim()[0]), None))  # no measure is below 0
            axis.set_xticks(range(len(samples)), [nets.replace(' + ', '\n+ ') for nets in samples],
                            fontsize=7)
            axis.tick_params(axis='y', labelsize=8)
            axis.title.set_fontsize(9)
    save(figure, path)


def draw_trade(path: Path, runs: dict[str, tuple[float, float]],
               samples: dict[str, np.ndarray], axis_labels: tuple[str, str],
               title: str) -> None:
    """Draw one measure over another, a dot a run with its label, and beside it samples of some.

    runs: by label, both measures, which `axis_labels` names. samples: by label, n * n of them
    (n * n, h, w, c) uint8.
    """
    figure = Figure((3.6 + 2.4 * len(samples), 3), layout='constrained')
    axes = figure.subplots(1, 1 + len(samples), width_ratios=[1.5, *[1] * len(samples)])
    across, up = zip(*runs.values(), strict=True)
    axes[0].plot(across, up, 'o')
    for i, (label, dot) in enumerate(sorted(runs.items(), key=lambda run: run[1])):
        axes[0].annotate(label, dot, xytext=(5, -12 if i % 2 else 5),  # neighbours keep apart
                         textcoords='offset points', fontsize=8)
    axes[0].set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    axes[0].margins(0.2)
    axes[0].set_ylim(bottom=0)
    axes[0].set_title(title, fontsize=9)
    for axis, (label, pictures) in zip(axes[1:], samples.items(), strict=True):
        rows = np.split(pictures, int(len(pictures) ** 0.5))
        axis.imshow(grid(rows, pictures.shape[1]), cmap='gray', vmin=0, vmax=255)
        axis.set_axis_off()
        axis.set_title(f'samples: {label}', fontsize=9)
    save(figure, path)


def draw_loss_over_minutes(path: Path, comparisons: dict[str, dict[str, list[dict]]]) -> None:
    """Draw held-out losses over the minutes of training, side by side by comparison.

    comparisons: statistics by title and label.
    """
    figure = Figure((6 * len(comparisons), 5), layout='constrained')
    for axis, (title, runs) in zip(figure.subplots(1, len(comparisons), squeeze=False)[0],
                                   comparisons.items(), strict=True):
        for label, statistics in runs.items():
            axis.plot(np.cumsum([line['seconds'] for line in statistics]) / 60,
                      [line['val_loss'] for line in statistics], '.-', label=label)
        axis.set(xlabel='minutes', ylabel='KL + pixel loss, held out', xlim=(0, None))
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8, frameon=False)
    save(figure, path)


def draw_damage(path: Path, lines: list[dict], pictures: dict[str, list[np.ndarray]],
                units: dict[str, str]) -> None:
    """Draw by damage its distances over strengths, and beneath what it makes of some pictures.

    lines: damage, strength and frechet; those without a strength are lines to compare with.
    pictures: by damage, for each strength (n, h, w, c) uint8.
    """
    figure = Figure((3.2 * len(pictures), 4.6), layout='constrained')
    axes = figure.subplots(2, len(pictures), height_ratios=[2, 1.6])
    for column, (name, drawn) in zip(axes.T, pictures.items(), strict=True):
        of = [line for line in lines if line['damage'] == name]
        column[0].plot(range(len(of)), [line['frechet'] for line in of], 'o-')
        for line, style in zip([line for line in lines if line['strength'] is None], (':', '--'),
                               strict=True):
            column[0].axhline(line['frechet'], color='grey', linestyle=style, label=line['damage'])
        column[0].set(title=name, yscale='log', xlabel=units[name])
        column[0].set_xticks(range(len(of)), [f'{line["strength"]:g}' for line in of])
        column[1].imshow(np.concatenate([np.concatenate(of_strength, axis=0)
                                         for of_strength in drawn], axis=1))
        column[1].set_axis_off()
    axes[0, 0].set_ylabel('Frechet distance from the originals')
    axes[0, 0].legend(fontsize=7, frameon=False)
    save(figure, path)
