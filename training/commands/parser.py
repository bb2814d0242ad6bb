"""The options of every command.

Only those of the command that is asked for are made, and only its module is imported: `list` waits
for no other's libraries.
"""
import argparse
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from training.commands import options, own_options
from training.experiments.groups import COMBO_STEPS
from training.reporting.published import RESULTS

FORMER = {'study': ['gallery']}  # names under which older READMEs know a command


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line; --help shows the usage."""
    make_options: Callable[[], None] | None = None  # its own, before it first parses

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)  # commands are read again, as words

    def parse_known_args(self, *arguments) -> tuple[argparse.Namespace, list[str]]:
        if self.make_options:
            self.make_options()
            self.make_options = None
        return super().parse_known_args(*arguments)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {" ".join(message.split())} ({self.prog} --help shows how)\n')


def parser(images: Path = RESULTS / 'images',
           called: str = 'python -m training') -> argparse.ArgumentParser:
    """Return the command line; `command` of what it parses is the command's function."""
    top = _Parser(
        prog=called, formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Rerun the published VAE and VAE + discriminator experiments.',
        epilog='Epochs are numbered from 0, in tables, on the page and in messages.\n\n'
               'examples:\n'
               f'  {called} list\n'
               f'  {called} run DenseVAE_on_MNIST/5_3_400_bce_50\n'
               f'  {called} strips --match "*_on_MNIST/*"\n'
               f'  {called} demo')
    subs = top.add_subparsers(dest='name_of_command', required=True, metavar='COMMAND')
    for name, (module, add_options, summary, example) in COMMANDS.items():
        sub = subs.add_parser(name, aliases=FORMER.get(name, []), help=summary,
                              description=summary,
                              epilog=f'example: {called} {example}')
        sub.make_options = partial(_make_options, sub, images, name, module, add_options)
    return top


def _make_options(sub: argparse.ArgumentParser, images: Path, name: str, module: str,
                  add_options: Callable[[argparse.ArgumentParser, Path], None]) -> None:
    """Give the parser of a command its function and its options."""
    command = getattr(import_module(f'training.commands.{module}'), f'{name}_command')
    sub.set_defaults(command=command)
    add_options(sub, images)


def _list(sub: argparse.ArgumentParser, images: Path) -> None:
    sub.add_argument('--match', metavar='GLOB', default='*',
                     help='show only experiments and finished runs whose names match a shell '
                          'pattern')
    form = sub.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true', help='print JSON, for programs')
    form.add_argument('--markdown', action='store_true', help='print a Markdown table')
    options.add_results_root(sub, images)


