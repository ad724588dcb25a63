"""What comes over the wire is read exactly or refused in one line, and what goes out is what clients can read."""

import dataclasses
import json
import math
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from magenta_rt_py.live.board import Board
from magenta_rt_py.live.card import CardStatus
from magenta_rt_py.live.session_parts import SessionStatus
from magenta_rt_py.serve import answers, wire

MOST = 2**53 - 1
WHOLE = some.integers(0, MOST)
U32 = some.integers(0, 2**32 - 1)


@some.composite
def packets(draw):
    kind = draw(some.sampled_from([wire.SOUND, wire.MICROPHONE]))
    channels = draw(some.sampled_from([2, 3] if kind == wire.SOUND else [1, 2]))
    samples = draw(some.integers(1, 50))
    payload = draw(some.binary(min_size=2 * channels * samples, max_size=2 * channels * samples))
    return wire.Packet(kind, draw(some.integers(0, 3)), channels, 0, draw(U32), samples, draw(U32), draw(WHOLE), payload)


def a_packet(**fields):
    packet = wire.Packet(wire.MICROPHONE, 0, 2, 0, 3, 4, 0, 96_000, bytes(range(16)))
    return packet._replace(**fields)


@given(packets())
def test_a_packet_comes_back_as_it_was(packet):
    data = wire.pack(packet)
    assert wire.unpack(data) == packet and len(data) == 32 + len(packet.payload)
    assert wire.unpack(memoryview(data)) == wire.unpack(bytearray(data)) == packet


def test_the_layout_is_the_documented_one():
    data = wire.pack(wire.Packet(1, 2, 3, 0, 0x01020304, 1, 77, 2**53 - 1, b"abcdef"))
    assert data == b"\x01\x02\x03\x00" + b"\x04\x03\x02\x01" + b"\x01\0\0\0" + b"M\0\0\0" + struct.pack("<d", 2**53 - 1) + (
        b"\0" * 8 + b"abcdef"
    )


@given(some.binary(max_size=200))
@example(b"")
def test_any_bytes_are_a_packet_or_a_value_error(data):
    try:
        assert wire.pack(wire.unpack(data)) == data
    except ValueError as error:
        assert "\n" not in str(error)


@given(packets(), some.data())
def test_a_damaged_packet_is_a_packet_or_a_value_error(packet, data):
    whole = bytearray(wire.pack(packet))
    for _ in range(data.draw(some.integers(1, 3))):
        whole[data.draw(some.integers(0, 31))] = data.draw(some.integers(0, 255))
    cut = bytes(whole[: data.draw(some.integers(0, len(whole)))]) if data.draw(some.booleans()) else bytes(whole)
    try:
        found = wire.unpack(cut)
    except ValueError:
        return
    assert found.position <= MOST and len(found.payload) == 2 * found.channels * found.samples


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": 3}, "kind 3"),
        ({"flags": 4}, "flags 4"),
        ({"channels": 3}, "3 channels"),
        ({"kind": 1, "channels": 1}, "1 channels"),
        ({"format": 1}, "format 1"),
        ({"opening": 2**32}, "opening"),
        ({"opening": -1}, "opening"),
        ({"samples": 0, "payload": b""}, "0 samples"),
        ({"samples": 4801, "payload": bytes(4 * 4801)}, "4801 samples"),
        ({"samples": 5}, "16 bytes"),
        ({"position": -1}, "position -1"),
        ({"position": 2**53}, "position"),
    ],
)
def test_a_packet_that_is_none_is_not_written(fields, told):
    with pytest.raises(ValueError, match=told):
        wire.pack(a_packet(**fields))


@pytest.mark.parametrize("position", [math.nan, math.inf, -math.inf, 0.5, -1.0, 2.0**53, 1e300])
def test_a_position_that_is_none_is_refused(position):
    data = bytearray(wire.pack(a_packet()))
    struct.pack_into("<d", data, 16, position)
    with pytest.raises(ValueError, match="position"):
        wire.unpack(data)


