"""CPU kernels, compiled by Numba: what MXNet's own operators do in many passes, in one.

They work in place on the memory of NDArrays. MXNet's engine runs behind Python's back, so
`addresses` first waits for it.
"""
import ctypes
import functools
import math
from collections.abc import Callable, Set

import numpy as np
from mxnet import nd
from mxnet.base import _LIB, check_call
from mxnet.ndarray import NDArray
from numba import carray, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LOG_FLOOR = np.float32(1e-10)
CHUNK = 1 << 14  # elements that one thread takes at a time
# Not 'contract', which rounds otherwise than MXNet, nor what assumes that values are finite or
# sums reorder
FLOATS = frozenset({'nsz'})
_FAILURES: list[BaseException] = []


def kernel(parallel: bool = False, fastmath: Set[str] = FLOATS) -> Callable:
    """Return a decorator that compiles a function, once for all processes.

    For each anew where there is no place to keep it: neither beside its source, nor in a home.
    """
    def compiled(function: Callable) -> Callable:
        options = {'parallel': parallel, 'fastmath': {*fastmath}}
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # Numba's, for no such place
            return njit(**options)(function)
    return compiled


def callback(function: Callable) -> Callable:
    """Return a function for MXNet to call back, which else goes on with zeros where it fails.

    `addresses` raises what it raised: before weights are updated, for Adam needs those of its
    arrays.
    """
    @functools.wraps(function)
    def call(*arguments, **named):
        try:
            return function(*arguments, **named)
        except BaseException as error:
            _FAILURES.append(error)
            raise
    return call


def addresses(*arrays: NDArray) -> list[int]:
    """Return where float32 NDArrays' values are, once nothing reads or writes them any more.

    Until the arrays are gone, or MXNet uses them again: it may then lay them out elsewhere.
    Raises what a `callback` has raised since.
    """
    nd.waitall()
    if _FAILURES:
        first = _FAILURES[0]
        _FAILURES.clear()
        raise first
    return [*map(_address, arrays)]


def _address(array: NDArray) -> int:
    pointer = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    return pointer.value


@intrinsic
def _pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)
    return types.voidptr(types.int64), generate


@njit
def _floats(address, first, size):
    """Return `size` values of the array at an address, from the `first` on, as a NumPy array."""
    return carray(_pointer(address + 4 * first), size, np.float32)


def chunks(sizes: tuple[int, ...]) -> np.ndarray:
    """Return the rows (array's index, first element, elements) that cut arrays of those sizes."""
    return np.array([(index, first, min(CHUNK, size - first))
                     for index, size in enumerate(sizes) for first in range(0, size, CHUNK)])


@kernel(parallel=True)
def adam(chunks, weights, gradients, means, variances, lr, wd, beta1, beta2, epsilon, rescale,
         clip):
    """Do one Adam step on n arrays at the addresses (n,), cut as `chunks` says.

    The update is that of MXNet's `adam_update`. lr, wd (n,): of each array, lr with its bias
    correction.
    """
    for i in prange(len(chunks)):
        index, first, size = chunks[i]
        weight = _floats(weights[index], first, size)
        gradient = _floats(gradients[index], first, size)
        mean = _floats(means[index], first, size)
        variance = _floats(variances[index], first, size)
        step, decay = lr[index], wd[index]
        for j in range(size):
            g = rescale * gradient[j] + decay * weight[j]
            g = min(max(g, -clip), clip)
            mean[j] = beta1 * mean[j] + (np.float32(1) - beta1) * g
            variance[j] = beta2 * variance[j] + (np.float32(1) - beta2) * g * g
            weight[j] -= step * mean[j] / (math.sqrt(variance[j]) + epsilon)


def kl_divergence(mean: NDArray, logvar: NDArray, scale: float,
                  weight: float) -> tuple[float, NDArray, NDArray]:
    """Return the sum of `losses.kl_divergence` times scale, and its weighted gradients (b, z)."""
    d_mean, d_logvar = nd.empty(mean.shape), nd.empty(mean.shape)
    total = _kl_divergence(*addresses(mean, logvar, d_mean, d_logvar), mean.size,
                           np.float32(scale * weight))
    return scale * total, d_mean, d_logvar


@kernel()
def _kl_divergence(mean, logvar, d_mean, d_logvar, size, scale):
    mean, logvar = _floats(mean, 0, size), _floats(logvar, 0, size)
    d_mean, d_logvar = _floats(d_mean, 0, size), _floats(d_logvar, 0, size)
    total = 0.0
    for j in range(size):
        variance = math.exp(logvar[j])
        total -= 0.5 * (np.float32(1) + logvar[j] - mean[j] * mean[j] - variance)
        d_mean[j] = scale * mean[j]
        d_logvar[j] = scale * np.float32(0.5) * (variance - np.float32(1))
    return total


