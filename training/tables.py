"""Tables of numbers, ours beside published: for the terminal, READMEs and programs.

The published ones are in results/published.csv, read from the original's README and logs, and
their losses along the epochs in published_curves.csv beside it; those of VAE/GANs in peers.csv.
"""
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from training import files
from training.row import Experiment

RESULTS = Path(__file__).resolve().parent.parent / 'results'
STATISTICS = 'training_statistics.csv'
CLASS_COLUMNS = ('epoch', *'0123456789')  # of classes.csv
OTHER_IMAGES = {  # what stands beside published losses, by data
    'anime': 'Published losses of anime faces are of other images, unless yours are the 17,240 '
             'that the original was trained with: they compare roughly only.',
    'adult': 'Published losses of photographs are of other images, unless yours are the 8,500 '
             'US Adult Faces that system A was trained with: they compare roughly only.'}


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


def family(row: Experiment) -> Family:
    """Of a row."""
    return VAEGAN if row.kind_of_combo == 'vaegan' else VAE


def _family_of(line: dict) -> Family:
    """Of an epoch's statistics."""
    return VAEGAN if 'enc_loss' in line else VAE


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
    kind = _family_of(lines[0]) if lines else VAE
    needed = [*kind.losses, 'seconds'] if kind is VAEGAN else ['vae_loss', 'seconds']
    for epoch, line in enumerate(lines):
        if line.keys() != set(kind.columns) or line['epoch'] != epoch or None in map(
                line.get, needed):
            raise TableError(f'{path}: line {epoch + 2} is not that of epoch {epoch}')
    if not lines:
        raise TableError(f'{path}: no epochs')
    return lines


