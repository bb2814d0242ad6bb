"""Samples of a VAE/GAN while it trains: pictures, and which digits they show."""

import numpy as np

from training.evaluation.trained_net import FOR_CLASSES, TrainedNet
from training.experiments.row import Row
from training.reporting import pictures
from training.reporting.statistics import CLASS_COLUMNS, read_classes, write_csv


def due(row: Row, n_epochs: int) -> bool:
    """Return whether samples are kept after so many epochs."""
    return bool(row.of_pictures()) and n_epochs >= row.grid_from and (
        n_epochs - row.grid_from) % row.grid_every == 0


def keep(net: TrainedNet, n_epochs: int, classifier) -> None:
    """Write what samples look like after so many epochs, and count their classes.

    classifier: (n, h, w, c) uint8 -> features, classes (n,); or none.
    """
    pictures.write_samples(net.folder, n_epochs, net.fixed_samples(net.row.grid_side ** 2))
    if classifier is not None:
        path = net.folder / pictures.CLASSES
        lines = read_classes(path) if path.exists() else []
        _, classes = classifier(net.fixed_samples(net.row.n_classified, FOR_CLASSES))
        counts = np.bincount(classes, minlength=10)
        lines = [line for line in lines if line['epoch'] < n_epochs]
        write_csv(path, CLASS_COLUMNS, [*lines, dict(zip(
            CLASS_COLUMNS, [n_epochs, *counts.tolist()], strict=True))])
