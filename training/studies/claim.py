"""What does a discriminator buy, and what does it cost? Never imports MXNet.

The same nets over several seeds, alone and against discriminators: on digits, on faces, and on
faces by a VAE without the original's flaws; with means and confidence intervals.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.experiments.registry import EXPERIMENTS, WITHOUT_FLAWS
from training.experiments.row import Row
from training.reporting import tables
from training.studies import anime, seeds
from training.studies.study import Runs, Study, of_measures

DIGITS, FACES = 'Digits: five seeds', 'Faces: three seeds'
SOUND = 'Faces, a VAE without flaws: three seeds'
ALONE, WITH_DISC = 'DenseVAE', 'DenseVAE + DenseLogReg'  # of digits
DIGITS_EPOCHS = 10
NETS_OF_FACES = ['ConvVAE_on_anime/512_32_200_seeded',
                 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
                 'ConvVAE_ResNet_on_anime/512_32_200_10_seeded']
NETS = {  # title: the rows that are compared, the first of them without a discriminator
    DIGITS: ['DenseVAE_on_MNIST/5_3_400_bce_50', 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'],
    FACES: NETS_OF_FACES, SOUND: NETS_OF_FACES}
SEEDS = {DIGITS: range(5), FACES: range(3), SOUND: range(3)}
# What is tested is corrected for within each comparison. For digits it was chosen before the runs;
# the list for faces is younger than the first of theirs
OF_FACES = ('sharpness', 'noise', 'psnr', 'ssim', 'frechet_reconstructions', 'frechet_samples')
UNTESTED = ('noise',)  # chosen after them: shown with its interval, and no part of the figure
SHOWN = {DIGITS: of_measures('sharpness', 'mean_squared_error', 'ssim', 'accuracy',
                             'frechet_reconstructions'),
         FACES: of_measures(*OF_FACES), SOUND: of_measures(*OF_FACES)}


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained: the shared step, where there is a choice."""
    return {title: {f'{row.nets}, seed {seed}': replace(row, seed=seed)
                    for seed in SEEDS[title] for row in _rows(title)} for title in NETS}


def _rows(title: str) -> list[Row]:
    """Return the rows of a comparison, with seed 0."""
    rows = [EXPERIMENTS[name] for name in NETS[title]]
    if title == DIGITS:
        return [replace(row, combo_epochs=DIGITS_EPOCHS, step='shared') if row.disc
                else replace(row, solo_epochs=DIGITS_EPOCHS) for row in rows]
    return [replace(anime.at_scale(row), **(WITHOUT_FLAWS if title == SOUND else {}))
            for row in rows]


def values(title: str, lines: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    """Return by measure and nets a value for each seed: (seeds,); lines: of a comparison."""
    return {measure: {row.nets: np.array([seeds.value(line, measure) for line in lines
                                          if line['nets'] == row.nets]) for row in _rows(title)}
            for measure in SHOWN[title]}


def paired(title: str, lines: list[dict]) -> list[dict]:
    """Return differences from the VAE alone, a line a measure and discriminator."""
    found = values(title, lines)
    alone, *others = next(iter(found.values()))
    return seeds.paired(found, [(nets, alone) for nets in others], UNTESTED)


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return a table of means, and of their differences with intervals."""
    lines = [line for _, line in compared.values()]
    title = next(title for title, rows in comparisons().items() if rows.keys() == compared.keys()
                 and [*rows.values()] == [row for row, _ in compared.values()])
    n_seeds = len(SEEDS[title])
    table = [[f'mean of {n_seeds} seeds', 'against', 'VAE alone', 'with it', 'difference',
              f'{seeds.CONFIDENCE:.0%} interval', 'p (Holm)']]
    for line in paired(title, lines):
        header, digits = SHOWN[title][line['measure']]
        digits = max(digits, 3)
        table.append([header, line['way'].split(' + ')[1],
                      *(seeds.mean_cell(line[sample], digits) for sample in ('alone', 'with')),
                      *seeds.cells(line, digits)])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw each seed's measures, with means and intervals: a row of charts a comparison."""
    from training.experiments import naming
    from training.reporting import study_charts  # slow to import
    by_run = {line['run']: line for line in lines}
    study_charts.draw_seeds(path, {
        title: {measure: of for measure, of in values(title, [
            by_run[naming.run_name(row)] for row in rows.values()]).items()
                if measure not in UNTESTED}
        for title, rows in compared.items()}, seeds.interval)


STUDY = Study(
    'claim', "a discriminator's gain over seeds, on digits and faces", 'claim.csv',
    ('run', 'nets', 'seed', 'mean_squared_error', 'psnr', 'ssim', 'sharpness', 'noise', 'kl',
     'active_latents', 'accuracy', 'frechet_reconstructions', 'sample_sharpness',
     'frechet_samples', 'minutes'),
    'claim.png', comparisons, write, draw)
