"""Wire: what goes over the socket between a page and its seat: binary packets of sound, and text messages.

    packet   | kind flags channels format | opening | samples | controls | position | reserved | payload, interleaved ...
    bytes       1     1       1      1         4         4         4          8          8

A text message is a JSON object with a "type". `read_message` takes those of a client; what the server says is in
`answers.py`. docs/live-protocol.md tells all of it to people who write clients.

Pure. Whatever comes in, the only error is a ValueError of one line.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = [
    "DISCONTINUITY",
    "HEADER_BYTES",
    "MICROPHONE",
    "MOST_MICROPHONE_SAMPLES",
    "MOST_SOUND_SAMPLES",
    "MOST_TEXT_BYTES",
    "SOUND",
    "STARVED",
    "Act",
    "Calibrate",
    "Forget",
    "Hello",
    "Lead",
    "Leave",
    "Message",
    "Packet",
    "Pause",
    "Ping",
    "Play",
    "Record",
    "Report",
    "Resume",
    "RoundTrip",
    "Set",
    "Starved",
    "cut",
    "pack",
    "payload_of",
    "read_message",
    "samples_of",
    "unpack",
    "write_message",
]

# Packets.


HEADER = struct.Struct("<BBBBIIIdII")
HEADER_BYTES = HEADER.size
SOUND, MICROPHONE = 1, 2
"""Kinds of packets."""
STARVED, DISCONTINUITY = 1, 2
"""Flags: recorded while there was nothing to play; does not go on where the packet before it ended."""
CHANNELS = {SOUND: (2, 3), MICROPHONE: (1, 2)}
MOST_SOUND_SAMPLES = 4800
MOST_MICROPHONE_SAMPLES = 4800
MOST_SAMPLES = {SOUND: MOST_SOUND_SAMPLES, MICROPHONE: MOST_MICROPHONE_SAMPLES}
MOST_U32 = 2**32 - 1
MOST_WHOLE = 2**53 - 1
"""The largest whole number that a browser counts to."""
FULL_SCALE = 32_768.0


class Packet(NamedTuple):
    """A piece of sound."""

    kind: int
    """SOUND or MICROPHONE."""
    flags: int
    """STARVED and DISCONTINUITY, added."""
    channels: int
    """Of sound 2, or 3 while the metronome clicks (the third is the cue); of a microphone 1 or 2."""
    format: int
    """0: int16, little endian."""
    opening: int
    """Which opening of the page card `position` counts in."""
    samples: int
    """1 .. 4800."""
    controls: int
    """Number of the settings that the sound was made with; 0 of a microphone."""
    position: int
    """Device sample of the first one; of a microphone, the one that was rendered when it was recorded."""
    payload: bytes
    """Interleaved."""


def pack(packet: Packet) -> bytes:
    """The packet's bytes.

    Raises:
      ValueError: a field is out of range, or the payload has another length than the fields say.
    """
    _check_packet(packet)
    head = HEADER.pack(*packet[:7], float(packet.position), 0, 0)
    return head + packet.payload


def unpack(data: bytes | bytearray | memoryview) -> Packet:
    """The packet that these bytes are.

    Raises:
      ValueError: they are none.
    """
    data = bytes(data)
    if len(data) < HEADER_BYTES:
        raise ValueError(f"a packet of {len(data)} bytes; its header alone has {HEADER_BYTES}")
    kind, flags, channels, layout, opening, samples, controls, position, first, second = HEADER.unpack_from(data)
    if first or second:
        raise ValueError(f"the packet's reserved fields are {first} and {second}; send 0")
    if not (math.isfinite(position) and position == math.floor(position)):
        raise ValueError(f"the packet's position is {position}; send a whole number")
    payload = data[HEADER_BYTES:]
    packet = Packet(kind, flags, channels, layout, opening, samples, controls, int(position), payload)
    _check_packet(packet)
    return packet


def cut(data: bytes, first: int, last: int) -> bytes:
    """A packet with only some of its samples.

    Args:
      data: what `pack` gave.
      first: the first sample to stay.
      last: the sample after the last one to stay; first < last <= its samples.
    """
    packet = unpack(data)
    if not 0 <= first < last <= packet.samples:
        raise ValueError(f"samples {first} to {last} of {packet.samples}; stay within them")
    if last - first == packet.samples:
        return data
    width = 2 * packet.channels
    payload = packet.payload[first * width : last * width]
    flags = packet.flags if first == 0 else packet.flags & ~DISCONTINUITY
    return pack(packet._replace(flags=flags, samples=last - first, position=packet.position + first, payload=payload))


def payload_of(samples: Float[np.ndarray, "samples channels"]) -> bytes:
    """Interleaved int16: rounded to the nearest, held at full scale; what is no number is silence."""
    scaled = np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1.0)
    is_none = np.isnan(scaled)
    return np.where(is_none, 0.0, scaled).astype("<i2").tobytes() if is_none.any() else scaled.astype("<i2").tobytes()


def samples_of(packet: Packet) -> Float[np.ndarray, "samples channels"]:
    """The packet's sound, -1 .. 1."""
    whole = np.frombuffer(packet.payload, "<i2").reshape(packet.samples, packet.channels)
    return whole.astype(np.float32) / np.float32(FULL_SCALE)


