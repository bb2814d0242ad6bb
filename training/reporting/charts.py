"""Figures of runs, with axes and labels, drawn by Matplotlib. Never imports MXNet."""
import io
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from training.experiments import kinds
from training.experiments.kinds import NETS
from training.storage import files


def draw_vae(path: Path, statistics: list[dict], published: list[dict], title: str) -> None:
    """Draw a VAE's loss over epochs, and its discriminator's; dots show what was published."""
    epochs = [line['epoch'] for line in statistics]
    combo = [line for line in statistics if line['disc_loss'] is not None]
    figure = Figure((5 + 5 * bool(combo), 3.6))  # every run draws this: no slow layout
    axes = figure.subplots(1, 1 + bool(combo), squeeze=False, gridspec_kw={
        'left': 0.17 - 0.07 * bool(combo), 'right': 0.98, 'bottom': 0.13, 'top': 0.84})[0]
    axes[0].plot(epochs, [line['vae_loss'] for line in statistics], '.-', label='training')
    held_out = [line['val_loss'] for line in statistics]
    if None not in held_out:  # as a plain GAN has them
        axes[0].plot(epochs, held_out, '.--', linewidth=0.8, label='KL + pixel, held out')
    axes[0].set(title='generator' if None in held_out else 'VAE', ylabel='loss')
    if combo:
        axes[1].plot([line['epoch'] for line in combo],
                     [line['disc_loss'] for line in combo], '.-', color='C2', label='training')
        axes[1].set(title='discriminator', ylabel='loss', ylim=(0, None))
    for axis, loss in zip(axes, ('vae_loss', 'disc_loss'), strict=False):
        dots = [(int(line['epoch']), float(line[loss])) for line in published if line[loss]]
        if dots:
            axis.plot(*zip(*dots, strict=True), 'ko', markersize=4, label='published')
        if combo and combo[0] is not statistics[0]:
            axis.axvline(combo[0]['epoch'] - 0.5, color='grey', linewidth=0.8, linestyle=':',
                         label='combo epochs begin')
        axis.set(xlabel='epoch')
        whole_ticks(axis)
        axis.legend(fontsize=8, frameon=False)
    figure.suptitle('\n'.join(textwrap.wrap(title, 60 + 60 * bool(combo))), fontsize=8)
    save(figure, path)


def draw_vaegan(path: Path, statistics: list[dict], published: list[dict], title: str) -> None:
    """Draw a VAE/GAN's three losses over epochs, and once more without the decoder's.

    Learning rates are drawn where they change, published losses never.
    """
    epochs = [line['epoch'] for line in statistics]
    rates = {net: [line[f'{net}_lr'] for line in statistics] for net in NETS}
    changing = any(len(set(values)) > 1 for values in rates.values())
    figure = Figure((10 + 4 * changing, 4), layout='constrained')
    axes = figure.subplots(1, 2 + changing)
    marker = '.' if len(epochs) == 1 else ''  # no line shows a single epoch
    own_scale = axes[1].twinx()  # else an encoder's loss of hundreds would hide it
    for axis, net in [*zip(3 * [axes[0]], NETS, strict=True), (axes[1], 'enc'),
                      (own_scale, 'disc')]:
        line, = axis.plot(epochs, [s[f'{net}_loss'] for s in statistics], label=NETS[net],
                          color=f'C{[*NETS].index(net)}', marker=marker)
        held_out = [s[f'val_{net}_loss'] for s in statistics]
        if None not in held_out:
            axis.plot(epochs, held_out, '--', color=line.get_color(), linewidth=0.8,
                      marker=marker, label=f'{NETS[net]}, held out')
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
    for axis in axes:
        whole_ticks(axis)
    figure.suptitle('\n'.join(textwrap.wrap(title, 120)), fontsize=9)
    save(figure, path)


def draw_rows(path: Path, title: str, columns: list[str] | None,
              rows: list[tuple[str, np.ndarray]]) -> None:
    """Draw rows of pictures (n, h, w, c) uint8, each with a label; columns may have headers.

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
    save(figure, path)


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
    save(figure, path)


def whole_ticks(axis) -> None:
    """Let epochs be whole numbers, also where there is one."""
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=110, metadata={'Software': None})
    files.write(path, [content.getbuffer()])


LOSSES = {kinds.SOLO_COMBO: draw_vae, kinds.GAN: draw_vae, kinds.VAEGAN: draw_vaegan}
