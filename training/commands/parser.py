"""The options of every command."""
import argparse
import os
import re
from pathlib import Path
from typing import NoReturn

from training.commands import damage, finished, gallery, listing, timing, train
from training.reporting.published import RESULTS
from training.studies import STUDIES
from training.studies.mixes import BASELINE


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line; --help shows the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {" ".join(message.split())} ({self.prog} --help shows how)\n')


def _add_checkpoints(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--fresh', action='store_true',
                     help='start an unfinished run over instead of going on from its last '
                          'checkpoint')
    sub.add_argument('--checkpoint-minutes', metavar='M', type=_minutes, default=10.0,
                     help='also write a checkpoint every M minutes of a long epoch (default: 10)')


def _count(text: str) -> int:
    if not re.fullmatch(r'[1-9][0-9]{0,5}', text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number above 0')
    return int(text)


def _place(text: str) -> int:
    if not re.fullmatch(r'[0-9]{1,6}', text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected the number of an image, from 0')
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number above 0')
    return minutes


def _expanded(text: str) -> Path:
    """Return a path that may begin with a home folder: shells expand no `--option=~/x`."""
    path = os.path.expanduser(text)
    if text.startswith('~') and path == text:
        raise argparse.ArgumentTypeError(f'{text!r}: no such home folder')
    return Path(path)


def _folder(text: str) -> Path:
    path = _expanded(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f'{text!r}: a file, expected a folder')
    return path


def _existing(text: str) -> Path:
    path = _expanded(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f'{text!r}: no such file or folder')
    return path


def _add_names(sub: argparse.ArgumentParser) -> None:
    group = sub.add_mutually_exclusive_group(required=True)
    group.add_argument('name', metavar='NAME', nargs='?', help='a name that `list` shows')
    group.add_argument('--match', metavar='GLOB', help='all names that match a shell pattern')


def _add_results_root(sub: argparse.ArgumentParser, default: Path) -> None:
    sub.add_argument('--results-root', metavar='DIR', type=_expanded, default=default,
                     help='the folder that holds result folders (default: the project\'s '
                          f'results/{default.name})')


def _add_ctx(sub: argparse.ArgumentParser) -> None:
    sub.add_argument('--ctx', metavar='auto|cpu|gpu|gpu:N', default='auto',
                     help='the device; several, separated by commas, share every batch')


def _add_places(sub: argparse.ArgumentParser, results: Path) -> None:
    _add_ctx(sub)
    sub.add_argument('--data-root', metavar='DIR', type=_existing,
                     help='where the data are, and nowhere else (default: $VAEGAN_DATA, '
                          'or if that is not set the cache)')
    sub.add_argument('--skip-bad', action='store_true',
                     help='leave out images of faces that cannot be read, and say how many')
    _add_results_root(sub, results)


def parser(images: Path = RESULTS / 'images') -> argparse.ArgumentParser:
    """Return the command line; `command` of what it parses is the command's function."""
    top = _Parser(
        prog='python -m training', formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Rerun the published VAE and VAE + discriminator experiments.',
        epilog='Epochs are numbered from 0, in tables, on the page and in messages.\n\n'
               'examples:\n'
               '  python -m training list\n'
               '  python -m training run DenseVAE_on_MNIST/5_3_400_bce_50\n'
               '  python -m training strips --match "*_on_MNIST/*"\n'
               '  python -m training demo')
    subs = top.add_subparsers(dest='name_of_command', required=True, metavar='COMMAND')
    for name, (command, add_options, summary, example) in COMMANDS.items():
        sub = subs.add_parser(name, help=summary, description=summary,
                              epilog=f'example: python -m training {example}')
        sub.set_defaults(command=command)
        add_options(sub, images)
    return top


def _list(sub: argparse.ArgumentParser, images: Path) -> None:
    sub.add_argument('--match', metavar='GLOB', default='*',
                     help='show only experiments and finished runs whose names match a shell '
                          'pattern')
    form = sub.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true', help='print JSON, for programs')
    form.add_argument('--markdown', action='store_true', help='print a Markdown table')
    _add_results_root(sub, images)


def _run(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_names(sub)
    sub.add_argument('--epochs', metavar='N|S+C',
                     help='number of epochs, or of solo + combo epochs')
    sub.add_argument('--limit', metavar='N', help='train on the first N training images only')
    sub.add_argument('--step', metavar='published|shared',
                     help='pass images through the VAE three times in a combo step, or once')
    sub.add_argument('--layout', metavar='reshape|transpose',
                     help='how images become channel-first: reshape, as the original did, cuts '
                          'them into bands, transpose keeps them whole')
    sub.add_argument('--seed', metavar='N',
                     help='seed of weights, batch order and noise; it never changes the split')
    sub.add_argument('--set', metavar='FIELD=VALUE', action='append', default=[],
                     help='set any other field of the row; may be repeated')
    sub.add_argument('--kvstore', metavar='dist_sync',
                     help='train together with the other workers of a job (see launch)')
    sub.add_argument('--force', action='store_true', help='replace a finished run')
    sub.add_argument('--snapshot-every', metavar='N', type=_count,
                     help='keep the strip after every N epochs, and all of them as strip.gif')
    sub.add_argument('--tensorboard', metavar='DIR', type=_folder,
                     help='log losses and strips there too, epoch by epoch')
    _add_checkpoints(sub)
    sub.add_argument('--dry-run', action='store_true', help='print the resolved row and stop')
    _add_places(sub, images)


def _launch(sub: argparse.ArgumentParser, images: Path) -> None:
    sub.add_argument('--workers', metavar='N', type=int, default=2,
                     help='number of processes that share every batch (default: 2)')
    sub.add_argument('--servers', metavar='N', type=int, default=1,
                     help='number of processes that add up gradients (default: 1)')
    sub.add_argument('--hosts', metavar='HOST,...', default='',
                     help='machines on which they are started by ssh, in turn (default: this one)')
    sub.add_argument('job', metavar='run ...', nargs=argparse.REMAINDER,
                     help='the run to launch, with its options')


def _strips(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_names(sub)
    _add_places(sub, images)


def _verify(sub: argparse.ArgumentParser, images: Path) -> None:
    sub.add_argument('names', metavar='NAME', nargs='*',
                     help='finished runs to check (default: all)')
    _add_places(sub, images)


def _evaluate(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_names(sub)
    sub.add_argument('--json', action='store_true', help='print JSON, for programs')
    _add_places(sub, images)


def _explore(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_names(sub)
    sub.add_argument('--between', metavar=('I', 'J'), nargs=2, type=_place, default=(0, 1),
                     help='interpolate between these two held-out images (default: 0 1)')
    _add_places(sub, images)


def _report(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_results_root(sub, images)


def _gallery(sub: argparse.ArgumentParser, images: Path) -> None:
    about = '; '.join(f'{name}: {study.summary}' for name, study in STUDIES.items())
    sub.add_argument('which', choices=tuple(STUDIES), nargs='?', default='anime',
                     help=f'the study, by default anime ({about})')
    sub.add_argument('--markdown', action='store_true',
                     help='print what a README says of the study, and stop')
    sub.add_argument('--keep', action='store_true',
                     help='keep the numbers of finished runs whose parameters are not here, as '
                          'in a fresh clone: they are trained again otherwise')
    _add_checkpoints(sub)
    _add_places(sub, images)


def _time(sub: argparse.ArgumentParser, images: Path) -> None:
    sub.add_argument('--match', metavar='GLOB', default=BASELINE,
                     help='rows to time (default: ConvVAE + ResNet)')
    sub.add_argument('--steps', metavar='N', type=_count, default=10,
                     help='number of timed steps of each kind, after a warm-up (default: 10)')
    sub.add_argument('--step', choices=('published', 'shared', 'both'), default='both',
                     help='which combo step to time (default: both)')
    sub.add_argument('--from-runs', action='store_true',
                     help='take the seconds of finished runs of the four published mixes '
                          'instead of timing steps')
    sub.add_argument('--json', action='store_true', help='print JSON, for programs')
    _add_ctx(sub)
    _add_results_root(sub, images)


def _damage(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_places(sub, images)


def _demo(sub: argparse.ArgumentParser, images: Path) -> None:
    _add_checkpoints(sub)
    _add_places(sub, images.parent / 'demo')


COMMANDS = {  # name: its function and options, what it does, an example
    'list': (listing.list_command, _list, 'show the experiments, with published numbers and ours',
             'list --match "*_on_MNIST/*"'),
    'run': (train.run_command, _run, 'train an experiment and write its result folder',
            'run DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50 --epochs 2 --step shared'),
    'launch': (train.launch_command, _launch, 'train on several machines, or in several '
               "processes, by MXNet's parameter server",
               'launch --workers 2 run DenseVAE_on_MNIST/5_3_400_bce_50 --epochs 2'),
    'strips': (finished.strips_command, _strips,
               'draw the pictures of finished runs again from their parameters',
               'strips DenseVAE_on_MNIST/5_3_400_bce_50'),
    'verify': (finished.verify_command, _verify,
               'check result folders against their checksums, and draw their strips again',
               'verify DenseVAE_on_MNIST/5_3_400_bce_50'),
    'evaluate': (finished.evaluate_command, _evaluate,
                 'measure finished runs over all held-out images',
                 'evaluate DenseVAE_on_MNIST/5_3_400_bce_50'),
    'explore': (finished.explore_command, _explore, 'draw what a finished run has learned: '
                'samples, interpolations, traversals of latents, nearest images',
                'explore DenseVAE_on_MNIST/5_3_400_bce_50'),
    'report': (finished.report_command, _report,
               'write index.html: all finished runs on one page', 'report'),
    'gallery': (gallery.gallery_command, _gallery,
                'train the experiments of a study, and compare them', 'gallery anime'),
    'time': (timing.time_command, _time,
             'time solo and combo epochs, and the published mixes of them', 'time --steps 5'),
    'damage': (damage.damage_command, _damage, 'damage faces on purpose, and see whether their '
               'Frechet distance notices', 'damage'),
    'demo': (train.demo_command, _demo,
             'train a VAE alone, then a VAE against a discriminator, and compare them', 'demo'),
}
