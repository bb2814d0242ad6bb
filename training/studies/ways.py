"""Beside pixels, or in their place? A discriminator's four places in a VAE's loss.

The same VAE from the same weights on the same batches, over seeds. Never imports MXNet.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.experiments import naming
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies import seeds, sharpness
from training.studies.study import Runs, Study, numbers, of_measures

GRID = 'Digits: layer and weight of the similarity'
CONTROL_GRID = 'Digits: weight of the similarity in the control'
DIGITS = 'Digits: beside, or in place?'
PIXELS, BESIDE, IN_PLACE, CONTROL = 'pixels', 'beside', 'in place', 'control'
GRID_SEED, GRID_EPOCHS = 5, 5  # a seed that is not among those that are compared
LAYERS, GAMMAS = ('dense1', 'logit'), (0.1, 1.0, 10.0)
BETAS = (1.0, 10.0, 100.0, 1000.0)  # features that never learn differ by little
CHOSEN_BY = 'frechet_reconstructions'  # the least of a grid
CHOSEN, CHOSEN_BETA = ('dense1', 1.0), 1000.0
# What is compared was chosen before the runs, and is corrected for
MEASURED = sharpness.SHOWN[sharpness.DIGITS] | of_measures('psnr', 'frechet_samples')
PAIRS = [(BESIDE, PIXELS), (IN_PLACE, PIXELS), (CONTROL, PIXELS), (IN_PLACE, BESIDE),
         (IN_PLACE, CONTROL)]


def _in_place(seed: int, epochs: int, layer: str, gamma: float) -> Row:
    return replace(EXPERIMENTS['VAEGAN_on_MNIST/paper_5_3_400_1_200_50'], combo_epochs=epochs,
                   seed=seed, similarity=layer, gamma=gamma)


def ways() -> dict[str, dict[int, Row]]:
    """Return by way the rows of digits, by seed."""
    of_seeds = sharpness.comparisons()[sharpness.DIGITS].values()
    found = {PIXELS: {row.seed: row for row in of_seeds if not row.disc},
             BESIDE: {row.seed: row for row in of_seeds if row.disc}}
    found[IN_PLACE] = {seed: _in_place(seed, sharpness.DIGITS_EPOCHS, *CHOSEN)
                       for seed in sharpness.SEEDS[sharpness.DIGITS]}
    found[CONTROL] = {seed: _control(row, CHOSEN_BETA) for seed, row in found[IN_PLACE].items()}
    return found


def _control(row: Row, beta: float) -> Row:
    """Return the row with a discriminator that never learns; Adam minds no scale of gamma."""
    return replace(row, disc_trained='no', disc_weight=0.0, gamma=1.0, beta=beta)


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained, by what it is called in the tables."""
    return {
        GRID: {f'{layer}, {gamma:g}': _in_place(GRID_SEED, GRID_EPOCHS, layer, gamma)
               for layer in LAYERS for gamma in GAMMAS},
        CONTROL_GRID: {f'{beta:g}': _control(_in_place(GRID_SEED, GRID_EPOCHS, *CHOSEN), beta)
                       for beta in BETAS},
        DIGITS: {f'{way}, seed {seed}': row for way, rows in ways().items()
                 for seed, row in rows.items()}}


def values(lines: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    """Return by measure and way a value for each seed: (seeds,); lines: of the table."""
    by_run = {line['run']: line for line in lines}
    return {measure: {way: np.array([seeds.value(by_run[naming.run_name(row)], measure)
                                     for row in rows.values()]) for way, rows in ways().items()}
            for measure in MEASURED}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return the grid, or means by way and what lies between ways."""
    if len({row.seed for row, _ in compared.values()}) == 1:
        return _grid(compared)
    lines = [line for _, line in compared.values()]
    found, digits = values(lines), {name: max(3, of) for name, (_, of) in MEASURED.items()}
    minutes = {way: np.mean([float(line['minutes']) for row, line in compared.values()
                             if naming.run_name(row) in {*map(naming.run_name, rows.values())}])
               for way, rows in ways().items()}
    means = [['way', *(header for header, _ in MEASURED.values()), 'minutes'],
             *([way, *(seeds.mean_cell(found[measure][way], digits[measure])
                       for measure in MEASURED), f'{minutes[way]:.1f}'] for way in ways())]
    apart = [['measure', 'way', 'against', 'difference', f'{seeds.CONFIDENCE:.0%} interval',
              'p (Holm)'],
             *([MEASURED[line['measure']][0], line['way'], line['from'],
                *seeds.cells(line, digits[line['measure']])]
               for line in seeds.paired(found, PAIRS))]
    return f'{tables.markdown_table(means)}\n{tables.markdown_table(apart)}'


def _grid(compared: dict[str, tuple[Row, dict]]) -> str:
    shown = of_measures(CHOSEN_BY, 'mean_squared_error', 'sharpness', 'accuracy',
                        'frechet_samples') | {'kl': ('KL, nats', 2)}
    return tables.markdown_table(
        [['layer', 'beta', 'gamma', *(header for header, _ in shown.values())],
         *([row.similarity, f'{row.beta:g}', f'{row.gamma:g}', *numbers(line, shown)]
           for row, line in compared.values())])


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw each seed's measures by way, with means and intervals."""
    from training.reporting import study_charts  # slow to import
    study_charts.draw_seeds(path, {DIGITS: values(lines)}, seeds.interval)


STUDY = Study(
    'ways', 'a discriminator beside pixels, in their place, and one that never learns',
    'ways.csv', ('run', 'nets', 'seed', *MEASURED, 'kl', 'minutes'),
    'ways.png', comparisons, write, draw,
    '*Pixels*: KL + pixel loss. *Beside*: and the adversarial term. *In place*: KL + similarity '
    'of features of the discriminator, and its GAN term for the decoder. *Control*: KL + '
    'similarity of the same features of a discriminator that is never trained.')
