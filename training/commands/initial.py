"""`run --from RUN` and `--more`: finished runs with whose parameters another one begins."""
import contextlib
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from training.commands import opening
from training.experiments import early_stopping, naming
from training.experiments.row import ExperimentError, Row
from training.storage import files, finding, run_folder, unfinished

N_DIGITS = 8  # of a checksum, in the name of a run
# Fields of nets that are no part of what they compute: how they began, how statistics move
TAKEN_OVER = {'weights', 'norm_momentum'}


def folder_of(results_root: Path, name: str | None) -> Path | None:
    """Return the folder of the run that `--from` named, if it did; ExperimentError: not there."""
    return None if name is None else finding.named(results_root, name)


def files_of(row: Row, folder: Path | None) -> dict[str, Path]:
    """Return the files of parameters with which a row begins, by net.

    folder: of the run that has them; none: there are none. The VAE's, and the discriminator's if
    that run trained one like it. ExperimentError if it trained another VAE; ParamsError if the
    VAE's file is not there.
    """
    return {} if folder is None else _of_run(row, folder)[0]


def _of_run(row: Row, folder: Path) -> tuple[dict[str, Path], str | None]:
    """Return the files that a row takes of a run, and why not the discriminator's, or nothing."""
    config = run_folder.read_config(folder)
    other = run_folder.row_of(config, folder)
    if unlike := _unlike('vae', row, other):
        raise ExperimentError(f'--from {folder}: parameters of another net ({unlike})')
    found = {'vae': opening.parameters_file(folder, whole=True)}
    if not row.combo_epochs:
        return found, None
    disc = folder / run_folder.PARAMETERS_OF.format('disc')
    unlike = _unlike('disc', row, other) if disc.exists() else f'no {disc.name} there'
    return found if unlike else found | {'disc': disc}, unlike


def _unlike(net: str, row: Row, other: Row) -> str | None:
    """Return in what two rows' nets differ, of all that one is built from, or nothing."""
    import models
    name = getattr(row, net)
    known = {'vae': models.VAES, 'disc': models.DISCRIMINATORS}[net].get(name)
    fields = [net]
    if known:
        idle = row.idle().keys() & other.idle().keys()
        fields += [field for field in known.fields if field not in idle | TAKEN_OVER]
    for field in fields:
        theirs, ours = (known.defaults.get(field) if known and value is None else value
                        for value in (getattr(one, field, None) for one in (other, row)))
        if theirs != ours:
            return f'{field} {theirs} there, {ours} here'
    return None


def with_checksum(row: Row, folder: Path | None) -> Row:
    """Return the row with the checksum of the parameters with which it begins.

    folder: of the run that has them, if there is one. A line says where its discriminator begins
    anew. ExperimentError if it is to begin with others.
    """
    found, unlike = _of_run(row, folder) if folder else ({}, None)
    if unlike:
        print(f'--from {folder}: the VAE only, the discriminator begins anew ({unlike})',
              file=sys.stderr)
    sums = ''.join(files.sha256(path) for path in found.values())
    checksum = hashlib.sha256(sums.encode()).hexdigest()[:N_DIGITS] if found else None
    if row.initial not in (None, checksum):
        there = f'those of {folder} ({checksum})' if found else 'no --from'
        row.refuse('initial', f'--from a run with those parameters, found {there}')
    return replace(row, initial=checksum)


def continued(row: Row, more: int, root: Path,
              own_name: str | None) -> tuple[Path, str | None, Row]:
    """Return the folder of a row's finished run, and the user's name and the row of a longer run.

    The finished one has the user's name, or its row's, or any; the longer one has the user's
    unless that is taken. `more` epochs are of the kind that the row ends with. ExperimentError if
    nothing is kept with which they begin.
    """
    if early_stopping.keeps_best(row):
        raise ExperimentError(f'--more {more}: expected a run without stop_after or keep=best, '
                              'which does not end with the parameters that it keeps')
    if getattr(row, 'schedule', None) == 'annealed':
        raise ExperimentError(f'--more {more}: expected a run without schedule=annealed, whose '
                              'rates would have been others with more epochs')
    last = 'combo_epochs' if row.combo_epochs else 'solo_epochs'
    longer, base = replace(row, **{last: getattr(row, last) + more}), _kept(row, root, own_name)
    if own_name and root / naming.run_name(longer, own_name) == base:
        print(f'--name {own_name}: of the finished run, which stays; the longer one is '
              f'{naming.run_name(longer)}', file=sys.stderr)
        own_name = None
    begun = root / f'{naming.run_name(longer, own_name)}{run_folder.UNFINISHED}'
    if not (base / run_folder.KEPT_CHECKPOINT).exists() and not unfinished.checkpoints_in(begun):
        raise ExperimentError(f'{base}: no {run_folder.KEPT_CHECKPOINT}, with which more epochs '
                              'begin; train it with --keep-checkpoint')
    return base, own_name, longer


def _kept(row: Row, root: Path, own_name: str | None) -> Path:
    """Return the folder of the finished run of a row that kept its checkpoint, or would have."""
    usual = [root / naming.run_name(row, name) for name in (own_name, None)]
    for folder in (*usual, *run_folder.finished_runs(root).values()):
        with contextlib.suppress(run_folder.FolderError, OSError):  # it is another run's
            if not (folder / run_folder.KEPT_CHECKPOINT).exists():
                continue
            there = run_folder.row_of(run_folder.read_config(folder), folder)
            kept = {field: getattr(row, field) for field in row.of_pictures()}
            if type(there) is type(row) and replace(there, **kept) == row:
                return folder
    return usual[-1]
