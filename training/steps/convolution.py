"""Convolutions of 5 x 5 from or to a few channels on the CPU, at the pace of the other layers.

oneDNN 2.4 has no blocked kernel for as few as an image has, and takes up to ten times as long.
"""
import functools
from collections.abc import Callable

import numpy as np
from mxnet import gluon, nd, operator
from mxnet.ndarray import NDArray
from numba import prange

from training.steps import kernels
from training.steps.losses import on_cpu

FEW = 4
TAPS, PAD = 5, 2  # the kernels below spell out five taps: a loop over them is slower
GROUP = 3         # output channels that share what was read of the input
SAME = {'kernel': (TAPS, TAPS), 'pad': (PAD, PAD), 'stride': (1, 1), 'dilate': (1, 1),
        'num_group': 1, 'no_bias': False, 'layout': 'NCHW'}
OP = 'vaegan_few_channels'
FLOATS = kernels.FLOATS | {'contract', 'reassoc'}  # sums in any order: so are oneDNN's


def use_kernels(net: gluon.Block) -> None:
    """Let the convolutions that the kernels are for use them, in a net that is not compiled."""
    def look(block: gluon.Block) -> None:
        if type(block) is gluon.nn.Conv2D and _suits(block):
            block.hybrid_forward = functools.partial(_forward, block)
    net.apply(look)


def _suits(layer: gluon.nn.Conv2D) -> bool:
    return (min(layer.weight.shape[:2]) <= FEW
            and all(layer._kwargs[name] == value for name, value in SAME.items()))


def _forward(layer: gluon.nn.Conv2D, F, x, weight, bias):
    if not (F is nd and on_cpu(x)):
        return type(layer).hybrid_forward(layer, F, x, weight, bias)
    y = _plain(nd.Custom(_plain(x), _plain(weight), bias, op_type=OP))
    return y if layer.act is None else layer.act(y)


def _plain(array: NDArray) -> NDArray:
    """Return an array that is not, and whose gradient is not, in one of oneDNN's own layouts.

    MXNet would convert it for the operator, which may run in another thread, and not wait for
    that before it frees the copy.
    """
    return nd.Reshape(array, shape=(0, 0, 0, 0))


@operator.register(OP)
class _Properties(operator.CustomOpProp):
    def list_arguments(self):
        return ['data', 'weight', 'bias']

    def infer_shape(self, in_shape):
        (n, _, *sides), (channels, *_), _ = in_shape
        return in_shape, [(n, channels, *sides)], []

    def declare_backward_dependency(self, out_grad, in_data, out_data):
        return [*out_grad, *in_data]

    def create_operator(self, ctx, shapes, dtypes):
        return _Convolution()


class _Convolution(operator.CustomOp):
    """Works on the arrays' own memory, which has to stay while it does: see `_plain`."""

    @kernels.callback
    def forward(self, is_train, req, in_data, out_data, aux):
        x, weight, bias = map(kernels.memory, in_data)
        _write(req[0], out_data[0], lambda y: _correlate(x, _grouped(weight), bias, y))

    @kernels.callback
    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        d_y, (x, weight, _) = kernels.memory(out_grad[0]), map(kernels.memory, in_data)
        turned = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]         # (in, out, 5, 5)
        parts = np.empty((len(x), *weight.shape), np.float32)           # of each image
        _write(req[0], in_grad[0], lambda d_x: _correlate(
            d_y, _grouped(turned), np.zeros(len(turned), np.float32), d_x))
        _write(req[1], in_grad[1], lambda d_weight: (
            _d_weight(x, d_y, parts), np.sum(parts, axis=0, out=d_weight)))
        _write(req[2], in_grad[2], lambda d_bias: np.sum(d_y, axis=(0, 2, 3), out=d_bias))


def _write(request: str, array: NDArray, compute: Callable) -> None:
    """Let `compute` fill an array, or what is added to it, or nothing, as MXNet requests."""
    if request == 'add':
        values = np.empty(array.shape, np.float32)
        compute(values)
        kernels.memory(array)[...] += values
    elif request != 'null':
        compute(kernels.memory(array))


def _grouped(weight: np.ndarray) -> np.ndarray:
    """Return weights (out, in, 5, 5) with zeros up to whole groups of output channels."""
    return np.concatenate([weight, np.zeros((-len(weight) % GROUP, *weight.shape[1:]),
                                            np.float32)])


