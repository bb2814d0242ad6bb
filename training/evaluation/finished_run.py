"""A finished run: its folder, row, data and trained VAE, and what can be asked of them."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mxnet import autograd, nd

from training.evaluation import inference
from training.experiments.row import Experiment
from training.storage import parameters, run_folder


class OtherDataError(ValueError):
    """Data that are not those of a run; the message is for the user."""


@dataclass(frozen=True)
class FinishedRun:
    """A result folder, its row, data and trained VAE."""
    folder: Path
    row: Experiment
    dataset: object
    vae: object
    ctx: object

    def pictures(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return ten validation pictures (10, h, w, c) uint8, and their originals if there are."""
        images = self.dataset.test
        pixels = inference.generate(self.vae, images, self.row, self.ctx)
        return pixels, images.first(len(pixels)) if self.row.encodes else None

    def codes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return means and log variances (n, z) of the first held-out images' latents."""
        parts = []
        with autograd.predict_mode():
            for indices in np.split(np.arange(n), range(inference.AT_ONCE, n, inference.AT_ONCE)):
                x = nd.array(self.dataset.test[indices], self.ctx)
                parts.append([part.asnumpy().astype(np.float64)
                              for part in self.vae.split(nd, self.vae.encoder(x))])
        mean, logvar = map(np.concatenate, zip(*parts, strict=True))
        return mean, logvar


def check_data(config: dict, dataset, folder: Path) -> None:
    """Raise OtherDataError unless the data are those that a finished run was trained on."""
    if dataset.source['sha256'] != config['data']['sha256']:
        raise OtherDataError(f'{folder / run_folder.CONFIG}: trained on data with sha256 '
                             f'{config["data"]["sha256"]}, found {dataset.source["sha256"]}')


def parameters_of(config: dict, folder: Path) -> Path:
    """Return the file of a finished run's parameters; ParamsError if it is not there."""
    path = folder / run_folder.PARAMETERS
    if not path.exists():
        raise parameters.ParamsError(f'{path}: not there (parameters over 10 MB are not kept in '
                                     f'git); make them with: {config["command"]} --force')
    return path
