"""How far a step moves BatchNorm's running means and variances.

MXNet 1.9.1 moves them in the backward pass on the CPU and in its own CUDA kernels, but in the
forward pass where cuDNN does the work. So a step looks at what has become of them after both, or
keeps both from moving them.
"""
from collections.abc import Iterator
from contextlib import contextmanager

from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray

Statistic = tuple[gluon.Parameter, float]  # a running mean or variance, and its momentum


def statistics_of(net: gluon.Block) -> list[Statistic]:
    """Return the running means and variances of all of a net's BatchNorm layers, each once."""
    momenta = {}

    def look(block: gluon.Block) -> None:
        if hasattr(block, 'running_mean'):
            momentum = block._kwargs['momentum']
            momenta.update({block.running_mean.name: momentum, block.running_var.name: momentum})

    net.apply(look)
    return [(parameter, momenta[name]) for name, parameter in net.collect_params().items()
            if name in momenta]


class RunningStatistics:
    """The running means and variances of a net on one device, as they stand when this is made."""

    def __init__(self, statistics: list[Statistic], ctx):
        self._arrays = [parameter.data(ctx) for parameter, _ in statistics]
        self._momenta = [momentum for _, momentum in statistics]
        self._on_cpu = ctx.device_type == 'cpu'
        self._before = self._copies()
        self._kept_back = []  # what forward passes would have changed, in their order

    def _wait(self) -> None:
        """Wait for backward passes, of whose moves MXNet's engine on the CPU does not know."""
        if self._on_cpu:
            nd.waitall()

    def _copies(self) -> list[NDArray]:
        self._wait()
        with autograd.pause():
            return [array.copy() for array in self._arrays]

    def count(self, passes: int) -> None:
        """Move them as far as that many equal passes would, where one has been made since."""
        self._wait()
        for array, old, momentum in zip(self._arrays, self._before, self._momenta, strict=True):
            array += sum(momentum ** i for i in range(1, passes)) * (array - old)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let nothing within move them."""
        before = self._copies()
        yield
        self._wait()
        self._set(before)

    @contextmanager
    def kept_back(self) -> Iterator[None]:
        """Let the forward pass within move them only in `move_on`."""
        before = self._copies()
        yield
        self._wait()
        with autograd.pause():
            self._kept_back.append([array - old for array, old in
                                    zip(self._arrays, before, strict=True)])
        self._set(before)

    def _set(self, values: list[NDArray]) -> None:
        with autograd.pause():
            for array, value in zip(self._arrays, values, strict=True):
                array[:] = value

    def move_on(self) -> None:
        """Move them by what was kept back, the last pass first.

        That is the order in which one backward pass through several goes. Nothing changes if it
        has moved them.
        """
        for i, changes in enumerate(self._kept_back):  # the last is shrunk by all others'
            for array, change, momentum in zip(self._arrays, changes, self._momenta, strict=True):
                array += momentum ** i * change
        self._kept_back.clear()
