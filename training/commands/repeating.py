"""Which options of a command a run cannot be repeated without, besides those of its row."""
import os
from pathlib import Path

from data import fetch
from data.fetch import Places
from training.experiments.row import Row
from training.reporting.published import RESULTS

# Options that name one, and that name one or something else
PLACES = '--data-root', '--results-root', '--config', '--log', '--tensorboard'
MAY_BE_PLACES = '--held-out', '--from'


def options_to_go_on(row: Row, options, places: Places, ctx: list) -> list[str]:
    """Return what a stopped run needs besides, to go on as it was begun, in words.

    options: its `training.run.train.Options`. places: of its images. ctx: its devices.
    """
    words = []
    if len(ctx) > 1:
        words += ['--ctx', ','.join(f'{one.device_type}:{one.device_id}' for one in ctx)]
    for place in () if row.images else places.roots:
        words += ['--data-root', os.path.abspath(place)]
    if options.keep_checkpoint:
        words += ['--keep-checkpoint']
    if options.snapshot_every:
        words += ['--snapshot-every', str(options.snapshot_every)]
    if options.tensorboard:
        words += ['--tensorboard', os.path.abspath(options.tensorboard)]
    return words


def options_of(row: Row, results_root: Path, begin_from: Path | None, places: Places,
               data_name: str | None) -> list[str]:
    """Return the places of own images and results, and the run that it began with, in words.

    begin_from: that run's folder. places, data_name: what the user said of the images. Paths
    are absolute. What is downloaded, and results beside those that are shown, need none.
    """
    words, root = [], results_root.resolve()
    for place in places.roots or (None,):
        if row.images and fetch.named(place):
            words += ['--data-root', os.path.abspath(fetch.data_root(place))]
    if places.held_out:
        words += ['--held-out', os.path.abspath(places.held_out)]
    if row.images and data_name:
        words += ['--data-name', data_name]
    if (row.images or begin_from) and root != RESULTS / 'images':
        words += ['--results-root', os.path.abspath(results_root)]
    if begin_from:
        inside = begin_from.resolve().parent.parent == root
        words += ['--from', (f'{begin_from.parent.name}/{begin_from.name}' if inside else
                             str(begin_from))]
    return words


def absolute(words: list[str]) -> list[str]:
    """Return a command's words with its places as absolute paths."""
    found = []
    for before, word in zip(['', *words], words, strict=False):
        option, equals, value = before, '', word
        if word.startswith('--'):
            option, equals, value = word.partition('=')
        is_place = option in PLACES or option in MAY_BE_PLACES and Path(value).exists()
        if is_place and value and not value.startswith('--'):
            value = os.path.abspath(os.path.expanduser(value))
            word = f'{option}={value}' if equals else value
        found.append(word)
    return found
