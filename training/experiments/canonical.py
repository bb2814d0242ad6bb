"""What a row really trains: no training gets two names.

A change that does nothing would make a new name for the same training. It is left out where the
images or the nets make it idle, and where users make it to many rows at once; any other is
refused. What is equal to a row of the registry then goes by its name, the first of equal ones.
"""
from dataclasses import replace

from training.experiments.naming import changes
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row

OF_MANY = ('step', 'decay_interval')  # fields that users change in many rows at once


def left_out(row: Row, idle: dict[str, str] | None = None) -> dict[str, str]:
    """Return the changed fields of a row that are left out, for they do nothing, and why.

    idle: fields that change nothing for the row's images or in its nets, and why.
    """
    reasons = {field: why for field, why in row.idle().items() if field in OF_MANY} | (idle or {})
    return {field: reasons[field] for field in sorted(changes(row).keys() & reasons.keys())}


def trained_row(row: Row, idle: dict[str, str] | None = None) -> Row:
    """Return the row that is trained for this one, by the name under which it is trained.

    idle: as for `left_out`. ExperimentError for a change that does nothing and is not left out.
    """
    published = EXPERIMENTS[row.name]
    effective = replace(row, **{field: getattr(published, field) for field in left_out(row, idle)})
    configuration = effective.configuration()
    first = next((other for other in EXPERIMENTS.values()
                  if other.configuration() == configuration), effective)
    reasons = first.idle()
    for field in sorted(changes(first).keys() & reasons.keys()):
        if getattr(first, field) is not None:
            first.refuse(field, f'no change, for {reasons[field]}')
    return first
