"""The folder of a run: begun, finished, its configuration and checksums. Never imports MXNet."""
import contextlib
import json
import os
import re
import sys
from pathlib import Path
from typing import IO

from training.experiments import naming, registry
from training.experiments.row import ExperimentError, Row
from training.storage import files

CONFIG, PARAMETERS, PICTURES = 'config.json', 'vae.params', 'pictures.safetensors'
PARAMETERS_OF = '{}.params'  # of the net
EVALUATION = 'evaluation.json'
IN_THE_WAY = 'a finished run is there; --force replaces it'
CONFIG_FIELDS = {'run': str, 'name': str, 'caption': str, 'command': str, 'row': dict,
                 'data': dict, 'n_train': int, 'n_held_out': int, 'device': str}
EVALUATION_FIELDS = {'protocol': str, 'images': int, 'seed': int, 'measures': dict}
DATA_FIELDS = ('data', 'description', 'sha256')  # of its data
RESUME = 'resume'           # in the configuration of an unfinished run: the command to go on
UNFINISHED = '.unfinished'  # a run's folder has this suffix until all of it is there
JOB = '.job'                # in the folder of a finished run: the command that goes on with others
LOCK = '.lock'              # in it: held by the process that runs
BEST = 'checkpoint-best.{}'  # parameters of the epoch of the lowest held-out loss, by net
KEPT_CHECKPOINT = 'checkpoint.safetensors'  # of a finished run's last epoch, if it is kept
SUMS = 'SHA256SUMS'         # of all other files of a finished run, as sha256sum writes and checks
# All files that commands write into a run's folder; whatever else is there is the user's
RECORDED = re.compile(
    r'(config|evaluation)\.json|(training_statistics|classes)\.csv|README\.md|(vae|disc)\.params|'
    r'pictures\.safetensors|(strip|inputs|losses|classes|explore_[a-z]+)\.png|\d+\.png|'
    r'(strip|samples)(_\d+\.png|\.gif)')
TEMPORARY = re.compile(rf'\..+\.\d+{re.escape(files.TEMPORARY)}')
UNRECORDED = re.compile(rf'checkpoint(-\d+-\d+)?\.safetensors|checkpoint-best\.(vae|disc)|'
                        rf'{SUMS}|\{LOCK}|\{JOB}|'
                        + TEMPORARY.pattern)


class FolderError(ValueError):
    """A result folder that cannot be read; the message is for the user."""


def begin(final: Path, fresh: bool) -> tuple[Path, IO[str]]:
    """Return the folder of an unfinished run and the lock on it, held until it is closed.

    Its name is one that nothing takes for a finished run's. fresh: nothing of an earlier start
    stays but what is not ours. LockError if another process runs it.
    """
    folder = final.with_name(final.name + UNFINISHED)
    folder.mkdir(parents=True, exist_ok=True)
    lock = files.lock(folder / LOCK)
    for path in folder.iterdir():
        if path.name != LOCK and _is_own(path) and (fresh or TEMPORARY.fullmatch(path.name)):
            path.unlink()
    return folder, lock


def finish(folder: Path, final: Path) -> None:
    """Record the files' checksums and give a run's folder its name, in place of an earlier run's.

    Then remove what only an unfinished run needs: it is there as long as the run may go on.
    """
    config = read_config(folder)
    if config.pop(RESUME, None):
        write_config(folder, config)
    write_checksums(folder)
    replaced = final.with_name(f'{final.name}.replaced{UNFINISHED}')
    if final.exists():
        remove_leftovers(final)
        final.rename(replaced)
    folder.rename(final)
    remove_leftovers(final)


def mark_replaced(folder: Path, command: str) -> None:
    """Record that a command has replaced this run, and has others to replace."""
    files.write_text(folder / JOB, command)


def is_replaced(folder: Path, command: str) -> bool:
    """Return whether this command has replaced a run already, before it was stopped."""
    try:
        before = (folder / JOB).read_text(encoding='utf-8')
        return naming.without_root(before) == naming.without_root(files.printable(command))
    except (OSError, ValueError):
        return False


def unmark(folders: list[Path]) -> None:
    """Forget the command that replaced runs, for it has ended."""
    for folder in folders:
        (folder / JOB).unlink(missing_ok=True)


def remove_leftovers(final: Path) -> None:
    """Remove what was to go when a run was finished, and did not if it was killed then.

    What is not ours in the folder of the run that it replaced stays, in this one.
    """
    for path in final.iterdir():
        if _is_own(path) and UNRECORDED.fullmatch(path.name) and path.name not in (
                SUMS, KEPT_CHECKPOINT):
            path.unlink()
    replaced = final.with_name(f'{final.name}.replaced{UNFINISHED}')
    with contextlib.suppress(OSError):
        for path in replaced.iterdir():
            if _is_own(path):
                path.unlink()
            else:
                path.rename(_free(final / path.name))
        replaced.unlink() if replaced.is_symlink() else replaced.rmdir()


def _free(path: Path) -> Path:
    """Return the path, or one with ~ behind it if something is there."""
    while os.path.lexists(path):
        path = path.with_name(f'{path.name}~')
    return path


def _is_own(path: Path) -> bool:
    """Return whether something in a run's folder is what commands write there."""
    return path.is_file() and bool(RECORDED.fullmatch(path.name)
                                   or UNRECORDED.fullmatch(path.name))


