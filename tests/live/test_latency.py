"""Latency models: quantiles against draws, the paper's units, bad numbers."""

import numpy as np
import pytest

from magenta_rt_py.live.latency import LatencyModel, from_interleaved

MODELS = [
    LatencyModel(constant=0.1, sigma=0.02),
    LatencyModel(linear=0.01, constant=0.1, tail_scale=0.02, tail_shape=1.5),
    LatencyModel(quadratic=0.001, linear=0.01, network=0.05, sigma=0.01, tail_scale=0.03, tail_shape=3.0),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95, 0.99])
def test_quantiles_are_those_of_the_draws(model, probability):
    drawn = model.sample(np.random.default_rng(0), 5, 200_000)
    assert np.mean(drawn <= model.quantile(5, probability)) == pytest.approx(probability, abs=0.004)


def test_without_noise_it_is_the_quadratic():
    model = LatencyModel(quadratic=0.002, linear=0.03, constant=0.1, network=0.05)
    expected = 0.002 * 16 + 0.03 * 4 + 0.15
    assert model.base_seconds(4) == pytest.approx(expected)
    assert model.quantile(4, 0.95) == pytest.approx(expected)
    np.testing.assert_allclose(model.sample(np.random.default_rng(0), 4, 3), expected)


def test_never_below_zero():
    model = LatencyModel(constant=0.01, sigma=0.1)
    assert np.min(model.sample(np.random.default_rng(0), 1, 1000)) == 0.0
    assert model.quantile(1, 0.05) == 0.0


@pytest.mark.parametrize("length", [1, 3, 5, 9, 15])
def test_interleaved_milliseconds(length):
    model = from_interleaved(1.4249, 5.0518, 98.6859, sigma=30.0, tail_scale=8.0, tail_shape=2.0)
    expected = (1.4249 * length**2 + 5.0518 * length + 98.6859) / 1e3
    assert model.base_seconds((length + 1) // 2) == pytest.approx(expected)
    assert (model.sigma, model.tail_scale) == (0.03, 0.008)


@pytest.mark.parametrize("name", ["quadratic", "linear", "constant", "network", "sigma", "tail_scale", "tail_shape"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_refuses(name, value):
    with pytest.raises(ValueError, match=f"{name} is"):
        LatencyModel(**{name: value})


def test_refuses_an_endless_mean_and_no_probability():
    with pytest.raises(ValueError, match="more than 1"):
        LatencyModel(tail_shape=1.0)
    for probability in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            MODELS[0].quantile(1, probability)
