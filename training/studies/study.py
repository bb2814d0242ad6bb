"""A study: runs that are compared, their table, their figure, and what a README says of them."""
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.evaluation.measures import MEASURES
from training.experiments import naming
from training.experiments.row import Row
from training.reporting import pictures, tables
from training.reporting.statistics import read_statistics

STRIP_WIDTH = 640  # pixels, of a strip in a table


@dataclass(frozen=True)
class Runs:
    """Finished runs: the folder they are in, and how a text links to them.

    prefix: of links, from where the text stands to `root`. load: folder -> `TrainedNet` with
    its data, where parameters are needed.
    """
    root: Path
    prefix: str = ''
    load: Callable | None = None

    def folder(self, row: Row) -> Path:
        """Return the folder of a row's run."""
        return self.root / naming.run_name(row)

    def statistics(self, row: Row) -> list[dict]:
        """Return the statistics of the epochs of a row's run."""
        return read_statistics(self.folder(row))

    def link(self, text: str, run: str) -> str:
        """Return a link to the README of a run."""
        return f'[{text}]({self.prefix}{run}/README.md)'

    def image(self, run: str, name: str, text: str, width: int) -> str:
        """Return a picture of a run for a table, or nothing if it has no such picture."""
        if not (self.root / run / name).exists():
            return ''
        return f'<img src="{self.prefix}{run}/{name}" alt="{text}" width="{width}">'

    def strip(self, row: Row, run: str, label: str) -> str:
        """Return the strip of a run for a table."""
        shown = 'Originals and reconstructions' if row.encodes else 'Samples'
        return self.image(run, pictures.STRIP, f'{shown}: {label}', STRIP_WIDTH)


@dataclass(frozen=True)
class Study:
    """What is compared with what.

    comparisons: () -> by title, as the page shows it, the rows that are compared, each by what
    it is called in a table. write: (rows by label with their runs' lines of the table, `Runs`) ->
    a comparison in Markdown. draw: (path of the figure, comparisons, lines of the table, `Runs`).
    """
    name: str                 # on the command line
    summary: str              # what is compared, for --help
    table: str                # file name of its CSV, a line a run
    columns: tuple[str, ...]  # of that table
    figure: str               # file name
    comparisons: Callable[[], dict[str, dict[str, Row]]]
    write: Callable[[dict[str, tuple[Row, dict]], Runs], str]
    draw: Callable[[Path, dict[str, dict[str, Row]], list[dict], Runs], None]
    introduction: str = ''    # above all comparisons

    @property
    def measures(self) -> list[str]:
        """The measures that the table has."""
        return [column for column in self.columns if column in MEASURES]

    def rows(self) -> list[Row]:
        """Return what is trained: each row once."""
        return [*{naming.run_name(row): row for rows in self.comparisons().values()
                  for row in rows.values()}.values()]

    def block(self, title: str, lines: list[dict], runs: Runs) -> str:
        """Return one comparison in Markdown; lines: of the study's table."""
        by_run = {line['run']: line for line in lines}
        return self.write({label: (row, by_run[naming.run_name(row)])
                           for label, row in self.comparisons()[title].items()}, runs)

    def markdown(self, lines: list[dict], runs: Runs) -> str:
        """Return all comparisons in Markdown; lines: of the study's table."""
        parts = [self.introduction] if self.introduction else []
        for title in self.comparisons():
            parts.append(f'#### {title}\n\n{self.block(title, lines, runs)}')
        return '\n\n'.join(part.rstrip('\n') for part in parts)


def numbers(line: dict, columns: dict[str, tuple[str, int]]) -> list[str]:
    """Return cells of a line's numbers; columns: header and digits by name."""
    return [tables.number(line[name], digits) for name, (_, digits) in columns.items()]


def of_measures(*names: str) -> dict[str, tuple[str, int]]:
    """Return header and digits of measures by name."""
    return {name: (MEASURES[name].header, MEASURES[name].digits) for name in names}


def reduction(rows: dict[str, Row]) -> str:
    """Return in whole sentences what is reduced or otherwise changed in rows, by label.

    What all have in common is said once.
    """
    changed = {label: {field: value for field, value in naming.changes(row).items()
                       if field not in row.of_pictures()} for label, row in rows.items()}
    first = next(iter(changed.values()))
    shared = {field: value for field, value in first.items()
              if all(of.get(field) == value for of in changed.values())}
    sentences = []
    if shared:
        who = 'All of these runs are' if len(rows) > 1 else 'This run is'
        sentences.append(f'{who} less than the whole experiment: {_listed(shared)}. Losses do not '
                         'compare with those of the whole.')
    for label, of in changed.items():
        own = {field: value for field, value in of.items() if field not in shared}
        if own:
            also = 'besides has' if shared else 'is less than the whole experiment:'
            sentences.append(f'The run "{label}" {also} {_listed(own)}.')
    return ' '.join(sentences) or 'All of these are whole experiments.'


def _listed(changes: dict) -> str:
    return ', '.join(f'`{field}` {value}' for field, value in changes.items())
