"""Checkpoints: all that the rest of a run depends on, in one file that checks itself.

The carrier is safetensors: arrays and text, nothing that is run on load. No random generator's
state is in it, for draws depend on (seed, epoch, batch) alone.
"""
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from training.experiments.row import Experiment
from training.runtime.parallel import Workers
from training.runtime.signals import Stopped
from training.steps import kernels
from training.steps.networks import Networks
from training.steps.phases import Phase, Progress, check_finite, n_batches, plan
from training.storage import files, tensors

KEPT = 2       # checkpoints of a run
FORMAT = 1     # of what is in them
PATTERN = 'checkpoint-*.safetensors'
MAX_COUNT = 2 ** 31  # updates of a parameter


class CheckpointError(ValueError):
    """A checkpoint that is damaged or another run's; the message is for the user."""


def save(folder: Path, networks: Networks, progress: Progress) -> Path:
    """Write a checkpoint, whole or not at all, then remove all but the last two.

    OSError if it cannot be written; those that are there stay.
    """
    arrays = {name: kernels.view(array) for name, array in networks.arrays().items()}
    sums = progress.settle()
    state = json.dumps({'format': FORMAT, 'records': progress.records, 'batch': progress.batch,
                        'sums': None if sums is None else sums.tolist(),
                        'seconds': progress.seconds, 'updates': networks.update_counts()})
    path = folder / f'checkpoint-{len(progress.records):06d}-{progress.batch:06d}.safetensors'
    files.write(path, tensors.pieces({'state': state, 'sha256': _digest(state, arrays)}, arrays))
    for old in found(folder)[:-KEPT]:
        old.unlink()
    return path


def found(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the oldest first."""
    return sorted(folder.glob(PATTERN))


class Keeper:
    """Writes checkpoints: after each epoch, every so many minutes, and when asked to stop."""

    def __init__(self, folder: Path, networks: Networks, row: Experiment, minutes: float,
                 asked_to_stop: Callable[[], int | None], command: str):
        """asked_to_stop: returns the signal that came, or None. command: how to go on."""
        self.folder, self.networks, self.row = folder, networks, row
        self.seconds, self.last = 60 * minutes, time.monotonic()
        self.asked_to_stop, self.command = asked_to_stop, command

    def on_batch(self, phase: Phase, progress: Progress, n_batches: int) -> None:
        """After each batch; raises Stopped when there is a checkpoint and someone asked."""
        if self.asked_to_stop() or time.monotonic() - self.last >= self.seconds:
            check_finite(self.networks, progress, phase, self.row.epochs)
            self._save(progress)

    def on_epoch(self, progress: Progress) -> None:
        """After each epoch; raises Stopped as `on_batch`."""
        self._save(progress)

    def _save(self, progress: Progress) -> None:
        save(self.folder, self.networks, progress)
        self.last = time.monotonic()
        if signum := self.asked_to_stop():
            raise Stopped(signum, f'stopped after {progress.described(self.row)}; '
                                  f'go on with: {self.command}')


def last(folder: Path, networks: Networks, row: Experiment, n_train: int) -> Progress | None:
    """Set the networks to the last checkpoint of a run that is whole; None if it has none.

    n_train: images that are there. CheckpointError if there are some, and none is whole.
    """
    damaged = None
    for path in reversed(found(folder)):
        try:
            progress = load(path, networks, plan(row), n_batches(n_train, row))
        except CheckpointError as error:
            damaged = error
            print(error, file=sys.stderr)
            continue
        return progress
    if damaged:
        raise CheckpointError(f'{damaged}; --fresh starts over')
    return None


def share(workers: Workers, networks: Networks, progress: Progress, row: Experiment) -> Progress:
    """Let every worker of a job begin where the first one stands, at the end of an epoch.

    CheckpointError in the middle of one: of its batches each worker knows its own part only.
    """
    if workers.count == 1:
        return progress
    if progress.batch:
        raise CheckpointError(f'the last checkpoint is from the middle of an epoch (after '
                              f'{progress.described(row)}), where only one process can go on')
    done, parameters = len(progress.records), networks.arrays()
    losses = np.zeros(1 + row.epochs)  # how many are known, and what the gate looks at
    losses[:1 + done] = [done, *(record.get('disc_loss', 0) for record in progress.records)]
    done, *losses = workers.share(losses).tolist()
    names = sorted(name for name in parameters if '.' not in name.partition('/')[0])
    known = networks.update_counts()
    counts = dict(zip(names, workers.share(np.array([known.get(name, 0) for name in names]))
                      .astype(int).tolist(), strict=True))
    arrays = {name: workers.share(parameters[name].asnumpy()) for name in names}
    for name in filter(counts.get, names):
        for moment in ('mean', 'variance'):
            state = name.replace('/', f'.{moment}/', 1)
            arrays[state] = workers.share(parameters[state].asnumpy() if state in parameters
                                          else np.zeros_like(arrays[name]))
    if workers.rank == 0:
        return progress
    networks.restore(arrays, {name: count for name, count in counts.items() if count})
    return Progress([{'disc_loss': loss} for loss in losses[:int(done)]])


def load(path: Path, networks: Networks, epochs: list[Phase], last_batch: int) -> Progress:
    """Set the networks to a checkpoint, all of it or nothing; how far the run was.

    epochs: the phase of each. last_batch: how many an epoch has. CheckpointError if it is
    damaged or another run's.
    """
    try:
        with safe_open(path, 'numpy') as file:
            metadata = file.metadata() or {}
            state = _parse(metadata.get('state', ''))
            progress = _progress(state, epochs, last_batch)
            arrays = _Arrays(file)
            _check_names(arrays, state['updates'], networks)
            if _digest(metadata['state'], arrays) != metadata.get('sha256'):
                raise CheckpointError('its checksum is not that of its content')
            networks.restore(arrays, state['updates'])
    except (SafetensorError, CheckpointError) as error:
        raise CheckpointError(f'{path}: not a whole checkpoint of this run ({error})') from None
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be read ({error.strerror or error})') from None
    return progress


class _Arrays:
    """The arrays of an open file, each read when it is asked for."""

    def __init__(self, file):
        self._file, self._names = file, set(file.keys())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._file.get_tensor(name)

    def kind(self, name: str) -> tuple:
        """(dtype, shape), without the values."""
        part = self._file.get_slice(name)
        return part.get_dtype(), tuple(part.get_shape())


def _digest(state: str, arrays) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f'{name} {values.dtype} {values.shape}'.encode())
        digest.update(values.reshape(-1))
    return digest.hexdigest()


def _check_names(arrays: _Arrays, updates: dict, networks: Networks) -> None:
    """CheckpointError unless the arrays are the networks', in name, type and shape."""
    parameters = {name: array.shape for name, array in networks.arrays().items()
                  if '.' not in name.partition('/')[0]}
    wanted = parameters | {name.replace('/', f'.{moment}/', 1): parameters[name]
                           for name in updates if name in parameters
                           for moment in ('mean', 'variance')}
    odd = sorted((set(arrays) ^ wanted.keys()) | (updates.keys() - parameters.keys()))
    if odd:
        raise CheckpointError(f'{odd[0]!r} is only in '
                              + ('the net' if odd[0] in wanted else 'the file'))
    for name, shape in wanted.items():
        if arrays.kind(name) != ('F32', shape):
            raise CheckpointError('{} is {} {}, expected F32 {}'.format(
                name, *arrays.kind(name), shape))


def _parse(text: str) -> dict:
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'its state is not JSON: {error}') from None
    if not isinstance(state, dict) or state.get('format') != FORMAT:
        raise CheckpointError(f'expected format {FORMAT}')
    return state


