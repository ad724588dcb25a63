"""OSC bytes: what python-osc writes comes back, and no bytes hang, print or raise anything but one ValueError."""

import logging
import struct
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magenta_rt_py.errors import MissingExtraError
from magenta_rt_py.io.osc_packet import load_osc, read_packet, write_message

HEADER = b"#bundle\0" + struct.pack(">Q", 1)


def bundle(*elements: bytes) -> bytes:
    return HEADER + b"".join(struct.pack(">i", len(each)) + each for each in elements)


def nested(depth: int) -> bytes:
    packet = write_message("/tap")
    for _ in range(depth):
        packet = bundle(packet)
    return packet


def test_messages_come_back():
    assert read_packet(write_message("/a/b", 0.95, 3, "Föö 🎹", True, False)) == [("/a/b", (0.95, 3, "Föö 🎹", 1, 0))]
    assert read_packet(write_message("/tap")) == [("/tap", ())]
    assert read_packet(b"/tap\0\0\0\0") == [("/tap", ())], "old programs leave the type tags out"
    assert read_packet(b"/x\0\0,TFN\0\0\0\0") == [("/x", (True, False, None))]
    assert read_packet(b"/x\0\0,d\0\0" + struct.pack(">d", 0.95)) == [("/x", (0.95,))]
    with pytest.raises(ValueError, match="/x cannot be written as OSC"):
        write_message("/x", "\ud800")


@given(st.floats(width=32, allow_nan=False))
@settings(max_examples=50, deadline=None)
def test_floats_are_the_shortest_that_the_bytes_stand_for(value):
    ((_, (read,)),) = read_packet(write_message("/x", value))
    assert struct.pack(">f", read) == struct.pack(">f", value)
    assert len(repr(read)) <= len(repr(value))


def test_bundles_are_taken_apart_in_order():
    first, second = write_message("/bpm", 90.0), write_message("/tap")
    assert read_packet(bundle(first, bundle(second, first), second)) == [
        ("/bpm", (90.0,)),
        ("/tap", ()),
        ("/bpm", (90.0,)),
        ("/tap", ()),
    ]
    assert read_packet(HEADER) == []
    assert read_packet(nested(8)) == [("/tap", ())]


BAD = {
    "empty": b"",
    "text": b"hello, are you there?",
    "no end of the address": b"/temperature",
    "address is no text": b"/\xff\xfe\0,f\0\0\0\0\0\0",
    "type that nobody knows": b"/x\0\0,fZ\0" + b"\0" * 8,
    "many arguments": b"/x\0\0," + b"T" * 4000 + b"\0" * 4,
    "float without its bytes and a text": b"/x\0\0,fs\0",
    "bracket that closes nothing": b"/x\0\0,]\0\0",
    "cut bundle": b"#bundle\0\0\0",
    "element larger than the bundle": HEADER + struct.pack(">i", 400) + b"/tap",
    "element of nothing": HEADER + struct.pack(">i", 0) * 4,
    "element that goes back": HEADER + struct.pack(">i", -4) * 4,
    "element of no kind": bundle(b"abcd"),
    "one bad message spoils its bundle": bundle(write_message("/tap"), b"/x\0\0,Z\0\0"),
    "too deep": nested(9),
    "much too deep": nested(2000),
    "blob of less than nothing": b"/x\0\0,b\0\0" + struct.pack(">i", -400),
}


@pytest.mark.parametrize("packet", BAD.values(), ids=BAD)
def test_what_is_no_osc_is_one_line(packet, caplog, capfd):
    before = list(logging.getLogger().handlers)
    if packet is BAD["blob of less than nothing"]:
        read_packet(packet)  # python-osc takes it for an empty one; all that counts is that it ends
    else:
        with pytest.raises(ValueError) as caught:
            read_packet(packet)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 250
    assert not caplog.records and logging.getLogger().handlers == before
    assert capfd.readouterr() == ("", "")


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda rest: HEADER + rest)))
@example(write_message("/temperature", 1.0)[:-2])
@settings(max_examples=200, deadline=None)
def test_any_bytes(packet):
    try:
        read_packet(packet)
    except ValueError as error:
        assert "\n" not in str(error)


def test_without_python_osc(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonosc", None)
    monkeypatch.setitem(sys.modules, "pythonosc.osc_message", None)
    with pytest.raises(MissingExtraError, match=r"magenta-rt-py\[osc\]"):
        load_osc()
