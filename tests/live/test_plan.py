"""Plans and the five systems."""

import pytest

from magenta_rt_py.live import plan as plans
from magenta_rt_py.live.overload import Overload
from magenta_rt_py.live.plan import Plan

GOOD = {"unit_seconds": 0.04, "interval": 5, "look_ahead": 5, "horizon": 10, "context": 250}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unit_seconds", 0.0),
        ("unit_seconds", float("nan")),
        ("interval", 0),
        ("look_ahead", -1),
        ("horizon", 0),
        ("context", -1),
        ("commit", -1),
        ("interval", True),
    ],
)
def test_refuses(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*give"):
        Plan(**{**GOOD, name: value})


def test_backup_is_what_reaches_beyond_the_next_request():
    assert Plan(**GOOD).has_backup
    assert not Plan(**{**GOOD, "horizon": 5}).has_backup


def test_the_five_systems():
    assert plans.codec_frames(hop=50, look_ahead=50).interval == 50
    row = plans.accompaniment(bpm=120.0, interval=4, generation_length=15)
    assert (row.unit_seconds, row.horizon, row.look_ahead, row.overload) == (0.125, 8, 1, Overload.FIFO)
    assert plans.accompaniment(bpm=90.0, interval=1, generation_length=3).horizon == 2
    assert plans.audio_blocks(block_seconds=1.5).overload is Overload.DROP
    turn = plans.phrases(bpm=120.0, turn_bars=2)
    assert (turn.horizon, turn.interval) == (192, 384)
    assert plans.tapped_notes().look_ahead == 0
