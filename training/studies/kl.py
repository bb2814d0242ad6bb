"""What the weight of KL trades: error against nats, and what samples become. Never imports MXNet.

The beta of a beta-VAE (Higgins et al., 2017) on digits, over two decades.
"""
from dataclasses import replace
from pathlib import Path

from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies.study import Runs, Study, numbers, of_measures

WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0)
EPOCHS = 20
SAMPLED = (0.1, 1.0, 10.0)  # weights whose samples the figure shows
SIDE = 6                    # side x side of each
SHOWN = of_measures('mean_squared_error', 'kl', 'active_latents', 'sharpness', 'accuracy',
                    'frechet_reconstructions', 'frechet_samples')
TITLE = 'Digits: the weight of KL'


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained, by the weight."""
    row = replace(EXPERIMENTS['DenseVAE_on_MNIST/5_3_400_bce_50'], solo_epochs=EPOCHS)
    return {TITLE: {f'{weight:g}': replace(row, kl_weight=weight) for weight in WEIGHTS}}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return the table: a line a weight, with its strip."""
    table = [['weight', 'strip', *(header for header, _ in SHOWN.values())]]
    for label, (row, line) in compared.items():
        table.append([runs.link(label, line['run']), runs.strip(row, line['run'], label),
                      *numbers(line, SHOWN)])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw the error over KL, and samples of some."""
    from training.reporting import study_charts  # slow to import
    rows, = compared.values()
    study_charts.draw_trade(
        path, {label: (float(line['kl']), float(line['mean_squared_error']))
               for label, line in zip(rows, lines, strict=True)},
        {label: runs.load(runs.folder(row)).fixed_samples(SIDE ** 2)
         for label, row in rows.items() if row.kl_weight in SAMPLED},
        ('KL, nats', 'squared error'), 'labels: weight of KL')


STUDY = Study(
    'kl', 'the weight of KL on digits', 'kl.csv',
    ('run', 'kl_weight', 'mean_squared_error', 'psnr', 'ssim', 'sharpness', 'kl',
     'active_latents', 'accuracy', 'frechet_reconstructions', 'frechet_samples', 'minutes'),
    'kl.png', comparisons, write, draw,
    f'DenseVAE on digits, {EPOCHS} epochs each, with the weight of KL in the loss that the first '
    'column says; 1 is the published one. In strips, originals stand above and reconstructions '
    'below.')
