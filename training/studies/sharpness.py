"""Does a discriminator make reconstructions sharper, and what does it cost? Never imports MXNet.

The same nets on MNIST over several seeds, alone and against a discriminator, with means and
confidence intervals.
"""
from dataclasses import replace

import numpy as np
from scipy import stats

from training.evaluation import measures
from training.experiments.registry import EXPERIMENTS, Experiment
from training.reporting import tables

SEEDS, EPOCHS = range(5), 10
ALONE, WITH_DISC = 'DenseVAE', 'DenseVAE + DenseLogReg'
MEASURES = ('sharpness', 'mean_squared_error', 'ssim', 'accuracy', 'frechet_reconstructions')
CONFIDENCE = 0.95  # as the figure says
COLUMNS = ('run', 'nets', 'seed', 'mean_squared_error', 'psnr', 'ssim', 'sharpness', 'kl',
           'active_latents', 'accuracy', 'frechet_reconstructions', 'sample_sharpness',
           'frechet_samples')


def rows() -> list[Experiment]:
    """What is trained: the shared step, where there is a choice."""
    return [row for seed in SEEDS for row in (
        replace(EXPERIMENTS['DenseVAE_on_MNIST/5_3_400_bce_50'], solo_epochs=EPOCHS, seed=seed),
        replace(EXPERIMENTS['DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'], step='shared',
                combo_epochs=EPOCHS, seed=seed))]


def values(lines: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    """By measure and nets, a value a seed: (seeds,)."""
    return {measure: {nets: np.array([float(line[measure]) for line in lines
                                      if line['nets'] == nets]) for nets in (ALONE, WITH_DISC)}
            for measure in MEASURES}


def interval(sample: np.ndarray) -> tuple[float, float]:
    """Mean of a sample (n,), and half the width of its confidence interval (Student's t)."""
    width = stats.t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1) * stats.sem(sample)
    return float(sample.mean()), float(width)


def markdown(lines: list[dict]) -> str:
    """The README's table: means, and their difference with its interval.

    Runs of one seed are pairs (paired t-test): they share weights to begin with and batches.
    """
    table = [[f'mean of {len(SEEDS)} seeds', ALONE, WITH_DISC, 'difference',
              f'{CONFIDENCE:.0%} interval']]
    for measure, samples in values(lines).items():
        alone, judged = samples.values()
        header, digits = measures.MEASURES[measure].header, measures.MEASURES[measure].digits
        low, high = stats.ttest_rel(judged, alone).confidence_interval(CONFIDENCE)
        digits = max(digits, 3)
        table.append([header, *(f'{mean:.{digits}f} ± {width:.{digits}f}'
                                for mean, width in map(interval, (alone, judged))),
                      f'{judged.mean() - alone.mean():+.{digits}f}',
                      f'{low:+.{digits}f} to {high:+.{digits}f}'])
    return tables.markdown_table(table)
