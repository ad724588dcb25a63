"""The knobs: ranges, all or nothing, one order for everyone, and a board that many threads turn at once."""

import dataclasses
import math
import re
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live import injection
from magenta_rt_py.live.board import KNOBS, Board, Kind
from magenta_rt_py.live.knobs import Knob, show_limit

SETTABLE = [knob for knob in KNOBS.values() if knob.kind is not Kind.ACTION]
ACTIONS = [knob for knob in KNOBS.values() if knob.kind is Kind.ACTION]
TYPES = {Kind.NUMBER: float, Kind.WHOLE: int, Kind.SWITCH: bool, Kind.TEXT: str}


def test_every_knob_stands_at_a_value_that_it_takes():
    assert len(KNOBS) == 62 and len(ACTIONS) == 12
    values = Board().settings.values
    assert list(values) == [knob.name for knob in SETTABLE]
    for knob in SETTABLE:
        assert knob.check(knob.default) == knob.default == values[knob.name]
        assert type(values[knob.name]) is TYPES[knob.kind]
    for knob in KNOBS.values():
        assert re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)*", knob.name) and knob.help and knob.low <= knob.high
    assert [values[f"prompt/{slot}/weight"] for slot in (1, 2, 8)] == [1.0, 0.0, 0.0]
    assert not KNOBS.keys() & {"get", "list", "subscribe", "unsubscribe", "error"}  # words of the OSC server


def test_what_the_injection_is_given_it_takes():
    """The ends of the knobs are values that the injection's settings allow, and beyond them are values that they refuse."""
    fields = {"inject/gain": "input_gain", "inject/feedback": "feedback", "inject/gap": "gap_seconds"}
    for name, field in fields.items():
        for value in (KNOBS[name].low, KNOBS[name].high):
            injection.InjectionSettings(**{field: value})
        with pytest.raises(ValueError):
            injection.InjectionSettings(**{field: KNOBS[name].high + 0.01})
        assert (
            KNOBS[name].default
            == {each.name: each.default for each in dataclasses.fields(injection.InjectionSettings)}[field]
        )


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("temperature", 2, 2.0),
        ("temperature", np.float32(0.5), 0.5),
        ("temperature", Fraction(1, 4), 0.25),
        ("top_k", 40.0, 40),
        ("top_k", np.int64(7), 7),
        ("midi_clock", 1.0, True),
        ("midi_clock", True, True),
        ("prompt/3/text", "Föö 🎹", "Föö 🎹"),
        ("prompt/8/text", "x" * 500, "x" * 500),
        ("bpm", 400, 400.0),
        ("seed", 2**32 - 1, 4294967295),
        ("inject/on", 0, False),
        ("prompt/8/solo", 1, True),
    ],
)
def test_values_are_kept_as_the_kind_says(name, value, kept):
    board = Board()
    assert board.set(name, value, source="hand") == 1
    assert board.settings.values[name] == kept and type(board.settings.values[name]) is type(kept)
    assert board.settings.sequence == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temperature", math.nan, "temperature is nan; give a number from 0 to 4"),
        ("temperature", math.inf, "give a number from 0 to 4"),
        ("temperature", -0.001, "from 0 to 4"),
        ("temperature", "1.1", "temperature is '1.1'; give a number"),
        ("temperature", True, "temperature is True; give a number"),
        ("temperature", None, "temperature is None"),
        ("temperature", 10**5000, "temperature is a huge number"),
        ("temperature", [1.0] * 10_000, "temperature is a list"),
        ("top_k", 2.5, "top_k is 2.5; give a whole number from 0 to 1024"),
        ("top_k", math.inf, "give a whole number"),
        ("top_k", 1025, "from 0 to 1024"),
        ("seed", 2**32, "seed is 4294967296; give a whole number from 0 to 4294967295"),
        ("seed", -1, "from 0 to 4294967295"),
        ("reset", None, "reset is an action"),
        ("midi_clock", 2, "give 0 (off) or 1 (on)"),
        ("midi_clock", "on", "give 0 (off) or 1 (on)"),
        ("prompt/1/text", "x" * 501, "prompt/1/text has 501 characters; give at most 500"),
        ("prompt/1/text", "a\0b", "without zero bytes"),
        ("prompt/1/text", "\ud800", "UTF-8"),
        ("prompt/1/text", 3, "prompt/1/text is 3; give text"),
        ("prompt/1/text", b"piano", "give text"),
        ("temprature", 1.0, "there is no knob 'temprature'; did you mean temperature?"),
        ("x" * 10_000, 1.0, "there is no knob"),
        ("tap", None, "tap is an action"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_wrong_changes_nothing_and_is_said(name, value, said):
    board, heard = Board(), []
    board.listen(heard.append)
    before = board.settings
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        board.set_many({"bpm": 90.0, name: value, "volume": 0.5})
    assert board.settings is before and not heard
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=re.escape(said)):
        Board({name: value})


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(SETTABLE),
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2000), st.floats(), st.sampled_from(["", "x", "1.0", "x" * 501])),
)
def test_any_value_is_kept_in_range_or_refused(knob: Knob, value):
    board = Board()
    try:
        board.set(knob.name, value)
    except ValueError:
        assert board.settings.sequence == 0
        return
    kept = board.settings.values[knob.name]
    assert type(kept) is TYPES[knob.kind] and kept == value
    assert knob.low <= (len(kept) if isinstance(kept, str) else kept) <= knob.high


