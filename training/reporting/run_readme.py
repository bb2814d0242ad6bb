"""README.md of a result folder, and its curves."""

from pathlib import Path

import numpy as np

from training.evaluation.measures import explained
from training.experiments import early_stopping, naming
from training.experiments.row import Row
from training.reporting import pictures, tables
from training.reporting.pictures import (
    ANIMATION,
    CLASSES,
    CLASSES_CHART,
    EXPLAINED,
    EXPLORED,
    INPUTS,
    LOSSES,
    STRIP,
    STRIP_ANIMATION,
    after,
    n_epochs_of,
    samples_in,
    snapshots_in,
)
from training.reporting.published import pairs, sources
from training.reporting.statistics import (
    STATISTICS,
    read_classes,
    read_statistics,
)
from training.reporting.tables import markdown_table
from training.storage import files, run_folder

N_SHOWN_SAMPLES = 11  # pictures of samples in a result folder's README


def write_readme(folder: Path, published: dict) -> None:
    """Write README.md of a result folder; published: what was published of its row."""
    files.write_text(folder / 'README.md', readme(folder, published))


def readme(folder: Path, published: dict) -> str:
    """Return what was trained, how, and what came out, beside what was published of that row."""
    config = run_folder.read_config(folder)
    experiment = run_folder.row_of(config, folder)
    sections = [_trained(folder, config, experiment),
                _losses(folder, config, experiment, published), _strips(folder),
                _samples(folder), _classes(folder), _evaluated(folder), _explored(folder),
                ['## Configuration', '',
                 markdown_table([['field', 'value'], *([k, str(v)] for k, v in
                                                       config['row'].items() if v is not None)])]]
    return '\n'.join(line for section in sections for line in section)


def _trained(folder: Path, config: dict, experiment: Row) -> list[str]:
    source, not_read = config['data'], tables.passed_over(config['data'])
    shown = ('The first ten held-out images stand above, their reconstructions below, from one '
             'sampled latent each.' if experiment.encodes else
             'These are ten samples from the prior.')
    return [f'# {config["run"]}', '',
            f'{config["caption"]}', '',
            f'![{"Originals and reconstructions" if experiment.encodes else "Ten samples"}]'
            f'({STRIP})', '',
            shown, '',
            *([f'[{INPUTS}]({INPUTS}) has the first training images, as they were read.', '']
              if (folder / INPUTS).exists() else []),
            f'The run was trained on {config["n_train"]:,} images of '
            f'{tables.of_data(source, bool(experiment.images), not_read)}, on '
            f'{config["device"]}. '
            + (f'Those of {source["held_out"]} were held out. ' if 'held_out' in source else '')
            + 'This command repeats it:', '',
            '```', config['command'], '```', '']


def _losses(folder: Path, config: dict, experiment: Row, published: dict) -> list[str]:
    statistics = read_statistics(folder)
    curve = naming.comparable_curve(experiment, published)
    return ['## Losses', '', tables.losses_table(
        statistics, curve, early_stopping.kept_epoch(experiment, statistics)), '',
            *([published['note'], ''] if published.get('note') and pairs(statistics, curve)
              else []),
            *(f'The published numbers are from {source}.\n'
              for source in sources(statistics, curve)),
            'Losses are means over the batches of an epoch, seconds those of training alone. '
            'Epochs are numbered from 0; the table shows every tenth, the last one and those '
            f'that were published, and [{STATISTICS}]({STATISTICS}) shows all. '
            + experiment.kind.explained.replace('{n_held_out}', str(config['n_held_out']))
            + _on_weights(experiment, statistics) + _on_ending(experiment, statistics), '',
            *([f'![Losses over the epochs]({LOSSES})', ''] if (folder / LOSSES).exists() else [])]


def _on_ending(row: Row, statistics: list[dict]) -> str:
    """Return when a run ended that stops early, and which epoch was kept; it is in the table."""
    ended = early_stopping.ending(row, statistics)
    return f' {ended} The table shows that epoch, too.' if ended else ''


