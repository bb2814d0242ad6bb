"""What a run is called: its folder, its caption and the command that repeats it.

Built from the differences between a row and the published one, here and nowhere else.
"""
import hashlib
import os
import re
import shlex
from dataclasses import fields
from pathlib import Path

from training.experiments import early_stopping
from training.experiments.groups import PixelObjective, SimilarityObjective
from training.experiments.registry import EXPERIMENTS, PUBLISHED
from training.experiments.row import ExperimentError, Row

RESULTS = Path(__file__).resolve().parents[2] / 'results'
# Fields with an option of their own, in the order in which names show them
OPTIONS = {'limit': '_n{}', 'step': '_{}', 'layout': '_{}', 'seed': '_seed{}',
           'stop_after': '_stop{}', 'held_out': '_held{}'}
SUFFIXES = OPTIONS | {'image_size': '_{0}x{0}', 'initial': '_from-{}'}
IN_WORDS = {'images': 'on other images ({})', 'initial': "from another run's parameters ({})",
            'mirror': 'on mirror images, too', 'held_out': 'with a share of {} held out',
            'stop_after': 'to stop after {} epochs without a new low',
            'keep': 'keeping the {} epoch'}
LABELS = {  # what differs, in few words
    'data': 'on {}', 'images': 'on other images', 'limit': '{:,} images', 'step': '{} step',
    'layout': '{}', 'seed': 'seed {}', 'stop_after': 'stops after {} epochs without a new low',
    'held_out': '{:g} of the images held out', 'image_size': '{0} x {0} pixels',
    'mirror': 'mirror images, too', 'lr': 'learning rate {:g}',
    'keep': 'keeps the {} epoch', 'initial': "from another run's parameters",
    'batch_size': 'batches of {}',
    'n_latent': '{} latents', 'n_hlayers': '{} hidden layers', 'n_hnodes': '{} hidden nodes',
    'vae_base_channels': '{} base channels', 'disc_hnodes': '{} nodes of the discriminator',
    'disc_base_channels': '{} channels of the discriminator', 'encoder': '{} encoder',
    'latent_head': '{} head', 'kl_weight': 'weight {:g} of KL', 'pbp_weight': 'pixel weight {:g}',
    'disc_weight': 'discriminator weight {:g}', 'decay_interval': 'decay every {} epochs'}
EPOCHS = {'solo_epochs', 'combo_epochs'}
OF_LOSS = {'data', 'images', 'image_size', *(  # what a loss is of, and what it sums
    field.name for group in (PixelObjective, SimilarityObjective) for field in fields(group))}
LONGEST = 255 - len('.replaced.unfinished')  # bytes of a folder's name, for file systems' sake
N_DIGITS = 8  # of the checksum in which longer ones end
SIZES = ('n_latent', 'n_hlayers', 'n_hnodes', 'vae_base_channels', 'disc_hlayers', 'disc_hnodes',
         'disc_base_channels')  # in the order in which published names show them


def changes(row: Row) -> dict:
    """Return the fields in which a row differs from the published one of its name.

    Those with an option come first.
    """
    published, configuration = EXPERIMENTS[row.name], row.configuration()
    return {k: configuration[k] for k in [*OPTIONS, *configuration]
            if k in configuration and configuration[k] != getattr(published, k)}


def labels(row: Row, own_name: str | None = None) -> list[str]:
    """Return what differs from the published row in few words each; of a whole row there is none.

    A name of the user's and the epochs come first; which pictures are kept is left out.
    """
    changed = {k: v for k, v in changes(row).items() if k not in row.of_pictures()}
    text = epochs_text(row)
    at_most = 'at most ' if early_stopping.patience(row) else ''
    epochs = [f'{at_most}{text} epoch{"s" * (text != "1")}'] if changed.keys() & EPOCHS else []
    called = [f'called {own_name}'] if own_name else []
    return called + epochs + [LABELS.get(k, f'{k.replace("_", " ")} {{}}').format(v)
                     for k, v in changed.items() if k not in EPOCHS]


def run_name(row: Row, own_name: str | None = None) -> str:
    """Return the folder of a run of this row: the published name, if it trains the same thing.

    Every difference shows: the data after `_on_`, the epochs in their token, anything else
    as a suffix; but not which pictures are kept. Where that is longer than file systems allow, a
    checksum stands for the last ones. own_name: of the user's, in place of all but the data.
    """
    published, changed = EXPERIMENTS[row.name], changes(row)
    model, hparams = row.name.split('/')
    if 'data' in changed:
        model = model.replace(f'_on_{published.data}', f'_on_{row.data}')
    if changed.keys() & EPOCHS:
        hparams = _with_epochs(published, hparams, epochs_text(row))
    suffixes = [_suffix(field, value) for field, value in changed.items()
                if field not in EPOCHS | {'data'} | row.of_pictures()]
    return f'{model}/{own_name or _shortened(hparams, suffixes)}'


def _shortened(hparams: str, suffixes: list[str]) -> str:
    """Return a name with its suffixes: all, or those that fit and a checksum of the rest."""
    def named(n: int) -> str:
        rest = ''.join(suffixes[n:])
        digest = hashlib.sha256(rest.encode()).hexdigest()[:N_DIGITS]
        return ''.join([hparams, *suffixes[:n], f'_and-{digest}' if rest else ''])
    return next(filter(_fits, map(named, range(len(suffixes), -1, -1))))


