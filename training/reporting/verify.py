"""Whether a result folder is what was recorded. Never imports MXNet."""
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.experiments import early_stopping, naming
from training.experiments.row import Row
from training.reporting import pictures, run_readme
from training.reporting.statistics import STATISTICS, read_statistics
from training.storage import files, run_folder

TOLERANCE = 1  # of 255: another machine may round a last bit otherwise


class VerifyError(ValueError):
    """Result folders that are not what was recorded; the message is for the user."""


@dataclass
class Findings:
    """What was checked, what could not be, and what is wrong."""
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.problems:
            return f'WRONG: {"; ".join(self.problems)}'
        return f'ok: {", ".join(self.checked)}' + ''.join(f'; {note}' for note in self.notes)


def check(folder: Path, published: dict[str, dict]) -> Findings:
    """Check checksums, configuration, statistics and README of a result folder; return findings.

    published: results/published.csv by experiment.
    """
    findings = Findings()
    try:
        _check_files(folder, findings)
        config = run_folder.read_config(folder)
        row = run_folder.row_of(config, folder)
        _check_configuration(folder, naming.run_name(row, config.get('own_name')), findings)
        _check_statistics(folder, row, findings)
        readme = files.printable(run_readme.readme(folder, published.get(row.name, {})))
        if readme != (folder / 'README.md').read_text(encoding='utf-8'):
            findings.problems.append('README.md is not what the numbers say')
    except (ValueError, OSError) as error:
        findings.problems.append(' '.join(str(error).split()))
    return findings


def _check_files(folder: Path, findings: Findings) -> None:
    recorded = run_folder.read_checksums(folder)
    there = {path.name for path in run_folder.belonging(folder)} | {
        name for name in recorded if (folder / name).is_file()}
    wanted = {run_folder.CONFIG, STATISTICS, pictures.STRIP, 'README.md'}
    for name in sorted(there | wanted - recorded.keys()):
        if name not in recorded:
            findings.problems.append(f'{name} has no recorded checksum')
        elif files.sha256(folder / name) != recorded[name]:
            findings.problems.append(f'{name} is not the recorded one')
    for name in sorted(recorded.keys() - there):
        # Parameters of large nets are not kept in git
        where = findings.notes if name.endswith('.params') else findings.problems
        where.append(f'{name} is not here')
    findings.checked.append(f'{len(recorded.keys() & there)} files')


def _check_configuration(folder: Path, recorded: str, findings: Findings) -> None:
    if recorded != f'{folder.parent.name}/{folder.name}':
        findings.problems.append(f'its configuration is that of {recorded}')


def _check_statistics(folder: Path, row: Row, findings: Findings) -> None:
    lines = read_statistics(folder)
    phases = [phase.name for phase in row.kind.phases
              for _ in range(getattr(row, phase.epochs_field))]
    ended = early_stopping.is_over(row, lines)
    if [line['phase'] for line in lines] != phases[:len(lines) if ended else row.epochs]:
        findings.problems.append(f'{STATISTICS} has not the {row.epochs} epochs of its row')
    if early_stopping.is_over(row, lines[:-1]):
        findings.problems.append(f'{STATISTICS} has epochs after that with which its run ended')
    if early_stopping.keeps_best(row) and None in (line['val_loss'] for line in lines):
        findings.problems.append(f'{STATISTICS} lacks held-out losses, which say what was kept')
    if not all(np.isfinite(value) for line in lines for column, value in line.items()
               if column.endswith('_loss') and value is not None):
        findings.problems.append(f'{STATISTICS} has losses that are not finite')
    of_all = f' of {row.epochs}' if len(lines) < row.epochs else ''
    findings.checked.append(f'{len(lines)}{of_all} epochs')


def compare_strip(folder: Path, pixels: np.ndarray, originals: np.ndarray | None,
                  findings: Findings) -> None:
    """Compare the strip on disk with pictures (n, h, w, c) uint8 drawn again."""
    again = pictures.strip(pixels, originals)
    before = pictures.read(folder / pictures.STRIP)
    if before.shape != again.shape:
        findings.problems.append(f'{pictures.STRIP} is {before.shape}, drawn again {again.shape}')
        return
    worst = int(np.abs(before.astype(int) - again).max())
    if worst > TOLERANCE:
        findings.problems.append(f'{pictures.STRIP} differs by {worst}/255 from one drawn again')
    findings.checked.append(f'strip drawn again: largest difference {worst}/255')
