"""A figure of several runs: their losses over the epochs, and their strips. No MXNet."""
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from training.experiments import kinds
from training.reporting import pictures
from training.reporting.charts import save, whole_ticks

WIDTH = 12  # inches


def draw(path: Path, runs: dict[str, tuple[Path, list[dict]]]) -> None:
    """Draw each loss that some of the runs have, a line a run, and below them their strips.

    runs: folder and statistics by name. A dashed line is of held-out images, as the legend says.
    Strips stand in its order; a run without one has none.
    """
    losses = {}
    for _, statistics in runs.values():
        losses |= kinds.of_phase(statistics[0]['phase']).losses
    losses = {name: of for name, of in losses.items() if any(
        line.get(name) is not None for _, statistics in runs.values() for line in statistics)}
    strips = {name: pictures.read(folder / pictures.STRIP) for name, (folder, _) in runs.items()
              if (folder / pictures.STRIP).exists()}
    heights = [WIDTH * 0.94 * strip.shape[0] / strip.shape[1] + 0.3 for strip in strips.values()]
    legend = 0.22 * (len(runs) + 1) + 0.2
    figure = Figure((WIDTH, 3.6 + legend + sum(heights)), layout='constrained')
    parts = figure.subfigures(1 + len(strips), 1, height_ratios=[3.6 + legend, *heights],
                              squeeze=False)[:, 0]
    axes = parts[0].subplots(1, len(losses), squeeze=False)[0]
    for axis, (loss, of) in zip(axes, losses.items(), strict=True):
        for i, (name, (_, statistics)) in enumerate(runs.items()):
            for column, style in ((loss, '.-'), (held_out(loss, statistics), '.--')):
                points = [(line['epoch'], line[column]) for line in statistics
                          if line.get(column) is not None]
                if points:
                    axis.plot(*zip(*points, strict=True), style, color=f'C{i}', linewidth=1,
                              markersize=4, label=name if style == '.-' else None)
        axis.set(title=of.label, xlabel='epoch')
        whole_ticks(axis)
    handles = {label: handle for axis in axes
               for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if any(line.get_linestyle() == '--' for axis in axes for line in axis.lines):
        label = 'dashed: held-out images'
        handles[label] = Line2D([], [], color='grey', linestyle='--', linewidth=1)
    parts[0].legend(handles.values(), handles, loc='outside upper left', fontsize=8,
                    frameon=False)
    for part, (name, strip) in zip(parts[1:], strips.items(), strict=True):
        axis = part.subplots()
        axis.imshow(strip, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
        axis.set_axis_off()
        axis.set_title(name, fontsize=8, loc='left', color=f'C{[*runs].index(name)}')
    save(figure, path)


def held_out(loss: str, statistics: list[dict]) -> str | None:
    """Return the column of that loss on held-out images, if there is one."""
    name = 'val_loss' if loss == 'vae_loss' else f'val_{loss}'
    return name if name in statistics[0] else None
