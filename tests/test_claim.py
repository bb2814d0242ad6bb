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


# The 97.5th percentile of Student's t with four and two degrees of freedom, from tables
@pytest.mark.parametrize('title, percentile', [(claim.DIGITS, 2.776445),
                                               (claim.FACES, 4.302653),
                                               (claim.SOUND, 4.302653)])
def test_intervals_are_students_and_what_was_chosen_late_is_not_tested(title, percentile):
    """Of drawn numbers."""
    rng = np.random.default_rng(0)
    lines = [{'run': naming.run_name(row), 'nets': row.nets, 'seed': row.seed,
              **{measure: str(rng.normal(bool(row.disc), 0.1)) for measure in claim.SHOWN[title]}}
             for row in claim.comparisons()[title].values()]
    alone, with_disc, *_ = claim.values(title, lines)['sharpness'].values()

    def width(sample: np.ndarray) -> float:
        return percentile * sample.std(ddof=1) / np.sqrt(len(sample))

    assert seeds.interval(alone) == pytest.approx((alone.mean(), width(alone)), rel=1e-6)
    table = claim.STUDY.block(title, lines, Runs(Path()))
    assert f'{alone.mean():.3f} ± {width(alone):.3f}' in table
    apart = with_disc - alone
    low, high = apart.mean() - width(apart), apart.mean() + width(apart)
    assert f'| {apart.mean():+.3f} | {low:+.3f} to {high:+.3f} |' in table
    found, rows = claim.paired(title, lines), table.splitlines()[2:]
    tested = [line for line in found if line['measure'] != 'noise']
    assert [line['p_holm'] for line in tested] == seeds.holm([line['p'] for line in tested])
    untested = [line['measure'] == 'noise' for line in found]
    assert [line['p_holm'] is None for line in found] == untested
    assert [row.endswith('| - |') for row in rows] == untested
    assert sum(untested) == (0 if title == claim.DIGITS else 2)
    assert len(found) == len(claim.SHOWN[title]) * (len(claim.NETS[title]) - 1)


def test_holm_corrects_for_the_number_of_tests():
    # 0.01 x 4; 0.02 x 3; 0.03 x 2 and 0.05 x 1, not below those before them
    assert seeds.holm([0.05, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert seeds.holm([0.9, 0.6]) == [1, 1]


def test_repairs_change_what_their_names_say():
    rows = repairs.comparisons()[repairs.ONE_BY_ONE]
    published = rows['as published']
    for label, row in rows.items():
        changed = {k: v for k, v in row.configuration().items()
                   if v != published.configuration()[k] and k != 'solo_epochs'}
        assert changed == repairs.CHANGES[label]
        assert row.epochs == published.epochs or not label.endswith(repairs.EQUAL)
    # The recommended row is the net without flaws
    recommended = registry.EXPERIMENTS['ConvVAE_on_anime/128_16_100_repaired']
    assert recommended.configuration() == rows['all three, smaller'].configuration() | {
        'limit': None, 'solo_epochs': 100}
