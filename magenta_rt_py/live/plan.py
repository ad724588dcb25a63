"""Plan: the numbers that make one live system out of the engine."""

from __future__ import annotations

import dataclasses
import math

from magenta_rt_py.live.overload import Overload


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """When requests are made and what they cover; immutable.

        unit        t .......... t+a ................. t+a+G
        request k   |            [ new payload        ]
        request k+1      t+I .......... t+I+a ................. t+I+a+G
                                        [ takes over  ]  the rest of k is backup

    Source: (I, GL) from Real-Time Language Model Jamming (RTAS 2026), section IV; look-ahead and commit generalise it to
    the other systems, which are the presets below.
    """

    unit_seconds: float
    """Length of a unit in seconds: 0.04 for a codec frame, 15 / bpm for a sixteenth."""
    interval: int
    """I: units from one request to the next. Ignored by triggers that wait for an event."""
    look_ahead: int
    """a: units from the moment of asking to the first unit asked for. 0 means: needed now."""
    horizon: int
    """G: units a request yields. What reaches beyond the next request's start is backup."""
    context: int
    """H: units before the moment of asking that the generator reads."""
    commit: int = 0
    """Units ahead of the one being played that are already handed on (to a sound card) and are never rewritten."""
    overload: Overload = Overload.LATEST
    """What becomes of requests that come while the device is busy."""
    chained: bool = False
    """Each request goes on from the very units that are played before it: see `chain.py`. Time stands still when there is
    nothing to play, and the device is asked when it is free and the interval is over."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.unit_seconds) and self.unit_seconds > 0):
            raise ValueError(f"unit_seconds is {self.unit_seconds!r}; give a positive number of seconds")
        for name, least in (("interval", 1), ("look_ahead", 0), ("horizon", 1), ("context", 0), ("commit", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; give a whole number of units, at least {least}")

    @property
    def has_backup(self) -> bool:
        """Whether a request still has something to play when its successor is late."""
        return self.horizon > self.interval


def codec_frames(*, hop: int, look_ahead: int, horizon: int = 50) -> Plan:
    """The codec language model: 40 ms frames, a request every hop, ten seconds of context, requests chained.

    Source: Live Music Models, section 2.3, which has hop = horizon = 50; shorter hops with backup are ours.
    """
    return Plan(unit_seconds=0.04, interval=hop, look_ahead=look_ahead, horizon=horizon, context=250, chained=True)


def accompaniment(*, bpm: float, interval: int, generation_length: int) -> Plan:
    """Symbolic accompaniment on sixteenths, first in, first out.

    Args:
      bpm: beats a minute.
      interval: sixteenths between requests.
      generation_length: interleaved frames as in the paper's Table III (3, 5, 9, 15): melody and accompaniment take
        turns, so that (length + 1) / 2 of them are accompaniment.
    Source: Real-Time Language Model Jamming (RTAS 2026), sections IV-A and V.
    """
    return Plan(
        unit_seconds=15.0 / bpm,
        interval=interval,
        look_ahead=1,
        horizon=(generation_length + 1) // 2,
        context=192,
        overload=Overload.FIFO,
    )


def audio_blocks(*, block_seconds: float, look_ahead: int = 1, context: int = 4) -> Plan:
    """Accompaniment by latent diffusion: one block a request, asked one block ahead, dropped when busy.

    Source: arXiv 2604.07612 (look-ahead w = 1, step r = 1 / context).
    """
    return Plan(
        unit_seconds=block_seconds, interval=1, look_ahead=look_ahead, horizon=1, context=context, overload=Overload.DROP
    )


def phrases(*, bpm: float, turn_bars: int = 4) -> Plan:
    """Trading phrases: 24 ticks a beat, one request a turn, the human's last turn as context.

    Source: arXiv 2606.21018, four beats a bar.
    """
    turn = turn_bars * 4 * 24
    return Plan(unit_seconds=60.0 / bpm / 24, interval=2 * turn, look_ahead=0, horizon=turn, context=turn)


def tapped_notes(*, expected_seconds: float = 0.25, horizon: int = 1, context: int = 16) -> Plan:
    """A melody tapped out: a note a tap. The unit is a note; `expected_seconds` is the usual time between taps."""
    return Plan(unit_seconds=expected_seconds, interval=1, look_ahead=0, horizon=horizon, context=context)
