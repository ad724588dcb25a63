"""Simulator: the engine's rules in virtual time, with a device of given latency and a model that makes nothing.

An hour of live music takes a moment and is the same every time: for the choice of a plan, and as the proof of the rules.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from magenta_rt_py.live import metrics
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.engine import Engine
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.latency import LatencyModel
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan, accompaniment
from magenta_rt_py.live.streammuse import BPM, FITTED, NUM_UNITS, TABLE_III, Reported
from magenta_rt_py.live.worker import ROUNDING_SECONDS, SimulatedWorker


class Placeholders:
    """A generator whose payload only says which unit it is for."""

    def generate(self, request: Request) -> range:
        """See Generator."""
        return range(request.start, request.start + request.length)


class Simulation(NamedTuple):
    """Mean figures of simulated streams."""

    plan: Plan
    isr: float
    """Share of units that had something to play."""
    staleness: float
    """Mean index of what was played, over the units of all streams; NaN if nothing was."""
    isr_w: float
    """ISR weighted by freshness."""
    gaps_per_1000: float
    """Times the music broke off, for each 1000 units."""
    forgotten: float
    """Share of requests that were never served."""


def simulate_stream(plan: Plan, latencies: Iterable[float], num_units: int) -> Engine:
    """Plays one stream on the engine itself, with a virtual clock.

    Args:
      plan: the numbers.
      latencies: seconds that each served request takes, in the order of serving; at least one for every request.
      num_units: length of the stream.
    Returns:
      the engine, with its trace.
    """
    plan = dataclasses.replace(plan, context=0)  # nobody reads it
    clock = VirtualClock()
    times = iter(latencies)
    engine = Engine(plan, Placeholders(), SimulatedWorker(clock, lambda request: float(next(times))), clock)
    engine.run(num_units)
    return engine


class Outcome(NamedTuple):
    """One stream."""

    index: Int[np.ndarray, "units"]
    """Of what was played in each unit, in its request's payload; -1 for a gap."""
    num_forgotten: int
    """Requests that were never served."""


def play_by_arithmetic(plan: Plan, latencies: Iterable[float], num_units: int) -> Outcome:
    """What `simulate_stream` does, for periodic requests that overwrite, without the engine: many times faster.

    tests/live/test_simulator.py holds the two to the same result for random plans, latencies and policies.
    """
    times = iter(latencies)
    waiting: deque[int] = deque()  # units at which requests were asked
    placed: deque[tuple[int, int]] = deque()  # (first unit to be heard, first unit asked for), oldest first
    serving, done, forgotten = -1, math.inf, 0
    index = np.full(num_units, metrics.GAP, np.int64)
    for unit in range(num_units):
        now = unit * plan.unit_seconds
        for is_asking in (False, True):
            if is_asking and unit % plan.interval == 0:
                if plan.overload is Overload.LATEST:
                    forgotten += len(waiting)
                    waiting.clear()
                if plan.overload is Overload.DROP and serving >= 0:
                    forgotten += 1
                else:
                    waiting.append(unit)
                if serving < 0:
                    serving, done = waiting.popleft(), now + float(next(times))
            while serving >= 0 and done <= now + ROUNDING_SECONDS:
                start = serving + plan.look_ahead
                placed.append((max(start, unit + plan.commit if unit else 0), start))
                serving = waiting.popleft() if waiting else -1
                done = done + float(next(times)) if serving >= 0 else math.inf
        while len(placed) > 1 and placed[1][0] <= unit:
            placed.popleft()
        if placed and placed[0][0] <= unit < placed[0][1] + plan.horizon:
            index[unit] = unit - placed[0][1]
    return Outcome(index, forgotten)


def simulate(plan: Plan, model: LatencyModel, *, num_units: int, num_streams: int = 8, seed: int = 0) -> Simulation:
    """Plays streams with latencies drawn from a model.

    Args:
      plan: the numbers.
      model: of the device.
      num_units: length of every stream in units.
      num_streams: streams to average over.
      seed: of the latencies.
    """
    outcomes = []
    for stream in range(num_streams):
        rng = np.random.default_rng([seed, stream])
        outcomes.append(play_by_arithmetic(plan, model.sample(rng, plan.horizon, num_units), num_units))
    index = np.concatenate([outcome.index for outcome in outcomes])
    gaps = sum(metrics.count_runs(metrics.missed(outcome.index)) for outcome in outcomes)
    asked = num_streams * math.ceil(num_units / plan.interval)
    return Simulation(
        plan=plan,
        isr=metrics.isr(index),
        staleness=metrics.staleness(index),
        isr_w=metrics.isr_w(index),
        gaps_per_1000=1000.0 * gaps / len(index),
        forgotten=sum(outcome.num_forgotten for outcome in outcomes) / asked,
    )


class Comparison(NamedTuple):
    """A row of Table III and the simulation of it."""

    reported: Reported
    fifo: Simulation
    """By the paper's own rule."""
    latest: Simulation
    """By ours, with the same latency model."""

    @property
    def isr_error(self) -> float:
        """Distance of the ISR from the reported one."""
        return abs(self.fifo.isr - self.reported.isr)

    @property
    def staleness_error(self) -> float:
        """Distance of the staleness from the reported one."""
        return abs(self.fifo.staleness - self.reported.staleness)


def simulate_row(reported: Reported, overload: Overload, *, num_songs: int, seed: int = 0) -> Simulation:
    """Simulates a row of Table III under the latency model fitted to its setting.

    Args:
      reported: the row.
      overload: the policy; the paper's client is `fifo`.
      num_songs: songs to average over; the paper has 64.
      seed: of the latencies.
    """
    plan = accompaniment(bpm=BPM, interval=reported.interval, generation_length=reported.generation_length)
    return simulate(
        dataclasses.replace(plan, overload=overload),
        FITTED[reported.setting],
        num_units=NUM_UNITS,
        num_streams=num_songs,
        seed=seed,
    )


def compare_with_table(*, num_songs: int = 64, seed: int = 0) -> list[Comparison]:
    """Simulates the 24 rows of Table III. The latency models were fitted to these rows: the comparison is in-sample."""
    return [
        Comparison(
            row,
            simulate_row(row, Overload.FIFO, num_songs=num_songs, seed=seed),
            simulate_row(row, Overload.LATEST, num_songs=num_songs, seed=seed),
        )
        for row in TABLE_III
    ]


def mean_errors(rows: Sequence[Comparison]) -> tuple[float, float]:
    """Mean error of ISR and of staleness."""
    return float(np.mean([row.isr_error for row in rows])), float(np.mean([row.staleness_error for row in rows]))