def _run(sub: argparse.ArgumentParser, images: Path) -> None:
    from training.commands import field_help, run_file
    from training.evaluation.measures import in_tables
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.epilog = f'{field_help.text()}\n\n{sub.epilog}'
    options.add_names(sub, required=False)
    sub.add_argument('--config', metavar='FILE', type=run_file.read,
                     help='take the experiment and its fields from a TOML file: experiment = '
                          '"NAME", and field = value as for --set; what is said here counts more')
    options.add_own_name(sub)
    sub.add_argument('--epochs', metavar='N|S+C',
                     help='number of epochs, or of solo + combo epochs')
    sub.add_argument('--limit', metavar='N', help='train on the first N training images only')
    sub.add_argument('--held-out', metavar='SHARE|DIR', type=options.share_or_existing,
                     action=options.HoldOut,
                     help='hold out this share of faces, or the pictures of a folder or zip, in '
                          'place of the published split')
    sub.add_argument('--step', metavar='|'.join(COMBO_STEPS),
                     help='pass images through the VAE three times in a combo step, or once')
    sub.add_argument('--layout', metavar='reshape|transpose',
                     help='how images become channel-first: reshape, as the original did, cuts '
                          'them into bands, transpose keeps them whole')
    sub.add_argument('--seed', metavar='N',
                     help='seed of weights, batch order and noise; it never changes the split')
    sub.add_argument('--stop-after', metavar='N',
                     help='stop after N epochs without a new low of the held-out loss, and keep '
                          'the parameters of the lowest')
    sub.add_argument('--from', metavar='RUN', dest='begin_from',
                     help='begin with the parameters of a finished run of the same nets')
    sub.add_argument('--more', metavar='N', type=options.count,
                     help='let the finished run that these words name go on for N epochs, to the '
                          'same bits as a run of so many at once')
    sub.add_argument('--keep-checkpoint', action='store_true',
                     help='keep its last checkpoint, for --more: three times its parameters')
    sub.add_argument('--set', metavar='FIELD=VALUE', action='append', default=[],
                     help='set any other field of the row; may be repeated. Several values here '
                          'or above, separated by commas, train all combinations in turn')
    sub.add_argument('--sort', metavar='MEASURE', choices=tuple(in_tables()),
                     default='frechet_reconstructions',
                     help='of several values: the measure that orders the table at the end, one '
                          f'of {", ".join(in_tables())} (default: frechet_reconstructions)')
    sub.add_argument('--kvstore', metavar='dist_sync',
                     help='train together with the other workers of a job (see launch)')
    sub.add_argument('--force', action='store_true', help='replace a finished run')
    sub.add_argument('--snapshot-every', metavar='N', type=options.count,
                     help='keep the strip after every N epochs, and all of them as strip.gif')
    sub.add_argument('--tensorboard', metavar='DIR', type=options.folder,
                     help='log losses and strips there too, epoch by epoch')
    sub.add_argument('--log', metavar='FILE', type=options.expanded,
                     help='append what is printed to a file, too, each line with the time')
    options.add_checkpoints(sub)
    sub.add_argument('--dry-run', action='store_true', help='print the resolved row and stop')
    sub.add_argument('--toml', action='store_true', help='print it as a file for --config, and '
                     'stop')
    options.add_places(sub, images)


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
    options.add_names(sub)
    options.add_places(sub, images)
    options.add_held_out(sub)


def _verify(sub: argparse.ArgumentParser, images: Path) -> None:
    sub.add_argument('names', metavar='NAME', nargs='*',
                     help='finished runs to check (default: all)')
    options.add_places(sub, images)
    options.add_held_out(sub)


