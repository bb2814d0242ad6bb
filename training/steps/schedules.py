"""Learning rates: those that follow a network's own validation loss, and one that falls by itself.

System A (github.com/Shuntw6096/VAE-GAN) trained each of its nets with a rate of its own. What
its README says of the rules is not what its logs show; both are here. A rule is a function of
the losses so far, so that a run that goes on needs no state of it. Standard library only.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.experiments.row import VaeGan

ANNEALED_LEAST = 1e-5 / 0.025  # the share of the initial rate that is left at the end
ANNEALED_POWER = 0.75


@dataclass(frozen=True)
class Rule:
    """When a rate is multiplied by `factor`, and how far down.

    due(losses, last): whether the rate falls after the last of these losses; `last` is the
    epoch of the last fall, or none.
    """
    factor: float
    least: float
    due: Callable[[Sequence[float], int | None], bool]


def rates(initial: float, rule: Rule | None, losses: Sequence[float]) -> list[float]:
    """Return the rate of each epoch and of the next: one more than there are losses.

    losses: the net's validation loss after each epoch. No rule is a constant rate.
    """
    so_far, last = [initial], None
    for epoch in range(len(losses)):
        rate = so_far[-1]
        if rule and rule.due(losses[:epoch + 1], last):
            rate, last = max(rate * rule.factor, rule.least), epoch
        so_far.append(rate)
    return so_far


def changes(initial: float, rule: Rule, losses: Sequence[float]) -> list[int]:
    """Return the epochs after which the rate fell; at its least it falls no more."""
    of_epochs = rates(initial, rule, losses)
    return [epoch for epoch, pair in enumerate(zip(of_epochs, of_epochs[1:], strict=False))
            if pair[0] != pair[1]]


def plateau(patience: int) -> Callable:
    """Return the documented rule of lr2 and lr3: no new low for `patience` epochs.

    They are counted from the last fall.
    """
    def due(losses: Sequence[float], last: int | None) -> bool:
        since = losses[0 if last is None else last + 1:]
        if len(since) <= patience:
            return False
        return min(since[-patience:]) >= min(since[:-patience])
    return due


def not_lower(window: int) -> Callable:
    """Return the documented rule of lr4: the loss is not below all of the last `window` ones.

    Those before the last fall count, too.
    """
    def due(losses: Sequence[float], last: int | None) -> bool:
        return len(losses) > window and losses[-1] >= min(losses[-1 - window:-1])
    return due


def higher_than_all(patience: int, start: int = 0) -> Callable:
    """Return the logged rule of lr2 and lr3: the loss is above all since `patience` epochs.

    The first look is `patience` epochs after `start` or the last fall, and then compares with
    one epoch, later with more, up to `patience`.
    """
    def due(losses: Sequence[float], last: int | None) -> bool:
        epoch, anchor = len(losses) - 1, start if last is None else last
        first = max(anchor + patience - 1, epoch - patience)
        return epoch >= anchor + patience and losses[-1] > max(losses[first:-1])
    return due


def lower_than_all(window: int) -> Callable:
    """Return the logged rule of lr4: a NEW LOW over `window` epochs lets the rate fall."""
    def due(losses: Sequence[float], last: int | None) -> bool:
        return len(losses) > window and losses[-1] < min(losses[-1 - window:-1])
    return due


def annealed(initial: float, epoch: int, n_epochs: int) -> float:
    """Return the rate of an epoch, which falls in each, in the first ones fastest.

    It is that of the paper's authors for CelebA (github.com/andersbll/autoencoding_beyond_pixels).
    """
    return initial * (1 - (1 - ANNEALED_LEAST) * (epoch / n_epochs) ** ANNEALED_POWER)


RULES = {
    'documented': {'lr2': Rule(0.85, 1e-4, plateau(10)),
                   'lr3': Rule(0.75, 5e-6, plateau(6)),
                   'lr4': Rule(0.6, 5e-6, not_lower(6))},
    'as_logged': {'lr2': Rule(0.85, 1e-4, higher_than_all(10)),
                  'lr3': Rule(0.75, 5e-6, higher_than_all(6, start=46)),
                  'lr4': Rule(0.6, 5e-6, lower_than_all(4))},
}


def rule_of(row: VaeGan) -> Rule | None:
    """Return a row's rule; none where its rates follow no losses."""
    return RULES[row.schedule_rule][row.schedule] if row.rates_follow_losses else None
