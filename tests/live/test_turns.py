"""Whose turn it is."""

import pytest

from magenta_rt_py.live.turns import Role, TurnSchedule


def test_turns_alternate_after_the_count_in():
    schedule = TurnSchedule(turn_units=3, preroll_units=2)
    roles = "".join(schedule.role(unit).name[0] for unit in range(14))
    assert roles == "IIHHHMMMHHHMMM"
    assert schedule.turn(6) == (5, 3, Role.MODEL)
    assert schedule.turn(1) == (0, 2, Role.IDLE)


def test_the_model_may_begin():
    schedule = TurnSchedule(turn_units=2, first=Role.MODEL)
    assert [schedule.role(unit) for unit in (0, 2, 4)] == [Role.MODEL, Role.HUMAN, Role.MODEL]


def test_refuses():
    with pytest.raises(ValueError, match="at least 1 and 0"):
        TurnSchedule(turn_units=0)
    with pytest.raises(ValueError, match="nobody begins"):
        TurnSchedule(turn_units=1, first=Role.IDLE)