def _fits(name: str) -> bool:
    return len(name.encode()) <= LONGEST


def check_own_name(own_name: str) -> None:
    """Raise ExperimentError for what no run can be called, or for what may be made for another."""
    if not re.fullmatch(r'\w[\w.+-]*', own_name) or not _fits(own_name) or own_name.endswith(
            ('.unfinished', '.replaced')):
        raise ExperimentError(f'--name {own_name!r}: expected letters, digits and . _ + -, at '
                              f'most {LONGEST} bytes')
    first = own_name.split('_')[0]
    if any(name.split('/')[1].split('_')[0] == first for name in EXPERIMENTS):
        raise ExperimentError(f'--name {own_name}: expected another beginning than {first}, with '
                              'which names of what is trained begin')


def _suffix(field: str, value) -> str:
    return re.sub(r'[^\w.+-]', '-', SUFFIXES.get(field, f'_{field}-{{}}').format(value))


def _with_epochs(published: Row, hparams: str, text: str) -> str:
    """Return a published name's second half with other epochs.

    They stand behind the sizes of the nets, as a sum or as a total; where a name does not show
    them there they become a suffix.
    """
    tokens, sizes = hparams.split('_'), [str(getattr(published, size)) for size in SIZES]
    shown = {f'{published.solo_epochs}+{published.combo_epochs}', str(published.epochs)}
    start = 0
    for i, token in enumerate(tokens):
        if token in sizes:
            sizes, start = sizes[sizes.index(token) + 1:], i + 1
    place = next((i for i in range(start, len(tokens)) if tokens[i] in shown), None)
    if place is None:
        return f'{hparams}_epochs-{text}'
    return '_'.join([*tokens[:place], text, *tokens[place + 1:]])


def comparable_curve(row: Row, published: dict) -> list[dict]:
    """Return the published curve, if a run of this row does what the published row does.

    As far as it goes: its seed, step and pictures may be others, and its last epochs may be
    missing.
    """
    free = row.of_pictures() | {'seed', 'step', 'combo_epochs'}
    if not row.combo_epochs:
        free.add('solo_epochs')
    return [] if changes(row).keys() - free else published.get('curve', [])


def has_published_loss(row: Row) -> bool:
    """Return whether a run's loss is that of the published row: the same terms of the same images.

    Its nets, its epochs, and how many images it is trained on may be others.
    """
    return not changes(row).keys() & OF_LOSS


def originals_name(row: Row) -> str:
    """Return the folder of the validation images themselves.

    For the split by seed 0 it is called after the data alone.
    """
    split = {0: '', None: '_in_name_order'}.get(row.shuffle_seed, f'_shuffled_{row.shuffle_seed}')
    size = _suffix('image_size', row.image_size) if row.image_size else ''
    return f'{row.data}_test_images{size}{split}'


def command(row: Row, own_name: str | None = None) -> str:
    """Return the shell command that runs this row."""
    words, changed = ['python', '-m', 'training', 'run', row.name], changes(row)
    if changed.keys() & EPOCHS:
        words += ['--epochs', epochs_text(row)]
    for field, value in changed.items():
        if field in OPTIONS:
            words += [f'--{field.replace("_", "-")}', str(value)]
        elif field not in EPOCHS:
            words += ['--set', f'{field}={value}']
    if own_name:
        words += ['--name', own_name]
    return shlex.join(words)


def in_root(command: str, results_root: Path) -> str:
    """Return a command on results in that place; the project's own need no word.

    The place may be another one than the command names: results were moved, or copied.
    """
    command = without_root(command)
    if results_root.resolve() == RESULTS / 'images':
        return command
    return f'{command} --results-root {shlex.quote(os.path.abspath(results_root))}'


def without_root(command: str) -> str:
    """Return a command without --results-root; as it is if it cannot be parsed."""
    try:
        words = shlex.split(command)
    except ValueError:  # edited by hand
        return command
    kept = [word for before, word in zip(['', *words], words, strict=False)
            if '--results-root' not in (before, word) and not word.startswith('--results-root=')]
    return command if kept == words else shlex.join(kept)


def caption(row: Row) -> str:
    """Return one sentence: as published, or what differs; not all rows were published."""
    differences = ', '.join(IN_WORDS.get(k, f'{k} {{}}').format(v)
                            for k, v in changes(row).items() if k not in row.of_pictures())
    if row.name in PUBLISHED:
        where = '' if row.data == 'MNIST' else ", on other faces than the original's"
        return (f'NOT the published experiment {row.name}: {differences}.' if differences else
                f'The published experiment, by the published procedure, in full{where}.')
    return (f'NOT the whole of the experiment {row.name}: {differences}.' if differences else
            f'The whole of the experiment {row.name}.')


def epochs_text(row: Row) -> str:
    """Return 'N', or 'S+C' where solo and combo epochs have to be told apart."""
    published = EXPERIMENTS[row.name]
    if published.solo_epochs and published.combo_epochs:
        return f'{row.solo_epochs}+{row.combo_epochs}'
    other_kind = row.solo_epochs if published.combo_epochs else row.combo_epochs
    return f'{row.solo_epochs}+{row.combo_epochs}' if other_kind else str(row.epochs)
