"""When requests are made."""

import pytest

from magenta_rt_py.live.plan import Plan
from magenta_rt_py.live.triggers import OnEvent, OnTurn, Periodic
from magenta_rt_py.live.turns import TurnSchedule

PLAN = Plan(unit_seconds=0.1, interval=3, look_ahead=2, horizon=7, context=0)


def asked(trigger, num_units, events=()):
    spans = {unit: trigger.span(unit, PLAN, num_events=events.count(unit) if events else 0) for unit in range(num_units)}
    return {unit: tuple(span) for unit, span in spans.items() if span}


def test_periodic():
    assert asked(Periodic(), 8) == {0: (2, 7), 3: (5, 7), 6: (8, 7)}
    assert asked(Periodic(phase=4), 8) == {4: (6, 7), 7: (9, 7)}


def test_on_event():
    assert asked(OnEvent(), 10, [4, 4, 9]) == {4: (6, 7), 9: (11, 7)}


def test_on_turn_asks_twice_and_never_for_anothers_turn():
    schedule = TurnSchedule(turn_units=5, preroll_units=1)
    assert asked(OnTurn(schedule), 20) == {6: (6, 5), 16: (16, 5)}
    assert asked(OnTurn(schedule, early_units=2), 20) == {4: (6, 5), 6: (6, 5), 14: (16, 5), 16: (16, 5)}
    long = TurnSchedule(turn_units=9)
    assert asked(OnTurn(long), 12) == {9: (9, 7)}  # cut at the horizon
    with pytest.raises(ValueError, match="give 0 to 5"):
        OnTurn(schedule, early_units=6)