def test_a_snapshot_never_changes():
    board = Board({"bpm": 100})
    first = board.settings
    assert first.sequence == 0 and first.values["bpm"] == 100.0
    assert board.set_many({"bpm": 110, "temperature": 0.5, "volume": 1.0}) == 1
    assert (first.values["bpm"], first.values["temperature"]) == (100.0, 1.1)
    assert (board.settings.values["bpm"], board.settings.values["temperature"]) == (110.0, 0.5)
    for snapshot in (first, board.settings):
        with pytest.raises(TypeError):
            snapshot.values["bpm"] = 1.0
    assert board.set("bpm", 110.0) == 1, "standing there already is no change"
    assert board.set("bpm", 111.0) == 2


def test_listeners_hear_every_change_in_order_until_they_stop():
    board, heard, other = Board(), [], []
    stop = board.listen(heard.append)
    board.listen(other.append)
    board.set_many({"bpm": 90, "volume": 1.0, "midi_clock": 1}, source="score")
    assert [(change.sequence, change.name, change.value, change.source) for change in heard] == [
        (1, "bpm", 90.0, "score"),
        (1, "midi_clock", True, "score"),
    ]
    stop()
    stop()
    board.set("bpm", 91)
    board.act("tap")
    assert len(heard) == 2 and [change.value for change in other] == [90.0, True, 91.0]


def test_a_listener_may_turn_knobs_and_all_hear_it_in_the_same_order():
    board, first, second = Board(), [], []

    def halve(change):
        first.append(change.value)
        if change.name == "bpm":
            board.set("temperature", change.value / 100.0)

    board.listen(halve)
    board.listen(lambda change: second.append(change.value))
    board.set("bpm", 90)
    assert first == second == [90.0, 0.9]


def test_a_listener_that_fails_is_dropped():
    board, heard = Board(), []

    def broken(change):
        raise RuntimeError("no\ndisplay")

    board.listen(broken)
    board.listen(heard.append)
    assert board.set("bpm", 90) == 1
    assert board.problem == "a listener was dropped: RuntimeError: no display"
    board._problem = None
    board.set("bpm", 91)
    assert board.problem is None and [change.value for change in heard] == [90.0, 91.0]


