"""README.md of a result folder, and its curves."""
from pathlib import Path

import numpy as np

from training.experiments import naming
from training.experiments.row import Experiment
from training.reporting import pictures, tables
from training.reporting.pictures import (
    ANIMATION,
    CLASSES,
    CLASSES_CHART,
    EXPLORED,
    LOSSES,
    STRIP,
    STRIP_ANIMATION,
    epoch_of,
    samples_in,
    snapshots_in,
)
from training.reporting.published import pairs, sources
from training.reporting.statistics import (
    STATISTICS,
    VAEGAN,
    family_of_row,
    read_classes,
    read_statistics,
)
from training.reporting.tables import markdown_table
from training.storage import files, run_folder

N_SHOWN_SAMPLES = 11  # pictures of samples in a result folder's README


def write_readme(folder: Path, published: dict) -> None:
    """README.md of a result folder."""
    files.write_text(folder / 'README.md', readme(folder, published))


def readme(folder: Path, published: dict) -> str:
    """What was trained, how, what came out, beside published."""
    statistics, config = read_statistics(folder), run_folder.read_config(folder)
    name, row = config['run'], config['row']
    source, experiment = config['data'], run_folder.row_of(config, folder)
    lines = [f'# {name}', '',
             f'{config["caption"]}', '',
             f'![ten pictures]({STRIP})', '',
             ('Above: the first ten held-out images. Below: their reconstructions, from one '
              'sampled latent each.' if experiment.encodes else 'Ten samples.'), '',
             f'Data: {source["data"]}, {source["description"]}, {config["n_train"]} training '
             f'images. Device: {config["device"]}. Again with:', '', '```',
             config['command'], '```', '']
    family = family_of_row(experiment)
    curve = naming.comparable_curve(experiment, published)
    lines += ['## Losses', '', tables.losses_table(statistics, curve), '',
              *([published['note'], ''] if published.get('note') and pairs(statistics, curve)
                else []),
              *(f'Published: {source}.\n' for source in sources(statistics, curve)),
              f'Means over the batches of an epoch; epochs count from 0; all of them in '
              f'[{STATISTICS}]({STATISTICS}). '
              + family.explained.replace('{n_held_out}', str(config['n_held_out'])), '',
              *([f'![losses over the epochs]({LOSSES})', '']
                if (folder / LOSSES).exists() else [])]
    if (folder / STRIP_ANIMATION).exists():
        epochs = ', '.join(str(epoch_of(path)) for path in snapshots_in(folder))
        lines += [f'The ten pictures after epochs {epochs}:', '',
                  f'![the ten pictures over the epochs]({STRIP_ANIMATION})', '']
    if there := samples_in(folder):
        shown = np.linspace(0, len(there) - 1, min(len(there), N_SHOWN_SAMPLES)).astype(int)
        chosen = [there[i] for i in shown]
        lines += ['## Samples', '', 'From the prior, of the same latents each time: after epochs '
                  f'{", ".join(str(epoch_of(path)) for path in chosen)}, and all that were kept '
                  f'in [{ANIMATION}]({ANIMATION}).', '',
                  *(f'![after epoch {epoch_of(path)}]({path.name})' for path in chosen), '']
    if (folder / CLASSES).exists():
        counts = read_classes(folder / CLASSES)
        n = sum(counts[0].values()) - counts[0]['epoch']
        lines += [f'Of {n:,} samples a classifier '
                  'takes for each digit:', '', f'![shares of the digits]({CLASSES_CHART})', '',
                  markdown_table([[*counts[0]], *([str(v) for v in line.values()]
                                                  for line in counts)])]
    lines += [*_evaluated(folder), *_explored(folder)]
    lines += ['## Configuration', '',
              markdown_table([['field', 'value'], *([k, str(v)] for k, v in row.items()
                                                    if v is not None)])]
    return '\n'.join(lines)


def _evaluated(folder: Path) -> list[str]:
    """What `evaluate` found, if it was there."""
    evaluation = run_folder.read_evaluation(folder)
    if evaluation is None:
        return []
    measures = evaluation['measures']
    right = measures.get('accuracy_of_originals', 0)
    explained = {
        'psnr': 'PSNR and SSIM (windows of 7 x 7 pixels, each channel) are means over images.',
        'sample_sharpness': 'Sharpness is the mean brightness gradient, originals = 1.',
        'active_latents': 'A latent is active if the variance of its mean is over 0.01.',
        'accuracy_of_originals': 'Accuracy is that of a small classifier, trained for four epochs '
                                 f'on the training images, which is right about {right:.2%} of '
                                 'the originals; Frechet distances are between its 128 last '
                                 'hidden features of drawn and of original images.'}
    return ['## Evaluation', '',
            tables.evaluations({f'{evaluation["images"]} images': evaluation}), '',
            ' '.join([evaluation['protocol'], f'Seed {evaluation["seed"]}.',
                      *(text for measure, text in explained.items() if measure in measures),
                      f'All numbers are in [{run_folder.EVALUATION}]({run_folder.EVALUATION}).'
                      ]), '']


def _explored(folder: Path) -> list[str]:
    """What `explore` drew, if it was there."""
    there = [(name, path) for name, path in EXPLORED.items() if (folder / path).exists()]
    return ['## Exploration', '', *(f'![{name}]({path})\n' for name, path in there)
            ] if there else []


def draw_curves(folder: Path, row: Experiment, published: dict) -> list[str]:
    """What a finished run's tables look like: losses, and the classes of samples.

    Returns the files' names.
    """
    from training.reporting import charts
    statistics, title = read_statistics(folder), naming.run_name(row)
    if family_of_row(row) is VAEGAN:
        charts.draw_vaegan(folder / pictures.LOSSES, statistics, title)
    else:
        both = pairs(statistics, naming.comparable_curve(row, published))
        charts.draw_vae(folder / pictures.LOSSES, statistics, [line for _, line in both], title)
    if not (folder / pictures.CLASSES).exists():
        return [pictures.LOSSES]
    charts.draw_classes(folder / pictures.CLASSES_CHART,
                        read_classes(folder / pictures.CLASSES))
    return [pictures.LOSSES, pictures.CLASSES_CHART]
