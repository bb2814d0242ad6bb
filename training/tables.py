"""Tables of numbers, ours beside published: for the terminal, READMEs and programs.

The published ones are in results/published.csv, read from the original's README and logs.
"""
import csv
import io
from pathlib import Path

from training import files

RESULTS = Path(__file__).resolve().parent.parent / 'results'
STATISTICS = 'training_statistics.csv'
COLUMNS = ('epoch', 'phase', 'vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial',
           'disc_real_accuracy', 'disc_fake_accuracy', 'val_loss', 'seconds')
LOSSES = (('vae_loss', 2), ('disc_loss', 4))  # and the digits they are shown with


class TableError(ValueError):
    """Numbers that cannot be read; the message is for the user."""


def read_statistics(folder: Path) -> list[dict]:
    """The lines of training_statistics.csv as dicts of numbers, None where empty.

    TableError unless every epoch has its numbers.
    """
    path = folder / STATISTICS
    try:
        with open(path, newline='') as file:
            lines = [{k: v if k == 'phase' else (float(v) if v else None)
                      for k, v in line.items()} for line in csv.DictReader(file)]
    except (ValueError, TypeError, csv.Error) as error:
        raise TableError(f'{path}: not a table of numbers ({error})') from None
    for epoch, line in enumerate(lines):
        if line.keys() != set(COLUMNS) or line['epoch'] != epoch or None in (
                line['vae_loss'], line['seconds']):
            raise TableError(f'{path}: line {epoch + 2} is not that of epoch {epoch}')
    if not lines:
        raise TableError(f'{path}: no epochs')
    return lines


def published_numbers(path: Path = RESULTS / 'published.csv') -> dict[str, dict]:
    """results/published.csv by experiment name; empty fields are None, others text."""
    return {line['name']: line for line in read_csv(path)}


def at_published_epoch(statistics: list[dict], published: dict) -> dict | None:
    """The line of the epoch whose loss was published; none if that was not reached."""
    return next((line for line in statistics
                 if line['epoch'] == float(published['pub_last_epoch'] or -1)), None)


def our_numbers(folder: Path, published: dict) -> dict:
    """A finished run's losses at the published epoch, or its last; seconds of all epochs."""
    statistics = read_statistics(folder)
    at = at_published_epoch(statistics, published) or statistics[-1]
    seconds = sum(line['seconds'] for line in statistics)
    return {'our_epoch': int(at['epoch']), 'our_vae_loss': at['vae_loss'],
            'our_disc_loss': at['disc_loss'], 'our_seconds': seconds,
            'our_seconds_per_epoch': seconds / len(statistics)}


def listing(row, published: dict, folder: Path | None, variants: dict[str, Path]) -> dict:
    """What `list` says of a row: `folder` holds a finished run of exactly that row, if any;
    variants are finished runs that differ from it, by name.
    """
    number_of = {k: published[k] and float(published[k]) for k in published if k[:4] == 'pub_'}
    seconds, epochs = number_of['pub_seconds_logged'], number_of['pub_logged_epochs']
    return {'name': row.name, 'data': row.data, 'vae': row.vae, 'disc': row.disc,
            'solo_epochs': row.solo_epochs, 'combo_epochs': row.combo_epochs,
            'published_epoch': number_of['pub_last_epoch'] and int(number_of['pub_last_epoch']),
            'published_vae_loss': number_of['pub_vae_loss'],
            'published_disc_loss': number_of['pub_disc_loss'],
            'published_seconds': seconds,
            'published_seconds_per_epoch': seconds and seconds / epochs,
            **(our_numbers(folder, published) if folder else {}),
            'variants': [{'name': name, **our_numbers(path, published)}
                         for name, path in variants.items()]}


def text_table(lines: list[dict]) -> str:
    """The listing for a terminal."""
    table = listing_cells(lines)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(cells, widths,
                                                                        strict=True)).rstrip()
                     for cells in table)


def listing_cells(lines: list[dict]) -> list[list[str]]:
    """The listing as cells, header first; a variant stands below its row."""
    header = ['experiment', 'nets', 'epochs', 'at epoch', 'VAE loss: published', 'ours',
              'disc loss: published', 'ours', 's / epoch: published', 'ours']
    return [header] + [_cells(shown) for line in lines for shown in (line, *line['variants'])]


def _cells(line: dict) -> list[str]:
    nets = ' + '.join(filter(None, (line.get('vae'), line.get('disc'))))
    epochs = f'{line["solo_epochs"]}+{line["combo_epochs"]}' if nets else ''
    at = line.get('our_epoch', line.get('published_epoch'))
    pairs = [number(line.get(f'{whose}_{k}'), digits)
             for k, digits in (*LOSSES, ('seconds_per_epoch', 1))
             for whose in ('published', 'our')]
    return [line['name'], nets, epochs, number(at, 0), *pairs]


def markdown_table(cells: list[list[str]]) -> str:
    """Cells, header first, as a table that GitHub reads."""
    rows = [cells[0], ['---'] * len(cells[0]), *cells[1:]]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def number(value, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    return '-' if value is None else f'{float(value):.{digits}f}'


def losses_table(statistics: list[dict], published: dict) -> str:
    """First, every tenth and last epoch, and the published one beside ours."""
    last = statistics[-1]['epoch']
    at = at_published_epoch(statistics, published)
    shown = [s for s in statistics if s['epoch'] % 10 == 0 or s['epoch'] == last]
    header = ['epoch', 'phase', 'vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial',
              'val_loss', 'seconds']
    table = [[f'{s["epoch"]:.0f}', s['phase'], *(number(s[k], 4 if k == 'disc_loss' else 2)
                                                 for k in header[2:])] for s in shown]
    if published['pub_vae_loss'] and at:
        table.append([f'{at["epoch"]:.0f}, published', '', number(published['pub_vae_loss']),
                      number(published['pub_disc_loss'], 4), '-', '-', '-', '-', '-'])
    return markdown_table([header, *table])


def write_csv(path: Path, columns: tuple[str, ...], lines: list[dict]) -> None:
    """A table with these columns; what a line does not have stays empty, what is more goes."""
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, columns, restval='', extrasaction='ignore',
                            lineterminator='\n')
    writer.writeheader()
    writer.writerows(lines)
    files.write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict]:
    """The lines of a table, all as text, None where empty."""
    with open(path, newline='') as file:
        return [{k: v or None for k, v in line.items()} for line in csv.DictReader(file)]


MEASURES = {'mean_squared_error': 'mean squared error, held out',
            'sharpness': 'edge sharpness, originals = 1', 'noise': 'noise, originals = 1'}


def comparison(runs: dict[str, Path], measures: dict[str, dict]) -> str:
    """Finished runs side by side, a column each: last epoch's losses, then the measures."""
    last = {title: read_statistics(folder)[-1] for title, folder in runs.items()}
    lines = [[label, *(number(last[title][k], digits) for title in runs)]
             for label, k, digits in (
                 ('VAE loss, last epoch', 'vae_loss', 2), ('- KL', 'kl', 2),
                 ('- pixel loss', 'pixel', 2), ('- adversarial', 'adversarial', 3),
                 ('discriminator loss', 'disc_loss', 3),
                 ('KL + pixel loss, held out', 'val_loss', 2))]
    lines += [[label, *(number(measures[title].get(k), 4) for title in runs)]
              for k, label in MEASURES.items()]
    return markdown_table([['', *runs], *lines])
