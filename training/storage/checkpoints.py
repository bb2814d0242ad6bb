"""The checkpoints of a run: when they are written, and how a run goes on from the last one."""
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.experiments.row import Row
from training.runtime.parallel import Workers
from training.runtime.signals import Stopped
from training.steps.networks import Networks
from training.steps.phases import EpochPlan, Progress, check_finite, n_batches, plan
from training.storage import checkpoint_file, unfinished
from training.storage.checkpoint_file import CheckpointError

KEPT = 2  # checkpoints of a run


def save(folder: Path, networks: Networks, progress: Progress) -> Path:
    """Write a checkpoint, then remove all but the last two; return its path.

    OSError if it cannot be written; those that are there stay.
    """
    path = folder / f'checkpoint-{len(progress.records):06d}-{progress.batch:06d}.safetensors'
    checkpoint_file.write(path, networks, progress)
    for old in unfinished.checkpoints_in(folder)[:-KEPT]:
        old.unlink()
    return path


class Keeper:
    """Writes checkpoints: after each epoch, every so many minutes, and when asked to stop.

    If someone asked, it raises Stopped once the checkpoint is there.
    """

    def __init__(self, folder: Path, networks: Networks, row: Row, minutes: float,
                 asked_to_stop: Callable[[], int | None], command: str):
        """asked_to_stop: returns the signal that came, or None. command: how to go on."""
        self.folder, self.networks, self.row = folder, networks, row
        self.seconds, self.last = 60 * minutes, time.monotonic()
        self.asked_to_stop, self.command = asked_to_stop, command

    def on_batch(self, phase: EpochPlan, progress: Progress, n_batches: int) -> None:
        """Write a checkpoint after a batch if one is due, or if someone asked to stop."""
        if self.asked_to_stop() or time.monotonic() - self.last >= self.seconds:
            check_finite(self.networks, progress, phase, self.row.epochs)
            self._save(progress)

    def on_epoch(self, progress: Progress) -> None:
        """Write a checkpoint after an epoch."""
        self._save(progress)

    def _save(self, progress: Progress) -> None:
        save(self.folder, self.networks, progress)
        self.last = time.monotonic()
        if signum := self.asked_to_stop():
            raise Stopped(signum, f'stopped after {progress.described(self.row)}; '
                                  f'go on with: {self.command}')


def last(folder: Path, networks: Networks, row: Row, n_train: int) -> Progress | None:
    """Set the networks to the last checkpoint of a run that is whole; return how far it was.

    None if the run has no checkpoint; CheckpointError if it has some, and none is whole.
    n_train: images that are there.
    """
    damaged = []
    for path in reversed(unfinished.checkpoints_in(folder)):
        try:
            progress = checkpoint_file.load(path, networks, plan(row), n_batches(n_train, row))
        except checkpoint_file.DevicesError:
            raise
        except CheckpointError as error:
            damaged.append(error)
            continue
        for error in damaged:
            print(error, file=sys.stderr)
        return progress
    if damaged:
        raise CheckpointError(f'{damaged[0]}; --fresh starts over')
    return None


def share(workers: Workers, networks: Networks, progress: Progress, row: Row) -> Progress:
    """Let every worker of a job begin where the first one stands; return its progress.

    CheckpointError in the middle of an epoch: of its batches each worker knows its own part only.
    """
    if workers.count == 1:
        return progress
    if progress.batch:
        raise CheckpointError(f'the last checkpoint is from the middle of an epoch (after '
                              f'{progress.described(row)}), where only one process can go on')
    records, counts = workers.agree([progress.records, networks.update_counts()])
    there = networks.arrays()
    arrays = {name: workers.share(there[name].asnumpy() if name in there else np.zeros(shape))
              for name, shape in checkpoint_file.shapes(networks, counts).items()}
    if workers.rank == 0:
        return progress
    networks.restore(arrays, counts)
    return Progress(records)


