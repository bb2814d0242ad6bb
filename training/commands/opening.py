"""A finished run, opened: from Python (`training.open_run`), and by commands."""
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from data import table
from training.experiments.row import Row
from training.reporting.published import RESULTS
from training.storage import finding, run_folder

if TYPE_CHECKING:  # they are slow to import
    import mxnet

    from training.evaluation.trained_net import TrainedNet


class OtherDataError(ValueError):
    """Data that are not those of a run; the message is for the user."""


def open_run(run: str | Path, results_root: str | Path = RESULTS / 'images',
             ctx: 'str | mxnet.Context' = 'cpu') -> 'TrainedNet':
    """Return the `TrainedNet` of a finished run: it draws, encodes and measures. It needs no data.

    run: its name, or its folder. results_root: where names are looked up; by default in the
    project's own results. ctx: the device, as `--ctx` takes it: auto, cpu, gpu or gpu:N; or
    MXNet's context.

    Where vae.params is not there, as of most runs in a clone, the net is the decoder alone, from
    pictures.safetensors: it draws, but does not encode. ExperimentError if there is no such run;
    FolderError, ParamsError or PictureFileError if its files are not there or damaged;
    DeviceError if the device cannot be used; ImportError if MXNet cannot be imported.
    """
    import models  # noqa: F401  imports MXNet
    from training.runtime import device
    context = device.resolve_all(ctx)[0] if isinstance(ctx, str) else ctx
    # Absolute: a notebook may go to another folder
    folder = Path(os.path.abspath(finding.named(Path(results_root).expanduser(), str(run))))
    config = run_folder.read_config(folder)
    row = run_folder.row_of(config, folder)
    return load_net(row, folder, parameters_file(folder), context, without_images(row))


def without_images(row: Row):
    """Return the `data.loading.Dataset` of a row without an image, of their size and layout."""
    import numpy as np

    from data import images, loading
    channels, *size = table.get(row.data).sized(row.image_size).shape
    none = images.Images(np.zeros((0, *size, channels), np.uint8), row.layout)
    return loading.Dataset(none, none, source={'data': row.data})


def load_net(row: Row, folder: Path, path: Path, ctx, dataset) -> 'TrainedNet':
    """Return the `TrainedNet` of a finished run; path: of `parameters_file`.

    ParamsError or PictureFileError if the file is damaged, or another net's.
    """
    import models
    from training.evaluation.trained_net import TrainedNet, decoder_of
    from training.storage import parameters, picture_file
    vae, kept = models.build_vae(row, dataset.shape), None
    if path.name == run_folder.PICTURES:
        arrays, kept = picture_file.load(path)
        parameters.give(decoder_of(row, vae), arrays, path, ctx)
    else:
        parameters.load(vae, path, ctx)
    vae.hybridize(static_alloc=True)
    return TrainedNet(row, folder, vae, ctx, dataset, kept)


def parameters_file(folder: Path, whole: bool = False) -> Path:
    """Return the file that a finished run's net is read from.

    vae.params or, where that is not there, pictures.safetensors, which has no encoder. whole:
    the encoder is needed. ParamsError if it is not there.
    """
    path, pictures = folder / run_folder.PARAMETERS, folder / run_folder.PICTURES
    if not path.exists():
        if not whole and pictures.exists():
            return pictures
        from training.storage import parameters
        raise parameters.ParamsError(run_folder.no_parameters(folder))
    return path


def check_data(config: dict, dataset, folder: Path) -> None:
    """Raise OtherDataError unless the data are those that a finished run was trained on."""
    if config['data']['sha256'] not in (dataset.source['sha256'], dataset.unsplit):
        apart, found = config['data'].get('held_out'), dataset.source
        at = f' in {dataset.place}' if dataset.place else ''
        raise OtherDataError(
            f'{folder / run_folder.CONFIG}: trained on data with sha256 '
            f'{config["data"]["sha256"]} ({config["data"]["description"]}), found '
            f'{found["sha256"]} ({found["description"]}){at}; its data are named with '
            f'{_where_they_were(config["command"])}'
            + (f'; it held out the pictures of {apart}, which --held-out names' if apart else ''))


def _where_they_were(command: str) -> str:
    """Return the --data-root of a run's command, or what stands in its place."""
    try:
        words = shlex.split(command)
    except ValueError:  # edited by hand
        words = []
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word == '--data-root']
    return ' '.join(f'--data-root {shlex.quote(place)}' for place in named) or '--data-root'
