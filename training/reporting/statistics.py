"""The tables of numbers that runs leave: statistics of epochs, classes of samples."""
import csv
import io
from pathlib import Path

from training.experiments import kinds
from training.storage import files

STATISTICS = 'training_statistics.csv'
CLASS_COLUMNS = ('epoch', *'0123456789')  # of classes.csv
TIMING_COLUMNS = ('experiment', 'step', 'kind', 'scale', 'solo_epochs', 'combo_epochs',
                  'solo_epoch_seconds', 'combo_epoch_seconds', 'seconds', 'fraction',
                  'published_seconds', 'published_fraction')


class TableError(ValueError):
    """Numbers that cannot be read; the message is for the user."""


def read_statistics(folder: Path) -> list[dict]:
    """Return the lines of training_statistics.csv as dicts of numbers, None where empty.

    A column that a file does not have, because it is older, is None too. TableError unless every
    epoch has its losses and seconds.
    """
    path = folder / STATISTICS
    try:
        with open(path, newline='') as file:
            lines = [{k: v if k == 'phase' else (float(v) if v else None)
                      for k, v in line.items()} for line in csv.DictReader(file)]
    except (ValueError, TypeError, csv.Error) as error:
        raise TableError(f'{path}: not a table of numbers ({error})') from None
    if not lines:
        raise TableError(f'{path}: no epochs')
    for epoch, line in enumerate(lines):
        kind = kinds.of_phase(line.get('phase'))
        if kind is None or line.get('epoch') != epoch or None in map(
                line.get, [*kind.always, 'seconds']):
            raise TableError(f'{path}: line {epoch + 2} is not that of epoch {epoch}')
        lines[epoch] = dict.fromkeys(kind.columns) | line
    return lines


def read_classes(path: Path) -> list[dict[str, int]]:
    """Return how many samples a classifier took for each digit, a line a count of epochs.


    TableError unless all are whole numbers.
    """
    try:
        lines = [{k: int(v) for k, v in line.items()} for line in read_csv(path)]
    except (ValueError, TypeError, csv.Error) as error:
        raise TableError(f'{path}: not a table of whole numbers ({error})') from None
    if not lines or any(tuple(line) != CLASS_COLUMNS or sum(line.values()) <= line['epoch']
                        or min(line.values()) < 0 for line in lines):
        raise TableError(f'{path}: expected {", ".join(CLASS_COLUMNS)}, and counts')
    return lines


def write_csv(path: Path, columns: tuple[str, ...], lines: list[dict]) -> None:
    """Write a table with these columns of its lines; what a line does not have stays empty."""
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, columns, restval='', extrasaction='ignore',
                            lineterminator='\n')
    writer.writeheader()
    writer.writerows(lines)
    files.write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict]:
    """Return the lines of a table, all as text, None where empty. TableError if it is none."""
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:  # Excel begins with a mark
            return [{k: v or None for k, v in line.items()} for line in csv.DictReader(file)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f'{path}: not a table ({error})') from None


def read_timing(path: Path) -> list[dict]:
    """Return the lines of a timing.csv, all as text. TableError if it is none."""
    lines = read_csv(path)
    for line in lines:
        try:
            if (*line,) != TIMING_COLUMNS or None in [line[k] for k in TIMING_COLUMNS[:3]]:
                raise ValueError
            [float(line[k] or 0) for k in TIMING_COLUMNS[4:]]
        except ValueError:
            raise TableError(f'{path}: expected {", ".join(TIMING_COLUMNS)}, with numbers from '
                             f'{TIMING_COLUMNS[4]} on') from None
    return lines


def write_statistics(folder: Path, records: list[dict],
                     kind: kinds.Kind = kinds.SOLO_COMBO) -> None:
    """Write training_statistics.csv, a line an epoch; what a record has not stays empty."""
    write_csv(folder / STATISTICS, kind.columns, [
        {k: v for k, v in record.items() if v is not None}
        | {'seconds': f'{record["seconds"]:.3f}'} for record in records])
