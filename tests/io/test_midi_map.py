"""MIDI maps: curves, learning, files."""

import json
import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magenta_rt_py.io.midi_map import LOWEST_OF_LOG, ControlBinding, MidiMap, NoteBinding
from magenta_rt_py.live.board import KNOBS, Kind

BINDABLE = [knob for knob in KNOBS.values() if knob.kind not in (Kind.TEXT, Kind.ACTION)]


def test_curves():
    linear = ControlBinding(knob="bpm", control=1, low=60.0, high=187.0)
    assert [linear.value_at(position) for position in (0, 1, 64, 127)] == [60.0, 61.0, 124.0, 187.0]
    log = ControlBinding(knob="bpm", control=1, low=50.0, high=200.0, curve="log")
    assert (log.value_at(0), log.value_at(127)) == (50.0, 200.0)
    assert log.value_at(80) / log.value_at(79) == pytest.approx(4.0 ** (1 / 127))
    turned = ControlBinding(knob="volume", control=1, low=2.0, high=0.0)
    assert (turned.value_at(0), turned.value_at(127)) == (2.0, 0.0)
    switch = ControlBinding(knob="midi_clock", control=1, low=0.0, high=1.0)
    assert [switch.value_at(position) for position in (0, 63, 64, 127)] == [False, False, True, True]
    whole = ControlBinding(knob="top_k", control=1, low=0.0, high=1024.0)
    assert [whole.value_at(position) for position in (0, 1, 127)] == [0, 8, 1024] and type(whole.value_at(1)) is int


@example(KNOBS["prompt/1/weight"], 5e-324, 1.0, "log", 1)
@given(st.sampled_from(BINDABLE), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["linear", "log"]), st.integers(0, 127))
@settings(max_examples=100, deadline=None)
def test_any_binding_gives_values_that_the_knob_takes(knob, first, second, curve, position):
    low, high = (knob.low + (knob.high - knob.low) * share for share in (first, second))
    if knob.kind is not Kind.NUMBER:
        low, high = float(round(low)), float(round(high))
    if curve == "log" and min(low, high) < LOWEST_OF_LOG:
        with pytest.raises(ValueError, match="log curve"):
            ControlBinding(knob=knob.name, control=0, low=low, high=high, curve=curve)
        return
    binding = ControlBinding(knob=knob.name, control=0, low=low, high=high, curve=curve)
    value = binding.value_at(position)
    assert knob.check(value) == value
    if knob.kind is Kind.NUMBER and abs(math.log2((high + 1e-9) / (low + 1e-9))) > 0.01:
        assert binding.position_of(value) == pytest.approx(position, abs=1e-3)


def test_positions_of_values_out_of_reach_are_the_ends():
    binding = ControlBinding(knob="temperature", control=1, low=0.5, high=1.5)
    assert [binding.position_of(value) for value in (0.0, 0.5, 1.0, 4.0)] == [0.0, 0.0, 63.5, 127.0]
    assert ControlBinding(knob="temperature", control=1, low=1.0, high=1.0).position_of(3.0) == 0.0


