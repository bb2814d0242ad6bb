"""Does a discriminator make reconstructions sharper, and what does it cost? Never imports MXNet.

The same nets on MNIST over several seeds, alone and against a discriminator, with means and
confidence intervals.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies.study import Runs, Study, of_measures

SEEDS, EPOCHS = range(5), 10
ALONE, WITH_DISC = 'DenseVAE', 'DenseVAE + DenseLogReg'
SHOWN = of_measures('sharpness', 'mean_squared_error', 'ssim', 'accuracy',
                    'frechet_reconstructions')
CONFIDENCE = 0.95  # as the figure says


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained: the shared step, where there is a choice."""
    alone = EXPERIMENTS['DenseVAE_on_MNIST/5_3_400_bce_50']
    with_disc = EXPERIMENTS['DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50']
    rows = {}
    for seed in SEEDS:
        rows[f'{ALONE}, seed {seed}'] = replace(alone, solo_epochs=EPOCHS, seed=seed)
        rows[f'{WITH_DISC}, seed {seed}'] = replace(with_disc, step='shared',
                                                    combo_epochs=EPOCHS, seed=seed)
    return {'Digits: five seeds': rows}


def values(lines: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    """Return by measure and nets a value for each seed: (seeds,)."""
    return {measure: {nets: np.array([float(line[measure]) for line in lines
                                      if line['nets'] == nets]) for nets in (ALONE, WITH_DISC)}
            for measure in SHOWN}


def interval(sample: np.ndarray) -> tuple[float, float]:
    """Return the mean of a sample (n,), and half its confidence interval (Student's t)."""
    width = stats.t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1) * stats.sem(sample)
    return float(sample.mean()), float(width)


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return a table of means, and of their differences with intervals.

    Runs of one seed are pairs (paired t-test): they share weights to begin with and batches.
    """
    lines = [line for _, line in compared.values()]
    table = [[f'mean of {len(lines) // 2} seeds', ALONE, WITH_DISC, 'difference',
              f'{CONFIDENCE:.0%} interval']]
    for measure, samples in values(lines).items():
        alone, with_disc = samples.values()
        header, digits = SHOWN[measure]
        low, high = stats.ttest_rel(with_disc, alone).confidence_interval(CONFIDENCE)
        digits = max(digits, 3)
        table.append([header, *(f'{mean:.{digits}f} ± {width:.{digits}f}'
                                for mean, width in map(interval, (alone, with_disc))),
                      f'{with_disc.mean() - alone.mean():+.{digits}f}',
                      f'{low:+.{digits}f} to {high:+.{digits}f}'])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw each seed's measures, with means and intervals."""
    from training.reporting import study_charts  # slow to import
    study_charts.draw_seeds(path, values(lines), interval)


STUDY = Study(
    'claim', "a discriminator's gain over seeds", 'claim.csv',
    ('run', 'nets', 'seed', 'mean_squared_error', 'psnr', 'ssim', 'sharpness', 'kl',
     'active_latents', 'accuracy', 'frechet_reconstructions', 'sample_sharpness',
     'frechet_samples'),
    'claim.png', comparisons, write, draw)
