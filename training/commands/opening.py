"""A finished run, opened: from Python (`training.open_run`), and by commands."""
from pathlib import Path
from typing import TYPE_CHECKING

from data import table
from training.experiments.row import Row
from training.reporting.published import RESULTS
from training.storage import finding, run_folder

if TYPE_CHECKING:  # it imports MXNet
    from training.evaluation.trained_net import TrainedNet


def open_run(run: str | Path, results_root: str | Path = RESULTS / 'images',
             ctx: str = 'cpu') -> 'TrainedNet':
    """Return the `TrainedNet` of a finished run: it draws, encodes and measures. It needs no data.

    run: its name, or its folder. results_root: where names are looked up; by default in the
    project's own results. ctx: the device, as `--ctx` takes it: auto, cpu, gpu or gpu:N.

    Where vae.params is not there, as of most runs in a clone, the net is the decoder alone, from
    pictures.safetensors: it draws, but does not encode. ExperimentError if there is no such run;
    FolderError, ParamsError or PictureFileError if its files are not there or damaged;
    DeviceError if the device cannot be used; ImportError if MXNet cannot be imported.
    """
    import models  # noqa: F401  imports MXNet
    from data import images, own
    from training.evaluation import finished_run
    from training.evaluation.trained_net import TrainedNet
    from training.runtime import device
    context = device.resolve_all(ctx)[0]
    folder = finding.named(Path(results_root), str(run))
    config = run_folder.read_config(folder)
    row = run_folder.row_of(config, folder)
    shape = table.get(row.data).sized(row.image_size).shape
    path = parameters_file(config, folder)
    vae, _ = load_vae(row, shape, path, context)
    no_encoder = ''
    if not row.encodes:
        no_encoder = f'{run}: a plain GAN has no encoder'
    elif path.name == run_folder.PICTURES:
        no_encoder = finished_run.absent(config, folder)
    return TrainedNet(row, folder, vae, context, shape,
                      lambda pixels: images.Images(pixels, row.layout),
                      lambda paths: own.read(paths, shape)[1], no_encoder)


def parameters_file(config: dict, folder: Path, whole: bool = False) -> Path:
    """Return the file that a finished run's net is read from.

    vae.params or, where that is not there, pictures.safetensors, which has no encoder. whole:
    the encoder is needed. ParamsError if it is not there.
    """
    from training.evaluation import finished_run
    pictures = folder / run_folder.PICTURES
    if not whole and pictures.exists() and not (folder / run_folder.PARAMETERS).exists():
        return pictures
    return finished_run.parameters_of(config, folder)


def load_vae(row: Row, shape: tuple[int, int, int], path: Path, ctx) -> tuple:
    """Return the net of a finished run, and what its file keeps of the encoder in its place.

    shape: channels, height and width of an image. path: of `parameters_file`; of vae.params
    nothing is kept in the encoder's place. ParamsError or PictureFileError if the file is
    damaged, or another net's.
    """
    import models
    from training.evaluation import inference
    from training.storage import parameters, picture_file
    vae, kept = models.build_vae(row, shape), None
    if path.name == run_folder.PICTURES:
        arrays, kept = picture_file.load(path)
        parameters.give(inference.decoder_of(row, vae), arrays, path, ctx)
    else:
        parameters.load(vae, path, ctx)
    vae.hybridize(static_alloc=True)
    return vae, kept
