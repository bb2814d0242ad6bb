"""Measures of pictures on pictures whose values are known."""
import numpy as np
import pytest

from training.evaluation import measures, metrics


def test_ramp_has_the_sharpness_of_its_slope():
    rows, columns = np.mgrid[:8, :8]
    ramp = (0.03 * rows + 0.04 * columns)[None, :, :, None]
    for n_channels in (1, 3):
        assert metrics.edge_sharpness(ramp.repeat(n_channels, axis=3)) == pytest.approx(0.05)


def test_diversity_is_the_spread_between_images():
    x = np.random.default_rng(0).normal(0.5, 0.1, (2000, 6, 5, 1))
    assert metrics.diversity(x) == pytest.approx(0.1, rel=0.01)
    assert metrics.diversity(x[:1].repeat(7, axis=0)) < 1e-12


@pytest.mark.parametrize('sigma', [0.01, 0.1])
def test_noise_is_the_standard_deviation_that_was_added(sigma):
    ramps = np.linspace(0, 1, 64)[:, None] + np.linspace(0, 1, 64)      # no edge, much gradient
    noisy = ramps + np.random.default_rng(0).normal(0, sigma, (20, 64, 64))
    assert metrics.noise(noisy[..., None]) == pytest.approx(sigma, rel=0.02)
    assert metrics.noise(ramps[None, ..., None]) < 1e-12


def test_latent_is_active_where_its_mean_varies_by_more_than_a_hundredth():
    signs = np.array([-1, 1] * 50)[:, None]                             # of variance 1
    mean = signs * np.sqrt([0.0, 0.009, 0.011, 0.05, 2.0]) + 3
    pictures = np.zeros((100, 4, 4, 1), np.uint8)
    taken = measures.take(measures.Outputs(pictures, pictures, pictures, mean=mean,
                                           logvar=np.zeros_like(mean)))
    assert (taken['active_latents'], taken['latents']) == (3, 5)