def test_reserved_fields_are_zero():
    data = bytearray(wire.pack(a_packet()))
    data[31] = 1
    with pytest.raises(ValueError, match="reserved"):
        wire.unpack(data)


def test_a_packet_is_cut():
    packet = a_packet(flags=wire.DISCONTINUITY)
    data = wire.pack(packet)
    assert wire.cut(data, 0, 4) == data
    assert wire.unpack(wire.cut(data, 1, 3)) == packet._replace(
        flags=0, samples=2, position=96_001, payload=bytes(range(4, 12))
    )
    assert wire.unpack(wire.cut(data, 0, 1)).flags == wire.DISCONTINUITY
    for first, last in ((2, 2), (-1, 2), (0, 5)):
        with pytest.raises(ValueError, match="of 4"):
            wire.cut(data, first, last)


def test_samples_are_rounded_and_held_at_full_scale():
    step = 1.0 / 32_768
    given_, expected = zip(
        (0.0, 0), (step, 1), (0.49 * step, 0), (0.51 * step, 1), (-0.51 * step, -1), (-0.49 * step, 0), (0.5, 16_384),
        (1.0 - step, 32_767), (1.0 - 0.4 * step, 32_767), (1.0, 32_767), (9.0, 32_767), (-1.0, -32_768), (-9.0, -32_768),
        (math.nan, 0), (math.inf, 32_767), (-math.inf, -32_768), strict=True,
    )  # fmt: skip
    samples = np.array(given_, np.float32)[:, None]
    assert np.frombuffer(wire.payload_of(samples), "<i2").tolist() == list(expected)


def test_all_samples_of_16_bits_come_back():
    samples = (np.arange(-32_768, 32_768) / 32_768).astype(np.float32)[:, None]
    for part in np.split(samples, 32):
        packet = wire.Packet(wire.MICROPHONE, 0, 1, 0, 0, len(part), 0, 0, wire.payload_of(part))
        assert np.array_equal(wire.samples_of(packet), part)


