"""Figures with axes and labels, drawn by Matplotlib. Never imports MXNet."""
import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from training import files

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


NETS = {'enc': 'encoder', 'dec': 'decoder', 'disc': 'discriminator'}


def draw_vaegan(path: Path, statistics: list[dict], title: str) -> None:
    """A VAE/GAN's three losses over epochs, once more without the decoder's, and rates.

    Dashed: on held-out images. Learning rates only where they change.
    """
    epochs = [line['epoch'] + 1 for line in statistics]
    rates = {net: [line[f'{net}_lr'] for line in statistics] for net in NETS}
    changing = any(len(set(values)) > 1 for values in rates.values())
    figure = Figure((10 + 4 * changing, 4), layout='constrained')
    axes = figure.subplots(1, 2 + changing)
    for axis, nets in zip(axes, (NETS, [net for net in NETS if net != 'dec']), strict=False):
        for net in nets:
            line, = axis.plot(epochs, [s[f'{net}_loss'] for s in statistics], label=NETS[net],
                              color=f'C{[*NETS].index(net)}')
            held_out = [s[f'val_{net}_loss'] for s in statistics]
            if None not in held_out:
                axis.plot(epochs, held_out, '--', color=line.get_color(), linewidth=0.8)
        axis.set(xlabel='epoch', ylabel='loss', title=(
            'all three' if 'dec' in nets else "without the decoder's"))
        axis.legend(fontsize=8, frameon=False)
    if changing:
        for net, values in rates.items():
            axes[2].plot(epochs, values, label=NETS[net], drawstyle='steps-mid')
        axes[2].set(xlabel='epoch', ylabel='learning rate', yscale='log', title='learning rates')
        axes[2].legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=9, wrap=True)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=110, metadata={'Software': None})
    files.write(path, [content.getbuffer()])
