"""A finished run: its folder, row, data and trained VAE, and what can be asked of them."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.evaluation import inference, metrics
from training.experiments import naming
from training.experiments.row import Row
from training.steps import kernels
from training.storage import parameters, picture_file, run_folder


class OtherDataError(ValueError):
    """Data that are not those of a run; the message is for the user."""


@dataclass(frozen=True)
class FinishedRun:
    """A result folder, its row, data and trained VAE.

    kept: what pictures.safetensors holds of the encoder, where that is not here.
    """
    folder: Path
    row: Row
    dataset: object
    vae: object
    ctx: object
    kept: dict[str, np.ndarray] | None = None

    @property
    def name(self) -> str:
        """What the run is called."""
        return naming.run_name(self.row, run_folder.read_config(self.folder).get('own_name'))

    def pictures(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return ten validation pictures (10, h, w, c) uint8, and their originals if there are."""
        images = self.dataset.test
        if self.kept:
            pixels = inference.decode_validation(self.vae, images, self.row, self.ctx,
                                                 self.kept['strip_mean'],
                                                 self.kept['strip_logvar'])
        else:
            pixels = inference.generate(self.vae, images, self.row, self.ctx)
        return pixels, images.first(len(pixels)) if self.row.encodes else None

    def samples(self, n: int) -> np.ndarray:
        """Return the first n of a fixed set of samples from the prior, (n, h, w, c) uint8."""
        return inference.sample(self.vae, self.row, self.dataset.test, self.ctx, n,
                                inference.FOR_GRID)

    def codes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log variance (n, z) float64 of the first n held-out images.

        ParamsError if the encoder is not here and fewer were kept.
        """
        if self.kept and n > len(self.kept['mean']):
            raise parameters.ParamsError(
                f'{self.folder / run_folder.PARAMETERS}: not there, and of {n} held-out images '
                f'{run_folder.PICTURES} has the first {len(self.kept["mean"])} only')
        if self.kept:
            mean, logvar = self.kept['mean'][:n], self.kept['logvar'][:n]
        else:  # always in the same batches, for the last bits depend on them
            mean, logvar = inference.encode(self.vae, self.dataset.test, self.ctx,
                                            max(n, self.n_measured))
        return mean[:n].astype(np.float64), logvar[:n].astype(np.float64)

    def kl_per_latent(self) -> np.ndarray:
        """Return the KL of each latent (z,), a mean over the first held-out images."""
        if self.kept:
            return self.kept['kl']
        return metrics.kl_per_latent(*self.codes(self.n_measured))

    @property
    def n_measured(self) -> int:
        """The number of held-out images that KL is a mean over."""
        return run_folder.read_config(self.folder)['n_held_out']

    def keep_pictures(self) -> None:
        """Write pictures.safetensors, from which strips come again without the encoder."""
        decoder = inference.decoder_of(self.row, self.vae)
        latents = {}
        if self.row.encodes:
            images = self.dataset.test
            strip = inference.encode(self.vae, images, self.ctx, inference.N_PICTURES)
            codes = [part[:picture_file.N_KEPT].astype(np.float32)
                     for part in self.codes(self.n_measured)]
            latents = dict(zip(picture_file.LATENTS, (*strip, *codes, self.kl_per_latent()),
                               strict=True))
        held = {name: kernels.view(parameter.data(self.ctx))  # once no net is run any more
                for name, parameter in decoder._collect_params_with_prefix().items()}
        picture_file.save(self.folder / run_folder.PICTURES, held, latents)


def check_data(config: dict, dataset, folder: Path) -> None:
    """Raise OtherDataError unless the data are those that a finished run was trained on."""
    if dataset.source['sha256'] != config['data']['sha256']:
        apart = config['data'].get('held_out')
        raise OtherDataError(
            f'{folder / run_folder.CONFIG}: trained on data with sha256 '
            f'{config["data"]["sha256"]}, found {dataset.source["sha256"]}'
            + (f'; it held out the pictures of {apart}, which --held-out names' if apart else ''))


def parameters_of(config: dict, folder: Path) -> Path:
    """Return the file of a finished run's parameters; ParamsError if it is not there."""
    path = folder / run_folder.PARAMETERS
    if not path.exists():
        raise parameters.ParamsError(absent(config, folder))
    return path


def absent(config: dict, folder: Path) -> str:
    """Return what to tell a user where a finished run's parameters are not there."""
    return (f'{folder / run_folder.PARAMETERS}: not there (parameters of most runs are not kept '
            f'in git); make them with: {config["command"]} --force')
