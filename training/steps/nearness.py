"""Minibatch discrimination's distances on the CPU, forward and backward in one kernel each.

MXNet's own operators write an array of all differences and go over it several times.
"""
import functools
import math
from collections.abc import Callable

import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.ndarray import NDArray
from mxnet.symbol import Symbol

from training.steps.kernels import callback, kernel
from training.steps.losses import on_cpu


def is_in(block: gluon.Block) -> bool:
    """Return whether a block is minibatch discrimination."""
    return hasattr(block, 'nearness')


def use_kernels(net: gluon.Block) -> None:
    """Let minibatch discrimination in a net that is not compiled use the kernels on the CPU."""
    def look(block: gluon.Block) -> None:
        if is_in(block):
            block.nearness = functools.partial(nearness, type(block).nearness)
    net.apply(look)


def nearness(operators: Callable, F, matrices: NDArray | Symbol) -> NDArray | Symbol:
    """Return what `MinibatchDiscrimination.nearness` does: matrices (b, k, d) -> (b, k).

    operators: that function, which is called elsewhere than on the CPU.
    """
    if F is nd and on_cpu(matrices):
        return _Nearness()(matrices)
    return operators(F, matrices)


class _Nearness(autograd.Function):
    """Arrays are copied in and out: within a backward pass the engine cannot be waited for.

    What is kept for it is small, for MXNet lets go of it only when Python collects garbage.
    """

    def forward(self, matrices: NDArray) -> NDArray:
        self.matrices = matrices.asnumpy()                              # (b, k, d)
        return nd.array(_forward(self.matrices), matrices.context)      # (b, k)

    @callback
    def backward(self, d_total: NDArray) -> NDArray:
        return nd.array(_backward(self.matrices, d_total.asnumpy()), d_total.context)


@kernel()
def _near(a, b):
    apart = np.float32(0)
    for d in range(len(a)):
        apart += abs(a[d] - b[d])
    return math.exp(-apart)


@kernel()
def _forward(matrices):
    n, kernels, dims = matrices.shape
    total = np.ones((n, kernels), np.float32)  # each image is near to itself
    for k in range(kernels):
        for i in range(n):
            for j in range(i):
                near = _near(matrices[i, k], matrices[j, k])
                total[i, k] += near
                total[j, k] += near
    return total


@kernel()
def _backward(matrices, d_total):
    n, kernels, dims = matrices.shape
    gradient = np.zeros((n, kernels, dims), np.float32)
    for k in range(kernels):
        for i in range(n):
            for j in range(i):
                slope = (_near(matrices[i, k], matrices[j, k])
                         * (d_total[i, k] + d_total[j, k]))
                for d in range(dims):
                    one = slope * np.sign(matrices[i, k, d] - matrices[j, k, d])
                    gradient[i, k, d] -= one
                    gradient[j, k, d] += one
    return gradient