MESSAGES = [
    wire.Hello(token="a.b.c"),
    wire.Hello(token="x", resume=wire.Resume(opening=3, position=MOST), lead=0.1),
    wire.Set(id=7, values={"prompt/1/weight": 1.5, "prompt/1/text": "<script>alert(1)</script>", "inject/on": False}),
    wire.Act(id=8, name="snapshot/save", value=2),
    wire.Act(id=9, name="tap"),
    wire.Report(opening=0, position=48_000, queued=9600, is_playing=True),
    wire.Report(opening=0, position=0, queued=0, is_playing=False, output_delay=0.05),
    wire.Starved(opening=1, position=5, samples=128),
    wire.Play(),
    wire.Pause(),
    wire.Lead(seconds=4.0),
    wire.Calibrate(),
    wire.RoundTrip(samples=4211),
    wire.Record(state="start", has_microphone=True),
    wire.Record(state="stop"),
    wire.Forget(prompt="@" + "0" * 32),
    wire.Ping(at=12345.25),
    wire.Leave(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_read_as_it_was_written(message):
    text = wire.write_message(message)
    assert wire.read_message(text) == message
    assert wire.read_message(text.encode()) == message
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.anything = 1


def test_every_kind_of_message_is_tried():
    assert {type(message) for message in MESSAGES} == set(wire.MESSAGES.values())


def test_numbers_as_browsers_write_them():
    message = wire.read_message('{"type":"report","opening":0,"position":1e3,"queued":12.0,"is_playing":true}')
    assert message == wire.Report(opening=0, position=1000, queued=12, is_playing=True)
    assert isinstance(message, wire.Report) and type(message.position) is int
    assert wire.read_message('{"type":"ping","at":3}') == wire.Ping(at=3.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "type null"),
        ("3", "type null"),
        ("{}", "type null"),
        ('{"type":"quit"}', "'quit'"),
        ('{"type":["hello"]}', "a list"),
        ('{"type":"hello"}', "without token"),
        ('{"type":"hello","token":3}', "token is 3"),
        ('{"type":"hello","token":"x","lead":5}', "0.1 to 4"),
        ('{"type":"hello","token":"x","lead":"1"}', "number"),
        ('{"type":"hello","token":"x","lead":true}', "lead is true"),
        ('{"type":"hello","token":"x","resume":{"opening":0}}', "without position"),
        ('{"type":"hello","token":"x","resume":{"opening":0,"position":0,"more":1}}', "'more'"),
        ('{"type":"hello","token":"x","resume":[0,0]}', "a list"),
        ('{"type":"hello","token":"x","token":"y"}', "twice"),
        ('{"type":"hello","token":"\\ud800"}', "UTF-8"),
        ('{"type":"hello","token":"a\\u0000b"}', "UTF-8"),
        ('{"type":"play","now":1}', "'now'"),
        ('{"type":"lead","seconds":NaN}', "NaN"),
        ('{"type":"lead","seconds":Infinity}', "Infinity"),
        ('{"type":"lead","seconds":1e999}', "0.1 to 4"),
        ('{"type":"lead","seconds":null}', "null"),
        ('{"type":"ping","at":' + "9" * 400 + "}", "more than 20 digits"),
        ('{"type":"ping","at":' + "9" * 5000 + "}", "cannot be read"),
        ('{"type":"report","opening":0,"position":-1,"queued":0,"is_playing":true}', "position is -1"),
        ('{"type":"report","opening":0,"position":0.5,"queued":0,"is_playing":true}', "position is 0.5"),
        ('{"type":"report","opening":0,"position":9007199254740992,"queued":0,"is_playing":true}', "position"),
        ('{"type":"report","opening":0,"position":true,"queued":0,"is_playing":true}', "position is true"),
        ('{"type":"report","opening":0,"position":0,"queued":0,"is_playing":1}', "is_playing is 1"),
        ('{"type":"set","id":1,"values":{}}', "an object"),
        ('{"type":"set","id":1,"values":[]}', "a list"),
        ('{"type":"set","id":1,"values":{"bpm":[1]}}', "bpm is a list"),
        ('{"type":"set","id":1,"values":{"bpm":1e999}}', "bpm is inf"),
        ('{"type":"set","id":1,"values":{"' + "x" * 101 + '":1}}', "100 characters"),
        ('{"type":"set","id":1,"values":{"bpm":100,"bpm":120}}', "twice"),
        ('{"type":"act","id":1,"name":"tap","value":{}}', "an object"),
        ('{"type":"record","state":"again"}', "start or stop"),
        ('{"type":"round_trip","samples":96001}', "0 to 96000"),
        ('{"type":"ping","at":1,"pad":"' + "x" * 8192 + '"}', "8192"),
        ('{"type":"ping","at":1,"pad":"' + "\u00e4" * 4096 + '"}', "8192"),
    ],
)
def test_what_is_no_message_is_refused_in_one_short_line(text, told):
    with pytest.raises(ValueError, match="(?s).") as caught:
        wire.read_message(text)
    line = str(caught.value)
    assert told in line and "\n" not in line and len(line) < 400


@pytest.mark.parametrize("text", ["[" * 8000, '{"a":' * 1600, '{"type":' * 1000, "[" * 4000 + "]" * 4000])
def test_deep_nesting_is_refused(text):
    with pytest.raises(ValueError, match="."):
        wire.read_message(text)


VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=10),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = some.sampled_from(
    ["token", "resume", "lead", "id", "values", "name", "value", "opening", "position", "samples", "at", "queued"]
)


@given(some.text(max_size=200) | some.binary(max_size=200))
def test_any_text_is_a_message_or_a_value_error(text):
    try:
        wire.read_message(text)
    except ValueError as error:
        assert "\n" not in str(error)


