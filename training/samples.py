"""What a net draws from the prior; of a VAE/GAN also while it trains, with which digits it is."""
from pathlib import Path

import numpy as np
from mxnet import autograd, nd

from training import draws, report, tables
from training.row import Experiment, VaeGan

AT_ONCE = 500          # samples
FOR_GRID, FOR_CLASSES = 1, 2  # which draw of a run's pictures


def due(row: VaeGan, epoch: int) -> bool:
    """Whether samples are kept after that epoch, counted from 1."""
    return epoch >= row.grid_from and (epoch - row.grid_from) % row.grid_every == 0


def draw(vae, row: Experiment, images, ctx, n: int, which: int) -> np.ndarray:
    """The first n samples of a fixed set of latents, (n, h, w, c) uint8; inference mode."""
    decoder = vae.decoder if row.encodes else vae
    eps = draws.noise(row.seed, draws.PICTURES, 0, 0, which, (n, row.n_latent))
    with autograd.predict_mode():
        return np.concatenate([images.to_pixels(decoder(nd.array(part, ctx)).asnumpy())
                               for part in np.split(eps, range(AT_ONCE, n, AT_ONCE))])


def keep(folder: Path, vae, row: VaeGan, images, ctx, epoch: int, classifier) -> None:
    """Write what samples look like after an epoch, and count their classes.

    classifier: (n, h, w, c) uint8 -> features, classes (n,); or none.
    """
    report.write_samples(folder, epoch,
                         draw(vae, row, images, ctx, row.grid_side ** 2, FOR_GRID))
    if classifier is not None:
        path = folder / report.CLASSES
        lines = tables.read_classes(path) if path.exists() else []
        _, classes = classifier(draw(vae, row, images, ctx, row.n_classified, FOR_CLASSES))
        counts = np.bincount(classes, minlength=10)
        lines = [line for line in lines if line['epoch'] < epoch]
        tables.write_csv(path, tables.CLASS_COLUMNS, [*lines, dict(zip(
            tables.CLASS_COLUMNS, [epoch, *counts.tolist()], strict=True))])
