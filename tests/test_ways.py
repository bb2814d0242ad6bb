"""`study ways`: what is trained, its tables, the command."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.experiments import naming
from training.reporting.statistics import read_csv
from training.studies import claim, ways
from training.studies.study import Runs

of_settings = pytest.mark.parametrize('setting', ways.SETTINGS, ids=lambda of: of.disc)


@of_settings
def test_ways_share_all_but_the_loss(setting):
    rows = ways.ways(setting)
    assert [*rows] == [ways.PIXELS, ways.BESIDE, ways.IN_PLACE, ways.CONTROL]
    for seed in setting.seeds:
        of_seed = [of[seed] for of in rows.values()]
        for field in ('data', 'layout', 'vae', 'n_latent', 'n_hlayers', 'n_hnodes',
                      'vae_base_channels', 'encoder', 'latent_head', 'lr', 'batch_size', 'seed',
                      'epochs', 'limit', 'optimizer', 'adam_beta1', 'adam_beta2', 'shuffle_seed'):
            assert len({getattr(row, field) for row in of_seed}) == 1, field
        for field in ('disc', 'disc_hlayers', 'disc_hnodes', 'disc_base_channels'):
            assert len({getattr(row, field) for row in of_seed[1:]}) == 1, field
    for seed, row in rows[ways.CONTROL].items():
        other = rows[ways.IN_PLACE][seed]
        assert replace(row, disc_trained='yes', disc_weight=other.disc_weight,
                       gamma=other.gamma, beta=other.beta) == other
    assert setting.grid_seed not in setting.seeds


def lines() -> list[dict]:
    """Lines of ways.csv with drawn numbers, in its order."""
    rng = np.random.default_rng(0)
    return [{'run': naming.run_name(row), 'minutes': '2.0',
             **{measure: str(rng.normal(1, 0.1)) for measure in ways.STUDY.measures}}
            for row in ways.STUDY.rows()]


PERCENTILE = {3: 4.302653, 5: 2.776445}  # the 97.5th of Student's t by seeds, from tables


@of_settings
def test_differences_are_those_of_pairs(setting):
    table = ways.STUDY.block(setting.title, lines(), Runs(Path()))
    found, n_seeds = ways.values(setting, lines()), len(setting.seeds)
    means, differences = table.strip('\n').split('\n\n')
    assert means.count('\n') == 1 + len(ways.ways(setting))
    head, _, *rows = ([cell.strip() for cell in line.strip('|').split('|')]
                      for line in differences.splitlines())
    cells = {(row[0], pair): cell for row in rows
             for pair, cell in zip(head[1:], row[1:], strict=True)}
    for measure, (header, digits) in setting.measured.items():
        digits = max(3, digits)
        for one, other in ways.PAIRS:
            apart = found[measure][one] - found[measure][other]
            width = PERCENTILE[n_seeds] * np.sqrt(
                ((apart - apart.mean()) ** 2).sum() / (n_seeds - 1) / n_seeds)
            assert cells[header, f'{one} - {other}'].startswith(
                f'{apart.mean():+.{digits}f} ({apart.mean() - width:+.{digits}f} to '
                f'{apart.mean() + width:+.{digits}f})' + ', p ' * (measure != 'noise'))


@pytest.fixture
def small(monkeypatch):
    """The study, of two seeds and little nets."""
    in_place, rows = ways._in_place, claim._rows
    little = {'DenseVAE': {'n_hnodes': 8}, 'ConvVAE': {'vae_base_channels': 1, 'n_latent': 2},
              'DenseLogReg': {}, 'ConvDisc': {'disc_base_channels': 1}, None: {}}

    def small(row):
        return replace(row, limit=64, **little[row.vae], **little[row.disc])
    monkeypatch.setattr(claim, 'SEEDS', {title: range(2) for title in claim.SEEDS})
    monkeypatch.setattr(claim, 'NETS', {title: claim.NETS[title][:2] for title in (
        claim.DIGITS, claim.SOUND)})
    monkeypatch.setattr(claim, '_rows', lambda title: [
        small(replace(row, solo_epochs=min(1, row.solo_epochs),
                      combo_epochs=min(1, row.combo_epochs))) for row in rows(title)])
    monkeypatch.setattr(claim, 'DIGITS_EPOCHS', 1)
    monkeypatch.setattr(ways, 'SETTINGS', tuple(
        replace(setting, grid_seed=setting.seeds[-1] + 1, layers=setting.layers[:1],
                gammas=(1.0,), betas=(1.0, setting.chosen_beta)) for setting in ways.SETTINGS))
    monkeypatch.setattr(ways, '_in_place', lambda setting, seed, epochs, *chosen: small(
        in_place(setting, seed, 1, *chosen)))


def test_command_compares_ways(cli, tmp_path, data_root, small):
    status, _, err = cli(['study', 'ways', '--results-root', str(tmp_path), '--data-root',
                          str(data_root), '--ctx', 'cpu'])
    assert status == 0, err
    found = read_csv(tmp_path / 'ways.csv')
    assert len(found) == 2 * (1 + 2 + 4 * 2) and all(float(line['minutes']) > 0 for line in found)
    status, table, err = cli(['study', 'ways', '--markdown', '--results-root', str(tmp_path)])
    assert status == 0, err
    for setting in ways.SETTINGS:
        assert all(f'| {way} |' in table for way in (*setting.layers, *ways.ways(setting)))
    assert np.asarray(Image.open(tmp_path / 'ways.png')).std() > 10


@of_settings
def test_layer_and_weight_are_those_of_the_least_distance(setting):
    """By the grid that is shown."""
    path = Path(__file__).parents[1] / 'results' / ways.STUDY.table
    of = {line['run']: line for line in read_csv(path)}
    best, control = (
        min(rows.values(), key=lambda row: float(of[naming.run_name(row)][ways.CHOSEN_BY]))
        for rows in ways.grids(setting).values())
    assert (best.similarity, best.gamma) == setting.chosen and control.beta == setting.chosen_beta
