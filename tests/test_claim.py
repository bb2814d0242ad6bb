"""What `study claim` and `study repairs` train, and the statistics of seeds."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.experiments import naming, registry
from training.studies import claim, repairs, seeds
from training.studies.study import Runs


@pytest.mark.parametrize('title', claim.NETS)
def test_seeds_differ_in_nothing_else(title):
    rows = claim.comparisons()[title].values()
    assert len({naming.run_name(row) for row in rows}) == len(rows)
    assert len({replace(row, seed=0) for row in rows}) == len(claim.NETS[title])
    assert len({row.epochs for row in rows}) == 1
    assert [row.disc for row in rows][::len(claim.NETS[title])] == [
        None for _ in claim.SEEDS[title]]


def lines() -> list[dict]:
    """Lines of claim.csv with drawn numbers, in its order."""
    rng = np.random.default_rng(0)
    return [{'run': naming.run_name(row), 'nets': row.nets, 'seed': row.seed,
             **{measure: str(rng.normal(bool(row.disc), 0.1)) for of in claim.SHOWN.values()
                for measure in of}} for row in claim.STUDY.rows()]


# The 97.5th percentile of Student's t with four and two degrees of freedom, from tables
@pytest.mark.parametrize('title, percentile', [(claim.DIGITS, 2.776445),
                                               (claim.FACES, 4.302653),
                                               (claim.SOUND, 4.302653)])
def test_intervals_are_students(title, percentile):
    of = {naming.run_name(row) for row in claim.comparisons()[title].values()}
    alone, with_disc, *_ = claim.values(title, [
        line for line in lines() if line['run'] in of])['sharpness'].values()
    n = len(alone)
    mean, width = seeds.interval(alone)
    expected = percentile * np.sqrt(((alone - alone.mean()) ** 2).sum() / (n - 1) / n)
    assert (mean, width) == pytest.approx((alone.mean(), expected), rel=1e-6)
    table = claim.STUDY.block(title, lines(), Runs(Path()))
    assert f'{alone.mean():.3f} ± {expected:.3f}' in table
    apart = with_disc - alone
    width = percentile * np.sqrt(((apart - apart.mean()) ** 2).sum() / (n - 1) / n)
    assert (f'| {apart.mean():+.3f} | {apart.mean() - width:+.3f} to {apart.mean() + width:+.3f} |'
            in table)
    assert table.count('\n') == 2 + len(claim.SHOWN[title]) * (
        len(claim.NETS[title]) - 1)


def test_holm_corrects_for_the_number_of_tests():
    # 0.01 x 4; 0.02 x 3; 0.03 x 2 and 0.05 x 1, not below those before them
    assert seeds.holm([0.05, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert seeds.holm([0.9, 0.6]) == [1, 1]


@pytest.mark.parametrize('title', claim.NETS)
def test_what_was_chosen_after_the_runs_is_shown_and_not_tested(title):
    of = {naming.run_name(row) for row in claim.comparisons()[title].values()}
    found = claim.paired(title, [line for line in lines() if line['run'] in of])
    tested = [line for line in found if line['measure'] != 'noise']
    assert [line['p_holm'] for line in tested] == seeds.holm([line['p'] for line in tested])
    untested = [line for line in found if line not in tested]
    assert {line['p_holm'] for line in untested} <= {None}
    rows = claim.STUDY.block(title, lines(), Runs(Path())).splitlines()
    assert [row.endswith('| - |') for row in rows[2:]] == [line in untested for line in found]
    assert len(untested) == (0 if title == claim.DIGITS else 2)


def test_repairs_change_what_their_names_say():
    rows = repairs.comparisons()[repairs.ONE_BY_ONE]
    published = rows['as published']
    for label, row in rows.items():
        changed = {k: v for k, v in row.configuration().items()
                   if v != published.configuration()[k] and k != 'solo_epochs'}
        assert changed == repairs.CHANGES[label]
    assert all(row.epochs == published.epochs for label, row in rows.items()
               if label.endswith(repairs.EQUAL))


def test_recommended_row_is_the_net_without_flaws():
    rows = repairs.comparisons()[repairs.ONE_BY_ONE]
    compared = rows['all three, smaller']
    recommended = registry.EXPERIMENTS['ConvVAE_on_anime/128_16_100_repaired']
    assert recommended.configuration() == compared.configuration() | {
        'limit': None, 'solo_epochs': 100}
