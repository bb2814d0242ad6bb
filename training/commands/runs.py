"""Finished runs with their data: loaded, chosen by the names that a user gives, measured."""
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data import MissingDataError
from data.fetch import USUAL, Places
from training.commands import opening
from training.commands.wiring import (
    load_classifier,
    load_data,
    published_rows,
    resolve_devices,
)
from training.experiments import naming
from training.experiments.row import ExperimentError, Row
from training.reporting import pictures, run_readme
from training.storage import files, finding, run_folder


def load_run(folder: Path, ctx, places: Places = USUAL, skip_bad: bool = False,
             whole: bool = False):
    """Return the `TrainedNet` of a finished run with its data.

    Where its parameters are not here it comes from pictures.safetensors, and then also without
    its data, or with others in their usual place: strips need the ten validation images only,
    which stand beside the results. places, skip_bad: of `load_data`. whole: the encoder and
    the data are needed. FolderError, ParamsError, DataError or OtherDataError if something is
    missing, or the data are others.
    """
    config = run_folder.read_config(folder)
    row = run_folder.row_of(config, folder)
    path = opening.parameters_file(folder, whole)
    from_pictures = path.name == run_folder.PICTURES
    try:
        dataset = load_data(row, places, skip_bad)
        opening.check_data(config, dataset, folder)
    except (MissingDataError, opening.OtherDataError):
        dataset = None
        if from_pictures and not places:
            dataset = validation_images(row, config, folder)
        if dataset is None:
            raise
    return opening.load_net(row, folder, path, ctx, dataset)


def validation_images(row: Row, config: dict, folder: Path):
    """Return a data set of a run's ten validation images, if they are in its strip.

    Or, where that is not there or not the recorded one, beside the results.
    """
    dataset = replace(opening.without_images(row), source=config['data'])
    if not row.encodes:
        return dataset
    stored, beside = None, folder.parent.parent / naming.originals_name(row)
    if _is_recorded(folder, pictures.STRIP):
        stored = pictures.originals_in(folder / pictures.STRIP, dataset.shape[1:])
    if stored is None:
        stored = pictures.read_originals(beside, dataset.originals, config['data']['sha256'][:8],
                                         dataset.shape[1:], are_known=not row.images)
    return None if stored is None else replace(dataset, test=dataset.test.others(stored))


def _is_recorded(folder: Path, name: str) -> bool:
    """Return whether a file of a result folder is there as SHA256SUMS has it."""
    try:
        return run_folder.read_checksums(folder).get(name) == files.sha256(folder / name)
    except (run_folder.FolderError, OSError):
        return False


def chosen_runs(root: Path, name: str | None, match: str | None, ctx: str,
                places: Places = USUAL, skip_bad: bool = False,
                whole: bool = False) -> Iterator:
    """Yield the run that a user named, or those of a pattern that can be drawn again, loaded.

    root: the folder of results. match: a shell pattern; none: the name counts. ctx: a `--ctx`
    value. places, skip_bad: of `load_data`. whole: from their parameters, not from
    pictures.safetensors. ExperimentError if there is none.
    """
    folders = ([finding.named(root, name)] if match is None else
               finding.matching(root, match))
    device, published, n_passed_over = resolve_devices(ctx)[0], published_rows(), 0
    wanted = run_folder.PARAMETERS + ('' if whole else f' or {run_folder.PICTURES}')
    for folder in folders:
        if match is not None and not run_folder.is_drawable(folder, whole):
            print(f'{folder}: passed over, it has no {wanted}', file=sys.stderr)
            n_passed_over += 1
            continue
        # What cannot be read shows before anything is written
        run_readme.readme(folder, published.get(run_folder.read_config(folder)['name'], {}))
        if (folder / run_folder.SUMS).exists():
            run_folder.read_checksums(folder)
        files.check_writable(folder)
        try:
            run = load_run(folder, device, places, skip_bad, whole)
        except opening.OtherDataError as error:
            if match is None:
                raise
            print(f'passed over: {error}', file=sys.stderr)
            n_passed_over += 1
            continue
        yield run
    if n_passed_over == len(folders):
        raise ExperimentError(f'no finished run in {root} that matches {match!r} has a '
                              f'{wanted} and its data here; make them with the command in its '
                              f'{run_folder.CONFIG}')


def add_to_folder(run, *names: str) -> None:
    """Let a finished run's README and checksums know what else is in its folder now."""
    with files.held(run.folder):
        run_readme.write_readme(run.folder, published_rows().get(run.row.name, {}))
        run_folder.update_checksums(run.folder, 'README.md', *names)


def evaluate_run(run, places: Places = USUAL, skip_bad: bool = False) -> dict:
    """Return the measures of a run over all held-out images, and keep them in its folder.

    run: a `TrainedNet` with its data. places, skip_bad: of `load_data`, as its data were loaded.
    """
    from training.evaluation.evaluate import evaluate
    evaluation = evaluate(run, load_classifier(run.row, run.dataset, run.ctx, places,
                                               skip_bad))
    run_folder.write_evaluation(run.folder, evaluation)
    add_to_folder(run, run_folder.EVALUATION)
    return evaluation
