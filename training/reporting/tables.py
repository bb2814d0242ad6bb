"""Tables of numbers for the terminal, READMEs and programs, ours beside published."""
import textwrap
from pathlib import Path

from training.experiments import early_stopping, kinds
from training.experiments.row import Row
from training.reporting.published import our_numbers, pairs, published_seconds
from training.reporting.statistics import read_statistics


def listing(row: Row, published: dict, folder: Path | None,
            variants: dict[str, tuple[Path, Row, list[dict], list[str]]]) -> dict:
    """Return what `list` says of a row: `folder` holds a finished run of exactly that row, if any.

    variants: finished runs that differ from it, by name: folder, row, published curve, in what.
    """
    def of(field: str) -> float | None:
        value = published.get(f'pub_{field}')
        return value and float(value)

    return {'name': row.name, 'data': row.data, 'vae': row.vae, 'disc': row.disc,
            'solo_epochs': row.solo_epochs, 'combo_epochs': row.combo_epochs,
            'published_epoch': of('last_epoch') and int(of('last_epoch')),
            **{f'published_{loss}': of(loss) for loss in row.kind.losses},
            'published_seconds': of('seconds_logged'),
            'published_seconds_per_epoch': published_seconds(published),
            **(our_numbers(folder, row, published.get('curve', [])) if folder else {}),
            'variants': [{'name': name, 'differs': differs, **our_numbers(path, own, curve)}
                         for name, (path, own, curve, differs) in variants.items()]}


def text_list(lines: list[dict], width: int) -> str:
    """Return the listing for a terminal of so many columns: a paragraph a row, folded.

    Names of experiments stay whole. What differs stands in place of the names of other runs.
    """
    paragraphs = []
    for line in lines:
        folded, told = [line['name']], [(2, _told(line))]
        if line['trained_as']:
            told.append((2, f'same configuration as {line["trained_as"]}, trained as that'))
        told += [(4, f'{", ".join(ours["differs"])}: {_told(ours)}') for ours in line['variants']]
        for indent, text in told:
            folded += textwrap.wrap(text, width, initial_indent=' ' * indent,
                                    subsequent_indent=' ' * (indent + 2))
        paragraphs.append('\n'.join(folded))
    return '\n\n'.join(paragraphs)


def _told(line: dict) -> str:
    """Return a line of the listing in words: ours, with what was published in brackets."""
    nets = ' + '.join(filter(None, (line.get('vae'), line.get('disc'))))
    told = [f'{nets}, {line["solo_epochs"]}+{line["combo_epochs"]} epochs'] if nets else []
    kind = next(k for k in (kinds.VAEGAN, kinds.SOLO_COMBO) if all(
        f'our_{loss}' in line or f'published_{loss}' in line for loss in k.losses))
    numbers = []
    for name, unit, digits in (*((loss, f'{of.label} ', of.digits)
                                 for loss, of in kind.losses.items()),
                               ('seconds_per_epoch', 'seconds an epoch ', 1)):
        ours, published = line.get(f'our_{name}'), line.get(f'published_{name}')
        if ours is not None and published is not None:
            numbers.append(f'{unit}{number(ours, digits)} (published {number(published, digits)})')
        elif ours is not None or 'our_epoch' not in line and published is not None:
            numbers.append(unit + number(published if ours is None else ours, digits))
    if numbers:
        at = f'at epoch {line["our_epoch"]}' if 'our_epoch' in line else (
            f'published at epoch {line["published_epoch"]}')
        told.append(f'{at}: {", ".join(numbers)}')
    return '; '.join(told)


