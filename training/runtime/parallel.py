"""One batch over several devices, and over several machines by MXNet's parameter server.

A worker computes its part of every batch; the parameter server adds the gradients of all. What a
net takes from a whole batch, BatchNorm's means and minibatch discrimination, each device takes
from its part.
"""
import functools
import itertools
import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from mxnet import Context, gluon, kv, nd
from mxnet.kvstore import KVStoreBase
from mxnet.ndarray import NDArray

from training.runtime.launch import ROLE

DIST_SYNC = 'dist_sync'
KILOBYTE = 1 << 10


class ParallelError(ValueError):
    """A job that cannot be split as asked; the message is for the user."""


class Workers:
    """This process among those that train together; by itself, the only one."""

    def __init__(self, kvstore: str | None = None):
        """kvstore: 'dist_sync' joins the job that the environment's DMLC_ variables describe."""
        if kvstore not in (None, DIST_SYNC):
            raise ParallelError(f'--kvstore {kvstore}: expected {DIST_SYNC}')
        if kvstore and ROLE not in os.environ:
            raise ParallelError(f'--kvstore {kvstore}: there is no job to join ({ROLE} is not '
                                'set); start one with python -m training launch')
        self._store = kv.create(kvstore) if kvstore else None
        self._names = itertools.count()
        self.rank = self._store.rank if kvstore else 0
        self.count = self._store.num_workers if kvstore else 1

    def store(self) -> KVStoreBase | str:
        """Return what a new Trainer takes as kvstore; all workers make them in the same order."""
        return _NamedKeys(self._store, next(self._names)) if self._store else 'device'

    def part(self, array: np.ndarray) -> np.ndarray:
        """Return this worker's part of a batch (b, ...)."""
        return np.array_split(array, self.count)[self.rank] if self.count > 1 else array

    def total(self, array: NDArray) -> NDArray:
        """Return the sum of all workers' arrays, to each of them."""
        if not self._store:
            return array
        store, summed = self.store(), array.copy()
        store.broadcast(0, nd.zeros_like(array), [nd.zeros_like(array)])
        store.pushpull(0, [summed])
        return summed

    def share(self, array: np.ndarray) -> np.ndarray:
        """Return the first worker's array, float32, to each of them; all give one of its shape."""
        if not self._store:
            return array
        shared = nd.array(array, dtype=np.float32)
        self.store().broadcast(0, shared, [shared])
        return shared.asnumpy()

    def agree(self, value: Any) -> Any:
        """Return the first worker's value of what JSON holds, to each of them."""
        if not self._store:
            return value
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        whole, rest = self.share(np.array(divmod(len(text), KILOBYTE))).astype(int)
        size = whole * KILOBYTE + rest  # float32 has no large number to the last digit
        text = self.share(np.resize(text, size))
        return json.loads(text.astype(np.uint8).tobytes())


class _NamedKeys(KVStoreBase):
    """A parameter server's keys under a name: every trainer numbers its own from 0."""

    def __init__(self, store, name: int):
        self._store, self._name, self._apart = store, name, set()

    def broadcast(self, key, value, out, priority=0):
        self._store.broadcast(f'{self._name}/{key}', value, out, priority)
        # Gradients may overtake a pull that is under way, and it would bring them as weights
        for array in out:
            array.wait_to_read()

    def pushpull(self, key, value, out=None, priority=0):
        name, out = f'{self._name}/{key}', value if out is None else out
        if self.num_workers <= 2:
            self._store.pushpull(name, value, out, priority)
            return
        # The server adds up what comes in the order in which it comes, and more than two floats
        # make another sum in another order: so each worker gets the parts of all
        own, name = _sum(one.as_in_context(value[0].context) for one in value), f'{name}/parts'
        parts = nd.zeros((self.num_workers, *own.shape), own.context)
        if name not in self._apart:
            self._apart.add(name)
            self._store.broadcast(name, parts, [parts])
        parts[self.rank] = own
        self._store.pushpull(name, [parts], [parts], priority)
        total = _sum(parts)
        for array in out:
            array[:] = total

    @staticmethod
    def is_capable(capability: str) -> bool:
        return False  # the workers update, each with its own optimizer

    @property
    def type(self) -> str:
        return self._store.type

    @property
    def rank(self) -> int:
        return self._store.rank

    @property
    def num_workers(self) -> int:
        return self._store.num_workers


def _sum(arrays: Iterable[NDArray]) -> NDArray:
    return functools.reduce(NDArray.__add__, arrays)


def to_devices(array: np.ndarray, ctx: list[Context]) -> NDArray | list[NDArray]:
    """Return a batch (b, ...) on one device, or the list of its parts on several."""
    whole = nd.from_numpy(np.ascontiguousarray(array))  # no copy
    if len(ctx) == 1:
        return whole.as_in_context(ctx[0])
    return gluon.utils.split_and_load(whole, ctx, even_split=False)


def check_split(n_images: int, batch_size: int, n_parts: int) -> None:
    """Raise ParallelError unless each part of each batch, the short last one too, has images."""
    for size in {min(batch_size, n_images), n_images % batch_size or batch_size}:
        if size < n_parts:
            raise ParallelError(f'a batch of {size} images cannot be split over {n_parts} '
                                f'devices: of {n_images} images, batch_size={batch_size} leaves '
                                'that many for the last batch')
