"""`run --from RUN`: the parameters of a finished run, with which another one begins."""
import hashlib
from dataclasses import replace
from pathlib import Path

from training.experiments.row import Row
from training.storage import files, run_folder

N_DIGITS = 8  # of a checksum, in the name of a run
OF_DISC = ('disc', 'disc_hlayers', 'disc_hnodes', 'disc_base_channels')


def folder_of(args) -> Path | None:
    """Return the folder of the run that was named; ExperimentError if there is none."""
    named = getattr(args, 'begin_from', None)
    return named and run_folder.named(args.results_root, named)


def files_of(row: Row, args) -> dict[str, Path]:
    """Return the files of parameters with which a row begins, by net.

    The VAE's, and the discriminator's if the other run trained one like it. ParamsError if the
    VAE's is not there.
    """
    folder = folder_of(args)
    if folder is None:
        return {}
    from training.evaluation import finished_run
    config = run_folder.read_config(folder)
    other = run_folder.row_of(config, folder)
    found = {'vae': finished_run.parameters_of(config, folder)}
    disc = folder / run_folder.PARAMETERS_OF.format('disc')
    if row.combo_epochs and disc.exists() and all(
            getattr(other, field) == getattr(row, field) for field in OF_DISC):
        found['disc'] = disc
    return found


def begun(row: Row, args) -> Row:
    """Return the row with the checksum of the parameters with which it begins.

    ExperimentError if it is to begin with others.
    """
    found = files_of(row, args)
    sums = ''.join(files.sha256(path) for path in found.values())
    checksum = hashlib.sha256(sums.encode()).hexdigest()[:N_DIGITS] if found else None
    if row.initial not in (None, checksum):
        there = f'those of {folder_of(args)} ({checksum})' if found else 'no --from'
        row.refuse('initial', f'--from a run with those parameters, found {there}')
    return replace(row, initial=checksum)