@settings(max_examples=60)
@given(some.sampled_from(sorted(wire.MESSAGES)), some.dictionaries(NAMES, VALUES, max_size=5))
def test_any_object_is_a_message_or_a_value_error(kind, fields):
    try:
        message = wire.read_message(json.dumps({"type": kind, **fields}))
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
        return
    assert type(message) is wire.MESSAGES[kind]
    assert wire.read_message(wire.write_message(message)) == message  # all of its numbers are finite


def session_status(**fields):
    card = CardStatus("page", True, 0, 2, None, math.nan, 0.04, 0.05)
    status = SessionStatus(
        12.5, 3, 1.5, 120.0, math.nan, 0.4, 0.8, 1, 480, math.nan, 0.5, 1, 0.4, "</script>", None, card
    )
    return status._replace(**fields)


def test_status():
    said = json.loads(
        answers.status(
            session_status(recording="/somewhere/secret/take.flac"), lead_seconds=0.5, opening=1, position=7,
            prompts=("ready", "empty", "failed"), live_prompt_age_seconds=None,
        )
    )  # fmt: skip
    assert said["type"] == "status" and said["bar"] == 3 and said["message"] == "</script>"
    assert said["rtf"] is None and said["delay_seconds"] is None and said["card_callback_p999_seconds"] is None
    assert said["card_underflows"] == 2 and said["card_name"] == "page" and "card" not in said
    assert said["recording"] == "take.flac"
    assert said["prompts"] == [{"slot": 1, "state": "ready"}, {"slot": 3, "state": "failed"}]
    assert {"lead_seconds", "position", "opening", "live_prompt_age_seconds", "device_rtf", "device_problem"} <= set(said)


def test_welcome_has_every_knob():
    settings = Board().settings
    said = json.loads(
        answers.welcome(
            session="s", opening=0, position=0, values=settings.values, sequence=settings.sequence,
            capabilities={"injection": True}, limits={"lead": [0.1, 4.0]}, suggestions=["lofi"], bundle="starter",
        )
    )  # fmt: skip
    assert (said["type"], said["sample_rate"], said["frame_samples"]) == ("welcome", 48_000, 1920)
    table = {knob["name"]: knob for knob in said["knobs"]}
    assert set(said["values"]) == {name for name, knob in table.items() if knob["kind"] != "action"}
    assert table["bpm"]["low"] < table["bpm"]["default"] < table["bpm"]["high"]
    assert set(table["tap"]) == {"name", "kind", "low", "high", "default", "unit", "help", "argument"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (answers.waiting(2, 5), {"type": "waiting", "place": 2, "waiting": 5}),
        (answers.resumed(1, 96), {"type": "resumed", "opening": 1, "position": 96}),
        (answers.reopened(2), {"type": "reopened", "opening": 2}),
        (
            answers.changed(4, "page", {"bpm": np.float32(100.0)}, id=3),
            {"type": "changed", "sequence": 4, "source": "page", "values": {"bpm": 100.0}, "id": 3},
        ),
        (answers.refused("no\nway"), {"type": "refused", "id": None, "reason": "no way"}),
        (answers.said("hello"), {"type": "said", "text": "hello"}),
        (
            answers.recording("done", "ab", 2.5, [("take.flac", "live/recordings/ab")]),
            {"type": "recording", "state": "done", "id": "ab", "seconds": 2.5, "problem": None,
             "files": [{"name": "take.flac", "url": "live/recordings/ab"}]},
        ),
        (answers.calibrated(None, "too soft"), {"type": "calibrated", "samples": None, "reason": "too soft"}),
        (answers.ended("idle"), {"type": "ended", "reason": "idle"}),
        (answers.pong(1.5), {"type": "pong", "at": 1.5}),
    ],
)  # fmt: skip
def test_what_the_server_says(text, expected):
    assert json.loads(text) == expected and "\n" not in text
