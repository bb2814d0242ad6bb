"""One checkpoint: written whole, and read only when every part of it is as it has to be.

The carrier is safetensors: arrays and text, nothing that is run on load. No random generator's
state is in it, for noise and order depend on (seed, epoch, batch) alone.
"""
import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from training.steps import kernels
from training.steps.networks import Networks
from training.steps.phases import EpochPlan, Progress
from training.storage import files, tensors

FORMAT = 1  # of what is in a checkpoint
MAX_COUNT = 2 ** 31  # updates of a parameter


class CheckpointError(ValueError):
    """A checkpoint that is damaged or another run's; the message is for the user."""


class DevicesError(CheckpointError):
    """A whole checkpoint, of a run on more devices or on fewer; the message is for the user."""


def write(path: Path, networks: Networks, progress: Progress) -> None:
    """Write a checkpoint, whole or not at all; OSError if it cannot be written."""
    arrays = {name: kernels.view(array) for name, array in networks.arrays().items()}
    sums = progress.settle()
    state = json.dumps({'format': FORMAT, 'records': progress.records, 'batch': progress.batch,
                        'sums': None if sums is None else sums.tolist(),
                        'seconds': progress.seconds, 'updates': networks.update_counts()})
    files.write(path, tensors.pieces({'state': state, 'sha256': digest(state, arrays)}, arrays))


def load(path: Path, networks: Networks, epochs: list[EpochPlan], last_batch: int) -> Progress:
    """Set the networks to a checkpoint, all of it or nothing; return how far the run was.

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
            if digest(metadata['state'], arrays) != metadata.get('sha256'):
                raise CheckpointError('its checksum is not that of its content')
            networks.restore(arrays, state['updates'])
    except DevicesError as error:
        raise DevicesError(f'{path}: {error}') from None
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
        """Return an array's (dtype, shape) without reading its values."""
        part = self._file.get_slice(name)
        return part.get_dtype(), tuple(part.get_shape())


def digest(state: str, arrays) -> str:
    """Return the SHA-256 of a checkpoint's state and arrays, in hexadecimal.

    arrays: those of a mapping from names, or `_Arrays`.
    """
    whole = hashlib.sha256(state.encode())
    for name in sorted(arrays):
        values = arrays[name]
        whole.update(f'{name} {values.dtype} {values.shape}'.encode())
        whole.update(values.reshape(-1))
    return whole.hexdigest()


def shapes(networks: Networks, updates: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays, by name, of networks with those parameters updated."""
    parameters = {name: array.shape for name, array in networks.arrays().items()
                  if '.' not in name.partition('/')[0]}
    return parameters | {name.replace('/', f'.{moment}/', 1): parameters[name]
                         for name in updates if name in parameters
                         for moment in ('mean', 'variance')}


def _check_names(arrays: _Arrays, updates: dict, networks: Networks) -> None:
    """CheckpointError unless the arrays are the networks', in name, type and shape."""
    wanted = shapes(networks, updates)
    there, here = map(_n_devices, (arrays, wanted))
    if there != here:
        raise DevicesError(f'of a run on {there} devices, expected {here}: --ctx names as many')
    odd = sorted((set(arrays) ^ wanted.keys()) | {
        name for name in updates if name.replace('/', '.mean/', 1) not in wanted})
    if odd:
        raise CheckpointError(f'{odd[0]!r} is only in '
                              + ('the net' if odd[0] in wanted else 'the file'))
    for name, shape in wanted.items():
        if arrays.kind(name) != ('F32', shape):
            raise CheckpointError('{} is {} {}, expected F32 {}'.format(
                name, *arrays.kind(name), shape))


def _n_devices(names: Iterable[str]) -> int:
    """Return of how many devices running statistics are; those of the first have no number."""
    numbers = (re.search(r'@(\d{1,4})$', name) for name in names)
    return 1 + max((int(number[1]) for number in numbers if number), default=0)


def _parse(text: str) -> dict:
    """Return a checkpoint's state, parsed; CheckpointError unless it is one of this format."""
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'its state is not JSON: {error}') from None
    if not isinstance(state, dict) or state.get('format') != FORMAT:
        raise CheckpointError(f'expected format {FORMAT}')
    return state


def _progress(state: dict, epochs: list[EpochPlan], last_batch: int) -> Progress:
    """Return how far the run was; CheckpointError unless a run of that plan can be there."""
    def expect(field: str, condition: bool, expected: str) -> None:
        if not condition:
            raise CheckpointError(f'{field}: expected {expected}')

    records, batch, sums = (state.get(field) for field in ('records', 'batch', 'sums'))
    expect('records', isinstance(records, list) and len(records) <= len(epochs),
           f'a list of at most {len(epochs)}')
    for epoch, (record, phase) in enumerate(zip(records, epochs, strict=False)):
        whole = (isinstance(record, dict) and record.get('epoch') == epoch
                 and record.get('phase') == phase.name
                 and record.keys() <= {'epoch', 'phase', *phase.terms, 'seconds', *phase.watched}
                 and all(_is_number(record.get(term)) for term in (*phase.terms, 'seconds'))
                 and all(record.get(term) is None or isinstance(record[term], float)
                         for term in phase.watched))
        expect(f'records[{epoch}]', whole, f'the record of a {phase.name} epoch')
        records[epoch] = dict.fromkeys(phase.watched) | record  # an older one may lack a column
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
