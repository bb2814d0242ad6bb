"""What a run is called: its folder, its caption and the command that repeats it.

Built from the differences between a row and the published one, here and nowhere else.
"""
import re
import shlex

from training.experiments.registry import EXPERIMENTS, PUBLISHED, Experiment

# Fields with an option of their own, in the order in which names show them
OPTIONS = {'limit': '_n{}', 'step': '_{}', 'layout': '_{}', 'seed': '_seed{}'}
EPOCHS = {'solo_epochs', 'combo_epochs'}
OF_PICTURES = {'grid_side', 'grid_from', 'grid_every', 'n_classified'}  # change no training


def changes(row: Experiment) -> dict:
    """The fields in which a row differs from the published one of its name; options first."""
    published, configuration = EXPERIMENTS[row.name], row.configuration()
    return {k: configuration[k] for k in OPTIONS | configuration
            if configuration[k] != getattr(published, k)}


def run_name(row: Experiment) -> str:
    """The folder a run of this row goes to: the published name, if its configuration is that.

    Every difference shows: the data after `_on_`, the epochs in their token, anything else
    as a suffix.
    """
    published, changed = EXPERIMENTS[row.name], changes(row)
    model, hparams = row.name.split('/')
    if 'data' in changed:
        model = model.replace(f'_on_{published.data}', f'_on_{row.data}')
    if changed.keys() & EPOCHS:
        tokens = hparams.split('_')
        tokens[_epochs_token(published)] = epochs_text(row)
        hparams = '_'.join(tokens)
    for field, value in changed.items():
        if field not in EPOCHS | {'data'}:
            suffix = OPTIONS.get(field, f'_{field}-{{}}').format(value)
            hparams += re.sub(r'[^\w.+-]', '-', suffix)
    return f'{model}/{hparams}'


def comparable_curve(row: Experiment, published: dict) -> list[dict]:
    """The published curve, if a run of this row does what the published row does.

    As far as it goes: its seed, step and pictures may be others, and its last epochs may be
    missing.
    """
    free = OF_PICTURES | {'seed', 'step', 'combo_epochs'}
    if not row.combo_epochs:
        free.add('solo_epochs')
    return [] if changes(row).keys() - free else published.get('curve', [])


def originals_name(row: Experiment) -> str:
    """The folder of the validation images themselves; those of the split by seed 0 have no more
    to it than the data.
    """
    split = {0: '', None: '_in_name_order'}.get(row.shuffle_seed, f'_shuffled_{row.shuffle_seed}')
    return f'{row.data}_test_images{split}'


def command(row: Experiment) -> str:
    """The shell command that runs this row."""
    words, changed = ['python', '-m', 'training', 'run', row.name], changes(row)
    if changed.keys() & EPOCHS:
        words += ['--epochs', epochs_text(row)]
    for field, value in changed.items():
        if field in OPTIONS:
            words += [f'--{field}', str(value)]
        elif field not in EPOCHS:
            words += ['--set', f'{field}={value}']
    return shlex.join(words)


def caption(row: Experiment) -> str:
    """One sentence: as published, or what differs; not all rows were published."""
    differences = ', '.join(f'{k} {v}' for k, v in changes(row).items())
    if row.name in PUBLISHED:
        return (f'NOT the published experiment {row.name}: {differences}.' if differences else
                'The published experiment, by the published procedure, in full.')
    return (f'NOT the whole of the experiment {row.name}: {differences}.' if differences else
            f'The whole of the experiment {row.name}.')


def epochs_text(row: Experiment) -> str:
    """'N', or 'S+C' where solo and combo epochs have to be told apart."""
    published = EXPERIMENTS[row.name]
    if published.solo_epochs and published.combo_epochs:
        return f'{row.solo_epochs}+{row.combo_epochs}'
    other_kind = row.solo_epochs if published.combo_epochs else row.combo_epochs
    return f'{row.solo_epochs}+{row.combo_epochs}' if other_kind else str(row.epochs)


def _epochs_token(published: Experiment) -> int:
    """Where the epochs stand in a published name: as a sum, or as a total."""
    tokens = published.name.split('/')[1].split('_')
    both = f'{published.solo_epochs}+{published.combo_epochs}'
    return tokens.index(both if both in tokens else str(published.epochs))
