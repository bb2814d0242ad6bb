"""What a row's epochs are: their phases, and how far a run is in them."""
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from mxnet import nd
from mxnet.ndarray import NDArray

from training.experiments import kinds
from training.experiments.row import Row
from training.steps import solo_combo, vaegan
from training.steps.devices import Weights
from training.steps.networks import Networks


@dataclass(frozen=True)
class EpochPlan:
    """Epochs of one kind: their name, their step, and what the record of an epoch holds.

    begin(networks, row, records) comes before an epoch, watch(networks, held_out, row, ctx) after
    it; what both return, `watched` by name, goes into the epoch's record. weights(row, records):
    what multiplies the terms in the epoch after those of the records.
    """
    name: str
    step: Callable
    terms: tuple[str, ...]
    begin: Callable
    watch: Callable
    weights: Callable
    watched: tuple[str, ...]


def _nothing(networks: Networks, row: Row, records: list[dict]) -> dict:
    return {}


def _one(row: Row, records: list[dict]) -> Weights:
    return Weights(1.0, 1.0)


STEPS = {  # what a batch does, by the phase's name; of the row
    'solo': lambda row: solo_combo.solo,
    'combo': lambda row: solo_combo.COMBO_STEPS[row.step],
    'gan': lambda row: solo_combo.gan,
    'vaegan': vaegan.step_of}
AROUND_EPOCHS = {  # what comes before and after an epoch and the weights, by kind of training
    kinds.SOLO_COMBO: (solo_combo.recorded_weights, solo_combo.held_out_losses,
                       solo_combo.weights),
    kinds.GAN: (_nothing, solo_combo.held_out_losses, _one),
    kinds.VAEGAN: (vaegan.set_rates, vaegan.held_out_losses, _one)}


def plan(row: Row) -> list[EpochPlan]:
    """Return the phase of each epoch of a row."""
    return [EpochPlan(phase.name, STEPS[phase.name](row), phase.terms, *AROUND_EPOCHS[row.kind],
                      row.kind.watched)
            for phase in row.kind.phases for _ in range(getattr(row, phase.epochs_field))]


class Diverged(ValueError):
    """A loss, parameter or optimizer state that is not finite; the message is for the user.

    `record`: of the epoch up to there, its phase marked.
    """

    def __init__(self, what: str, progress: 'Progress', phase: EpochPlan, n_epochs: int):
        epoch = len(progress.records)
        super().__init__(f'diverged in epoch {epoch} ({phase.name}, {epoch + 1} of {n_epochs}), '
                         f'batch {progress.batch}: {what} not finite (a smaller lr may help)')
        self.record = {'epoch': len(progress.records), 'phase': f'{phase.name}, diverged',
                       **progress.means(phase), 'seconds': progress.seconds}


@dataclass
class Progress:
    """How far a run is: the records of its epochs, and the epoch under way.

    With the networks' arrays this is all that the rest of a run depends on, besides its row and
    data: weights follow from records, and every draw from its epoch and batch.
    """
    records: list[dict] = field(default_factory=list)
    batch: int = 0                  # batches done, of the epoch under way
    sums: np.ndarray | None = None  # of their terms (n,) float32
    seconds: float = 0.0            # that they took
    pending: NDArray | None = None  # the terms (n,) of the last one, while a device computes them

    def settle(self) -> np.ndarray:
        """Return the sums (n,), once the device has done all batches."""
        if self.pending is not None:
            terms, self.pending = self.pending.asnumpy(), None
            self.sums = terms if self.sums is None else self.sums + terms
        return self.sums

    def means(self, phase: EpochPlan) -> dict[str, float]:
        """Return the means over batches of the terms so far, by name."""
        return dict(zip(phase.terms, (self.settle() / self.batch).tolist(), strict=True))

    def described(self, row: Row) -> str:
        """Return how much is done, in words."""
        done = f'{len(self.records)} of {row.epochs} epochs'
        return f'{done} and {self.batch} batches' if self.batch else done

    def finish_epoch(self, record: dict) -> None:
        """Keep the record of the epoch under way; the next one begins."""
        self.records.append(record)
        self.batch, self.sums, self.seconds = 0, None, 0.0


def n_images(n_there: int, row: Row) -> int:
    """Return how many images an epoch sees, of the training images that are there."""
    return n_used(n_there, row) * (2 if row.mirror == 'yes' else 1)


def n_used(n_there: int, row: Row) -> int:
    """Return how many of the training images that are there a run uses, the first."""
    return min(n_there, row.limit or n_there)


def n_batches(n_there: int, row: Row) -> int:
    """Return the number of batches of an epoch; the last one may be short."""
    return math.ceil(n_images(n_there, row) / row.batch_size)


def check_finite(networks: Networks, progress: Progress, phase: EpochPlan, n_epochs: int) -> None:
    """Raise Diverged, with its name, if a value that a checkpoint holds is not finite."""
    for name, array in networks.arrays().items():
        if not nd.all_finite(array, init_output=True).asscalar():
            raise Diverged(name, progress, phase, n_epochs)
