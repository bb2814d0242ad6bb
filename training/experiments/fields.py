"""Fields of a row: a meaning and bounds stand with each, and are checked from there."""
import math
from dataclasses import MISSING, Field, field, fields
from functools import cache
from typing import Any

MOST_EPOCHS, MOST_SIZE, MOST_CHANNELS, MOST_INDEX = 10 ** 6, 2 ** 20, 2 ** 16, 2 ** 31 - 1


class ExperimentError(ValueError):
    """A name, field or value that the registry does not know; the message is for the user."""


def setting(meaning: str, default: Any = MISSING, *, choices: tuple[str | int, ...] = (),
            above: float | None = None, least: float | None = None, most: float = math.inf,
            late: bool = False) -> Any:
    """Return a dataclass field with what it means and which values it may have.

    choices: all values there are. above, least, most: of a number. late: runs were recorded
    before it came, so that records leave it out at its default. None is allowed where the type
    says so.
    """
    return field(default=default, metadata={'meaning': meaning, 'choices': choices, 'above': above,
                                            'least': least, 'most': most, 'late': late})


def count(meaning: str, default: Any = MISSING, most: int = MOST_SIZE) -> Any:
    """Return the field of a number of things, at least one."""
    return setting(meaning, default, above=0, most=most)


def share(meaning: str, default: float, most: float = 1.0, late: bool = False) -> Any:
    """Return the field of a number from 0 to `most`."""
    return setting(meaning, default, least=0, most=most, late=late)


@cache
def kind_of(one: Field) -> tuple[type, bool]:
    """Return a field's type, int, float or str, and whether it may be none."""
    kinds = getattr(one.type, '__args__', (one.type,))
    return kinds[0], type(None) in kinds


def parsed(one: Field, text: str) -> int | float | str | None:
    """Return a text as a value of the field's type; ExperimentError if it is none."""
    kind, may_be_none = kind_of(one)
    if text.lower() == 'none' and may_be_none:
        return None
    try:
        return kind(text)
    except ValueError:
        names = {int: 'a whole number', float: 'a number'}
        raise ExperimentError(f'{one.name}={text!r}: expected {names[kind]}') from None


def typed(one: Field, value: Any) -> Any:
    """Return a value out of a file as the field has it: 'none' is none, 3 is 3.0 of a number.

    Others stay what they are, for `check`.
    """
    kind, may_be_none = kind_of(one)
    if value == 'none' and may_be_none:
        return None
    return parsed(one, str(value)) if kind is float and type(value) is int else value


def check(row: Any) -> None:
    """Raise ExperimentError unless every value of a dataclass is one that its field allows."""
    for one in fields(row):
        expected = _expected(one, getattr(row, one.name))
        if expected:
            raise ExperimentError(f'{one.name}={getattr(row, one.name)!r}: expected {expected}')


def _expected(one: Field, value: Any) -> str | None:
    """Return what is expected in place of a value, or nothing if the field allows it."""
    kind, may_be_none = kind_of(one)
    if value is None and may_be_none:
        return None
    is_one = type(value) is kind or kind is float and type(value) is int
    choices, above, least = (one.metadata.get(k) for k in ('choices', 'above', 'least'))
    if choices and not (is_one and value in choices):
        return 'one of ' + ', '.join(map(str, choices))
    if not is_one:
        return kind.__name__
    if above is None and least is None:
        return None
    if value > one.metadata['most']:
        return f'at most {one.metadata["most"]}'
    if not value < math.inf or (value <= above if above is not None else value < least):
        return f'a finite number {f"not below {least}" if above is None else f"above {above}"}'
    return None


def allowed(one: Field) -> str:
    """Return in words which values a field may have, and which it has where a row says none."""
    kind, may_be_none = kind_of(one)
    choices, above, least, most = (one.metadata[k] for k in ('choices', 'above', 'least', 'most'))
    if choices:
        words = ', '.join(map(str, choices))
    else:
        words = {int: 'a whole number', float: 'a number', str: 'a name'}[kind]
        if above is not None:
            words += f' from {above + 1}' if kind is int else f' above {above}'
        elif least is not None:
            words += f' from {least}'
        if most < math.inf:
            words += f' to {most}'
    default = '' if one.default is MISSING else f'; default {one.default}'.lower()
    return f'{words}{" or none" * may_be_none}{default}'
