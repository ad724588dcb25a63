"""The simulator against Table III of the paper (in-sample: the latency models were fitted to it), and against itself."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.live import metrics
from magenta_rt_py.live.latency import LatencyModel
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan, accompaniment
from magenta_rt_py.live.simulator import (
    Comparison,
    mean_errors,
    play_by_arithmetic,
    simulate,
    simulate_row,
    simulate_stream,
)
from magenta_rt_py.live.streammuse import TABLE_III

SONGS = 6
COLLAPSING_ISR = 0.5
"""Rows below are those whose requests cannot keep up; all of them have RTT above their interval."""


@pytest.fixture(scope="module")
def rows():
    """(reported, simulated with fifo)."""
    return [(row, simulate_row(row, Overload.FIFO, num_songs=SONGS)) for row in TABLE_III]


def test_the_table_is_reproduced_in_sample(rows):
    within = sum(abs(played.isr - row.isr) <= 0.1 for row, played in rows)
    assert within >= 20, within
    assert np.mean([abs(played.staleness - row.staleness) for row, played in rows]) <= 0.2
    assert np.mean([abs(played.isr_w - row.isr_w) for row, played in rows]) <= 0.08


def test_latest_beats_fifo_where_fifo_collapses(rows):
    collapsing = [(row, played) for row, played in rows if row.isr < COLLAPSING_ISR]
    assert len(collapsing) == 5
    for row, played in collapsing:
        latest = simulate_row(row, Overload.LATEST, num_songs=SONGS)
        assert latest.isr > played.isr + 0.2, row
        assert latest.isr_w > played.isr_w + 0.2, row
        assert latest.forgotten > 0.0


def test_the_same_seed_is_the_same_run():
    plan = accompaniment(bpm=120.0, interval=2, generation_length=9)
    model = LatencyModel(constant=0.2, sigma=0.1)
    runs = [simulate(plan, model, num_units=60, num_streams=2, seed=seed) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0].isr != runs[2].isr


@pytest.mark.parametrize("overload", list(Overload))
def test_arithmetic_is_the_engine_on_a_virtual_clock(overload):
    """Round trips are whole and broken numbers of units, none at all, and up to several intervals."""
    rng = np.random.default_rng(8)
    for case in range(6):
        plan = Plan(
            unit_seconds=0.125,
            interval=int(rng.integers(1, 5)),
            look_ahead=int(rng.integers(0, 4)),
            horizon=int(rng.integers(1, 10)),
            context=0,
            commit=int(rng.integers(0, 3)),
            overload=overload,
        )
        seconds = rng.exponential(0.2 if case % 2 else 0.6, 40)
        seconds[rng.random(40) < 0.3] = 0.125 * rng.integers(0, 4)
        engine, outcome = simulate_stream(plan, seconds, 40), play_by_arithmetic(plan, seconds, 40)
        assert outcome.index.tolist() == engine.trace.index.tolist(), plan
        assert outcome.num_forgotten == engine.num_forgotten
        engine_gaps = engine.trace.summary().gaps
        assert engine_gaps == metrics.count_runs(metrics.missed(outcome.index))


def test_rules_of_the_client_by_hand():
    """I = 2, G = 4, round trips of 1.5, 4 and 1 units; fifo. Placed at the first unit boundary after arrival."""
    plan = dataclasses.replace(accompaniment(bpm=120.0, interval=2, generation_length=7), overload=Overload.FIFO)
    engine = simulate_stream(plan, [0.1875, 0.5, 0.125, 9.0], 8)
    # Request 0 (asked at 0 for 1 .. 4) is there at 2; request 1 (asked at 2 for 3 .. 6) at 6; request 2 waits, is taken
    # at 6 and there at 7 (for 5 .. 8).
    assert engine.trace.index.tolist() == [-1, -1, 1, 2, 3, -1, 3, 2]


def test_mean_errors():
    row, other = TABLE_III[0], TABLE_III[1]
    played = simulate(accompaniment(bpm=120.0, interval=1, generation_length=3), LatencyModel(), num_units=40, num_streams=1)
    pair = [Comparison(row, played, played), Comparison(other, played, played)]
    assert played.isr == pytest.approx(39 / 40) and played.staleness == 0.0
    isr_error, staleness_error = mean_errors(pair)
    assert isr_error == pytest.approx((abs(0.975 - row.isr) + abs(0.975 - other.isr)) / 2)
    assert staleness_error == pytest.approx((row.staleness + other.staleness) / 2)
