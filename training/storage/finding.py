"""Finished runs, by what a user calls them: a name, a folder or a pattern. Never imports MXNet."""
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from training.experiments import canonical, naming, registry
from training.experiments.row import ExperimentError
from training.storage import run_folder

ELSEWHERE = 'a run in another place is found with --results-root'
ANYWHERE = f'{ELSEWHERE}, or by the path of its folder'


def matching(root: Path, pattern: str) -> list[Path]:
    """Return the finished runs whose names match a shell pattern. ExperimentError if none does."""
    folders = [folder for run, folder in run_folder.finished_runs(root).items()
               if fnmatchcase(run, pattern)]
    if not folders:
        raise ExperimentError(f'no finished run in {root} matches {pattern!r}; '
                              f'{ELSEWHERE}')
    return folders


def named(root: Path, name: str) -> Path:
    """Return the folder of a finished run; name: its own, its folder's path, or that of a row.

    The user's name of a run needs no net and data before it. ExperimentError if there is none.
    """
    finished = run_folder.finished_runs(root)
    asked = name.strip('/')
    if asked in finished:
        return finished[asked]
    called = [run for run in finished if run.split('/')[1] == asked]
    if len(called) > 1:
        raise ExperimentError(f'{name}: in {root} there are {" and ".join(called)}')
    if called:
        return finished[called[0]]
    path = Path(os.path.abspath(os.path.expanduser(name)))
    if run_folder.is_finished(path):
        return path
    for place in (root / asked, path):
        unfinished = f'{str(place).removesuffix(run_folder.UNFINISHED)}{run_folder.UNFINISHED}'
        if os.path.isdir(unfinished):
            raise ExperimentError(f'{unfinished}: not finished yet; the command that began it '
                                  'goes on')
    return _of_row(root, asked, finished)


def several(root: Path, names: Sequence[str]) -> dict[Path, str]:
    """Return the folders of finished runs, each once, and what each is called beside the others.

    That is its name, or where two share one, its path. ExperimentError as `named`.
    """
    folders = [*dict.fromkeys(Path(os.path.abspath(named(root, name))) for name in names)]
    called = [f'{folder.parent.name}/{folder.name}' for folder in folders]
    return {folder: name if called.count(name) == 1 else str(folder)
            for folder, name in zip(folders, called, strict=True)}


def _of_row(root: Path, name: str, finished: dict[str, Path]) -> Path:
    """Return the finished run of the row of that name, or of one equal to it."""
    try:
        row = canonical.trained_row(registry.get(name))
    except ExperimentError as error:
        raise ExperimentError(f'{root}: no finished run {name!r} there ({ANYWHERE}); '
                              f'{error}') from None
    if row.name not in finished:
        raise ExperimentError(f'{root / row.name}: no finished run there ({ANYWHERE}); make one '
                              f'with: {naming.in_root(naming.command(row), root)}')
    return finished[row.name]


def check_free(root: Path, run: str) -> None:
    """Raise ExperimentError if a run of other nets or data below a root is called as this one."""
    name = run.split('/')[1]
    for path in sorted(root.glob(f'*/{name}*/{run_folder.CONFIG}')):
        folder = path.parent
        if folder.name.removesuffix(run_folder.UNFINISHED) == name and (
                folder.parent != (root / run).parent):
            raise ExperimentError(f'{folder}: called {name} already; expected another --name')
