"""What TensorBoard shows of a run: its losses and strips, epoch by epoch. Never imports MXNet.

Imported by a run that is asked for it only, and so is the library that writes the files.
"""
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

STRIP = 'strip'


class Board:
    """A run's folder of event files; the steps are epochs, counted as in its statistics.

    first: the epoch this process begins with; what an earlier one wrote from there on is void.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=first)

    def add(self, record: dict, strip: np.ndarray) -> None:
        """Log an epoch's numbers, and the strip (h, w, c) uint8 after it."""
        for name, value in record.items():
            if isinstance(value, float):
                self._writer.add_scalar(name, value, record['epoch'])
        self._writer.add_image(STRIP, strip, record['epoch'], dataformats='HWC')
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