def no_parameters(folder: Path) -> str:
    """Return what to tell a user where a finished run's parameters are not there."""
    return (f'{folder / PARAMETERS}: not there (parameters of most runs are not kept in git); '
            'make them with: '
            f'{naming.in_root(read_config(folder)["command"], folder.parent.parent)} --force')


def write_config(folder: Path, config: dict) -> None:
    """Write config.json: the resolved row, versions, device, data and their sha256."""
    files.write_text(folder / CONFIG, json.dumps(config, indent=2) + '\n')


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS, of all that belongs to a result folder."""
    _write_checksums(folder, {path.name: files.sha256(path) for path in belonging(folder)})


def update_checksums(folder: Path, *written: str) -> None:
    """Write SHA256SUMS again for the files that were just written; not for the rest."""
    if (folder / SUMS).exists():
        _write_checksums(folder, read_checksums(folder) | {
            name: files.sha256(folder / name) for name in written})


def read_checksums(folder: Path) -> dict[str, str]:
    """Return SHA256SUMS: file name to checksum. FolderError if it is no such list."""
    path = folder / SUMS
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        lines = ['']
    sums = [re.fullmatch(r'([0-9a-f]{64})  ([\w.-]+)', line) for line in lines]
    if not all(sums) or not sums:
        raise FolderError(f'{path}: not a list of checksums')
    return {match[2]: match[1] for match in sums}


def _write_checksums(folder: Path, sums: dict[str, str]) -> None:
    files.write_text(folder / SUMS, ''.join(f'{sums[name]}  {name}\n' for name in sorted(sums)))


def belonging(folder: Path) -> list[Path]:
    """Return the files of a result folder that have checksums."""
    return [path for path in folder.iterdir()
            if RECORDED.fullmatch(path.name) and path.is_file()]


def finished_runs(root: Path) -> dict[str, Path]:
    """Return the result folders below a root, by the names of their runs."""
    return {f'{path.parent.parent.name}/{path.parent.name}': path.parent
            for path in sorted(root.glob(f'*/*/{CONFIG}')) if is_finished(path.parent)}


def is_finished(folder: Path) -> bool:
    """Return whether a folder is a finished run's.

    A config.json alone may be anyone's; and an unfinished run's folder may have lost its suffix.
    """
    if folder.name.endswith(UNFINISHED) or not os.path.isfile(folder / CONFIG):
        return False
    return os.path.isfile(folder / SUMS) or (
        os.path.isfile(folder / 'training_statistics.csv')
        and not any(folder.glob('checkpoint-*-*.safetensors')))


def check_finished(folder: Path) -> None:
    """Raise FolderError for what has the place of a finished run and is none."""
    if not is_finished(folder):
        raise FolderError(f'{folder}: there already, and not a finished run (no {SUMS}); expected '
                          f'a name that ends in {UNFINISHED} if it is to go on, or another place')


def is_drawable(folder: Path, whole: bool = False) -> bool:
    """Return whether a run's pictures can be drawn again; whole: from its parameters."""
    return (folder / PARAMETERS).exists() or not whole and (folder / PICTURES).exists()


def read_config(folder: Path) -> dict:
    """Return config.json of a result folder. FolderError if it is not what write_config wrote."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise FolderError(f'{path}: not JSON ({error})') from None
    for field, kind in CONFIG_FIELDS.items():
        value = config.get(field) if isinstance(config, dict) else None
        if type(value) is not kind:
            raise FolderError(f'{path}: {field} is {str(value)[:50]!r}, expected '
                              f'{kind.__name__}')
    if 'own_name' in config:
        try:
            naming.check_own_name(config['own_name'])
        except (ExperimentError, TypeError):
            raise FolderError(f'{path}: own_name is {str(config["own_name"])[:50]!r}, expected '
                              'the name of a run') from None
    for field in DATA_FIELDS:
        if type(config['data'].get(field)) is not str:
            raise FolderError(f'{path}: data has no {field}')
    return config


def write_evaluation(folder: Path, evaluation: dict) -> None:
    """Write evaluation.json: a finished run's measures and their protocol."""
    files.write_text(folder / EVALUATION, json.dumps(evaluation, indent=2) + '\n')


def read_evaluation(folder: Path) -> dict | None:
    """Return evaluation.json, or nothing if it is not there; FolderError if it is none."""
    path = folder / EVALUATION
    if not path.exists():
        return None
    try:
        evaluation = json.loads(path.read_text())
        measures = evaluation['measures']
        of_kind = [type(evaluation[k]) is kind for k, kind in EVALUATION_FIELDS.items()]
        if all(of_kind) and all(map(_is_measure, measures, measures.values())) and (
                'latents' in measures or 'active_latents' not in measures):
            return evaluation
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        pass
    raise FolderError(f'{path}: not an evaluation')


def _is_measure(name: str, value) -> bool:
    if name == 'kl_per_latent':
        return type(value) is list
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def row_of(config: dict, folder: Path) -> Row:
    """Return the row of a result folder's configuration. FolderError if it is none."""
    try:
        kind = type(registry.get(config['name']))
        row = kind(name=config['name'], **config['row'])
    except (TypeError, KeyError, ValueError) as error:
        raise FolderError(f'{folder / CONFIG}: not a row '
                          f'({" ".join(str(error).split())})') from None
    return row
