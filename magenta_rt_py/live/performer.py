"""Performer: everything between the sound card's input and the mix that the model hears.

    captured block -> where it was heard (alignment) -> how much later it counts (loops) -> injection
    own sound      ------------------------------------------------------------------->  injection -> mix
                   \\-> live prompt: the last seconds, as a prompt of their own

Stateful shell around pure parts; one thread uses it. Nothing that comes in here goes out to a loudspeaker.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live import alignment, injection, live_prompt, loops, track
from magenta_rt_py.live.card import Captured
from magenta_rt_py.live.output import LOUDEST_INPUT
from magenta_rt_py.live.transport import Transport

__all__ = ["Performer"]

FRAME_SAMPLES = 1920
CONTEXT_FRAMES = 250
"""What the model hears at once."""
ABSENT = {"input_gain": 0.0, "feedback": 1.0}
"""Gains of who is switched off or not there: the mix is what was played. They move there and back as to any other value."""


class Performer:
    """One instrument at one input.

    Attributes:
      round_trip_samples: from writing a sample to its coming back in, without the queue; by calibration.
      prompt: state of the live audio prompt.
      late_samples: samples that came too late for their place.
    """

    def __init__(self, *, round_trip_samples: int = 0, start_frame: int = 0) -> None:
        """Nothing heard yet."""
        self.round_trip_samples = round_trip_samples
        self.prompt = live_prompt.init_state()
        self.prompt_config = live_prompt.LivePromptConfig()
        self._alignment = alignment.init_state(round_trip_samples=round_trip_samples)
        self._opening = 0
        self._loops = loops.init_state()
        self._settings = injection.InjectionSettings(**ABSENT)
        self._injection = injection.init_state(start_frame=start_frame, settings=self._settings)
        self._is_on, self._mixed_until = True, -math.inf  # stream frame after the last one that anything was mixed into

    @property
    def late_samples(self) -> int:
        """Samples of the performer that came after their place had been settled, and were lost."""
        return self._injection.late_samples

    def set(self, values: Mapping[str, Any], transport: Transport, frame: int, delay_samples: int) -> None:
        """Takes the knobs as they are now.

        Args:
          values: of the board; its inject/... knobs.
          transport: its tempo and bars are the loop's.
          frame: stream frame that is heard now.
          delay_samples: from playing until the end of the context being made then; a loop must be longer.
        """
        self._is_on = values["inject/on"]
        self._settings = injection.InjectionSettings(
            input_gain=values["inject/gain"], feedback=values["inject/feedback"], gap_seconds=values["inject/gap"]
        )
        wanted = loops.FREE
        if values["inject/loop_beats"]:
            beats, bpm = values["inject/loop_beats"], transport.bpm_at(frame)
            wanted = loops.Loop(beats=beats, bpm=bpm).repeats_for(delay_samples)
        newest = self._loops.loop if self._loops.waiting is None else self._loops.waiting
        if wanted != newest:
            beat = transport.beat_at(frame)
            self._loops = loops.request(self._loops, wanted, beat, beats_per_bar=transport.beats_per_bar)

    def hear(self, captured: Sequence[Captured], transport: Transport) -> None:
        """Takes what came in."""
        late_samples = self._injection.late_samples
        for block in captured:
            if block.opening != self._opening:
                continue
            for part in alignment.place(self._alignment, block.device_start, len(block.samples)):
                samples = _numbers(block.samples[part.first : part.last])
                where = np.arange(part.stream_start, part.stream_start + len(samples)) / FRAME_SAMPLES
                self._loops, offsets = loops.step(self._loops, transport.beats(where))
                self._injection = injection.hear(self._injection, part.stream_start, samples, offsets)
                if part.stream_start >= 0:
                    self.prompt = live_prompt.hear(self.prompt_config, self.prompt, part.stream_start, samples)
        if not self._is_on:  # nobody waited for it
            self._injection = self._injection._replace(late_samples=late_samples)

    def play(self, start_sample: int, samples: Float[np.ndarray, "samples 2"]) -> None:
        """The model's own sound, surely to be played from a stream sample on."""
        self._injection = injection.play(self._injection, start_sample, _numbers(samples))

    def wrote(self, opening: int, stream_start: int | None, samples: int) -> None:
        """Samples were written to the card: which part of the stream they are, None for a concealment."""
        if opening != self._opening:
            self._opening = opening
            self._alignment = alignment.init_state(round_trip_samples=self.round_trip_samples)
        self._alignment = alignment.advance(self._alignment, stream_start, samples)

    def mix(self, end_frame: int, *, played_until_frame: int) -> injection.Mix:
        """The mix from the last settled frame to `end_frame`; own sound after `played_until_frame` may change again."""
        self._injection, mix = injection.mix(
            self._injection, self._settings_at(end_frame), end_frame, played_until_frame=played_until_frame
        )
        places = np.flatnonzero(mix.is_mixed)
        last = mix.start_frame + int(places[-1]) + 1 if len(places) else min(self._mixed_until, mix.start_frame)
        self._mixed_until = last
        return mix

    def is_left_out(self, end_frame: int) -> bool:
        """Whether a context that ends at a frame is the model's own: the performer is switched off or not there, and nothing
        mixed in is left in it."""
        return not self._is_let_in(end_frame) and end_frame - self._mixed_until >= CONTEXT_FRAMES

    def _is_let_in(self, end_frame: int) -> bool:
        """Whether the performer is switched on, and anything came in that a context with this end could hold. A page without
        a microphone sends nothing."""
        end = self._injection.performer.end
        return self._is_on and end is not None and end > (end_frame - CONTEXT_FRAMES) * FRAME_SAMPLES

    def _settings_at(self, end_frame: int) -> injection.InjectionSettings:
        """The knobs' settings, with the gains of who is not let in where that is so."""
        return self._settings if self._is_let_in(end_frame) else dataclasses.replace(self._settings, **ABSENT)

    def turn(self, frame: int) -> None:
        """The music has another past from a frame on: what was mixed into the old one counts no more."""
        fresh = injection.init_state(start_frame=frame, settings=self._settings_at(frame))
        before = frame * FRAME_SAMPLES
        self._injection = fresh._replace(
            performer=track.forget(self._injection.performer, before),
            played=track.forget(self._injection.played, before),
            late_samples=self._injection.late_samples,
        )
        self._mixed_until = -math.inf

    def level(self, *, gain: float, feedback: float) -> None:
        """Overrides the knobs of the mix during an intro; a performer who is switched off stays so."""
        self._settings = dataclasses.replace(self._settings, input_gain=gain, feedback=feedback)


def _numbers(samples: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "samples 2"]:
    """The samples, silent where they are no finite numbers, and none so loud that it would upset the encoder."""
    return np.clip(np.nan_to_num(samples, posinf=0.0, neginf=0.0), -LOUDEST_INPUT, LOUDEST_INPUT)
