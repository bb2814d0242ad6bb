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


def step(trainer: gluon.Trainer, weight_dict: gluon.ParameterDict, number: int) -> None:
    """One step on gradients that depend on the step's number alone."""
    rng = np.random.default_rng(number)
    for parameter in weight_dict.values():
        gradient = nd.array(rng.standard_normal(parameter.shape) * 10.0 ** rng.integers(-6, 2))
        with autograd.record():
            loss = (parameter.data() * gradient).sum()
        loss.backward()
    trainer.step(1)


def state_of(trainer: gluon.Trainer) -> list[np.ndarray]:
    return [array.asnumpy() for _, pair in sorted(trainer._updaters[0].states.items())
            for array in pair]


def values_of(weight_dict: gluon.ParameterDict) -> list[np.ndarray]:
    return [parameter.data().asnumpy() for parameter in weight_dict.values()]


@pytest.mark.parametrize('options', [
    {}, {'wd': 0.01}, {'clip_gradient': 0.5}, {'rescale_grad': 0.25},
    {'beta1': 0.5, 'beta2': 0.9, 'epsilon': 1e-4}], ids=str)
def test_same_weights_and_state_to_the_bit_after_100_steps(options):
    results = []
    for trains, kind in ((Trainer, FusedAdam), (gluon.Trainer, optimizer.Adam)):
        weight_dict = parameters()
        trainer = trains(weight_dict, kind(learning_rate=1e-2, **options))
        for number in range(N_STEPS):
            step(trainer, weight_dict, number)
        results.append(values_of(weight_dict) + state_of(trainer))
    before = values_of(parameters())
    assert all((a == b).all() for a, b in zip(*results, strict=True))
    assert all((a != b).any() for a, b in zip(results[0][:len(SHAPES)], before, strict=True))


def test_optimizer_is_the_one_that_a_row_says():
    """After steps of changing size, which show each of Adam's two decay rates."""
    row = replace(EXPERIMENTS['VAEGAN_on_MNIST/A_64_100'], lr=0.02, adam_beta1=0.5,
                  adam_beta2=0.9)
    results = []
    for trains, of_row in (
            (Trainer, optim.optimizer(row)),
            (gluon.Trainer, optimizer.Adam(learning_rate=0.02, beta1=0.5, beta2=0.9)),
            (Trainer, optim.optimizer(replace(row, optimizer='rmsprop'))),
            (Trainer, FusedRMSProp(learning_rate=0.02))):
        weight_dict = parameters()
        trainer = trains(weight_dict, of_row)
        for number in range(5):
            step(trainer, weight_dict, number)
        results.append(np.concatenate([v.ravel() for v in values_of(weight_dict)]))
    assert (results[0] == results[1]).all() and (results[2] == results[3]).all()
    assert (results[0] != results[2]).any()


def test_learning_rates_of_single_parameters_and_of_later():
    results = []
    for trains, kind in ((Trainer, FusedAdam), (gluon.Trainer, optimizer.Adam)):
        weight_dict = parameters()
        weight_dict['p0'].lr_mult = 0.1
        trainer = trains(weight_dict, kind(learning_rate=1e-2))
        step(trainer, weight_dict, 0)
        trainer.set_learning_rate(1e-4)
        step(trainer, weight_dict, 1)
        results.append(values_of(weight_dict))
    assert all((a == b).all() for a, b in zip(*results, strict=True))


def test_saved_state_goes_on_to_the_bit(tmp_path):
    whole = parameters()
    trainer = Trainer(whole, FusedAdam(learning_rate=1e-2))
    for number in range(3):
        step(trainer, whole, number)
    trainer.save_states(str(tmp_path / 'states'))
    kept = values_of(whole)
    step(trainer, whole, 3)

    resumed = parameters()
    for parameter, value in zip(resumed.values(), kept, strict=True):
        parameter.set_data(nd.array(value))
    other = Trainer(resumed, FusedAdam(learning_rate=1e-2))
    other.load_states(str(tmp_path / 'states'))
    step(other, resumed, 3)
    for ours, theirs in zip(values_of(resumed), values_of(whole), strict=True):
        assert (ours == theirs).all()


def test_state_loaded_over_another_is_the_one_used(tmp_path):
    weight_dict = parameters()
    trainer = Trainer(weight_dict, FusedAdam(learning_rate=1e-2))
    step(trainer, weight_dict, 0)
    trainer.save_states(str(tmp_path / 'states'))
    kept = values_of(weight_dict)
    results = []
    for _ in range(2):
        step(trainer, weight_dict, 1)
        results.append(values_of(weight_dict))
        trainer.load_states(str(tmp_path / 'states'))
        for parameter, value in zip(weight_dict.values(), kept, strict=True):
            parameter.set_data(nd.array(value))
    assert all((a == b).all() for a, b in zip(*results, strict=True))


@pytest.mark.parametrize('n_steps', [0, 1, 3])
def test_a_step_without_new_gradients_is_refused(n_steps):
    weight_dict = parameters()
    trainer = Trainer(weight_dict, FusedAdam(learning_rate=1e-2))
    for number in range(n_steps):
        step(trainer, weight_dict, number)
    before = values_of(weight_dict)
    with autograd.record():
        loss = weight_dict['p1'].data().sum()
    loss.backward()
    with pytest.raises(UserWarning, match='p0'):
        trainer.step(1)
    assert all((a == b).all() for a, b in zip(values_of(weight_dict), before, strict=True))


def test_is_an_optimizer_by_name_and_takes_single_arrays():
    fused = optimizer.create('fusedadam', learning_rate=1e-2)
    weight, gradient = nd.ones((4,)), nd.array([1, -1, 2, 0])
    state = fused.create_state(0, weight)
    fused.update(0, weight, gradient, state)
    np.testing.assert_allclose(weight.asnumpy(), [0.99, 1.01, 0.99, 1], rtol=1e-6)


def test_other_kinds_of_numbers_go_to_mxnet():
    fused = FusedAdam(learning_rate=1e-2)
    weight, gradient = nd.ones((3,), dtype='float64'), nd.ones((3,), dtype='float64')
    fused.update([0], [weight], [gradient], [fused.create_state(0, weight)])
    np.testing.assert_allclose(weight.asnumpy(), 0.99, rtol=1e-6)


def test_rmsprop_is_that_of_a_plain_computation():
    weight_dict = parameters()
    trainer = Trainer(weight_dict, FusedRMSProp(learning_rate=1e-2))
    weights = [value.astype(np.float64) for value in values_of(weight_dict)]
    squares = [np.zeros_like(weight) for weight in weights]
    for number in range(20):
        rng = np.random.default_rng(number)
        for weight, square in zip(weights, squares, strict=True):
            gradient = (rng.standard_normal(weight.shape).astype(np.float32)
                        * np.float64(10.0 ** rng.integers(-6, 2)))
            square[:] = 0.9 * square + 0.1 * gradient ** 2
            weight -= 1e-2 * gradient / (np.sqrt(square) + 1e-8)
        step(trainer, weight_dict, number)
    for ours, reference in zip(values_of(weight_dict), weights, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-5)