def listing_cells(lines: list[dict]) -> list[list[list[str]]]:
    """Return the listing as tables of cells, one for each set of losses, header first.

    A variant stands below its row.
    """
    tables = []
    for kind in (kinds.SOLO_COMBO, kinds.VAEGAN):
        own = [line for line in lines
               if all(f'published_{loss}' in line for loss in kind.losses)]
        header = ['experiment', 'nets', 'epochs', 'at epoch']
        for title in (*(loss.label for loss in kind.losses.values()), 's / epoch'):
            header += [f'{title}: published', 'ours']
        if own:
            tables.append([header] + [_cells(shown, kind) for line in own
                                      for shown in (line, *line['variants'])])
    return tables


def _cells(line: dict, kind: kinds.Kind) -> list[str]:
    nets = ' + '.join(filter(None, (line.get('vae'), line.get('disc'))))
    epochs = f'{line["solo_epochs"]}+{line["combo_epochs"]}' if nets else ''
    at = line.get('our_epoch', line.get('published_epoch'))
    pairs = [number(line.get(f'{whose}_{k}'), digits)
             for k, digits in (*((k, loss.digits) for k, loss in kind.losses.items()),
                               ('seconds_per_epoch', 1))
             for whose in ('published', 'our')]
    return [line['name'], nets, epochs, number(at, 0), *pairs]


def markdown_table(cells: list[list[str]]) -> str:
    """Return cells, header first, as a table that GitHub reads."""
    rows = [cells[0], ['---'] * len(cells[0]), *cells[1:]]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def number(value, digits: int = 2) -> str:
    """Return a number for a table; a dash where there is none."""
    return '-' if value is None else f'{float(value):.{digits}f}'


def losses_table(statistics: list[dict], curve: list[dict], kept: int = -1) -> str:
    """Return every tenth, the kept and the last epoch of ours, published ones below those of ours.
    """
    kind, always = kinds.of_phase(statistics[0]['phase']), (statistics[kept], statistics[-1])
    published = {ours['epoch']: line for ours, line in pairs(statistics, curve)}
    table = [['epoch', 'phase', *kind.shown]]
    for line in statistics:
        if line['epoch'] % 10 and line not in always and line['epoch'] not in published:
            continue
        table.append([f'{line["epoch"]:.0f}', line['phase'],
                      *(number(line[k], kind.digits_of(k))
                        for k in kind.shown)])
        if line['epoch'] in published:
            table.append(_published_cells(published[line['epoch']], kind))
    return markdown_table(table)


def _published_cells(line: dict, kind: kinds.Kind) -> list[str]:
    return [f'{float(line["epoch"]):.0f}, published', '',
            *(number(line.get(k), kind.digits_of(k, 3)) for k in kind.shown)]


def comparison(runs: dict[str, Path], measures: dict[str, dict]) -> str:
    """Return finished runs side by side, a column each: last losses, then measures, by title."""
    last = {title: read_statistics(folder)[-1] for title, folder in runs.items()}
    lines = [[label, *(number(last[title][k], digits) for title in runs)]
             for label, k, digits in (
                 ('VAE loss, last epoch', 'vae_loss', 2), ('- KL', 'kl', 2),
                 ('- pixel loss', 'pixel', 2), ('- adversarial', 'adversarial', 3),
                 ('discriminator loss', 'disc_loss', 3),
                 ('KL + pixel loss, held out', 'val_loss', 2))]
    lines += [[f'{of.header}, held out', *(measure(measures[title], name) for title in runs)]
              for name, of in _in_tables().items() if any(name in m for m in measures.values())]
    return markdown_table([['', *runs], *lines])


