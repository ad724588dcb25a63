"""Alignment: which moment of the stream the performer heard while playing an input sample.

A sound card counts samples from the moment it is opened, one count for what it plays and what it records. The stream
counts its own. The two part when an underrun is concealed, when the stream pauses, and when another card is opened:

    device sample   0           480          960 (concealed)  1440
    stream sample   96000       96480        none             96960

An input sample with device number d was played to what the loudspeaker gave `round_trip_samples` before: the card's own
buffers both ways and the air. So it belongs to the stream sample that device sample d - round_trip_samples carried, and
stays there whatever happens later. What was played to a concealed gap belongs to no moment of the stream.

Pure: an alignment is immutable and `advance` is its step.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REMEMBERED_SAMPLES", "Alignment", "Placed", "advance", "init_state", "place"]

REMEMBERED_SAMPLES = 60 * 48_000
"""How far back inputs can be placed: far longer than any round trip."""


class Stretch(NamedTuple):
    """Device samples that carried consecutive stream samples."""

    device_start: int
    """Device sample of the first one."""
    stream_start: int | None
    """Stream sample it carried; None where the stream stood still."""


class Placed(NamedTuple):
    """A part of an input block and its place in the stream."""

    stream_start: int
    """Stream sample of its first sample."""
    first: int
    """Its first sample in the block."""
    last: int
    """The sample after its last one in the block."""


class Alignment(NamedTuple):
    """What one opened sound card has played so far."""

    round_trip_samples: int
    """From a sample's being handed to the card until it is heard and comes back in; measured by a calibration."""
    stretches: tuple[Stretch, ...] = ()
    device_end: int = 0
    """Device samples played so far."""


def init_state(*, round_trip_samples: int) -> Alignment:
    """The alignment of a card that was just opened, at device sample 0.

    Args:
      round_trip_samples: 0 or more.
    Raises:
      ValueError: the round trip is negative.
    """
    if round_trip_samples < 0:
        raise ValueError(f"round trip is {round_trip_samples} samples; it is 0 or more: calibrate again")
    return Alignment(round_trip_samples)


def advance(alignment: Alignment, stream_start: int | None, samples: int) -> Alignment:
    """Notes the next samples that were handed to the card.

    Args:
      alignment: of the card.
      stream_start: stream sample of the first of them; None if they are a concealment or a pause.
      samples: how many.
    """
    if samples <= 0:
        return alignment
    stretches, start = alignment.stretches, alignment.device_end
    if not stretches or stretches[-1].stream_start != _expected(stretches[-1], start, stream_start):
        stretches = (*stretches, Stretch(start, stream_start))
    oldest = start - REMEMBERED_SAMPLES
    while len(stretches) > 1 and stretches[1].device_start <= oldest:
        stretches = stretches[1:]
    return Alignment(alignment.round_trip_samples, stretches, start + samples)


def _expected(last: Stretch, start: int, stream_start: int | None) -> int | None:
    """What the last stretch would have to begin with if the new samples are to continue it."""
    return None if stream_start is None else stream_start - (start - last.device_start)


def place(alignment: Alignment, device_start: int, samples: int) -> list[Placed]:
    """Places an input block in the stream.

    Args:
      alignment: of the card, with everything that was played before the block came in.
      device_start: device sample that was handed out together with the block's first sample.
      samples: its length.
    Returns:
      its parts in order, without those that were played to no moment of the stream.
    """
    heard_from = device_start - alignment.round_trip_samples
    heard_to = heard_from + samples
    parts: list[Placed] = []
    ends = [stretch.device_start for stretch in alignment.stretches[1:]] + [alignment.device_end]
    for stretch, end in zip(alignment.stretches, ends, strict=True):
        low, high = max(heard_from, stretch.device_start), min(heard_to, end)
        if stretch.stream_start is not None and low < high:
            stream_start = stretch.stream_start + low - stretch.device_start
            parts.append(Placed(stream_start, low - heard_from, high - heard_from))
    return parts
