"""What was published, and how our numbers stand beside it.

The published numbers are in results/published.csv, read from the original's README and logs, and
their losses along the epochs in published_curves.csv beside it; those of VAE/GANs by other authors
in peers.csv.
"""
from pathlib import Path

from training.experiments import early_stopping, kinds
from training.experiments.naming import RESULTS
from training.experiments.row import Row
from training.reporting.statistics import read_csv, read_statistics


def published_numbers(folder: Path = RESULTS) -> dict[str, dict]:
    """Return what was published, by experiment; empty fields are None, others text.

    Each has a `curve`: a line an epoch as far as they are known, or that of the last one only.
    """
    numbers = {line['name']: line for line in read_csv(folder / 'published.csv')}
    for line in (*read_csv(folder / 'published_curves.csv'), *read_csv(folder / 'peers.csv')):
        published = numbers.setdefault(line['name'], {'name': line['name']})
        published.setdefault('curve', []).append(line)
    for published in numbers.values():
        published.setdefault('curve', [{
            'epoch': published.get('pub_last_epoch'), 'source': published.get('source'),
            **{loss: published.get(f'pub_{loss}') for loss in kinds.SOLO_COMBO.losses}}])
        if 'pub_vae_loss' not in published:
            last = published['curve'][-1]
            published |= {'pub_last_epoch': last['epoch'],
                          **{f'pub_{loss}': last[loss] for loss in kinds.VAEGAN.losses}}
    return numbers


def pairs(statistics: list[dict], curve: list[dict]) -> list[tuple[dict, dict]]:
    """Return pairs of our epochs and the published ones of the same number and phase."""
    by_epoch = {float(line['epoch']): line for line in curve if line['epoch']}
    return [(ours, by_epoch[ours['epoch']]) for ours in statistics if ours['epoch'] in by_epoch
            and by_epoch[ours['epoch']].get('phase') in (None, ours['phase'])]


def our_numbers(folder: Path, row: Row, curve: list[dict]) -> dict:
    """Return a finished run's losses at the last epoch that the published curve has, and those.

    If there is none, at the epoch whose parameters were kept; and the seconds of all epochs.
    """
    statistics = read_statistics(folder)
    both = pairs(statistics, curve)
    ours, published = both[-1] if both else (
        statistics[early_stopping.kept_epoch(row, statistics)], {})
    seconds = sum(line['seconds'] for line in statistics)
    losses = kinds.of_phase(ours['phase']).losses
    return {'our_epoch': int(ours['epoch']), **{f'our_{loss}': ours[loss] for loss in losses},
            **{f'published_{loss}': published[loss] and float(published[loss])
               for loss in losses if published},
            'our_seconds': seconds, 'our_seconds_per_epoch': seconds / len(statistics)}


def published_seconds(published: dict) -> float | None:
    """Return the mean seconds of a published epoch; none if they were not logged."""
    seconds = published.get('pub_seconds_logged')
    return seconds and float(seconds) / float(published['pub_logged_epochs'])


def sources(statistics: list[dict], curve: list[dict]) -> list[str]:
    """Return where the published numbers beside ours come from."""
    return [*dict.fromkeys(line['source'] for _, line in pairs(statistics, curve)
                           if line.get('source'))]
