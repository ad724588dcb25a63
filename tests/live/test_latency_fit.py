"""A fit finds the model that made the measurements."""

import numpy as np
import pytest

from magenta_rt_py.live import latency_fit
from magenta_rt_py.live.latency import LatencyModel


@pytest.mark.parametrize(
    "model",
    [
        LatencyModel(quadratic=0.0008, linear=0.03, constant=0.05, sigma=0.03, tail_scale=0.02, tail_shape=2.5),
        LatencyModel(linear=0.02, constant=0.2, sigma=0.002, tail_scale=0.01, tail_shape=1.6),
    ],
)
def test_what_was_measured_is_what_is_predicted(model):
    rng = np.random.default_rng(5)
    measured = [(units, float(s)) for units in (2, 3, 5, 8) for s in model.sample(rng, units, 400)]
    fitted = latency_fit.fit(measured)
    for units in (2, 4, 8):  # 4 was not measured
        for probability, tolerance in ((0.5, 0.04), (0.95, 0.08)):
            true = model.quantile(units, probability)
            assert fitted.quantile(units, probability) == pytest.approx(true, rel=tolerance)


def test_no_coefficient_is_negative():
    units = np.array([1, 2, 4, 8] * 20)
    for seconds in (1.0 / units, 0.5 - 0.01 * units, 0.1 * np.sqrt(units)):
        found = latency_fit.fit_quadratic(units, seconds)
        assert min(found) >= 0.0
    quadratic, linear, constant = latency_fit.fit_quadratic(units, 0.003 * units**2 + 0.02 * units + 0.1)
    assert (quadratic, linear, constant) == pytest.approx((0.003, 0.02, 0.1))


def test_one_length_and_no_noise():
    fitted = latency_fit.fit([(50, 0.8)] * 30)
    assert fitted.quantile(50, 0.95) == pytest.approx(0.8, rel=1e-4)


def test_refuses():
    with pytest.raises(ValueError, match="19 round trips.*at least 20"):
        latency_fit.fit([(1, 0.1)] * 19)
    for row in ((0, 0.1), (1, float("nan")), (1, -0.1)):
        with pytest.raises(ValueError, match="not a time"):
            latency_fit.fit([(1, 0.1)] * 30 + [row])