def _progress(state: dict, epochs: list[Phase], last_batch: int) -> Progress:
    """How far the run was; CheckpointError unless a run of that plan can be there."""
    def expect(field: str, condition: bool, expected: str) -> None:
        if not condition:
            raise CheckpointError(f'{field}: expected {expected}')

    records, batch, sums = (state.get(field) for field in ('records', 'batch', 'sums'))
    expect('records', isinstance(records, list) and len(records) <= len(epochs),
           f'a list of at most {len(epochs)}')
    for epoch, (record, phase) in enumerate(zip(records, epochs, strict=False)):
        whole = (isinstance(record, dict) and record.get('epoch') == epoch
                 and record.get('phase') == phase.name
                 and record.keys() == {'epoch', 'phase', *phase.terms, 'seconds', *phase.watched}
                 and all(_is_number(record[term]) for term in (*phase.terms, 'seconds'))
                 and all(record[term] is None or isinstance(record[term], float)
                         for term in phase.watched))
        expect(f'records[{epoch}]', whole, f'the record of a {phase.name} epoch')
    expect('batch', type(batch) is int and 0 <= batch <= last_batch * (len(records) < len(epochs)),
           f'at most {last_batch}, and 0 in the end')
    if batch:
        n_terms = len(epochs[len(records)].terms)
        expect('sums', isinstance(sums, list) and len(sums) == n_terms
               and all(map(_is_number, sums)), f'{n_terms} numbers')
    expect('seconds', _is_number(state.get('seconds')) and state['seconds'] >= 0, 'a number')
    updates = state.get('updates')
    expect('updates', isinstance(updates, dict) and all(
        type(count) is int and 0 < count < MAX_COUNT for count in updates.values()), 'counts')
    return Progress(records, batch, np.array(sums, np.float32) if batch else None,
                    state['seconds'])


def _is_number(value) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