def side_by_side(runs: list[tuple[Row, list[dict], dict]], names: list[str]) -> str:
    """Return runs side by side, a column each: fields that differ, losses, measures.

    Of runs of different kinds the fields are those that all of them have. Losses are those of the
    epoch whose parameters were kept, the last one of most.

    runs: row, statistics and measures of each.
    """
    configurations = [{'training': row.kind.name} | row.configuration() for row, *_ in runs]
    lines = [[field, *(str(of[field]) for of in configurations)] for field in configurations[0]
             if all(field in of for of in configurations)
             and len({str(of[field]) for of in configurations}) > 1]
    losses, kept = {}, []
    for row, statistics, _ in runs:
        losses |= row.kind.losses
        kept.append(statistics[early_stopping.kept_epoch(row, statistics)])
    of = 'kept epoch' if any(early_stopping.keeps_best(row) for row, *_ in runs) else 'last epoch'
    shown = {loss: (of.label, of.digits) for loss, of in losses.items()}
    for loss, (label, digits) in (shown | {'val_loss': ('KL + pixel, held out', 2)}).items():
        if any(line.get(loss) is not None for line in kept):
            lines.append([f'{label}, {of}', *(number(line.get(loss), digits) for line in kept)])
    lines += [[f'{of.header}, held out', *(measure(measures, name) for *_, measures in runs)]
              for name, of in _in_tables().items() if any(name in m for *_, m in runs)]
    return markdown_table([['', *names], *lines])


def measured(runs: list[tuple[list[str], dict]], sort: str) -> str:
    """Return measures of runs, a line each; runs: in what one differs, and its measures.

    sort: the measure whose smallest value comes first; runs without it come last.
    """
    shown = {name: of for name, of in _in_tables().items()
             if any(name in measures for _, measures in runs)}
    ordered = sorted(runs, key=lambda run: (sort not in run[1], run[1].get(sort, 0)))
    return markdown_table([['', *(of.header for of in shown.values())],
                           *([', '.join(differs) or 'as published',
                              *(measure(measures, name) for name in shown)]
                             for differs, measures in ordered)])


def _in_tables() -> dict:
    """Return the measures that tables show, with NumPy, for which `list` does not wait."""
    from training.evaluation.measures import in_tables
    return in_tables()


def measure(measures: dict, name: str) -> str:
    """Return one of a run's measures for a table."""
    from training.evaluation.measures import MEASURES
    of = MEASURES[name]
    shown = number(measures.get(name), of.digits)
    return f'{shown} of {measures[of.total]}' if of.total and name in measures else shown


def of_data(source: dict, own: bool, more: str = '') -> str:
    """Return what a run's data are called; own: pictures of the user's. more: in brackets."""
    words = [*([] if own else [source['description']]), *filter(None, [more])]
    name = source['description'] if own else source['data']
    return name + (f' ({"; ".join(words)})' if words else '')


def passed_over(source: dict) -> str:
    """Return what of a data set's files was not read, in words; source: of config.json."""
    parts = [f'broken images left out: {source["left_out"]}'] if 'left_out' in source else []
    reasons = source.get('passed_over', {})
    if reasons:
        parts.append('files passed over: ' + ', '.join(
            f'{n} {reason}' for reason, n in reasons.items()))
    return '; '.join(parts)


def evaluations(evaluated: dict[str, dict]) -> str:
    """Return a table with a line for each run, by name; evaluated: what evaluation.json holds."""
    shown = {name: of for name, of in _in_tables().items()
             if any(name in evaluation['measures'] for evaluation in evaluated.values())}
    lines = [[run, *(measure(evaluation['measures'], name) for name in shown)]
             for run, evaluation in evaluated.items()]
    return markdown_table([['', *(of.header for of in shown.values())], *lines])


def timing_cells(lines: list[dict]) -> list[list[str]]:
    """Return the lines of timing.csv as a table, header first."""
    header = ['experiment', 'kind', 'step', 'scale', 'epochs: solo + combo', 's / solo epoch',
              's / combo epoch', 's in all', 'of the first', 'published s', 'of the first']
    return [header, *([
        line['experiment'], line['kind'], line['step'], line['scale'],
        f'{line["solo_epochs"]}+{line["combo_epochs"]}',
        number(line['solo_epoch_seconds'], 1),
        number(line['combo_epoch_seconds'], 1),
        number(line['seconds'], 0), number(line['fraction'], 3),
        number(line['published_seconds'], 0),
        number(line['published_fraction'], 3)] for line in lines)]
