"""OSC packets: bytes to messages and back. Pure.

python-osc reads single messages. Bundles are taken apart here, because its own reader never ends on a bundle with a
negative size in it and logs what it does not know, and what comes from a network must do neither.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from magenta_rt_py.errors import MissingExtraError

__all__ = ["OscMessage", "load_osc", "read_packet", "write_message"]

BUNDLE = b"#bundle\0"
BUNDLE_HEADER_BYTES = 16
"""The word and a time tag."""
DEEPEST_BUNDLE = 8
"""Bundles in bundles, at most."""
MOST_ARGUMENTS = 300
"""A prompt of 500 characters in words of its own has 250."""
KNOWN_TYPES = frozenset(b"ifsbhdTFN[]rmt")
"""Type tags that python-osc reads; it logs others."""


class OscMessage(NamedTuple):
    """One message."""

    address: str
    """With its leading slash."""
    arguments: tuple[Any, ...]
    """float, int, str, bool, None; bytes and lists for what nothing here takes."""


def load_osc() -> None:
    """Finds out whether python-osc is there.

    Raises:
      MissingExtraError: it is not installed.
    """
    try:
        import pythonosc.osc_message
        import pythonosc.osc_message_builder  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("OSC", "pythonosc", "osc") from error


def read_packet(datagram: bytes) -> list[OscMessage]:
    """The messages of a packet, in order; time tags are left out, whatever they say is due now.

    Raises:
      ValueError: it is not OSC, in one line. Nothing of a damaged bundle is returned.
    """
    return _read(datagram, 0)


def write_message(address: str, *arguments: str | float | int | bool) -> bytes:
    """One message; switches are written as 0 and 1, which every program reads.

    Raises:
      ValueError: an argument cannot be written.
    """
    from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

    builder = OscMessageBuilder(address)
    try:
        for argument in arguments:
            builder.add_arg(int(argument) if isinstance(argument, bool) else argument)
        return builder.build().dgram
    except (BuildError, OverflowError) as error:
        raise ValueError(f"{address} cannot be written as OSC: {error}") from error


def _read(datagram: bytes, depth: int) -> list[OscMessage]:
    if not datagram.startswith(BUNDLE):
        return [_read_message(datagram)]
    if depth == DEEPEST_BUNDLE:
        raise ValueError(f"an OSC bundle with bundles more than {DEEPEST_BUNDLE} deep; send flat ones")
    messages, start = [], BUNDLE_HEADER_BYTES
    if len(datagram) < start:
        raise ValueError("an OSC bundle that is cut off; check the sender")
    while start < len(datagram):
        if len(datagram) < start + 4:
            raise ValueError("an OSC bundle that is cut off; check the sender")
        (size,) = struct.unpack_from(">i", datagram, start)
        start += 4
        if not 0 < size <= len(datagram) - start:
            raise ValueError(f"an OSC bundle with {size} bytes for an element; check the sender")
        messages += _read(datagram[start : start + size], depth + 1)
        start += size
    return messages


def _read_message(datagram: bytes) -> OscMessage:
    from pythonosc import osc_message

    if not datagram.startswith(b"/"):
        raise ValueError(f"a packet that is not OSC ({datagram[:12]!r}...); an OSC address begins with a slash")
    tags = _type_tags(datagram)
    if not KNOWN_TYPES.issuperset(tags) or len(tags) > MOST_ARGUMENTS:
        raise ValueError(f"an OSC message with the types {tags[:20]!r}; send numbers (i, f) and texts (s)")
    try:
        parsed = osc_message.OscMessage(datagram)
        return OscMessage(parsed.address, tuple(_shortest(argument) for argument in parsed.params))
    except Exception as error:  # whatever a damaged packet makes the reader stumble over
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"a damaged OSC message ({datagram[:12]!r}...): {reason}") from error


def _type_tags(datagram: bytes) -> bytes:
    """The letters after the comma; empty if there are none."""
    start = (datagram.find(b"\0") // 4 + 1) * 4
    end = datagram.find(b"\0", start)
    return datagram[start + 1 : end] if end > start else b""


def _shortest(value: Any) -> Any:
    """A 32-bit float as the shortest number that it stands for: 0.95, not 0.949999988."""
    if isinstance(value, float) and value == float(np.float32(value)):
        return float(str(np.float32(value)))
    return value