def _on_weights(row: Row, statistics: list[dict]) -> str:
    """Return what weights of KL and discriminator mean for the losses, and where all stand."""
    weight, warmup = getattr(row, 'kl_weight', 1.0), getattr(row, 'kl_warmup', 0)
    disc_warmup, said = getattr(row, 'disc_warmup', 0), ''
    if weight != 1 or warmup:
        grown = f', to which it grows over the first {warmup} epochs' if warmup else ''
        held_out = early_stopping.held_out_kl_weight(row)
        said += f' In `vae_loss` kl has weight {weight:g}{grown}; in `val_loss` {held_out:g}.'
    if disc_warmup:
        said += (f' In `vae_loss` adversarial has weight {row.disc_weight:g}, to which it grows '
                 f'over the first {disc_warmup} combo epochs.')
    if statistics[-1].get('weight_kl') is not None:  # older runs have no such columns
        said += f' The weights of each epoch are in [{STATISTICS}]({STATISTICS}), as `weight_..`.'
    return said


def _strips(folder: Path) -> list[str]:
    """Return what was kept of strips, if any were."""
    if not (folder / STRIP_ANIMATION).exists():
        return []
    counts = ', '.join(str(n_epochs_of(path)) for path in snapshots_in(folder))
    after = f' after {counts} epochs' if counts else ' over the epochs'  # of a GIF alone
    return [f'The ten pictures{after}:', '',
            f'![The ten pictures over the epochs]({STRIP_ANIMATION})', '']


def _samples(folder: Path) -> list[str]:
    """Return what was kept of samples, if any were; of many pictures some."""
    there = samples_in(folder)
    if not there:
        return []
    shown = np.linspace(0, len(there) - 1, min(len(there), N_SHOWN_SAMPLES)).astype(int)
    chosen = [there[i] for i in shown]
    counts = ', '.join(str(n_epochs_of(path)) for path in chosen)
    each = ', of the same latents each time,' if len(chosen) > 1 else ''
    moving = (f'; [{ANIMATION}]({ANIMATION}) shows all that were kept'
              if (folder / ANIMATION).exists() else '')
    return ['## Samples', '',
            f'These are samples from the prior{each} after {counts} epochs{moving}.', '',
            *(f'![{after(n_epochs_of(path)).capitalize()}]({path.name})' for path in chosen), '']


def _classes(folder: Path) -> list[str]:
    """Return which digits samples show, if they were counted."""
    if not (folder / CLASSES).exists():
        return []
    counts = read_classes(folder / CLASSES)
    n = sum(counts[0].values()) - counts[0]['epoch']
    return [f'A classifier takes so many of {n:,} samples for each digit, by how many epochs the '
            'run had been trained:', '', f'![Shares of the digits]({CLASSES_CHART})', '',
            markdown_table([['epochs trained', *list(counts[0])[1:]],
                            *([str(v) for v in line.values()] for line in counts)])]


def _evaluated(folder: Path) -> list[str]:
    """Return what `evaluate` measured, if it was called."""
    evaluation = run_folder.read_evaluation(folder)
    if evaluation is None:
        return []
    return ['## Evaluation', '',
            tables.evaluations({f'{evaluation["images"]:,} images': evaluation}), '',
            f'{evaluation["protocol"]} Seed {evaluation["seed"]}. '
            f'{explained(evaluation["measures"])} All numbers are in '
            f'[{run_folder.EVALUATION}]({run_folder.EVALUATION}).', '']


def _explored(folder: Path) -> list[str]:
    """Return what `explore` drew, if it was called."""
    there = [(name, path) for name, path in EXPLORED.items() if (folder / path).exists()]
    return ['## Exploration', '', *(f'![{EXPLAINED[name]}]({path})\n' for name, path in there)
            ] if there else []


def draw_curves(folder: Path, row: Row, published: dict) -> list[str]:
    """Draw a finished run's losses, and the classes of its samples; return the files' names."""
    from training.reporting import charts
    statistics = read_statistics(folder)
    title = naming.run_name(row, run_folder.read_config(folder).get('own_name'))
    both = pairs(statistics, naming.comparable_curve(row, published))
    charts.LOSSES[row.kind](folder / pictures.LOSSES, statistics, [line for _, line in both],
                            title)
    if not (folder / pictures.CLASSES).exists():
        return [pictures.LOSSES]
    charts.draw_classes(folder / pictures.CLASSES_CHART,
                        read_classes(folder / pictures.CLASSES))
    return [pictures.LOSSES, pictures.CLASSES_CHART]
