"""The nets that this project recommends for faces, and what chose them. Never imports MXNet.

ConvVAE without the original's flaws, alone and with ConvDisc beside pixels. The discriminator's
weight and the epochs were chosen on another seed, by `chosen`.
"""
from dataclasses import replace
from pathlib import Path

from training.experiments import naming
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies.study import Runs, Study, numbers, of_measures

ALONE = 'ConvVAE_on_anime/128_16_100_repaired'
BESIDE = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/128_16_8_32_10_repaired'
GRID_SEED = 3               # none of those over which faces are compared
EPOCHS = 16                 # of the grid's first runs, and of the VAE alone there
WEIGHTS = (3.0, 10.0, 30.0)
LONGER = (10.0, (32,))      # what was best of those, and its further epochs
MOST_LOST = 1.5             # dB of PSNR, against the VAE alone
SHOWN = of_measures('psnr', 'ssim', 'sharpness', 'noise', 'frechet_reconstructions',
                    'frechet_samples')
GRID, NETS = 'Faces: weight and epochs of the discriminator', 'Faces: the recommended nets'
WITHOUT = 'alone'


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained, by what it is called in the tables."""
    alone = replace(EXPERIMENTS[ALONE], solo_epochs=EPOCHS, seed=GRID_SEED)
    beside = replace(EXPERIMENTS[BESIDE], combo_epochs=EPOCHS, seed=GRID_SEED)
    weight, longer = LONGER
    rows = [*(replace(beside, disc_weight=weight) for weight in WEIGHTS),
            *(replace(beside, disc_weight=weight, combo_epochs=epochs) for epochs in longer)]
    return {GRID: {WITHOUT: alone} | {f'{row.disc_weight:g}, {row.epochs} epochs': row
                                      for row in rows},
            NETS: {WITHOUT: EXPERIMENTS[ALONE], 'against ConvDisc': EXPERIMENTS[BESIDE]}}


def chosen(lines: dict[str, dict]) -> str:
    """Return the label of the grid's best run: the nearest samples for a bounded loss of PSNR.

    lines: of the study's table, by the labels of `comparisons`.
    """
    least = float(lines[WITHOUT]['psnr']) - MOST_LOST
    allowed = [label for label in lines
               if label != WITHOUT and float(lines[label]['psnr']) >= least]
    return min(allowed, key=lambda label: float(lines[label]['frechet_samples']))


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return the table: a line a run, with its strip."""
    table = [['weight of ConvDisc', 'strip', 'epochs', *(header for header, _ in SHOWN.values()),
              'minutes']]
    for label, (row, line) in compared.items():
        weight = f'{row.disc_weight:g}' if row.disc else WITHOUT
        table.append([runs.link(weight, line['run']), runs.strip(row, line['run'], label),
                      str(row.epochs), *numbers(line, SHOWN), f'{float(line["minutes"]):.0f}'])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw the grid's distance of samples over PSNR, and samples of both nets."""
    from training.reporting import study_charts  # slow to import
    by_run = {line['run']: line for line in lines}
    of_grid = {label: by_run[naming.run_name(row)] for label, row in compared[GRID].items()}
    study_charts.draw_trade(
        path, {label: (float(line['psnr']), float(line['frechet_samples']))
               for label, line in of_grid.items()},
        {label: runs.load(runs.folder(row)).fixed_samples(36)
         for label, row in compared[NETS].items()},
        ('PSNR, dB', 'Frechet distance of samples'), 'labels: weight, epochs')


STUDY = Study(
    'recommended', 'the recommended nets for faces, and the grid that chose them',
    'recommended.csv', ('run', 'disc_weight', 'combo_epochs', *SHOWN, 'minutes'),
    'recommended.png', comparisons, write, draw,
    f'The grid is of seed {GRID_SEED}, which no comparison of faces over seeds has. Chosen is '
    f'the least Frechet distance of samples among those that lose at most {MOST_LOST:g} dB of '
    f'PSNR against the VAE alone after {EPOCHS} epochs. The recommended nets are of seed 0.')
