"""When a run ends before its last epoch, and which epoch's parameters it keeps.

A row with `stop_after` or `keep=best` goes by the held-out loss of its epochs; any other keeps the
last one.
Training and all that reports on runs ask here. Records are dicts of an epoch each, from
checkpoints or training_statistics.csv.
"""
import math

from training.experiments.row import Row


def patience(row: Row) -> int | None:
    """Return how many epochs without a new low end a run of this row; none: it goes on."""
    return getattr(row, 'stop_after', None)


def keeps_best(row: Row) -> bool:
    """Return whether the best epoch's parameters are kept, and not those of the last one."""
    return bool(patience(row)) or getattr(row, 'keep', None) == 'best'


def held_out_kl_weight(row: Row) -> float:
    """Return the weight of KL in `val_loss`: 1, but the row's own where that decides what is kept.

    So runs of other weights compare, and none goes by a loss that it does not minimise.
    Weights that change along the epochs, of a warm-up or of pixels, have no part in it: epochs
    would not compare.
    """
    return row.kl_weight if keeps_best(row) else 1.0


def kept_epoch(row: Row, records: list[dict]) -> int:
    """Return the epoch whose parameters are kept: of the first lowest held-out loss, or the last.

    An epoch without a finite held-out loss counts as infinitely bad.
    """
    if not keeps_best(row):
        return len(records) - 1

    def loss(epoch: int) -> float:
        value = records[epoch]['val_loss']
        return value if value is not None and math.isfinite(value) else math.inf
    return min(range(len(records)), key=loss)


def is_new_low(row: Row, records: list[dict]) -> bool:
    """Return whether the last epoch is the best, in a run that keeps the best one's parameters."""
    return keeps_best(row) and kept_epoch(row, records) == len(records) - 1


def is_over(row: Row, records: list[dict]) -> bool:
    """Return whether a run ends before its last epoch: its held-out loss has no new low."""
    return bool(patience(row) and records) and (
        len(records) - 1 - kept_epoch(row, records) >= patience(row))


def ending(row: Row, records: list[dict]) -> str:
    """Return when such a run ended, and which epoch was kept, in a sentence; else nothing."""
    if not keeps_best(row):
        return ''
    ended = (f'Training stopped after {len(records)} of {row.epochs} epochs, {patience(row)} '
             'without a new low of the held-out loss' if len(records) < row.epochs else
             f'Training went on for all {row.epochs} epochs')
    return (f'{ended}; parameters and pictures are of epoch {kept_epoch(row, records)}, which '
            'has the lowest `val_loss`.')