def _evaluate(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_names(sub)
    sub.add_argument('--json', action='store_true', help='print JSON, for programs')
    options.add_places(sub, images)
    options.add_held_out(sub)


def _explore(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_names(sub)
    sub.add_argument('--between', metavar=('I', 'J'), nargs=2, type=options.place, default=(0, 1),
                     help='interpolate between these two held-out images (default: 0 1)')
    options.add_places(sub, images)
    options.add_held_out(sub)


def _study(sub: argparse.ArgumentParser, images: Path) -> None:
    from training.studies import STUDIES
    about = '; '.join(f'{name}: {study.summary}' for name, study in STUDIES.items())
    sub.add_argument('which', choices=tuple(STUDIES), nargs='?', default='anime',
                     help=f'the study, by default anime ({about})')
    sub.add_argument('--markdown', action='store_true',
                     help='print what a README says of the study, and stop')
    sub.add_argument('--keep', action='store_true',
                     help='keep the numbers of finished runs whose parameters are not here, as '
                          'in a fresh clone: they are trained again otherwise')
    options.add_checkpoints(sub)
    options.add_places(sub, images)


def _time(sub: argparse.ArgumentParser, images: Path) -> None:
    from training.studies.mixes import BASELINE
    sub.add_argument('--match', metavar='GLOB', default=BASELINE,
                     help='rows to time (default: ConvVAE + ResNet)')
    sub.add_argument('--steps', metavar='N', type=options.count, default=10,
                     help='number of timed steps of each kind, after a warm-up (default: 10)')
    sub.add_argument('--step', choices=(*COMBO_STEPS, 'all'), default='all',
                     type=lambda word: 'all' if word == 'both' else word,  # its name before
                     help='which combo step to time (default: all)')
    sub.add_argument('--from-runs', action='store_true',
                     help='take the seconds of finished runs of the four published mixes '
                          'instead of timing steps')
    sub.add_argument('--json', action='store_true', help='print JSON, for programs')
    options.add_ctx(sub)
    options.add_results_root(sub, images)


def _demo(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_checkpoints(sub)
    options.add_places(sub, images.parent / 'demo')


COMMANDS = {  # name: the module of its function, its options, what it does, an example
    'list': ('listing', _list, 'show the experiments, with published numbers and ours',
             'list --match "*_on_MNIST/*"'),
    'run': ('train', _run, 'train an experiment and write its result folder',
            'run DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50 --epochs 2 --step shared'),
    'launch': ('train', _launch, 'train on several machines, or in several '
               "processes, by MXNet's parameter server",
               'launch --workers 2 run DenseVAE_on_MNIST/5_3_400_bce_50 --epochs 2'),
    'strips': ('finished', _strips,
               'draw the pictures of finished runs again from their parameters',
               'strips DenseVAE_on_MNIST/5_3_400_bce_50'),
    'verify': ('finished', _verify,
               'check result folders against their checksums, and draw their strips again',
               'verify DenseVAE_on_MNIST/5_3_400_bce_50'),
    'evaluate': ('finished', _evaluate,
                 'measure finished runs over all held-out images',
                 'evaluate DenseVAE_on_MNIST/5_3_400_bce_50'),
    'explore': ('finished', _explore, 'draw what a finished run has learned: '
                'samples, interpolations, traversals of latents, nearest images',
                'explore DenseVAE_on_MNIST/5_3_400_bce_50'),
    'reconstruct': ('own_pictures', own_options.reconstruct,
                    'draw your own pictures again, by a finished run',
                    'reconstruct DenseVAE_on_MNIST/5_3_400_bce_50 my_digits --out drawn'),
    'sample': ('own_pictures', own_options.sample,
               'draw new pictures by a finished run',
               'sample DenseVAE_on_MNIST/5_3_400_bce_50 --n 20 --seed 1 --out samples'),
    'interpolate': ('own_pictures', own_options.interpolate,
                    'draw the way from one of your pictures to another',
                    'interpolate DenseVAE_on_MNIST/5_3_400_bce_50 a.png b.png --out way.gif'),
    'encode': ('own_pictures', own_options.encode,
               'write the latents of your own pictures to a file',
               'encode DenseVAE_on_MNIST/5_3_400_bce_50 my_digits --out latents.npz'),
    'decode': ('own_pictures', own_options.decode, 'draw latents out of a file',
               'decode DenseVAE_on_MNIST/5_3_400_bce_50 latents.npz --out drawn'),
    'export': ('export', own_options.export,
               'write the nets of a finished run for other programs',
               'export DenseVAE_on_MNIST/5_3_400_bce_50 --format onnx --out digits.onnx'),
    'explorer': ('explorer', own_options.explorer,
                 'write one page in which nets of finished runs draw, to play with in a browser',
                 'explorer DenseVAE_on_MNIST/5_3_400_bce_50 --out digits.html'),
    'compare': ('compare', own_options.compare,
                'draw losses and strips of finished runs side by side, and print their measures',
                'compare DenseVAE_on_MNIST/5_3_400_bce_50 DenseVAE_on_MNIST/5_3_400_l2_50 '
                '--out both.png'),
    'report': ('finished', options.add_results_root,
               'write index.html: all finished runs on one page, to filter and compare in pairs',
               'report'),
    'study': ('study', _study,
                'train the experiments of a study, and compare them', 'study anime'),
    'time': ('timing', _time,
             'time solo and combo epochs, and the published mixes of them', 'time --steps 5'),
    'damage': ('damage', options.add_places, 'damage faces on purpose, and see '
               'whether their Frechet distance notices', 'damage'),
    'collect': ('collect', options.add_faces,
                'get the faces of the shown results from the repositories that hold them',
                'collect anime'),
    'demo': ('demo', _demo,
             'train a VAE alone, then a VAE against a discriminator, and compare them', 'demo'),
}
