"""The fused Adam against MXNet's own, on the same gradients."""
from dataclasses import replace

import numpy as np
import pytest
from mxnet import autograd, gluon, nd, optimizer

from training.experiments.registry import EXPERIMENTS
from training.steps import kernels, optim
from training.steps.optim import FusedAdam, FusedRMSProp, Trainer

SHAPES = ((3, 5), (7,), (2 * kernels.CHUNK + 11,), (1,))
N_STEPS = 100


def parameters() -> gluon.ParameterDict:
    rng, weight_dict = np.random.default_rng(0), gluon.ParameterDict()
    for i, shape in enumerate(SHAPES):
        parameter = weight_dict.get(f'p{i}', shape=shape)
        parameter.initialize()
        parameter.set_data(nd.array(rng.standard_normal(shape)))
    return weight_dict


def gradients_of(number: int) -> list[np.ndarray]:
    """Those of a step depend on its number alone."""
    rng = np.random.default_rng(number)
    return [np.float32(rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 2))
            for shape in SHAPES]


def step(trainer: gluon.Trainer, weight_dict: gluon.ParameterDict, number: int) -> None:
    for parameter, gradient in zip(weight_dict.values(), gradients_of(number), strict=True):
        with autograd.record():
            loss = (parameter.data() * nd.array(gradient)).sum()
        loss.backward()
    trainer.step(1)


def state_of(trainer: gluon.Trainer) -> list[np.ndarray]:
    return [array.asnumpy() for _, pair in sorted(trainer._updaters[0].states.items())
            for array in pair]


def values_of(weight_dict: gluon.ParameterDict) -> list[np.ndarray]:
    return [parameter.data().asnumpy() for parameter in weight_dict.values()]


def trained(trains, kind: optimizer.Optimizer, n_steps: int) -> tuple:
    """Parameters after so many steps, and their trainer."""
    weight_dict = parameters()
    trainer = trains(weight_dict, kind)
    for number in range(n_steps):
        step(trainer, weight_dict, number)
    return weight_dict, trainer


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all((a == b).all() for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize('options', [
    {}, {'wd': 0.01}, {'clip_gradient': 0.5}, {'rescale_grad': 0.25},
    {'beta1': 0.5, 'beta2': 0.9, 'epsilon': 1e-4}], ids=str)
def test_same_weights_and_state_to_the_bit_after_100_steps(options):
    """And after two more with other rates, one of a single parameter."""
    results = []
    for trains, kind in ((Trainer, FusedAdam), (gluon.Trainer, optimizer.Adam)):
        weight_dict, trainer = trained(trains, kind(learning_rate=1e-2, **options), N_STEPS)
        results.append(values_of(weight_dict) + state_of(trainer))
        weight_dict['p0'].lr_mult = 0.1
        trainer.set_learning_rate(2e-2)
        step(trainer, weight_dict, N_STEPS)
        results[-1] += values_of(weight_dict)
    before = values_of(parameters())
    assert same(*results)
    assert all((a != b).any() for a, b in zip(results[0][:len(SHAPES)], before, strict=True))


@pytest.mark.parametrize('name, expected', [
    ('adam', (gluon.Trainer, optimizer.Adam(learning_rate=0.02, beta1=0.5, beta2=0.9))),
    ('rmsprop', (Trainer, FusedRMSProp(learning_rate=0.02)))])
def test_optimizer_is_the_one_that_a_row_says(name, expected):
    """After steps of changing size, which show each of Adam's two decay rates."""
    row = replace(EXPERIMENTS['VAEGAN_on_MNIST/A_64_100'], lr=0.02, adam_beta1=0.5,
                  adam_beta2=0.9, optimizer=name)
    ours, theirs = (values_of(trained(*of, 5)[0])
                    for of in ((Trainer, optim.optimizer(row)), expected))
    assert same(ours, theirs)


def test_saved_state_goes_on_to_the_bit(tmp_path):
    """Over another state."""
    whole, trainer = trained(Trainer, FusedAdam(learning_rate=1e-2), 3)
    trainer.save_states(str(tmp_path / 'states'))
    kept = values_of(whole)
    step(trainer, whole, 3)

    resumed, other = trained(Trainer, FusedAdam(learning_rate=1e-2), 2)
    for parameter, value in zip(resumed.values(), kept, strict=True):
        parameter.set_data(nd.array(value))
    other.load_states(str(tmp_path / 'states'))
    step(other, resumed, 3)
    assert same(values_of(resumed), values_of(whole))


@pytest.mark.parametrize('n_steps', [0, 1, 3])
def test_a_step_without_new_gradients_is_refused(n_steps):
    weight_dict, trainer = trained(Trainer, FusedAdam(learning_rate=1e-2), n_steps)
    before = values_of(weight_dict)
    with autograd.record():
        loss = weight_dict['p1'].data().sum()
    loss.backward()
    with pytest.raises(UserWarning, match='p0'):
        trainer.step(1)
    assert same(values_of(weight_dict), before)


@pytest.mark.parametrize('dtype', ['float32', 'float64'])  # the second is left to MXNet
def test_is_an_optimizer_by_name_and_takes_single_arrays(dtype):
    fused = optimizer.create('fusedadam', learning_rate=1e-2)
    weight, gradient = nd.ones((4,), dtype=dtype), nd.array([1, -1, 2, 0], dtype=dtype)
    fused.update(0, weight, gradient, fused.create_state(0, weight))
    np.testing.assert_allclose(weight.asnumpy(), [0.99, 1.01, 0.99, 1], rtol=1e-6)


def test_rmsprop_is_that_of_a_plain_computation():
    weight_dict = parameters()
    trainer = Trainer(weight_dict, FusedRMSProp(learning_rate=1e-2))
    weights = [value.astype(np.float64) for value in values_of(weight_dict)]
    squares = [np.zeros_like(weight) for weight in weights]
    for number in range(20):
        for weight, square, gradient in zip(weights, squares, gradients_of(number), strict=True):
            square[:] = 0.9 * square + 0.1 * gradient.astype(np.float64) ** 2
            weight -= 1e-2 * gradient / (np.sqrt(square) + 1e-8)
        step(trainer, weight_dict, number)
    for ours, reference in zip(values_of(weight_dict), weights, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-5)
