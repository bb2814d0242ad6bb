"""What options of the command line have in common: kinds of values, and groups of options."""
import argparse
import math
import os
import re
from dataclasses import replace
from pathlib import Path

from data.fetch import USUAL


def add_checkpoints(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--fresh', action='store_true',
                     help='start an unfinished run over instead of resuming from its last '
                          'checkpoint')
    sub.add_argument('--checkpoint-minutes', metavar='M', type=positive, default=10.0,
                     help='also write a checkpoint every M minutes of a long epoch (default: 10)')


def count(text: str) -> int:
    if not re.fullmatch(r'[1-9][0-9]{0,5}', text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number above 0')
    return int(text)


def place(text: str) -> int:
    if not re.fullmatch(r'[0-9]{1,6}', text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected the number of an image, from 0')
    return int(text)


def seed(text: str) -> int:
    if not re.fullmatch(r'[0-9]{1,9}', text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number from 0')
    return int(text)


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number above 0')
    return number


def expanded(text: str) -> Path:
    """Return a path that may begin with a home folder: shells expand no `--option=~/x`."""
    path = os.path.expanduser(text)
    if not text:  # as a shell makes of a variable that is not set
        raise argparse.ArgumentTypeError("'': expected a path")
    if text.startswith('~') and path == text:
        raise argparse.ArgumentTypeError(f'{text!r}: no such home folder')
    return Path(path)


def folder(text: str) -> Path:
    path = expanded(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f'{text!r}: a file, expected a folder')
    return path


def existing(text: str) -> Path:
    path = expanded(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f'{text!r}: no such file or folder')
    return path


def add_names(sub: argparse.ArgumentParser, required: bool = True) -> None:
    group = sub.add_mutually_exclusive_group(required=required)
    group.add_argument('name', metavar='NAME', nargs='?', help='a name that `list` shows')
    group.add_argument('--match', metavar='GLOB', help='all names that match a shell pattern')


def add_own_name(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--data-name', metavar='WORDS',
                     help='what pictures of your own are called in captions (default: the name of '
                          'their folder or zip)')
    sub.add_argument('--name', metavar='WORD', dest='own_name',
                     help='call the run this, not after what differs from the experiment')


def add_results_root(sub: argparse.ArgumentParser, default: Path) -> None:
    sub.add_argument('--results-root', metavar='DIR', type=expanded, default=default,
                     help='the folder that holds result folders (default: the project\'s '
                          f'results/{default.name})')


def add_run(sub: argparse.ArgumentParser, results: Path) -> None:
    """Add what commands that use one finished run share."""
    sub.add_argument('run', metavar='RUN', help='a finished run')
    sub.add_argument('--force', action='store_true', help='replace existing files')
    add_results_root(sub, results)


def add_runs(sub: argparse.ArgumentParser, suffix: str) -> None:
    """Add the finished runs that a file is made of, and where it goes."""
    sub.add_argument('runs', metavar='RUN', nargs='+', help='a finished run')
    sub.add_argument('--out', metavar='FILE', type=expanded, required=True,
                     help=f'the file: a name that ends in {suffix}')
    sub.add_argument('--force', action='store_true', help='replace existing files')


def add_pictures(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('pictures', metavar='PICTURES', nargs='+', type=expanded,
                     help='pictures, folders or zips of them')
    add_skip_bad_pictures(sub)


def add_skip_bad_pictures(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--skip-bad', action='store_true',
                     help='leave out pictures that cannot be read, and say how many')


def add_faces(sub: argparse.ArgumentParser, images: Path) -> None:
    """Add which set of faces is collected, from where, and where it goes."""
    from data.collect import SOURCES
    sub.add_argument('faces', choices=tuple(SOURCES), help='the set')
    sub.add_argument('--data-root', metavar='DIR', type=folder,
                     help='where its zip goes (default: $VAEGAN_DATA, or if that is not set the '
                          'cache)')
    sub.add_argument('--from', metavar='CLONE', type=existing, dest='clone',
                     help='a clone of the repository that holds the images (default: it is '
                          'cloned for the time being)')


def add_ctx(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--ctx', metavar='auto|cpu|gpu|gpu:N', default='auto',
                     help='the device; several, separated by commas, share every batch')


class _AddRoot(argparse.Action):
    """`--data-root`: one more place of the images."""

    def __call__(self, parser, namespace, value, option=None):
        namespace.places = replace(namespace.places, roots=(*namespace.places.roots, value))


class HoldOut(argparse.Action):
    """`--held-out`: a place of held-out images, or a field of the row."""

    def __call__(self, parser, namespace, value, option=None):
        if isinstance(value, Path):
            namespace.places = replace(namespace.places, held_out=value)
        else:
            namespace.held_out = value


def share_or_existing(text: str) -> str | Path:
    """Return the text of a share, or of several or none, as `--set` takes it; or a path."""
    try:
        [float(share) for share in text.split(',') if share.lower() != 'none']
        return text
    except ValueError:
        return existing(text)


def add_held_out(sub: argparse.ArgumentParser) -> None:
    """Add where the held-out images of finished runs are; after `add_places`."""
    sub.add_argument('--held-out', metavar='DIR', type=existing, action=HoldOut,
                     help='pictures that a run held out, if it had them from a place of their own')


def add_places(sub: argparse.ArgumentParser, results: Path) -> None:
    add_ctx(sub)
    sub.add_argument('--data-root', metavar='DIR', type=existing, dest='places', default=USUAL,
                     action=_AddRoot,
                     help='where the data are, and nowhere else (default: $VAEGAN_DATA, or if '
                          'that is not set the cache); given several times, faces of all places '
                          'together are the data')
    sub.add_argument('--skip-bad', action='store_true',
                     help='leave out images of faces that cannot be read, and say how many')
    add_results_root(sub, results)