@kernels.kernel(fastmath=FLOATS)
def _padded(image):
    """Return an image (c, h, w) with two zeros around: (c, h + 4, w + 4)."""
    channels, height, width = image.shape
    padded = np.zeros((channels, height + 2 * PAD, width + 2 * PAD), np.float32)
    for c in range(channels):
        for y in range(height):
            for i in range(width):
                padded[c, y + PAD, i + PAD] = image[c, y, i]
    return padded


@kernels.kernel(parallel=True, fastmath=FLOATS)
def _correlate(x, weight, bias, out):
    """Fill out (b, out, h, w) from x (b, in, h, w) and weights (out, in, 5, 5) in groups."""
    n, height, width = len(x), x.shape[2], x.shape[3]
    channels = out.shape[1]
    for image in prange(n):
        padded = _padded(x[image])
        row = np.empty((GROUP, width), np.float32)
        first, second, third = row[0], row[1], row[2]
        for o in range(0, channels, GROUP):
            for y in range(height):
                row[:] = 0
                for c in range(x.shape[1]):
                    for ky in range(TAPS):
                        r = padded[c, y + ky]
                        a, b, d = weight[o, c, ky], weight[o + 1, c, ky], weight[o + 2, c, ky]
                        a0, a1, a2, a3, a4 = a[0], a[1], a[2], a[3], a[4]
                        b0, b1, b2, b3, b4 = b[0], b[1], b[2], b[3], b[4]
                        d0, d1, d2, d3, d4 = d[0], d[1], d[2], d[3], d[4]
                        for i in range(width):
                            r0, r1, r2, r3, r4 = r[i], r[i + 1], r[i + 2], r[i + 3], r[i + 4]
                            first[i] += a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3 + a4 * r4
                            second[i] += b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3 + b4 * r4
                            third[i] += d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3 + d4 * r4
                for k in range(min(GROUP, channels - o)):
                    for i in range(width):
                        out[image, o + k, y, i] = row[k, i] + bias[o + k]


@kernels.kernel(parallel=True, fastmath=FLOATS)
def _d_weight(x, d_y, parts):
    """Fill parts (b, out, in, 5, 5), each image's gradient of the weights.

    Images are long rows, with zeros where one of their rows ends and the next begins.
    """
    n, channels_in, height, width = x.shape
    channels, stride = d_y.shape[1], width + 2 * PAD
    length, none = height * stride, np.float32(0)
    for image in prange(n):
        padded = np.zeros((channels_in, (height + 2 * PAD) * stride + TAPS - 1), np.float32)
        padded[:, :(height + 2 * PAD) * stride] = _padded(x[image]).reshape(channels_in, -1)
        slopes = np.zeros((channels + GROUP, height, stride), np.float32)
        for o in range(channels):
            for y in range(height):
                for i in range(width):
                    slopes[o, y, i] = d_y[image, o, y, i]
        flat = slopes.reshape(channels + GROUP, length)
        found = np.empty((GROUP, TAPS), np.float32)
        for o in range(0, channels, GROUP):
            a, b, d = flat[o], flat[o + 1], flat[o + 2]
            for c in range(channels_in):
                for ky in range(TAPS):
                    r = padded[c, ky * stride:ky * stride + length + TAPS - 1]
                    a0 = a1 = a2 = a3 = a4 = none
                    b0 = b1 = b2 = b3 = b4 = none
                    d0 = d1 = d2 = d3 = d4 = none
                    for i in range(length):
                        r0, r1, r2, r3, r4 = r[i], r[i + 1], r[i + 2], r[i + 3], r[i + 4]
                        one, two, three = a[i], b[i], d[i]
                        a0 += one * r0
                        a1 += one * r1
                        a2 += one * r2
                        a3 += one * r3
                        a4 += one * r4
                        b0 += two * r0
                        b1 += two * r1
                        b2 += two * r2
                        b3 += two * r3
                        b4 += two * r4
                        d0 += three * r0
                        d1 += three * r1
                        d2 += three * r2
                        d3 += three * r3
                        d4 += three * r4
                    found[0] = a0, a1, a2, a3, a4
                    found[1] = b0, b1, b2, b3, b4
                    found[2] = d0, d1, d2, d3, d4
                    for k in range(min(GROUP, channels - o)):
                        parts[image, o + k, c, ky] = found[k]
