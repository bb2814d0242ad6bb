"""Beside pixels, or in their place? A discriminator's four places in a VAE's loss.

The same VAE from the same weights on the same batches, over seeds. Never imports MXNet.
"""
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.experiments import naming
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies import claim, seeds
from training.studies.study import Runs, Study, numbers, of_measures

PIXELS, BESIDE, IN_PLACE, CONTROL = 'pixels', 'beside', 'in place', 'control'
CHOSEN_BY = 'frechet_reconstructions'  # the least of a grid
PAIRS = [(BESIDE, PIXELS), (IN_PLACE, PIXELS), (CONTROL, PIXELS), (IN_PLACE, BESIDE),
         (IN_PLACE, CONTROL)]


@dataclass(frozen=True)
class Setting:
    """Images and nets of one comparison, and the grids that chose its similarity beforehand.

    others: its title in the study of sharpness, whose runs are the ways with pixels.
    """
    title: str
    others: str
    disc: str                 # of the way beside pixels
    learned: str              # row of the way in place of them
    grid_seed: int            # none of those that are compared
    grid_epochs: int
    layers: tuple[str, ...]
    gammas: tuple[float, ...]
    betas: tuple[float, ...]  # of the control: features that never learn differ by little
    chosen: tuple[str, float]
    chosen_beta: float
    measured: dict[str, tuple[str, int]]  # what is tested, and corrected for

    @property
    def seeds(self) -> range:
        """The seeds that are compared."""
        return claim.SEEDS[self.others]

    @property
    def grid(self) -> str:
        """Title of the grid."""
        return f'{self.title.split(":")[0]}: layer and weight of the similarity'

    @property
    def control_grid(self) -> str:
        """Title of the control's grid."""
        return f'{self.title.split(":")[0]}: weight of the similarity in the control'


DIGITS = Setting(
    'Digits: beside, or in place?', claim.DIGITS, 'DenseLogReg',
    'VAEGAN_on_MNIST/paper_5_3_400_1_200_50', 5, 5, ('dense1', 'logit'), (0.1, 1.0, 10.0),
    (1.0, 10.0, 100.0, 1000.0), ('dense1', 1.0), 1000.0,
    claim.SHOWN[claim.DIGITS] | of_measures('psnr', 'frechet_samples'))
FACES = Setting(
    'Faces: beside, or in place?', claim.SOUND, 'ConvDisc',
    'VAEGAN_on_anime/paper_128_16_8_16_repaired', 3, 4, ('act1', 'act2', 'act3'),
    (0.1, 1.0, 10.0), (1.0, 10.0, 100.0), ('act2', 1.0), 10.0, claim.SHOWN[claim.SOUND])
SETTINGS = (DIGITS, FACES)


def _in_place(setting: Setting, seed: int, epochs: int, layer: str, gamma: float) -> Row:
    return replace(EXPERIMENTS[setting.learned], combo_epochs=epochs, seed=seed, similarity=layer,
                   gamma=gamma)


def ways(setting: Setting) -> dict[str, dict[int, Row]]:
    """Return by way its rows, by seed."""
    of_seeds = claim.comparisons()[setting.others].values()
    found = {PIXELS: {row.seed: row for row in of_seeds if not row.disc},
             BESIDE: {row.seed: row for row in of_seeds if row.disc == setting.disc}}
    found[IN_PLACE] = {seed: _in_place(setting, seed, row.epochs, *setting.chosen)
                       for seed, row in found[BESIDE].items()}
    found[CONTROL] = {seed: _control(row, setting.chosen_beta)
                      for seed, row in found[IN_PLACE].items()}
    return found


def _control(row: Row, beta: float) -> Row:
    """Return the row with a discriminator that never learns; Adam minds no scale of gamma."""
    return replace(row, disc_trained='no', disc_weight=0.0, gamma=1.0, beta=beta)


