"""Learning-rate rules on short series by hand, and on those that system A logged."""
import pytest

from training.reporting.published import RESULTS
from training.reporting.statistics import read_csv
from training.steps import schedules
from training.steps.schedules import RULES, changes, rates

# The epochs after which system A's rates fell, as it logged them
LOGGED = {
    'lr2': {'encoder': [14, 24, 38, 55, 65, 75, 86, 96], 'decoder': [10, 20, 46, 56, 77, 89, 99],
            'discriminator': [24, 37, 49, 60, 70, 81, 91]},
    'lr3': {'encoder': [60, 66, 73, 79, 86, 92, 98], 'decoder': [52, 60, 68, 74, 80, 91, 97],
            'discriminator': [52, 59, 69, 75, 84, 90, 96]},
    'lr4': {'encoder': [4, 5, 6, 8, 10, 11, 12, 17, 18, 19],
            'decoder': [5, 7, 15, 28, 37, 43, 48, 55, 57, 62],
            'discriminator': [8, 11, 19, 28, 48, 55, 57, 62, 68, 69]}}


def test_all_73_logged_changes_come_again():
    lines, n = read_csv(RESULTS / 'peer_a_validation_losses.csv'), 0
    for name, nets in LOGGED.items():
        for net, epochs in nets.items():
            losses = [float(line[net]) for line in lines if line['rates'] == name]
            assert len(losses) == 100
            assert changes(5e-4, RULES['as_logged'][name], losses) == epochs
            n += len(epochs)
    assert n == 73


@pytest.mark.parametrize('rule, losses, epochs', [
    # no new low for two epochs, counted anew from the fall
    (schedules.plateau(2), [5, 4, 4, 4, 3, 3], [3]),
    (schedules.plateau(2), [5, 6, 7, 8, 9, 10, 11], [2, 5]),
    (schedules.plateau(2), [5, 4, 3, 2, 1], []),
    # not lower than the last two; nothing is forgotten
    (schedules.not_lower(2), [5, 4, 4, 3, 3, 3], [2, 4, 5]),
    (schedules.not_lower(2), [3, 9], []),
    # above all of the window; the first look is after two epochs, at one epoch
    (schedules.higher_than_all(2), [9, 1, 2, 3, 4, 5], [2, 4]),
    (schedules.higher_than_all(2), [1, 9, 8, 7, 7.5], []),
    (schedules.higher_than_all(2, start=3), [1, 2, 3, 4, 5, 6, 7, 8], [5, 7]),
    # a new low
    (schedules.lower_than_all(2), [5, 6, 4, 3, 7, 6, 5], [2, 3, 6]),
    (schedules.lower_than_all(2), [5, 4], []),
])
def test_rules_on_short_series(rule, losses, epochs):
    assert changes(1.0, schedules.Rule(0.5, 1e-9, rule), losses) == epochs


def test_rate_stops_at_its_least():
    rule = schedules.Rule(0.5, 0.3, lambda losses, last: True)
    assert rates(1.0, rule, [0, 0, 0]) == [1.0, 0.5, 0.3, 0.3]
    assert changes(1.0, rule, [0, 0, 0]) == [0, 1]
    assert rates(1.0, None, [0, 0]) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize('kind', RULES)
def test_numbers_of_the_rules(kind):
    assert {name: (rule.factor, rule.least) for name, rule in RULES[kind].items()} == {
        'lr2': (0.85, 1e-4), 'lr3': (0.75, 5e-6), 'lr4': (0.6, 5e-6)}
