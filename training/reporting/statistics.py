"""The tables of numbers that runs leave: statistics of epochs, classes of samples."""
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from training.experiments.row import Experiment
from training.storage import files

STATISTICS = 'training_statistics.csv'
CLASS_COLUMNS = ('epoch', *'0123456789')  # of classes.csv


@dataclass(frozen=True)
class Family:
    """What the statistics of an experiment's epochs have, and the table of some of them."""
    columns: tuple[str, ...]
    losses: dict[str, int]        # and the digits they are shown with
    shown: tuple[str, ...]        # columns of a result folder's README
    explained: str                # below that


VAE = Family(
    ('epoch', 'phase', 'vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial',
     'disc_real_accuracy', 'disc_fake_accuracy', 'val_loss', 'seconds'),
    {'vae_loss': 2, 'disc_loss': 4},
    ('vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial', 'val_loss', 'seconds'),
    '`vae_loss` = kl + pbp_weight * pixel + disc_weight * adversarial; the terms themselves are '
    'unweighted. `val_loss` is KL + pixel loss on the first {n_held_out} held-out images.')
VAEGAN = Family(
    ('epoch', 'phase', 'enc_loss', 'dec_loss', 'disc_loss', 'kl', 'similarity', 'gan',
     'disc_real_accuracy', 'disc_fake_accuracy', 'val_enc_loss', 'val_dec_loss',
     'val_disc_loss', 'enc_lr', 'dec_lr', 'disc_lr', 'seconds'),
    {'enc_loss': 4, 'dec_loss': 4, 'disc_loss': 4},
    ('enc_loss', 'dec_loss', 'disc_loss', 'kl', 'similarity', 'gan', 'val_enc_loss',
     'val_dec_loss', 'val_disc_loss', 'seconds'),
    '`enc_loss` = kl / normaliser + beta * similarity, `dec_loss` = gamma * similarity + '
    'disc_weight * gan, each as the configuration has it; the terms themselves are unweighted. '
    '`val_..`: the same on held-out images, where the row asks for that, without dropout and with '
    'labels 1 and 0. Learning rates in the table are those that an epoch was trained with.')


def family_of_row(row: Experiment) -> Family:
    """Of a row."""
    return VAEGAN if row.kind_of_combo == 'vaegan' else VAE


def family_of(line: dict) -> Family:
    """Of an epoch's statistics."""
    return VAEGAN if 'enc_loss' in line else VAE


class TableError(ValueError):
    """Numbers that cannot be read; the message is for the user."""


def read_statistics(folder: Path) -> list[dict]:
    """Return the lines of training_statistics.csv as dicts of numbers, None where empty.

    TableError unless every epoch has its numbers.
    """
    path = folder / STATISTICS
    try:
        with open(path, newline='') as file:
            lines = [{k: v if k == 'phase' else (float(v) if v else None)
                      for k, v in line.items()} for line in csv.DictReader(file)]
    except (ValueError, TypeError, csv.Error) as error:
        raise TableError(f'{path}: not a table of numbers ({error})') from None
    kind = family_of(lines[0]) if lines else VAE
    needed = [*kind.losses, 'seconds'] if kind is VAEGAN else ['vae_loss', 'seconds']
    for epoch, line in enumerate(lines):
        if line.keys() != set(kind.columns) or line['epoch'] != epoch or None in map(
                line.get, needed):
            raise TableError(f'{path}: line {epoch + 2} is not that of epoch {epoch}')
    if not lines:
        raise TableError(f'{path}: no epochs')
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
        with open(path, newline='') as file:
            return [{k: v or None for k, v in line.items()} for line in csv.DictReader(file)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f'{path}: not a table ({error})') from None


def write_statistics(folder: Path, records: list[dict],
                     family: Family = VAE) -> None:
    """Write training_statistics.csv, a line an epoch; what a record has not stays empty."""
    write_csv(folder / STATISTICS, family.columns, [
        {k: v for k, v in record.items() if v is not None}
        | {'seconds': f'{record["seconds"]:.3f}'} for record in records])