def _check_packet(packet: Packet) -> None:
    kind, flags, channels, layout, opening, samples, controls, position, payload = packet
    if kind not in CHANNELS:
        raise ValueError(f"a packet of kind {kind}; send {SOUND} (sound) or {MICROPHONE} (microphone)")
    if not 0 <= flags <= STARVED + DISCONTINUITY:
        raise ValueError(f"a packet with flags {flags}; send 0 to {STARVED + DISCONTINUITY}")
    if channels not in CHANNELS[kind]:
        raise ValueError(f"a packet of kind {kind} with {channels} channels; send one of {CHANNELS[kind]}")
    if layout != 0:
        raise ValueError(f"a packet in format {layout}; send 0 (int16)")
    if not (0 <= opening <= MOST_U32 and 0 <= controls <= MOST_U32):
        raise ValueError(f"a packet of opening {opening} with controls {controls}; send 0 to {MOST_U32}")
    if not 1 <= samples <= MOST_SAMPLES[kind]:
        raise ValueError(f"a packet of {samples} samples; send 1 to {MOST_SAMPLES[kind]}")
    if not 0 <= position <= MOST_WHOLE:
        raise ValueError(f"a packet at position {position}; send 0 to {MOST_WHOLE}")
    if len(payload) != 2 * channels * samples:
        raise ValueError(f"a packet with {len(payload)} bytes of sound; its header says {2 * channels * samples}")


# Messages of a client.

MOST_TEXT_BYTES = 8192
LONGEST_TOKEN = 1000
LONGEST_NAME = 100
MOST_VALUES = 200
LOWEST_LEAD_SECONDS, HIGHEST_LEAD_SECONDS = 0.1, 4.0
MOST_ROUND_TRIP_SAMPLES = 96_000
"""2 s: far more than any sound card takes."""


def _field(check: Callable[[str, Any], Any], default: Any = dataclasses.MISSING) -> Any:
    """A field of a message: what it may be, and its default if it may be left out."""
    return dataclasses.field(default=default, metadata={"check": check})


def _whole(high: int, low: int = 0) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        # A whole float is none the less a number of that size: JSON knows no difference.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or value != math.floor(value):
            raise ValueError(f"{name} is {_show(value)}; send a whole number from {low} to {high}")
        return int(value)

    return check


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:  # a NaN is in no range
            raise ValueError(f"{name} is {_show(value)}; send a number from {low:g} to {high:g}")
        return float(value)

    return check


def _text(longest: int) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise ValueError(f"{name} is {_show(value)}; send text of at most {longest} characters")
        if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"{name} has characters that are none; send text that can be written as UTF-8")
        return value

    return check


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {_show(value)}; send true or false")
    return value


def _word(*words: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"{name} is {_show(value)}; send {' or '.join(words)}")
        return value

    return check