def bce(x_hat: NDArray, x: NDArray, scale: float, weight: float) -> tuple[float, NDArray]:
    """Return the sum of `losses.bce` times scale, and its weighted gradient (b, c, h, w)."""
    return _pixels(_bce, x_hat, x, scale, weight)


def l2(x_hat: NDArray, x: NDArray, scale: float, weight: float) -> tuple[float, NDArray]:
    """Return the sum of `losses.l2` times scale, and its weighted gradient (b, c, h, w)."""
    return _pixels(_l2, x_hat, x, scale, weight)


def gaussian(features_hat: NDArray, features: NDArray, scale: float,
             weight: float) -> tuple[float, NDArray]:
    """Return the sum of `losses.gaussian` times scale, and its weighted gradient (b, ...)."""
    squares, gradient = l2(features_hat, features, scale, 0.5 * weight)
    return 0.5 * (squares + scale * features.size * math.log(2 * math.pi)), gradient


def mean_square(features_hat: NDArray, features: NDArray, scale: float,
                weight: float) -> tuple[float, NDArray]:
    """Return the sum of `losses.mean_square` times scale, and its weighted gradient (b, ...)."""
    return l2(features_hat, features, scale * len(features) / features.size, weight)


def _pixels(kernel, x_hat, x, scale, weight) -> tuple[float, NDArray]:
    gradient, sums = nd.empty(x_hat.shape), np.empty(len(x_hat))
    kernel(*addresses(x_hat, x, gradient), x_hat.size // len(x_hat), np.float32(scale * weight),
           sums)
    return scale * float(sums.sum()), gradient


@kernel(parallel=True)
def _bce(x_hat, x, gradient, n_pixels, scale, sums):
    for i in prange(len(sums)):
        output = _floats(x_hat, i * n_pixels, n_pixels)
        target = _floats(x, i * n_pixels, n_pixels)
        slope = _floats(gradient, i * n_pixels, n_pixels)
        terms = np.empty(n_pixels, np.float32)  # summed by themselves: sums do not vectorise
        for j in range(n_pixels):
            inside = output[j] + LOG_FLOOR
            outside = np.float32(1) - output[j] + LOG_FLOOR
            left = np.float32(1) - target[j]
            terms[j] = target[j] * math.log(inside) + left * math.log(outside)
            slope[j] = scale * (left / outside - target[j] / inside)
        total = 0.0
        for j in range(n_pixels):
            total -= terms[j]
        sums[i] = total


@kernel(parallel=True)
def _l2(x_hat, x, gradient, n_pixels, scale, sums):
    for i in prange(len(sums)):
        output = _floats(x_hat, i * n_pixels, n_pixels)
        target = _floats(x, i * n_pixels, n_pixels)
        slope = _floats(gradient, i * n_pixels, n_pixels)
        total = 0.0
        for j in range(n_pixels):
            error = output[j] - target[j]
            total += error * error
            slope[j] = np.float32(2) * scale * error
        sums[i] = total


def adversarial(logit: NDArray, n_real: int, scale: float,
                weight: float) -> tuple[float, float, float, NDArray]:
    """Return what `losses.adversarial_with_gradient` does, as numbers but for the gradient."""
    gradient = nd.empty(logit.shape)
    sums = _adversarial(*addresses(logit, gradient), logit.size, n_real,
                        np.float32(scale * weight))
    return *(scale * value for value in sums), gradient


@kernel()
def _adversarial(logit, gradient, size, n_real, scale):
    logit, gradient = _floats(logit, 0, size), _floats(gradient, 0, size)
    total, n_right, n_right_real = 0.0, 0, 0
    for j in range(size):
        if j == n_real:
            n_right_real, n_right = n_right, 0
        sign = np.float32(-1 if j < n_real else 1)
        towards = sign * logit[j]
        small = math.exp(-abs(towards))
        total += max(towards, np.float32(0)) + math.log1p(small)
        n_right += towards < 0
        sigmoid = (np.float32(1) if towards >= 0 else small) / (np.float32(1) + small)
        gradient[j] = scale * sign * sigmoid
    if n_real >= size:
        n_right_real, n_right = n_right, 0
    return total, n_right_real, n_right


def view(array: NDArray) -> np.ndarray:
    """Return a float32 NDArray's values: on the CPU its own memory, from a GPU a copy.

    They hold on to the array, and are right until MXNet uses it again.
    """
    if array.context.device_type != 'cpu':
        return array.asnumpy()
    nd.waitall()
    return memory(array)


def memory(array: NDArray) -> np.ndarray:
    """Return the memory of a float32 NDArray on the CPU, which nothing else reads or writes."""
    values = (ctypes.c_float * array.size).from_address(_address(array))
    values.owner = array
    return np.ctypeslib.as_array(values).reshape(array.shape)
