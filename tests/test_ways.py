"""`study ways`: what is trained, and its tables."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.experiments import naming
from training.reporting.published import RESULTS
from training.reporting.statistics import read_csv
from training.studies import ways
from training.studies.study import Runs

of_settings = pytest.mark.parametrize('setting', ways.SETTINGS, ids=lambda of: of.disc)
PERCENTILE = {3: 4.302653, 5: 2.776445}  # the 97.5th of Student's t by seeds, from tables


@of_settings
def test_ways_share_all_but_the_loss(setting):
    rows = ways.ways(setting)
    assert [*rows] == [ways.PIXELS, ways.BESIDE, ways.IN_PLACE, ways.CONTROL]
    discs = {'disc', 'disc_hlayers', 'disc_hnodes', 'disc_base_channels'}
    for seed in setting.seeds:
        of_seed = [of[seed] for of in rows.values()]
        shared = set.intersection(*({*row.fields()} for row in of_seed)) | {
            'epochs', 'optimizer', 'adam_beta1', 'adam_beta2'}
        for some, other in ((of_seed, discs | {'disc_weight', 'combo_epochs'}),
                            (of_seed[1:], {'disc_weight'})):
            for field in shared - other:
                assert len({getattr(row, field) for row in some}) == 1, field
    for seed, row in rows[ways.CONTROL].items():
        other = rows[ways.IN_PLACE][seed]
        assert replace(row, disc_trained='yes', disc_weight=other.disc_weight,
                       gamma=other.gamma, beta=other.beta) == other
    assert setting.grid_seed not in setting.seeds


@of_settings
def test_differences_are_those_of_pairs(setting):
    """Of drawn numbers."""
    rng = np.random.default_rng(0)
    lines = [{'run': naming.run_name(row), 'minutes': '2.0',
              **{measure: str(rng.normal(1, 0.1)) for measure in ways.STUDY.measures}}
             for row in ways.STUDY.rows()]
    table = ways.STUDY.block(setting.title, lines, Runs(Path()))
    found = ways.values(setting, lines)
    means, differences = table.strip('\n').split('\n\n')
    assert [line.split(' | ')[0] for line in means.splitlines()[2:]] == [
        f'| {way}' for way in ways.ways(setting)]
    head, _, *rows = ([cell.strip() for cell in line.strip('|').split('|')]
                      for line in differences.splitlines())
    cells = {(row[0], pair): cell for row in rows
             for pair, cell in zip(head[1:], row[1:], strict=True)}
    for measure, (header, digits) in setting.measured.items():
        digits = max(3, digits)
        for one, other in ways.PAIRS:
            apart = found[measure][one] - found[measure][other]
            width = PERCENTILE[len(apart)] * apart.std(ddof=1) / np.sqrt(len(apart))
            assert cells[header, f'{one} - {other}'].startswith(
                f'{apart.mean():+.{digits}f} ({apart.mean() - width:+.{digits}f} to '
                f'{apart.mean() + width:+.{digits}f})' + ', p ' * (measure != 'noise'))


@of_settings
def test_layer_and_weight_are_those_of_the_least_distance(setting):
    """By the grid that is shown."""
    of = {line['run']: line for line in read_csv(RESULTS / ways.STUDY.table)}
    best, control = (
        min(rows.values(), key=lambda row: float(of[naming.run_name(row)][ways.CHOSEN_BY]))
        for rows in ways.grids(setting).values())
    assert (best.similarity, best.gamma) == setting.chosen and control.beta == setting.chosen_beta
