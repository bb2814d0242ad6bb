"""Unfinished runs: whether one may go on, and which one is left when another begins."""
import re
from dataclasses import replace
from pathlib import Path

from training.experiments.row import Row
from training.storage import files, run_folder
from training.storage.run_folder import CONFIG, UNFINISHED, FolderError

CHECKPOINT = f'checkpoint-{"[0-9]" * 6}-{"[0-9]" * 6}.safetensors'  # epochs and batches done
ON_THE_WAY = re.compile(r'(samples|strip)_\d+\.png|classes\.csv')  # a run makes before its end
# Fields that are found and not set, and what they are without a checksum
FOUND = {'images': 'those of the shown results', 'initial': 'drawn'}


def merged_config(folder: Path, config: dict) -> dict:
    """Return config.json of a run that goes on: as it was begun, and on which devices since.

    FolderError if it was begun with another row or other data. Data are the same if their pixels
    are: their folder's name, and what else is in it, may have changed.
    """
    try:
        begun = run_folder.read_config(folder)
    except FolderError as error:
        raise FolderError(f'{error}; --fresh starts over') from None
    except OSError as error:
        raise FolderError(f'{folder / CONFIG}: {error.strerror}; --fresh starts over') from None
    # As it would be recorded today: rows may have other fields since it was begun
    row = run_folder.row_of(begun, folder)
    begun['row'] = row.recorded()
    for key in ('run', 'row', 'data', 'n_train'):
        before, now = ({part: of[key][part] for part in ('data', 'sha256')} if key == 'data'
                       else of[key] for of in (begun, config))
        if key == 'row':  # which pictures are kept on the way may have changed
            before, now = ({field: value for field, value in of.items()
                            if field not in row.of_pictures()} for of in (before, now))
        if before != now:
            raise FolderError(f'{folder / CONFIG}: begun with another {key} '
                              f'({_difference(before, now)}); --fresh starts over')
    device, now = begun['device'], config['device']
    earlier = {key: begun[key] for key in ('earlier_versions',) if key in begun}
    if begun.get('versions') != config['versions']:
        earlier.setdefault('earlier_versions', begun.get('versions'))
    return config | earlier | {
        'device': device if device.endswith(now) else f'{device}, then {now}'}


def _difference(before, now) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        field = next(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        before, now = f'{field} {before.get(field)}', now.get(field)
    return f'{before}, now {now}'


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    return sorted(filter(Path.is_file, folder.glob(CHECKPOINT)))


def keep_last(folder: Path) -> Path:
    """Keep the last checkpoint of a run that is about to be finished; return where."""
    kept = folder / run_folder.KEPT_CHECKPOINT
    files.copy(checkpoints_in(folder)[-1], kept)
    return kept


def continue_from(finished: Path, folder: Path) -> None:
    """Let the run in a folder go on where a finished one of fewer epochs ended.

    With its checkpoint, and the pictures and numbers of samples that it made on the way.
    """
    row = run_folder.row_of(run_folder.read_config(finished), finished)
    for path in sorted(finished.iterdir()):
        if ON_THE_WAY.fullmatch(path.name):
            files.copy(path, folder / path.name)
    files.copy(finished / run_folder.KEPT_CHECKPOINT,
               folder / f'checkpoint-{row.epochs:06d}-000000.safetensors')


def all_in(root: Path) -> list[dict]:
    """Return the unfinished runs below a root that can go on, with what `list` says of each.

    What is damaged is passed over: it says so when it is to go on.
    """
    found = []
    for path in sorted(root.glob(f'*/*{UNFINISHED}/{CONFIG}')):
        try:
            config = run_folder.read_config(path.parent)
            row = run_folder.row_of(config, path.parent)
        except (FolderError, OSError):
            continue
        final = path.parent.with_name(path.parent.name.removesuffix(UNFINISHED))
        for last in checkpoints_in(path.parent)[-1:]:
            found.append({'name': config['run'], 'experiment': config['name'],
                          'epochs_done': int(last.name.split('-')[1]), 'epochs': row.epochs,
                          'command': _command(config, run_folder.is_finished(final)),
                          'folder': path.parent})
    return found


def _command(config: dict, replaces: bool) -> str:
    """Return what lets a run go on; replaces: a finished run that is in the way."""
    command = str(config.get(run_folder.RESUME, config['command']))
    return command + ' --force' * (replaces and ' --force' not in command)


def left_behind(final: Path, row: Row) -> list[str]:
    """Return a line for each unfinished run beside this one that only what was found parts.

    It would have gone on, had the images or the parameters to begin with been the same.
    """
    lines = []
    for folder in sorted(final.parent.glob(f'*{UNFINISHED}')):
        try:
            begun = run_folder.row_of(run_folder.read_config(folder), folder)
        except (FolderError, OSError):
            continue  # nothing that could have gone on
        parted = [field for field in FOUND if getattr(begun, field) != getattr(row, field)]
        if parted and begun == replace(row, **{field: getattr(begun, field) for field in parted}):
            before, now = (' and '.join(f'{field} {getattr(of, field) or FOUND[field]}'
                                        for field in parted) for of in (begun, row))
            lines.append(f'{folder}: left unfinished: it was begun with {before}, and this is '
                         f'another run, with {now}')
    return lines
