"""Bounds from costs and rates, and the rates themselves."""

import pytest

from magenta_rt_py.speed import roofline
from magenta_rt_py.speed.cost import Cost
from magenta_rt_py.speed.roofline import Bound, Rates
from magenta_rt_py.speed.subject import build

RATES = Rates(bytes_per_second=1e9, multiply_adds_per_second=1e9, exact_multiply_adds_per_second=1e8)


def test_a_part_is_bounded_by_memory_or_by_compute():
    costs = {
        "temporal": Cost(weights=1_000_000, passes=50, moved=1_000_000, multiply_adds=2_000_000),
        "codec": Cost(weights=1_000_000, passes=1, moved=0, multiply_adds=50_000_000),
    }
    half = roofline.bounds(costs, RATES, "bfloat16")
    assert half["temporal"] == pytest.approx(Bound(0.102, 0.004, 0.002))
    assert half["temporal"].seconds == pytest.approx(0.102)
    assert half["temporal"].least_seconds == pytest.approx(0.004)
    # The codec computes in float32 whatever the language model does, and at that rate.
    assert half["codec"] == pytest.approx(Bound(0.004, 0.004, 0.5))
    whole = roofline.describe(costs, RATES, "float32", 50)
    assert whole["bound_seconds"] == pytest.approx(0.204 + 0.5)
    assert whole["bound_seconds_on_chip"] == pytest.approx(0.008 + 0.5)
    assert (whole["parts"]["temporal"]["limit"], whole["parts"]["codec"]["limit"]) == ("memory", "compute")
    assert whole["parts"]["temporal"]["megabytes_a_frame"] == pytest.approx(4.08)
    assert whole["parts"]["temporal"]["bound_milliseconds_a_frame"] == pytest.approx(4.08)


def test_the_frame_loop_reads_weights_as_it_stores_them():
    cost = Cost(weights=1_000_000, passes=50, moved=1_000_000, multiply_adds=0)
    found = roofline.bounds({"temporal": cost, "encoder": cost}, RATES, "float32", "int8")
    assert found["temporal"].seconds == pytest.approx(0.050 + 0.004)
    assert found["encoder"].seconds == pytest.approx(0.204)
    parts = roofline.describe({"temporal": cost}, RATES, "float32", 50, "int8")["parts"]
    assert parts["temporal"]["megabytes_a_frame"] == pytest.approx(1.08)


@pytest.mark.parametrize("part", roofline.FLOAT32_PARTS)
def test_what_is_float32_in_any_model(part):
    costs = {part: Cost(weights=1_000_000, passes=1, moved=0, multiply_adds=50_000_000)}
    assert roofline.bounds(costs, RATES, "bfloat16")[part] == pytest.approx(Bound(0.004, 0.004, 0.5))
    assert roofline.describe(costs, RATES, "bfloat16", 1)["parts"][part]["megabytes_a_frame"] == pytest.approx(4.0)


def test_the_vectors_of_averaged_levels_are_those_of_the_codec(tiny_bundle):
    subject = build("starter", bundle=tiny_bundle)
    config, vectors = subject.models.lm_config, subject.models.codec.code_vectors
    cost = roofline.request_costs(subject, 2, streams=3)["averaging"]
    assert cost.multiply_adds == 3 * 2 * 2 * config.averaged_levels * config.codebook_size * vectors.shape[-1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rates_are_measured(dtype):
    rates = roofline.measure_rates(dtype, "cpu", megabytes=4, side=128)
    assert 1e7 < rates.bytes_per_second < 1e13
    assert 1e6 < rates.multiply_adds_per_second < 1e15
    assert 1e6 < rates.exact_multiply_adds_per_second < 1e15
    assert (rates.multiply_adds_per_second == rates.exact_multiply_adds_per_second) == (dtype == "float32")