def grids(setting: Setting) -> dict[str, dict[str, Row]]:
    """Return what was trained to choose layer and weights, by title and label."""
    def of(layer: str, gamma: float) -> Row:
        return _in_place(setting, setting.grid_seed, setting.grid_epochs, layer, gamma)
    return {setting.grid: {f'{layer}, {gamma:g}': of(layer, gamma)
                           for layer in setting.layers for gamma in setting.gammas},
            setting.control_grid: {f'{beta:g}': _control(of(*setting.chosen), beta)
                                   for beta in setting.betas}}


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained, by what it is called in the tables."""
    found = {}
    for setting in SETTINGS:
        found |= grids(setting)
        found[setting.title] = {f'{way}, seed {seed}': row
                                for way, rows in ways(setting).items()
                                for seed, row in rows.items()}
    return found


def values(setting: Setting, lines: list[dict]) -> dict[str, dict[str, np.ndarray]]:
    """Return by measure and way a value for each seed: (seeds,); lines: of the table."""
    by_run = {line['run']: line for line in lines}
    return {measure: {way: np.array([seeds.value(by_run[naming.run_name(row)], measure)
                                     for row in rows.values()])
                      for way, rows in ways(setting).items()} for measure in setting.measured}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return the grid, or means by way and what lies between ways."""
    rows = [row for row, _ in compared.values()]
    setting = next(of for of in SETTINGS if of.learned in {row.name for row in rows})
    if len({row.seed for row in rows}) == 1:
        return _grid(setting, compared)
    lines = [line for _, line in compared.values()]
    measured = {name: (header, max(3, digits))
                for name, (header, digits) in setting.measured.items()}
    found = values(setting, lines)
    minutes = {way: np.mean([float(line['minutes']) for row, line in compared.values()
                             if naming.run_name(row) in {*map(naming.run_name, of.values())}])
               for way, of in ways(setting).items()}
    means = [['way', *(header for header, _ in measured.values()), 'minutes'],
             *([way, *(seeds.mean_cell(found[measure][way], digits)
                       for measure, (_, digits) in measured.items()), f'{minutes[way]:.1f}']
               for way in minutes)]
    apart = [['measure', *(f'{one} - {other}' for one, other in PAIRS)]]
    by_measure = itertools.groupby(seeds.paired(found, PAIRS, claim.UNTESTED),
                                   lambda line: line['measure'])
    for measure, of_pairs in by_measure:
        header, digits = measured[measure]
        apart.append([header, *(_difference(*seeds.cells(line, digits)) for line in of_pairs)])
    return f'{tables.markdown_table(means)}\n{tables.markdown_table(apart)}'


def _difference(apart: str, interval: str, p: str) -> str:
    return f'{apart} ({interval})' + (f', p {p}' if p != '-' else '')


def _grid(setting: Setting, compared: dict[str, tuple[Row, dict]]) -> str:
    shown = of_measures(CHOSEN_BY, 'mean_squared_error', 'sharpness')
    shown |= {name: of for name, of in setting.measured.items() if name in ('accuracy', 'noise')}
    shown |= of_measures('frechet_samples') | {'kl': ('KL, nats', 2)}
    return tables.markdown_table(
        [['layer', 'beta', 'gamma', *(header for header, _ in shown.values())],
         *([row.similarity, f'{row.beta:g}', f'{row.gamma:g}', *numbers(line, shown)]
           for row, line in compared.values())])


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw each seed's measures by way, with means and intervals; the control is off the scale."""
    from training.reporting import study_charts  # slow to import
    study_charts.draw_seeds(path, {setting.title: {
        measure: {way: sample for way, sample in of.items() if way != CONTROL}
        for measure, of in values(setting, lines).items()
        if measure not in claim.UNTESTED} for setting in SETTINGS}, seeds.interval)


STUDY = Study(
    'ways', 'a discriminator beside pixels, in their place, and one that never learns',
    'ways.csv', ('run', 'nets', 'seed', *(DIGITS.measured | FACES.measured), 'kl', 'minutes'),
    'ways.png', comparisons, write, draw,
    '*Pixels*: KL + pixel loss. *Beside*: and the adversarial term. *In place*: KL + similarity '
    'of features of the discriminator, and its GAN term for the decoder. *Control*: KL + '
    'similarity of the same features of a discriminator that is never trained.')
