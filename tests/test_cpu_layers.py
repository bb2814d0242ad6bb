"""The layers that have kernels of their own on the CPU, against MXNet's operators."""
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mxnet import autograd, gluon, nd, random

import models
from tests.test_models import networks_of
from tests.test_steps import batch
from tests.test_vaegan import NETS_ROWS, stepped, values_in
from training.steps import convolution, losses, nearness

PLAIN_NEARNESS = models.layers.MinibatchDiscrimination.nearness


def test_minibatch_discrimination():
    values = np.random.default_rng(1).normal(size=(7, 4, 3)).astype(np.float32)
    values[2] = values[5]  # as near as can be: there the absolute value has a slope of 0
    weights, found = nd.random.normal(shape=(7, 4)), []
    for nearness_of in (PLAIN_NEARNESS, partial(nearness.nearness, None)):
        x = losses.leaf_of(nd.array(values))
        with autograd.record():
            y = nearness_of(nd, x)
        found.append([y, *(autograd.grad(y, [x], [head], retain_graph=True)[0]
                           for head in (weights, weights ** 2))])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), rtol=1e-5, atol=1e-6)


def layer_of(channels_in: int, channels: int, **options) -> gluon.nn.Conv2D:
    layer = gluon.nn.Conv2D(channels, in_channels=channels_in, **{
        'kernel_size': 5, 'padding': 2, 'activation': 'tanh'} | options)
    layer.initialize()
    layer.bias.set_data(nd.arange(channels) / 3)
    return layer


def passes(layer: gluon.nn.Conv2D, x: nd.NDArray, head: nd.NDArray) -> list[np.ndarray]:
    """Output, and gradients of images, of parameters, and of all three in one pass."""
    parameters = [layer.weight, layer.bias]
    x.attach_grad()
    with autograd.record():
        y = layer(x)
    of_x = autograd.grad(y, [x], [head], retain_graph=True)
    of_parameters = autograd.grad(y, [p.data() for p in parameters], [head], retain_graph=True)
    y.backward(head)
    return [array.asnumpy() for array in (y, *of_x, *of_parameters, x.grad,
                                          *(p.grad() for p in parameters))]


@pytest.mark.parametrize('shape', [
    (16, 3, 64, 64), (3, 16, 64, 64), (1, 3, 8, 8), (3, 2, 7, 12), (4, 4, 5, 6), (5, 1, 1, 2)],
    ids=str)
def test_convolution_of_few_channels(shape):
    """And what is added to gradients, where that is asked."""
    channels_in, channels, *sides = shape
    x, head = (nd.random.normal(shape=(3, c, *sides)) for c in (channels_in, channels))
    layer = layer_of(channels_in, channels)
    theirs = passes(layer, x, head)
    convolution.use_kernels(layer)
    assert 'hybrid_forward' in vars(layer)
    ours = passes(layer, x, head)
    for their, our in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-3, atol=1e-5 * np.abs(their).max())
    for parameter in (layer.weight, layer.bias):
        parameter.grad_req = 'add'
    for times in (1, 2):
        for added, once in zip(passes(layer, x, head)[-2:], ours[-2:], strict=True):
            np.testing.assert_allclose(added, times * once, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('net', ['decoder', 'disc'])
def test_convolution_reads_no_memory_that_mxnet_has_freed(net):
    """Next to layers in oneDNN's own layouts, which MXNet converts for a while."""
    shape = 3, 64, 64
    vae = models.vaegan.vae_paper(shape, n_latent=8, n_hnodes=8, base_channels=16)
    net, inputs = (vae.decoder, (32, 8)) if net == 'decoder' else (
        models.vaegan.disc_paper(shape, n_hnodes=8, base_channels=8), (32, *shape))
    random.seed(1)
    net.initialize()
    x = losses.leaf_of(nd.random.normal(shape=inputs))
    net.infer_shape(x)
    head = nd.random.normal(shape=net(x).shape)
    convolution.use_kernels(net)
    weight, = [block.weight.data() for block in net if 'hybrid_forward' in vars(block)]
    found = []
    for _ in range(6):
        with autograd.record():
            y = net(x)
        found.append([array.asnumpy() for array in (y, *(
            autograd.grad(y, [of], [head], retain_graph=True)[0] for of in (x, weight)))])
    for others in found[1:]:
        np.testing.assert_equal(others, found[0])


@pytest.mark.parametrize('options', [
    {'kernel_size': 3}, {'strides': 2}, {'padding': 1}, {'dilation': 2}, {'groups': 3},
    {'use_bias': False}, {'channels': 16, 'in_channels': 8}], ids=str)
def test_other_convolutions_are_left_to_mxnet(options):
    layer = gluon.nn.Conv2D(**{'channels': 3, 'in_channels': 3, 'kernel_size': 5,
                               'padding': 2} | options)
    convolution.use_kernels(layer)
    assert 'hybrid_forward' not in vars(layer)


@pytest.mark.parametrize(('name', 'plain'), [
    ('A faces', (models.layers.MinibatchDiscrimination, 'nearness')),
    ('paper', (gluon.nn.Conv2D, 'hybrid_forward'))])
def test_steps_use_the_kernels(monkeypatch, name, plain):
    row, shape = NETS_ROWS[name]
    nets = networks_of(row, shape)
    one_way = stepped(row, nets, batch(shape))
    calls, operators = [], getattr(*plain)

    def noted(*arguments, **parameters):
        calls.append(arguments[0] if name == 'paper' else None)
        return operators(*arguments, **parameters)
    monkeypatch.setattr(*plain, noted if name == 'paper' else staticmethod(noted))
    nets = networks_of(row, shape)
    calls.clear()  # shapes are inferred by the operators
    np.testing.assert_array_equal(stepped(row, nets, batch(shape)), one_way)
    assert not [layer for layer in calls if layer is None or convolution._suits(layer)]


@pytest.mark.parametrize(('name', 'module', 'kernel'), [
    ('A faces', nearness, '_backward'), ('paper', convolution, '_correlate'),
    ('paper', convolution, '_d_weight')])
def test_failure_of_a_kernel_ends_the_step_before_weights_change(monkeypatch, capsys, name, module,
                                                                 kernel):
    """MXNet prints it and goes on."""
    def fail(*arguments):
        raise MemoryError('there is no more')
    row, shape = NETS_ROWS[name]
    nets = networks_of(row, shape)
    stepped(row, nets, batch(shape))
    before = values_in(nets)
    monkeypatch.setattr(module, kernel, fail)
    with pytest.raises(MemoryError, match='no more'):
        stepped(row, nets, batch(shape))
    np.testing.assert_equal(values_in(nets), before)
    monkeypatch.undo()
    stepped(row, nets, batch(shape))  # and no more than that step


def test_steps_and_kernels_wait_for_no_engine():
    """Where several threads run MXNet's operators.

    Waiting for them within one never ends; and they run on while Python reads what they have not
    yet moved.
    """
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:xdist', '-p', 'no:cacheprovider',
         __file__, Path(__file__).with_name('test_steps.py'), '-k',
         'few_channels or minibatch or use_the_kernels or '
         'freed or (its_equations and published and kernels)'],
        capture_output=True, text=True, timeout=180,
        env=os.environ | {'MXNET_ENGINE_TYPE': 'ThreadedEnginePerDevice'})
    assert done.returncode == 0 and '13 passed' in done.stdout, done.stdout
