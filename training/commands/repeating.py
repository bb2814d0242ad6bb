"""Which options of a command a run cannot be repeated without, besides those of its row."""
import os

from data import fetch
from training.commands import initial
from training.experiments.row import Row
from training.reporting.published import RESULTS


def options_of(row: Row, args) -> list[str]:
    """Return the places of own images and results, and the run that it began with, in words.

    Paths are absolute. What is downloaded, and results beside those that are shown, need none.
    """
    words, folder = [], initial.folder_of(args)
    root = args.results_root.resolve()
    if row.images and fetch.named(args.data_root):
        words += ['--data-root', os.path.abspath(fetch.place(args.data_root))]
    if row.images and getattr(args, 'data_name', None):
        words += ['--data-name', args.data_name]
    if (row.images or folder) and root != RESULTS / 'images':
        words += ['--results-root', os.path.abspath(args.results_root)]
    if folder:
        inside = folder.resolve().parent.parent == root
        words += ['--from', f'{folder.parent.name}/{folder.name}' if inside else str(folder)]
    return words
