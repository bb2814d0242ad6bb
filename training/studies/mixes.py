"""Solo and combo epochs in seconds, and the published mixes of them. Never imports MXNet.

Published: 200 epochs of ConvVAE + ResNet, of which 0, 50, 100 or 150 are solo.
"""
import statistics
from collections.abc import Iterable

from training.experiments import canonical
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables

BASELINE = 'ConvVAE_ResNet_on_anime/512_32_200_10_1'
MIXES = (BASELINE, *(f'ConvVAE_ResNet_on_anime/512_32_{epochs}_10_1'
                     for epochs in ('50+150', '100+100', '150+50')))
PARTS = (0, 1 / 4, 1 / 2, 3 / 4)  # of a mix's epochs that are solo
ESTIMATE, MEASUREMENT = 'estimate', 'measurement'


class TimingError(ValueError):
    """Nothing to take times from; the message is for the user."""


def with_one_solo(seconds: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return by step the seconds of each phase; a solo epoch is the same in all: their mean."""
    solo = [phases['solo'] for phases in seconds.values() if 'solo' in phases]
    return {step: phases | ({'solo': statistics.mean(solo)} if solo else {})
            for step, phases in seconds.items()}


def estimates(row: Row, step: str, epoch_seconds: dict[str, float],
              published: dict[str, dict]) -> list[dict]:
    """Return the mixes of a row's epochs, from the seconds of a solo and of a combo epoch.

    A row without a discriminator, a plain GAN and a VAE/GAN have one kind of epoch and one line.
    """
    others = {phase: seconds for phase, seconds in epoch_seconds.items() if phase != 'solo'}
    solo, combo = epoch_seconds.get('solo'), next(iter(others.values()), None)
    parts = PARTS if solo and combo else (1,) if solo else (0,)
    lines = []
    for i, part in enumerate(parts):
        n_solo = round(row.epochs * part)
        n_combo = row.epochs - n_solo
        name = MIXES[i] if row.name in MIXES and len(parts) == len(MIXES) else row.name
        lines.append({'experiment': row.name, 'step': step, 'kind': ESTIMATE,
                      'scale': 'full', 'solo_epochs': n_solo, 'combo_epochs': n_combo,
                      'solo_epoch_seconds': solo, 'combo_epoch_seconds': combo,
                      'seconds': n_solo * (solo or 0) + n_combo * (combo or 0),
                      'published_seconds': _published(name, row, n_solo, published)})
    return _with_fractions(lines)


def _published(name: str, row: Row, n_solo: int, published: dict) -> float | None:
    """Return what was published for that mix, under its own name or that of one of the four."""
    if EXPERIMENTS[name].solo_epochs != n_solo:
        return None
    seconds = published.get(name, {}).get('pub_seconds_logged')
    return float(seconds) if seconds else None


def from_runs(finished: Iterable[tuple[Row, list[dict]]],
              published: dict[str, dict]) -> list[dict]:
    """Return the published mixes as finished runs of them took, of one scale.

    finished: rows with their statistics. TimingError if no scale has all four.
    """
    scales, mixes = {}, {canonical.trained_row(EXPERIMENTS[name]).name: name for name in MIXES}
    for row, statistic in finished:
        if row.name in mixes:
            key = tuple(sorted((k, str(v)) for k, v in row.configuration().items()
                               if k not in ('solo_epochs', 'combo_epochs')))
            scales.setdefault((key, row.epochs), {})[mixes[row.name]] = row, statistic
    whole = [runs for runs in scales.values() if len(runs) == len(MIXES)]
    if not whole:
        raise TimingError('no finished runs of all four mixes at one scale: '
                          + ', '.join(MIXES))
    lines = []
    for name in MIXES:
        row, statistic = whole[0][name]
        mean = {phase: statistics.mean(line['seconds'] for line in statistic
                                       if line['phase'] == phase)
                for phase in {line['phase'] for line in statistic}}
        lines.append({'experiment': name, 'step': row.step, 'kind': MEASUREMENT,
                      'scale': f'{row.epochs} epochs of {row.limit or "all"} images',
                      'solo_epochs': row.solo_epochs, 'combo_epochs': row.combo_epochs,
                      'solo_epoch_seconds': mean.get('solo'),
                      'combo_epoch_seconds': mean.get('combo'),
                      'seconds': sum(line['seconds'] for line in statistic),
                      'published_seconds': float(published[name]['pub_seconds_logged'])})
    return _with_fractions(lines)


def _with_fractions(lines: list[dict]) -> list[dict]:
    for line in lines:
        for of, seconds in (('fraction', 'seconds'),
                            ('published_fraction', 'published_seconds')):
            both = line[seconds], lines[0][seconds]
            line[of] = None if None in both else both[0] / both[1]
    return lines


def of_mixes(lines: list[dict]) -> list[dict]:
    """Return the lines of timing.csv that are of the published mixes, four by four."""
    return [line for line in lines
            if line['experiment'] in (MIXES if line['kind'] == MEASUREMENT else (BASELINE,))]


def merged(old: list[dict], new: list[dict]) -> list[dict]:
    """Return old lines and new, estimates first.

    New ones replace those of the same experiment, step and kind.
    """
    replaced = {(line['experiment'], line['step'], line['kind']) for line in new}
    kept = [line for line in old
            if (line['experiment'], line['step'], line['kind']) not in replaced]
    return sorted(kept + new, key=lambda line: line['kind'] != ESTIMATE)


def table(lines: list[dict]) -> str:
    """Return the lines as a table for a README."""
    return tables.markdown_table(tables.timing_cells(lines))