def _value(name: str, value: Any) -> float | int | bool | str | None:
    """What a knob or an action may be given; whether it may is for the board to say."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(MOST_WHOLE, -MOST_WHOLE)(name, value)
    if isinstance(value, float):
        return _number(-float(MOST_WHOLE), float(MOST_WHOLE))(name, value)
    return _text(MOST_TEXT_BYTES)(name, value)


def _values(name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or not 1 <= len(values) <= MOST_VALUES:
        raise ValueError(f"{name} is {_show(values)}; send an object of 1 to {MOST_VALUES} knobs and their values")
    return {_text(LONGEST_NAME)("a knob's name", knob): _value(f"{name}: {knob}", value) for knob, value in values.items()}


def _resume(name: str, value: Any) -> Resume | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {_show(value)}; send null, or an object with opening and position")
    return _read_fields(Resume, name, value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume:
    """Where a page wants to go on after its socket was lost."""

    opening: int = _field(_whole(MOST_U32))
    """Of the page card."""
    position: int = _field(_whole(MOST_WHOLE))
    """Device sample that it needs next."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hello:
    """The first message."""

    token: str = _field(_text(LONGEST_TOKEN))
    """As minted by `tokens.Tokens`."""
    resume: Resume | None = dataclasses.field(default=None, metadata={"check": _resume})
    """None for a page that has just been opened."""
    lead: float = _field(_number(LOWEST_LEAD_SECONDS, HIGHEST_LEAD_SECONDS), 0.4)
    """Seconds of sound that are made ahead."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Set:
    """Turns knobs: all of them or none."""

    id: int = _field(_whole(MOST_WHOLE))
    """The client's own; comes back with what becomes of it."""
    values: dict[str, Any] = dataclasses.field(metadata={"check": _values})
    """By name; float, int, bool, str or None, not yet checked by the board."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Act:
    """Asks for an action."""

    id: int = _field(_whole(MOST_WHOLE))
    """The client's own."""
    name: str = _field(_text(LONGEST_NAME))
    """Of the action."""
    value: float | int | bool | str | None = _field(_value, None)
    """What it takes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What the page plays now; ten times a second."""

    opening: int = _field(_whole(MOST_U32))
    """Of the page card."""
    position: int = _field(_whole(MOST_WHOLE))
    """Device sample that is being rendered."""
    queued: int = _field(_whole(MOST_WHOLE))
    """Samples in the page's ring."""
    is_playing: bool = _field(_switch)
    """False while the page stands still: paused, suspended, or filling its ring."""
    output_delay: float = _field(_number(0.0, 10.0), 0.0)
    """Seconds from rendering a sample until it sounds, as the browser says; 0 if it does not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Starved:
    """The page's ring ran dry."""

    opening: int = _field(_whole(MOST_U32))
    """Of the page card."""
    position: int = _field(_whole(MOST_WHOLE))
    """Device sample that was not there."""
    samples: int = _field(_whole(MOST_WHOLE))
    """Samples of silence in its place, so far."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Play:
    """The music goes on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pause:
    """The music stands still."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lead:
    """How much is made ahead."""

    seconds: float = _field(_number(LOWEST_LEAD_SECONDS, HIGHEST_LEAD_SECONDS))
    """0.1 .. 4."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Measures the round trip with a sweep."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """How late the microphone is, as measured before."""

    samples: int = _field(_whole(MOST_ROUND_TRIP_SAMPLES))
    """From rendering a sample until it comes in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """Starts or stops a recording."""

    state: str = _field(_word("start", "stop"))
    """One of the two."""
    has_microphone: bool = _field(_switch, False)
    """Whether the microphone gets a file of its own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forget:
    """An uploaded prompt is no longer needed."""

    prompt: str = _field(_text(LONGEST_NAME))
    """"@" and 32 hexadecimal digits."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ping:
    """Asks for a pong."""

    at: float = _field(_number(-float(MOST_WHOLE), float(MOST_WHOLE)))
    """The client's time, whatever its unit; it comes back."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leave:
    """Ends the performance."""


Message = (
    Hello | Set | Act | Report | Starved | Play | Pause | Lead | Calibrate | RoundTrip | Record | Forget | Ping | Leave
)
MESSAGES: dict[str, type] = {
    "hello": Hello,
    "set": Set,
    "act": Act,
    "report": Report,
    "starved": Starved,
    "play": Play,
    "pause": Pause,
    "lead": Lead,
    "calibrate": Calibrate,
    "round_trip": RoundTrip,
    "record": Record,
    "forget": Forget,
    "ping": Ping,
    "leave": Leave,
}


def read_message(text: str | bytes) -> Message:
    """The message that a client sent.

    Args:
      text: at most 8 kB of UTF-8.
    Raises:
      ValueError: it is none; says what is wrong with it.
    """
    try:
        size = len(text if isinstance(text, bytes) else text.encode())
    except UnicodeEncodeError as error:
        raise ValueError("the message has characters that are none; send text that can be written as UTF-8") from error
    if size > MOST_TEXT_BYTES:
        raise ValueError(f"a message of {size} bytes; send at most {MOST_TEXT_BYTES}")
    try:
        values = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # too deep, too many digits, or no JSON at all
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:100]
        raise ValueError(f"the message cannot be read ({reason}); send one JSON object") from error
    kind = values.get("type") if isinstance(values, dict) else None
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise ValueError(f"a message of type {_show(kind)}; send an object whose type is one of {', '.join(MESSAGES)}")
    return _read_fields(MESSAGES[kind], kind, {name: value for name, value in values.items() if name != "type"})


def write_message(message: Message) -> str:
    """The text of a message, for clients in Python: what `read_message` takes."""
    kind = next(kind for kind, made in MESSAGES.items() if made is type(message))
    return json.dumps({"type": kind, **dataclasses.asdict(message)}, allow_nan=False)


def _read_fields(made: type, kind: str, values: dict[str, Any]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(made)}
    unknown = [name for name in values if name not in fields]
    if unknown:
        known = ", ".join(fields) or "nothing"
        raise ValueError(f"{kind} came with {_show(unknown[0])}; it takes {known}")
    missing = [name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING]
    if missing:
        raise ValueError(f"{kind} came without {missing[0]}; send {', '.join(fields)}")
    checked = {name: fields[name].metadata["check"](f"{kind}: {name}", value) for name, value in values.items()}
    return made(**checked)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _show(value: Any) -> str:
    """A value for a message to people: short, and safe however deep or long it is."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and abs(value) > 10**20:
        return "a number of more than 20 digits"
    shown = ascii(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."


