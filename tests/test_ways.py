"""`gallery ways`: what is trained, its tables, the command."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.experiments import naming
from training.reporting.statistics import read_csv
from training.studies import sharpness, ways
from training.studies.study import Runs


def test_ways_share_all_but_the_loss():
    rows = ways.ways()
    assert [*rows] == [ways.PIXELS, ways.BESIDE, ways.IN_PLACE, ways.CONTROL]
    for seed in sharpness.SEEDS[sharpness.DIGITS]:
        of_seed = [of[seed] for of in rows.values()]
        for field in ('data', 'vae', 'n_latent', 'n_hlayers', 'n_hnodes', 'lr', 'batch_size',
                      'seed', 'epochs', 'limit', 'optimizer', 'adam_beta1', 'adam_beta2',
                      'shuffle_seed'):
            assert len({getattr(row, field) for row in of_seed}) == 1, field
        for field in ('disc', 'disc_hlayers', 'disc_hnodes'):
            assert len({getattr(row, field) for row in of_seed[1:]}) == 1, field
    for seed, row in rows[ways.CONTROL].items():
        other = rows[ways.IN_PLACE][seed]
        assert replace(row, disc_trained='yes', disc_weight=other.disc_weight,
                       gamma=other.gamma, beta=other.beta) == other
    assert ways.GRID_SEED not in sharpness.SEEDS[sharpness.DIGITS]


def lines() -> list[dict]:
    """Lines of ways.csv with drawn numbers, in its order."""
    rng = np.random.default_rng(0)
    return [{'run': naming.run_name(row), 'minutes': '2.0',
             **{measure: str(rng.normal(1, 0.1)) for measure in ways.MEASURED}}
            for row in ways.STUDY.rows()]


def test_differences_are_those_of_pairs():
    table, found = ways.STUDY.block(ways.DIGITS, lines(), Runs(Path())), ways.values(lines())
    assert table.count('\n') >= 4 + len(ways.ways()) + len(ways.PAIRS) * len(ways.MEASURED)
    percentile = 2.776445  # the 97.5th of Student's t with four degrees of freedom, from tables
    for measure, (header, digits) in ways.MEASURED.items():
        digits = max(3, digits)
        for one, other in ways.PAIRS:
            apart = found[measure][one] - found[measure][other]
            width = percentile * np.sqrt(((apart - apart.mean()) ** 2).sum() / 4 / 5)
            assert (f'| {header} | {one} | {other} | {apart.mean():+.{digits}f} | '
                    f'{apart.mean() - width:+.{digits}f} to {apart.mean() + width:+.{digits}f} |'
                    ) in table


@pytest.fixture
def small(monkeypatch):
    """The study, of two seeds and little nets."""
    in_place, rows = ways._in_place, sharpness._rows
    few = dict(n_hnodes=8, limit=64)
    monkeypatch.setattr(sharpness, 'SEEDS', {title: range(2) for title in sharpness.SEEDS})
    monkeypatch.setattr(sharpness, 'NETS', {sharpness.DIGITS: sharpness.NETS[sharpness.DIGITS]})
    monkeypatch.setattr(sharpness, '_rows', lambda title: [
        replace(row, **few, solo_epochs=min(1, row.solo_epochs),
                combo_epochs=min(1, row.combo_epochs)) for row in rows(title)])
    monkeypatch.setattr(sharpness, 'DIGITS_EPOCHS', 1)
    monkeypatch.setattr(ways, 'GAMMAS', (1.0,))
    monkeypatch.setattr(ways, 'BETAS', (1.0, ways.CHOSEN_BETA))
    monkeypatch.setattr(ways, '_in_place', lambda seed, epochs, *chosen: replace(
        in_place(seed, 1, *chosen), **few))


def test_command_compares_ways(cli, tmp_path, data_root, small):
    status, _, err = cli(['gallery', 'ways', '--results-root', str(tmp_path), '--data-root',
                          str(data_root), '--ctx', 'cpu'])
    assert status == 0, err
    found = read_csv(tmp_path / 'ways.csv')
    assert len(found) == 2 + 2 + 4 * 2 and all(float(line['minutes']) > 0 for line in found)
    status, table, err = cli(['gallery', 'ways', '--markdown', '--results-root', str(tmp_path)])
    assert status == 0, err
    assert all(f'| {way} |' in table for way in (*ways.LAYERS, *ways.ways()))
    assert np.asarray(Image.open(tmp_path / 'ways.png')).std() > 10


def test_layer_and_weight_are_those_of_the_least_distance():
    """By the grid that is shown, where it is there."""
    path = Path(__file__).parents[1] / 'results' / ways.STUDY.table
    of = {line['run']: line for line in read_csv(path)}
    best, control = (
        min(ways.comparisons()[title].values(),
            key=lambda row: float(of[naming.run_name(row)][ways.CHOSEN_BY]))
        for title in (ways.GRID, ways.CONTROL_GRID))
    assert (best.similarity, best.gamma) == ways.CHOSEN and control.beta == ways.CHOSEN_BETA