def test_actions_wait_for_the_session():
    board = Board()
    board.set("bpm", 90)
    for name, value in [("tap", None), ("nudge", -0.25), ("rewind", None), ("record", None), ("snapshot/save", 8.0)]:
        board.act(name, value, source="pad")
    taken = board.take_actions()
    assert [(each.name, each.value) for each in taken] == [
        ("tap", None),
        ("nudge", -0.25),
        ("rewind", 1),
        ("record", ""),
        ("snapshot/save", 8),
    ]
    assert {(each.sequence, each.source) for each in taken} == {(1, "pad")}
    times = [each.made_seconds for each in taken]
    assert times == sorted(times) and 0.0 < times[0]
    assert board.take_actions() == [] and board.settings.sequence == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("tap", 1, "tap came with 1; it takes no value"),
        ("nudge", None, "nudge is None; give a number from -4 to 4"),
        ("nudge", math.nan, "nudge is nan"),
        ("snapshot/save", 9, "give a whole number from 1 to 8"),
        ("snapshot/recall", 0, "give a whole number from 1 to 8"),
        ("rewind", 0.5, "give a whole number from 1 to 64"),
        ("record", 5, "give text"),
        ("record", "a\0", "zero bytes"),
        ("bpm", 90, "bpm is no action; set it to a number"),
        ("explode", None, "there is no knob 'explode'"),
    ],
)
def test_actions_that_are_wrong_are_not_queued(name, value, said):
    board = Board()
    with pytest.raises(ValueError, match=re.escape(said)):
        board.act(name, value)
    assert board.take_actions() == []


def test_actions_that_nobody_takes_do_not_pile_up():
    board = Board()
    for _ in range(1500):
        board.act("tap")
    board.act("panic")
    taken = board.take_actions()
    assert len(taken) == 1000 and taken[-1].name == "panic"


@pytest.fixture
def restless():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_many_threads_turn_knobs_at_once(restless):
    """No change is lost, none is told twice, and all are told in the order of their numbers."""
    board, heard, snapshots = Board(), [], []
    board.listen(heard.append)
    gate = threading.Barrier(5)

    def turn(slot):
        gate.wait(20.0)
        for step in range(200):
            board.set_many({f"prompt/{slot}/weight": (step % 2) + 0.5, f"prompt/{slot}/text": str(step)})
            board.act("tap")

    threads = [threading.Thread(target=turn, args=(slot,)) for slot in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    gate.wait(20.0)
    while any(thread.is_alive() for thread in threads):
        snapshots.append(board.settings)
    for thread in threads:
        thread.join(20.0)
    assert board.settings.sequence == 800 and len(board.take_actions()) == 800
    assert [change.sequence for change in heard] == [number for number in range(1, 801) for _ in range(2)]
    for sequence, values in snapshots[:: max(1, len(snapshots) // 200)]:  # weight and text belong together in each
        told = [change for change in heard if change.sequence <= sequence]
        for slot in (1, 2, 3, 4):
            texts = [change.value for change in told if change.name == f"prompt/{slot}/text"]
            assert values[f"prompt/{slot}/text"] == (texts[-1] if texts else "")
            if texts:
                assert values[f"prompt/{slot}/weight"] == int(texts[-1]) % 2 + 0.5


def _row(knob: Knob) -> str:
    """A knob's line in docs/controls.md."""
    takes = knob.argument if knob.kind is Kind.ACTION else knob.kind
    limits = f"{show_limit(knob.low)} .. {show_limit(knob.high)} {knob.unit}".strip()
    limits = "" if takes is None else "0, 1" if takes is Kind.SWITCH else limits
    default = '""' if knob.default == "" else f"{knob.default:g}" if knob.default is not None else ""
    name, text = knob.name, knob.help
    if re.match("prompt/1/", name):
        name, text = name.replace("1", "N"), text.replace("1", "N")
        default = "1 for the first, else 0" if knob.kind is Kind.NUMBER else default
    return f"| `{name}` | {takes.value if takes else 'nothing'} | {limits} | {default} | {text} |"


def test_the_musicians_table_is_this_one(root):
    text = (root / "docs" / "controls.md").read_text(encoding="utf-8")
    assert text.count("\n") < 120
    rows = re.findall(r"^\| `[a-zN_/]+` \|.*\|$", text.split("## OSC")[0], re.M)
    assert rows == [_row(knob) for knob in KNOBS.values() if not re.match("prompt/[2-8]/", knob.name)]
    for number in range(2, 9):  # which are not in the table, because they are as the first
        for part in ("text", "weight", "mute", "solo"):
            knob, first = KNOBS[f"prompt/{number}/{part}"], KNOBS[f"prompt/1/{part}"]
            as_first = dataclasses.replace(first, name=knob.name, default=knob.default, help=knob.help)
            assert knob == as_first and knob.default in ("", 0.0, False)