def read_classes(path: Path) -> list[dict[str, int]]:
    """How many samples a classifier took for each digit, a line an epoch: CLASS_COLUMNS.

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


def published_numbers(folder: Path = RESULTS) -> dict[str, dict]:
    """What was published, by experiment; empty fields are None, others text.

    Each has a `curve`: a line an epoch as far as they are known, or that of the last one only.
    """
    found = {line['name']: line for line in read_csv(folder / 'published.csv')}
    for line in (*read_csv(folder / 'published_curves.csv'), *read_csv(folder / 'peers.csv')):
        published = found.setdefault(line['name'], {'name': line['name']})
        published.setdefault('curve', []).append(line)
    for published in found.values():
        published.setdefault('curve', [{
            'epoch': published.get('pub_last_epoch'), 'source': published.get('source'),
            **{loss: published.get(f'pub_{loss}') for loss in VAE.losses}}])
        if 'pub_vae_loss' not in published:
            last = published['curve'][-1]
            published |= {'pub_last_epoch': last['epoch'],
                          **{f'pub_{loss}': last[loss] for loss in VAEGAN.losses}}
    return found


def pairs(statistics: list[dict], curve: list[dict]) -> list[tuple[dict, dict]]:
    """Our epochs and the published ones of the same number and phase."""
    of = {float(line['epoch']): line for line in curve if line['epoch']}
    return [(ours, of[ours['epoch']]) for ours in statistics if ours['epoch'] in of
            and of[ours['epoch']].get('phase') in (None, ours['phase'])]


def our_numbers(folder: Path, curve: list[dict]) -> dict:
    """A finished run's losses at the last epoch that the published curve has too, and those.

    At its own last epoch if there is none; and seconds of all epochs.
    """
    statistics = read_statistics(folder)
    both = pairs(statistics, curve)
    ours, published = both[-1] if both else (statistics[-1], {})
    seconds = sum(line['seconds'] for line in statistics)
    losses = _family_of(ours).losses
    return {'our_epoch': int(ours['epoch']), **{f'our_{loss}': ours[loss] for loss in losses},
            **{f'published_{loss}': published[loss] and float(published[loss])
               for loss in losses if published},
            'our_seconds': seconds, 'our_seconds_per_epoch': seconds / len(statistics)}


def published_seconds(published: dict) -> float | None:
    """Of an epoch, a mean; none if they were not logged."""
    seconds = published.get('pub_seconds_logged')
    return seconds and float(seconds) / float(published['pub_logged_epochs'])


def listing(row: Experiment, published: dict, folder: Path | None,
            variants: dict[str, tuple[Path, list[dict]]]) -> dict:
    """What `list` says of a row: `folder` holds a finished run of exactly that row, if any.

    variants: finished runs that differ from it, by name, and the published curve of each.
    """
    def of(field: str) -> float | None:
        value = published.get(f'pub_{field}')
        return value and float(value)

    return {'name': row.name, 'data': row.data, 'vae': row.vae, 'disc': row.disc,
            'solo_epochs': row.solo_epochs, 'combo_epochs': row.combo_epochs,
            'published_epoch': of('last_epoch') and int(of('last_epoch')),
            **{f'published_{loss}': of(loss) for loss in family(row).losses},
            'published_seconds': of('seconds_logged'),
            'published_seconds_per_epoch': published_seconds(published),
            **(our_numbers(folder, published.get('curve', [])) if folder else {}),
            'variants': [{'name': name, **our_numbers(path, curve)}
                         for name, (path, curve) in variants.items()]}


def text_table(lines: list[dict]) -> str:
    """The listing for a terminal."""
    return '\n\n'.join('\n'.join(_aligned(table)) for table in listing_cells(lines))


def _aligned(table: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ['  '.join(map(str.ljust, cells, widths)).rstrip() for cells in table]


def listing_cells(lines: list[dict]) -> list[list[list[str]]]:
    """The listing as cells, a table a family, header first; a variant stands below its row."""
    names = {'vae_loss': 'VAE loss', 'disc_loss': 'disc loss', 'enc_loss': 'encoder loss',
             'dec_loss': 'decoder loss'}
    tables = []
    for kind in (VAE, VAEGAN):
        own = [line for line in lines
               if all(f'published_{loss}' in line for loss in kind.losses)]
        header = ['experiment', 'nets', 'epochs', 'at epoch']
        for title in (*map(names.get, kind.losses), 's / epoch'):
            header += [f'{title}: published', 'ours']
        if own:
            tables.append([header] + [_cells(shown, kind) for line in own
                                      for shown in (line, *line['variants'])])
    return tables


def _cells(line: dict, kind: Family) -> list[str]:
    nets = ' + '.join(filter(None, (line.get('vae'), line.get('disc'))))
    epochs = f'{line["solo_epochs"]}+{line["combo_epochs"]}' if nets else ''
    at = line.get('our_epoch', line.get('published_epoch'))
    pairs = [number(line.get(f'{whose}_{k}'), digits)
             for k, digits in (*kind.losses.items(), ('seconds_per_epoch', 1))
             for whose in ('published', 'our')]
    return [line['name'], nets, epochs, number(at, 0), *pairs]


def markdown_table(cells: list[list[str]]) -> str:
    """Cells, header first, as a table that GitHub reads."""
    rows = [cells[0], ['---'] * len(cells[0]), *cells[1:]]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def number(value, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    return '-' if value is None else f'{float(value):.{digits}f}'


def losses_table(statistics: list[dict], curve: list[dict]) -> str:
    """First, every tenth and last epoch of ours, and published ones below theirs."""
    kind = _family_of(statistics[0])
    published = {ours['epoch']: line for ours, line in pairs(statistics, curve)}
    table = [['epoch', 'phase', *kind.shown]]
    for line in statistics:
        if line['epoch'] % 10 and line is not statistics[-1] and line['epoch'] not in published:
            continue
        table.append([f'{line["epoch"]:.0f}', line['phase'],
                      *(number(line[k], kind.losses.get(k, 4 if kind is VAEGAN else 2))
                        for k in kind.shown)])
        if line['epoch'] in published:
            table.append(_published_cells(published[line['epoch']], kind))
    return markdown_table(table)


def sources(statistics: list[dict], curve: list[dict]) -> list[str]:
    """Where the published numbers beside ours come from."""
    return [*dict.fromkeys(line['source'] for _, line in pairs(statistics, curve)
                           if line.get('source'))]


def _published_cells(line: dict, kind: Family) -> list[str]:
    return [f'{float(line["epoch"]):.0f}, published', '',
            *(number(line.get(k), kind.losses.get(k, 3)) for k in kind.shown)]


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


EVALUATED = {  # evaluation.json's measures: a table's header, and digits
    'mean_squared_error': ('squared error', 4), 'psnr': ('PSNR, dB', 2), 'ssim': ('SSIM', 3),
    'sharpness': ('sharpness', 2), 'kl': ('KL', 1), 'active_latents': ('active latents', 0),
    'accuracy': ('accuracy', 4), 'frechet_reconstructions': ('Frechet', 1),
    'sample_sharpness': ('sharpness of samples', 2), 'frechet_samples': ('Frechet of samples', 1)}


def measure(measures: dict, name: str) -> str:
    """One of evaluation.json's, for a table."""
    shown = number(measures.get(name), EVALUATED[name][1])
    return f'{shown} of {measures["latents"]}' if name == 'active_latents' in measures else shown


def evaluations(found: dict[str, dict]) -> str:
    """A line for each run, by name; found: what evaluation.json holds."""
    shown = {k: column for k, column in EVALUATED.items()
             if any(k in evaluation['measures'] for evaluation in found.values())}
    lines = []
    for name, evaluation in found.items():
        lines.append([name, *(measure(evaluation['measures'], k) for k in shown)])
    return markdown_table([['', *(header for header, _ in shown.values())], *lines])
