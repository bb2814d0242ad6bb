"""CPU kernels, compiled by Numba: what MXNet's own operators do in many passes, in one.

They work in place on the memory of NDArrays. MXNet's engine runs behind Python's back, so
`addresses` first waits for it.
"""
import ctypes
import math

import numpy as np
from mxnet import nd
from mxnet.base import _LIB, check_call
from mxnet.ndarray import NDArray
from numba import carray, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LOG_FLOOR = np.float32(1e-10)
CHUNK = 1 << 14  # elements that one thread takes at a time
# No assumption that values are finite or that sums may be reordered
FLOATS = {'contract', 'nsz'}


def address(array: NDArray) -> int:
    """Where an NDArray's values are, once nothing reads or writes them any more."""
    check_call(_LIB.MXNDArrayWaitToWrite(array.handle))
    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return pointer.value


def view(array: NDArray) -> np.ndarray:
    """A float32 NDArray's own memory as a NumPy array, for as long as the NDArray lives."""
    buffer = (ctypes.c_float * array.size).from_address(address(array))
    return np.frombuffer(buffer, np.float32).reshape(array.shape)


@intrinsic
def _pointer(typing_context, value):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)
    return types.voidptr(types.int64), generate


def chunks(arrays: list[tuple[NDArray, NDArray, NDArray, NDArray]]) -> np.ndarray:
    """Rows (array's index, four addresses, size) that cut arrays of equal sizes for `adam`."""
    rows = []
    for index, quadruple in enumerate(arrays):
        size = quadruple[0].size
        first = np.arange(0, size, CHUNK)
        places = [address(array) + 4 * first for array in quadruple]
        rows.append(np.stack([np.full_like(first, index), *places,
                              np.minimum(CHUNK, size - first)], axis=1))
    return np.concatenate(rows)


@njit(parallel=True, fastmath=FLOATS, cache=True)
def adam(rows, lr, wd, beta1, beta2, epsilon, rescale, clip):
    """One Adam step on all chunks; lr, wd (n,): of each array, lr with its bias correction.

    The update is that of MXNet's `adam_update`. rows: from `chunks`, of weights, gradients,
    means and variances.
    """
    for i in prange(len(rows)):
        index, size = rows[i, 0], rows[i, 5]
        weight = carray(_pointer(rows[i, 1]), size, np.float32)
        gradient = carray(_pointer(rows[i, 2]), size, np.float32)
        mean = carray(_pointer(rows[i, 3]), size, np.float32)
        variance = carray(_pointer(rows[i, 4]), size, np.float32)
        step, decay = lr[index], wd[index]
        for j in range(size):
            g = rescale * gradient[j] + decay * weight[j]
            g = min(max(g, -clip), clip)
            mean[j] = beta1 * mean[j] + (np.float32(1) - beta1) * g
            variance[j] = beta2 * variance[j] + (np.float32(1) - beta2) * g * g
            weight[j] -= step * mean[j] / (math.sqrt(variance[j]) + epsilon)


def _result(value: float, gradients: list[NDArray]) -> tuple[NDArray, ...]:
    return nd.array([value]), *gradients


def kl_divergence(mean: NDArray, logvar: NDArray, scale: float,
                  weight: float) -> tuple[NDArray, ...]:
    """`losses.kl_divergence`: its sum times scale (1,), and weighted gradients (b, z)."""
    gradients = [nd.empty(mean.shape), nd.empty(mean.shape)]
    total = _kl_divergence(*(view(a).ravel() for a in (mean, logvar, *gradients)),
                           np.float32(scale * weight))
    return _result(scale * total, gradients)


@njit(fastmath=FLOATS, cache=True)
def _kl_divergence(mean, logvar, d_mean, d_logvar, scale):
    total = 0.0
    for j in range(len(mean)):
        variance = math.exp(logvar[j])
        total -= 0.5 * (np.float32(1) + logvar[j] - mean[j] * mean[j] - variance)
        d_mean[j] = scale * mean[j]
        d_logvar[j] = scale * np.float32(0.5) * (variance - np.float32(1))
    return total


def bce(x_hat: NDArray, x: NDArray, scale: float, weight: float) -> tuple[NDArray, ...]:
    """`losses.bce`: its sum times scale (1,), and its weighted gradient (b, c, h, w)."""
    return _pixels(_bce, x_hat, x, scale, weight)


def l2(x_hat: NDArray, x: NDArray, scale: float, weight: float) -> tuple[NDArray, ...]:
    """`losses.l2`: its sum times scale (1,), and its weighted gradient (b, c, h, w)."""
    return _pixels(_l2, x_hat, x, scale, weight)


def _pixels(kernel, x_hat, x, scale, weight) -> tuple[NDArray, ...]:
    gradient, sums = nd.empty(x_hat.shape), np.empty(len(x_hat))
    kernel(*(view(a).reshape(len(sums), -1) for a in (x_hat, x, gradient)),
           np.float32(scale * weight), sums)
    return _result(scale * sums.sum(), [gradient])


@njit(parallel=True, fastmath=FLOATS, cache=True)
def _bce(x_hat, x, gradient, scale, sums):
    for i in prange(len(x)):
        total = 0.0
        for j in range(x.shape[1]):
            inside = x_hat[i, j] + LOG_FLOOR
            outside = np.float32(1) - x_hat[i, j] + LOG_FLOOR
            left = np.float32(1) - x[i, j]
            total -= x[i, j] * math.log(inside) + left * math.log(outside)
            gradient[i, j] = scale * (left / outside - x[i, j] / inside)
        sums[i] = total


@njit(parallel=True, fastmath=FLOATS, cache=True)
def _l2(x_hat, x, gradient, scale, sums):
    for i in prange(len(x)):
        total = 0.0
        for j in range(x.shape[1]):
            error = x_hat[i, j] - x[i, j]
            total += error * error
            gradient[i, j] = np.float32(2) * scale * error
        sums[i] = total


def adversarial(logit: NDArray, real: bool, scale: float, weight: float) -> tuple[NDArray, ...]:
    """`losses.adversarial`: its sum times scale (1,), and its weighted gradient (b, 1)."""
    gradient = nd.empty(logit.shape)
    total = _adversarial(view(logit).ravel(), view(gradient).ravel(),
                         np.float32(-1 if real else 1), np.float32(scale * weight))
    return _result(scale * total, [gradient])


@njit(fastmath=FLOATS, cache=True)
def _adversarial(logit, gradient, sign, scale):
    total = 0.0
    for j in range(len(logit)):
        towards = sign * logit[j]
        small = math.exp(-abs(towards))
        total += max(towards, np.float32(0)) + math.log1p(small)
        sigmoid = (np.float32(1) if towards >= 0 else small) / (np.float32(1) + small)
        gradient[j] = scale * sign * sigmoid
    return total