def test_learned_controls_replace_each_other():
    learned = MidiMap().with_control(KNOBS["bpm"], 1, 20).with_control(KNOBS["volume"], 1, 21)
    assert [(each.knob, each.control, each.curve) for each in learned.controls] == [
        ("bpm", 20, "log"),
        ("volume", 21, "linear"),
    ]
    assert (learned.controls[0].low, learned.controls[0].high) == (20.0, 400.0)
    moved = learned.with_control(KNOBS["bpm"], 1, 21)  # the dial of the volume
    assert [(each.knob, each.control) for each in moved.controls] == [("bpm", 21)]
    assert len(learned.with_control(KNOBS["temperature"], 2, 20).controls) == 3, "another channel is another dial"
    notes = MidiMap().with_note(KNOBS["snapshot/save"], 1, 36, 1).with_note(KNOBS["snapshot/save"], 1, 37, 2)
    assert [(each.note, each.value) for each in notes.notes] == [(36, 1), (37, 2)]
    assert [each.note for each in notes.with_note(KNOBS["snapshot/save"], 1, 38, 1).notes] == [37, 38]
    assert [each.action for each in notes.with_note(KNOBS["tap"], 1, 36, None).notes] == ["snapshot/save", "tap"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"knob": "nothing"}, "there is no knob 'nothing'"),
        ({"knob": "prompt/1/text"}, "is a text"),
        ({"knob": "tap"}, "is an action; bind a note"),
        ({"control": 128}, "control is 128; give a whole number from 0 to 127"),
        ({"channel": 17}, "channel is 17; give a whole number from 0 to 16"),
        ({"high": 4.5}, "temperature is 4.5; give a number from 0 to 4"),
        ({"low": math.nan}, "temperature is nan"),
        ({"curve": "cubic"}, "curve is 'cubic'; give one of linear, log"),
        ({"curve": "log", "low": 0.0}, "a log curve for temperature from 0 to 2; give two numbers of at least 1e-06"),
    ],
)
def test_bindings_that_are_wrong(tmp_path, entry, said):
    fields = {"knob": "temperature", "control": 1, "low": 0.5, "high": 2.0} | entry
    with pytest.raises(ValueError, match=re.escape(said)):
        ControlBinding(**fields)
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"format": "magenta_rt_py MIDI map", "version": 1, "controls": [fields]}))
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        MidiMap.load(path)
    assert str(caught.value).startswith(f"{path}: controls, entry 1: ")


def test_note_bindings_that_are_wrong():
    for entry, said in [
        ({"action": "bpm"}, "bpm is no action; bind a control"),
        ({"note": -1}, "note is -1"),
        ({"value": 1}, "tap came with 1; it takes no value"),
        ({"action": "snapshot/save", "value": 9}, "from 1 to 8"),
        ({"action": "nudge"}, "nudge is None"),
    ]:
        with pytest.raises(ValueError, match=said):
            NoteBinding(**({"action": "tap", "note": 36} | entry))


def test_files_come_back(tmp_path):
    path = tmp_path / "map.json"
    saved = MidiMap(
        controls=(ControlBinding(knob="bpm", control=7, channel=3, low=60.0, high=180.0, curve="log"),),
        notes=(NoteBinding(action="record", note=36, value="take.flac"), NoteBinding(action="tap", note=37, channel=10)),
    )
    saved.save(path)
    assert MidiMap.load(path) == saved
    MidiMap().save(path)
    assert MidiMap.load(path) == MidiMap() and [each.name for each in tmp_path.iterdir()] == ["map.json"]


def test_the_example_of_the_document_is_a_map(root, tmp_path):
    text = (root / "docs" / "controls.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.S)
    path = tmp_path / "map.json"
    path.write_text(example)
    found = MidiMap.load(path)
    assert [each.knob for each in found.controls] == ["temperature", "bpm"] and found.controls[1].low == 60.0
    assert found.notes == (NoteBinding(action="snapshot/recall", channel=10, note=36, value=2),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a MIDI map of version 1"),
        ('{"format": "magenta_rt_py MIDI map", "version": 2}', "not a MIDI map of version 1"),
        ('{"format": "magenta_rt_py MIDI map", "version": 1, "controls": [{}]}', "controls, entry 1: give channel, control"),
        ('{"format": "magenta_rt_py MIDI map", "version": 1, "controls": 3}', "controls, entry 1"),
        (
            '{"format": "magenta_rt_py MIDI map", "version": 1, "notes": [{"action": "tap", "note": 1, "extra": 1}]}',
            "notes, entry 1: give action, channel, note, value, and nothing else",
        ),
        ('{"format": "magenta_rt_py MIDI map", "version": 1, "notes": [{"action": "tap", "note": "C3"}]}', "notes, entry 1"),
        ('{"format": "magenta_rt_py MIDI map", "version": 1, "notes": [{"action": ["tap"], "note": 1}]}', "notes, entry 1"),
    ],
)
def test_files_that_are_wrong(tmp_path, text, said):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        MidiMap.load(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    with pytest.raises(OSError):
        MidiMap.load(tmp_path / "none.json")
