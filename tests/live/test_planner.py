"""What is chosen is feasible, gives up one thing after the other, comes back, and does not start at shadows."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live import planner
from magenta_rt_py.live.feasibility import check
from magenta_rt_py.live.latency import LatencyModel
from magenta_rt_py.live.planner import PlannerConfig

CONFIG = PlannerConfig(short_frames=15, cost_seconds={15: 0.2, 50: 0.5})


def feed(config, state, slowness, times=1):
    """Answers that take so many times as long as undisturbed; the state, and the choices."""
    choices = []
    for _ in range(times):
        frames = state.choice.plan.horizon
        state, choice = planner.step(config, state, frames, slowness * config.cost_seconds[frames])
        assert choice == state.choice
        choices.append(choice)
    return state, choices


def test_an_undisturbed_machine():
    choice = planner.init_state(CONFIG).choice
    assert (choice.plan.interval, choice.plan.look_ahead, choice.plan.horizon) == (7, 7, 15)  # 5 frames of round trip
    assert choice.plan.chained and choice.plan.unit_seconds == 0.04
    assert choice.step == 1 and not choice.is_coarse
    assert choice.message == "full: hop 0.28 s, requests of 15 frames"


@settings(max_examples=100, deadline=None)
@given(st.integers(5, 30), st.floats(0.002, 0.04), st.floats(0.01, 0.3), st.floats(0.3, 8.0))
def test_what_is_chosen_is_feasible(short, seconds_a_frame, constant, slowness):
    """By the rules of feasibility.py, with reserve; nothing is called overloaded that would have been feasible."""
    costs = {length: constant + seconds_a_frame * length for length in (short, 50)}
    config = PlannerConfig(short_frames=short, cost_seconds=costs)
    state, _ = feed(config, planner.init_state(config), slowness, 30)
    choice, slowness = state.choice, max(1.0, slowness)
    model = LatencyModel(constant=slowness * costs[choice.plan.horizon])
    if choice.step < 4:
        verdict = check(choice.plan, model)
        assert verdict.feasible and verdict.reserve_units >= config.reserve_frames
        assert choice.plan.look_ahead >= verdict.round_trip_units + config.slack_frames
        assert choice.plan.interval >= config.shortest_hop
    else:
        units = model.constant / 0.04
        assert math.ceil((1.0 + (config.margin - 1.0) / 2.0) * units) > 50 + config.slack_frames - config.reserve_frames


def test_it_degrades_step_by_step_and_says_so_once_each():
    state, seen = planner.init_state(CONFIG), []
    for percent in range(100, 600, 2):
        state, choices = feed(CONFIG, state, percent / 100.0, 12)
        seen += choices
    steps = [choice.step for choice in seen]
    assert sorted(set(steps)) == [1, 2, 3, 4] and steps == sorted(steps)
    said = [choice.message for choice in seen if choice.message]
    assert [line.split(":")[0] for line in said] == ["long requests", "coarse", "overloaded"]
    assert "requests of 50 frames" in said[0] and "slower than the music" in said[2]
    assert [choice.step for choice in seen if choice.message] == [2, 3, 4]
    for step in (1, 2, 3, 4):
        plans = [choice.plan for choice in seen if choice.step == step]
        assert [plan.interval for plan in plans] == sorted(plan.interval for plan in plans)
        assert {plan.horizon for plan in plans} == {15 if step == 1 else 50}
    assert [choice.is_coarse for choice in seen] == [step >= 3 for step in steps]


def test_between_short_and_long_there_may_be_others():
    """A longer short request bears more slowness, and is still the first step; the shortest comes back after calm."""
    config = PlannerConfig(short_frames=15, cost_seconds={15: 0.2, 25: 0.3, 50: 0.5})
    assert config.horizons == ((1, 15), (1, 25), (2, 50), (3, 50))
    state, horizons = planner.init_state(config), []
    for slowness in (1.0, 1.7, 2.0, 2.3):
        state, _ = feed(config, state, slowness, 30)
        horizons.append((state.choice.step, state.choice.plan.horizon))
    assert horizons == [(1, 15), (1, 15), (1, 25), (2, 50)]
    state, choices = feed(config, planner.init_state(config), 2.0, 30)
    assert not [choice.message for choice in choices if choice.message]  # nothing was given up
    state, _ = feed(config, state, 1.0, config.calm + config.window)
    assert state.choice == planner.init_state(config).choice._replace(message="")


def test_how_many_performances_a_machine_plays():
    """With so many at once, each waiting for all the others, the first step is still feasible; with one more it is not."""
    config = PlannerConfig(short_frames=15, cost_seconds={15: 0.1, 25: 0.14, 50: 0.25})
    assert config.rtf == pytest.approx(21 * 0.04 / 0.14)
    many = int(config.rtf / config.margin)
    assert many == 4
    for performances, number in ((many, 1), (many + 1, 2)):
        state, _ = feed(config, planner.init_state(config), float(performances), 30)
        assert state.choice.step == number


def test_it_comes_back_after_calm():
    beginning = planner.init_state(CONFIG)
    state, _ = feed(CONFIG, beginning, 2.5, 20)
    assert state.choice.step == 2
    after = CONFIG.calm - state.calm
    state, choices = feed(CONFIG, state, 1.0, after - 1)
    assert all(choice.step == 2 and not choice.message for choice in choices)
    state, choices = feed(CONFIG, state, 1.0, CONFIG.window)
    assert state.choice.plan == beginning.choice.plan and state.choice.step == 1
    assert [choice.message for choice in choices if choice.message] == [beginning.choice.message]


def test_it_does_not_come_back_while_it_is_slow_now_and_then():
    state, _ = feed(CONFIG, planner.init_state(CONFIG), 2.5, 20)
    for _ in range(30):
        state, choices = feed(CONFIG, state, 1.0, 8)
        state, more = feed(CONFIG, state, 2.5, 1)
        assert {choice.step for choice in choices + more} == {2}


@pytest.mark.parametrize("after", [0, 1, 2, 4, 7, 8, 12, 19, 24, 60])
def test_a_single_late_answer_moves_nothing(after):
    """At any time: also while little has been measured."""
    state = planner.init_state(CONFIG)
    for _ in range(3):
        state, choices = feed(CONFIG, state, 1.0, after)
        state, more = feed(CONFIG, state, 20.0, 1)
        state, rest = feed(CONFIG, state, 1.0, CONFIG.window)
        assert {choice.plan for choice in choices + more + rest} == {planner.init_state(CONFIG).choice.plan}
        assert not [choice for choice in choices + more + rest if choice.message]


def test_of_few_answers_most_must_be_late():
    state = planner.init_state(CONFIG)
    for _ in range(3):
        state, usual = feed(CONFIG, state, 1.0, 1)
        state, late = feed(CONFIG, state, 2.5, 1)
        assert {choice.step for choice in late + usual} == {1}
    _, choices = feed(CONFIG, planner.init_state(CONFIG), 2.5, CONFIG.least)
    assert [choice.step for choice in choices] == [1] * (CONFIG.least - 1) + [2]


def test_two_late_answers_count():
    state, _ = feed(CONFIG, planner.init_state(CONFIG), 1.0, 24)
    state, _ = feed(CONFIG, state, 2.5, 2)
    assert state.choice.step == 2


def test_a_request_of_another_length_is_compared_with_the_longest_program():
    state = planner.init_state(CONFIG)
    state, _ = planner.step(CONFIG, state, 30, 1.0)
    assert state.slowness == (2.0,)
