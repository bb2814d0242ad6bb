"""A trained net as a plain list of layers in NumPy, for programs without MXNet.

In inference mode: BatchNorm becomes part of the layer before it, dropout nothing.
"""
from dataclasses import dataclass, field
from math import prod

import numpy as np
from mxnet.gluon import HybridBlock, nn
from mxnet.gluon.contrib.nn import HybridConcurrent

from models import ModelError
from models.conv import ConvDecoder
from models.dense import DenseDecoder
from models.layers import Dropout, Linear, Shaped


@dataclass(frozen=True)
class Layer:
    """One step of a net, of one image (c, h, w) or vector at a time.

    kind, and the arrays (float32) and options that go with it:
    dense: weight (out, in), bias (out,).
    conv: weight (out, in, k, k), bias (out,); takes, gives (c, h, w); stride, pad.
    deconv, transposed: weight (in, out, k, k), bias (out,); takes, gives, stride, pad.
    scale: factor, offset (c,) of each channel, or (1,) of all; gives.
    relu, sigmoid, tanh, leaky (slope): activations.
    """
    kind: str
    arrays: tuple[np.ndarray, ...] = ()
    options: dict = field(default_factory=dict)


def layers(net: HybridBlock, shape: tuple[int, ...]) -> list[Layer]:
    """Return the layers of a net with parameters, for inputs of a shape without the batch.

    ModelError for a layer that is none of `Layer`'s kinds.
    """
    return _walk(net, tuple(shape), [])[1]


def n_parameters(found: list[Layer]) -> int:
    """Return how many numbers the layers hold."""
    return sum(array.size for layer in found for array in layer.arrays)


def _walk(block: HybridBlock, shape: tuple[int, ...], found: list[Layer]) -> tuple:
    """Add a block's layers to those found; return the shape that it gives, and all of them."""
    for kinds, convert in _CONVERTED:
        if isinstance(block, kinds):
            return convert(block, shape, found), found
    raise ModelError(f'{type(block).__name__}: a layer that is not drawn outside of MXNet')


def _sequence(block, shape, found) -> tuple[int, ...]:
    for child in block._children.values():
        shape, _ = _walk(child, shape, found)
    return shape


def _nothing(block, shape, found) -> tuple[int, ...]:
    return shape


def _flat(block, shape, found) -> tuple[int, ...]:
    return (prod(shape),)


def _shaped(block, shape, found) -> tuple[int, ...]:
    return tuple(block.shape)


def _dense_decoder(block, shape, found) -> tuple[int, ...]:
    _walk(block.net, shape, found)
    return tuple(block.shape)


def _conv_decoder(block, shape, found) -> tuple[int, ...]:
    return _walk(block.net, (prod(shape), 1, 1), found)[0]


def _dense(block, shape, found) -> tuple[int, ...]:
    weight = _array(block.weight)
    found.append(Layer('dense', (weight, _bias(block, len(weight)))))
    return _activated(block, (len(weight),), found)


def _conv(block, shape, found) -> tuple[int, ...]:
    """Add a convolution, or a transposed one; of square kernels only, as all nets have."""
    options, weight = block._kwargs, _array(block.weight)
    (kernel, _), (stride, _), (pad, _) = (options[name] for name in ('kernel', 'stride', 'pad'))
    is_transposed = isinstance(block, nn.Conv2DTranspose)
    if options['num_group'] != 1 or {*options['dilate']} != {1} or any(
            len({*options[name]}) > 1 for name in ('kernel', 'stride', 'pad')):
        raise ModelError(f'{block.name}: a convolution that is not drawn outside of MXNet')
    if is_transposed:
        channels = weight.shape[1]
        sides = [stride * (side - 1) - 2 * pad + kernel + options['adj'][0] for side in shape[1:]]
    else:
        channels = weight.shape[0]
        sides = [(side + 2 * pad - kernel) // stride + 1 for side in shape[1:]]
    gives = (channels, *sides)
    found.append(Layer('deconv' if is_transposed else 'conv', (weight, _bias(block, channels)),
                       {'takes': shape, 'gives': gives, 'stride': stride, 'pad': pad}))
    return _activated(block, gives, found)


def _batch_norm(block, shape, found) -> tuple[int, ...]:
    """Let the layer before take over what the running statistics do, or add a scale."""
    gamma, beta, mean, var = (_array(parameter).astype(np.float64) for parameter in (
        block.gamma, block.beta, block.running_mean, block.running_var))
    factor = (gamma if block._kwargs['fix_gamma'] is False else 1) / np.sqrt(
        var + block._kwargs['eps'])
    offset = beta - mean * factor
    if not found or found[-1].kind not in _OUTPUT_AXIS:
        found.append(Layer('scale', _floats(factor, offset), {'gives': shape}))
        return shape
    last = found[-1]
    weight, bias = last.arrays
    along = [1] * weight.ndim
    along[_OUTPUT_AXIS[last.kind]] = -1
    found[-1] = Layer(last.kind, _floats(weight * factor.reshape(along), bias * factor + offset),
                      last.options)
    return shape


def _activation(block, shape, found) -> tuple[int, ...]:
    if block._act_type not in ('relu', 'sigmoid', 'tanh'):
        raise ModelError(f'{block._act_type}: an activation that is not drawn outside of MXNet')
    found.append(Layer(block._act_type))
    return shape


def _leaky(block, shape, found) -> tuple[int, ...]:
    found.append(Layer('leaky', options={'slope': block._alpha}))
    return shape


def _linear(block, shape, found) -> tuple[int, ...]:
    found.append(Layer('scale', _floats(np.array([block.factor]), np.array([block.offset])),
                       {'gives': shape}))
    return shape


def _side_by_side(block, shape, found) -> tuple[int, ...]:
    """Add dense layers of one input as a single one."""
    heads = []
    for child in block._children.values():
        _, one = _walk(child, shape, [])
        if [layer.kind for layer in one] != ['dense']:
            raise ModelError(f'{type(block).__name__}: layers that are not drawn outside of MXNet')
        heads += one
    weight, bias = (np.concatenate(arrays) for arrays in zip(*(head.arrays for head in heads),
                                                              strict=True))
    found.append(Layer('dense', (weight, bias)))
    return (len(weight),)


def _activated(block, shape, found) -> tuple[int, ...]:
    return shape if block.act is None else _walk(block.act, shape, found)[0]


def _bias(block, n: int) -> np.ndarray:
    return np.zeros(n, np.float32) if block.bias is None else _array(block.bias)


def _array(parameter) -> np.ndarray:
    return parameter.data(parameter.list_ctx()[0]).asnumpy()


def _floats(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array.astype(np.float32) for array in arrays)


_OUTPUT_AXIS = {'dense': 0, 'conv': 0, 'deconv': 1}  # of a weight
_CONVERTED = (  # classes, and what adds their layers; the first that fits counts
    (HybridConcurrent, _side_by_side),
    (nn.HybridSequential, _sequence),
    (DenseDecoder, _dense_decoder),
    (ConvDecoder, _conv_decoder),
    (nn.Dense, _dense),
    ((nn.Conv2D, nn.Conv2DTranspose), _conv),
    (nn.BatchNorm, _batch_norm),
    (nn.Activation, _activation),
    (nn.LeakyReLU, _leaky),
    (nn.Flatten, _flat),
    ((Dropout, nn.Dropout), _nothing),
    (Linear, _linear),
    (Shaped, _shaped),
)
