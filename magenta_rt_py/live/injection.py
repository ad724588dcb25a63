"""Injection: a performer's sound, mixed into what the model believes it has heard.

    stream time           settled        received      context ends
    played        o o o o o o|o o o o o o o o o o o o o o|
    performer     p p p p p p|p p p p p p p \\ . . . . . .|   free: where it was heard; not yet received is silence
    performer     q q q q q q|q q q q q q q q q q q q q q|   looper: one loop later, so that the context is full
    mixed         to the encoder once | again at every request, as more comes in

Everything has its place by stream sample: sound played at stream sample t is mixed in at t + offset, 0 in free mode and
the loop's length in looper mode (`loops.py`). What the encoder has got for good is *settled*; the rest is provisional.
The performer's sound goes to the encoder and nowhere else: nothing here returns any of it for playback.

Pure: an InjectionState is immutable, so an old one may be kept as a snapshot and gone back to.
Source: Live Music Models, section 4.2 and Appendix E. What differs: requests of any length, a mix by absolute stream
sample and not by buffer, and sound that only needs encoding once.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from magenta_rt_py.live import ramp, track

__all__ = ["InjectionSettings", "InjectionState", "Mix", "hear", "init_state", "mix", "play"]

SAMPLES_A_SECOND = 48_000
FRAME_SAMPLES = 1920


@dataclasses.dataclass(frozen=True, kw_only=True)
class InjectionSettings:
    """How performer and model are mixed. Source of ranges: the released notebook's sliders, as facts."""

    input_gain: float = 1.0
    """Amplitude factor of the performer in the mix, 0 .. 4; 0 is off."""
    feedback: float = 0.95
    """Amplitude factor of the model's own sound in the mix, 0 .. 1 (released: 0.95 after the intro)."""
    gap_seconds: float = 0.0
    """The performer is silent in the last so many seconds of the context, 0 .. 2: the model copies less (released: 0.4
    for a microphone)."""
    ramp_samples: int = 100
    """Samples over which the performer rises after a gap and falls before one, linearly (released: 100)."""
    patience_seconds: float = 6.0
    """Sound that has not been received so long after its moment is taken as silence, 1 .. 10; late sound is counted."""

    def __post_init__(self) -> None:
        _check_range("input_gain", self.input_gain, 0.0, 4.0)
        _check_range("feedback", self.feedback, 0.0, 1.0)
        _check_range("gap_seconds", self.gap_seconds, 0.0, 2.0)
        _check_range("ramp_samples", float(self.ramp_samples), 0.0, 4800.0)
        _check_range("patience_seconds", self.patience_seconds, 1.0, 10.0)


class InjectionState(NamedTuple):
    """What is carried from request to request."""

    performer: track.Track
    """The performer's sound at the places where it is mixed in."""
    played: track.Track
    """What was played, or is surely about to be."""
    settled_frame: int
    """Stream frame up to which the mix has been handed out for good."""
    input_gain: float
    """Gain at the settled frame; it moves to the setting by a ramp."""
    feedback: float
    """The same, of the model's own sound."""
    late_samples: int
    """Samples of the performer that came after their place had been settled, and were lost."""


class Mix(NamedTuple):
    """What the codec's encoder is to hear next: it goes on from where the last mix was settled."""

    start_frame: int
    """Stream frame of the first sample."""
    samples: Float[np.ndarray, "samples 2"]
    """Performer and model; whole frames, at 48 kHz."""
    settled_frames: int
    """So many of the first frames are final. The others come again in the next mix: encode them from a copy of the state."""
    is_mixed: Bool[np.ndarray, "frames"]
    """Whether a frame differs from what was played; where it does not, its codes are known already."""


def init_state(*, start_frame: int = 0, settings: InjectionSettings | None = None) -> InjectionState:
    """Nothing heard and nothing played; the mix begins at `start_frame` with the gains of `settings`."""
    chosen = settings or InjectionSettings()
    return InjectionState(track.EMPTY, track.EMPTY, start_frame, chosen.input_gain, chosen.feedback, 0)


def hear(
    state: InjectionState,
    start_sample: int,
    samples: Float[np.ndarray, "samples channels"],
    offsets: Int[np.ndarray, "samples"] | None = None,
) -> InjectionState:
    """Takes what the performer played.

    Args:
      state: of the injection.
      start_sample: stream sample that the performer heard with the first sample (`alignment.place`).
      samples: one or two channels, finite.
      offsets: samples by which each one is mixed in later, 0 or more: `loops.step`. None is free mode, all 0.
    """
    bounds = [0, len(samples)]
    if offsets is not None:
        bounds[1:1] = (np.flatnonzero(np.diff(offsets)) + 1).tolist()
    performer, late = state.performer, 0
    for first, last in itertools.pairwise(bounds):
        start = start_sample + first + (0 if offsets is None or first == last else int(offsets[first]))
        late += min(last - first, max(0, state.settled_frame * FRAME_SAMPLES - start))
        performer = track.write(performer, start, samples[first:last])
    return state._replace(performer=performer, late_samples=state.late_samples + late)


def play(state: InjectionState, start_sample: int, samples: Float[np.ndarray, "samples channels"]) -> InjectionState:
    """Takes what is being played from stream sample `start_sample` on; it replaces what was to be played there.

    Own history is what was played: after an underrun, give what the loudspeaker really got.
    """
    room = track.erase(state.played, start_sample, start_sample + len(samples))
    return state._replace(played=track.write(room, start_sample, samples))


def mix(
    state: InjectionState, settings: InjectionSettings, end_frame: int, *, played_until_frame: int | None = None
) -> tuple[InjectionState, Mix]:
    """Mixes what the encoder has not got for good, up to the end of the context.

    Args:
      state: of the injection.
      settings: as they are now; gains move to them by a ramp that begins at the settled frame.
      end_frame: stream frame after the context's last one; not before the settled frame.
      played_until_frame: what lies after it may still be replaced by `play`, and stays provisional. None: nothing may.
    Returns:
      the next state, and the mix from the settled frame to `end_frame`.
    Raises:
      ValueError: `end_frame` has been settled already.
    """
    start_frame = state.settled_frame
    if end_frame < start_frame:
        raise ValueError(f"a mix up to frame {end_frame}, but {start_frame} are settled; go back by a kept InjectionState")
    start, end = start_frame * FRAME_SAMPLES, end_frame * FRAME_SAMPLES
    played = track.read(state.played, start, end)
    played_until = end_frame if played_until_frame is None else min(end_frame, played_until_frame)
    settled = max(start_frame, min(played_until, _final_frame(state, settings, end_frame)))
    count = (settled - start_frame) * FRAME_SAMPLES
    if _is_only_played(state, settings):
        following = _settle(state, settled, ramp.step(state.input_gain, settings.input_gain, count)[0], state.feedback)
        return following, Mix(start_frame, played, settled - start_frame, np.zeros(end_frame - start_frame, bool))

    performer = track.read(state.performer, start, end, ramp_samples=settings.ramp_samples)
    gap_samples = round(settings.gap_seconds * SAMPLES_A_SECOND)
    performer = _with_gap(performer, gap_samples, settings.ramp_samples)
    input_gain, input_gains = _gains(state.input_gain, settings.input_gain, count, len(played))
    feedback, feedbacks = _gains(state.feedback, settings.feedback, count, len(played))
    mixed = performer * input_gains + played * feedbacks
    is_mixed = (mixed != played).reshape(end_frame - start_frame, FRAME_SAMPLES * track.CHANNELS).any(axis=1)
    following = _settle(state, settled, input_gain, feedback)
    return following, Mix(start_frame, mixed, settled - start_frame, is_mixed)


def _is_only_played(state: InjectionState, settings: InjectionSettings) -> bool:
    """Whether the mix is what was played, sample for sample: nobody is let in, or nobody is there."""
    is_alone = not state.performer.runs or state.input_gain == settings.input_gain == 0.0
    return is_alone and state.feedback == settings.feedback == 1.0


def _settle(state: InjectionState, settled_frame: int, input_gain: float, feedback: float) -> InjectionState:
    """What comes before a frame has been handed out for good; these are the gains there."""
    before = settled_frame * FRAME_SAMPLES
    return state._replace(
        performer=track.forget(state.performer, before),
        played=track.forget(state.played, before),
        settled_frame=settled_frame,
        input_gain=input_gain,
        feedback=feedback,
    )


def _final_frame(state: InjectionState, settings: InjectionSettings, end_frame: int) -> int:
    """Stream frame before which no sound of the performer can change any more."""
    if state.input_gain == 0.0 and settings.input_gain == 0.0:
        return end_frame
    end = end_frame * FRAME_SAMPLES
    received = state.settled_frame * FRAME_SAMPLES if state.performer.end is None else state.performer.end
    final = min(end, received - settings.ramp_samples)
    if settings.gap_seconds:
        final = min(final, end - round(settings.gap_seconds * SAMPLES_A_SECOND) - settings.ramp_samples)
    return max(final, end - round(settings.patience_seconds * SAMPLES_A_SECOND)) // FRAME_SAMPLES


def _with_gap(
    performer: Float[np.ndarray, "samples 2"], gap_samples: int, ramp_samples: int
) -> Float[np.ndarray, "samples 2"]:
    """Falls to silence before the last `gap_samples`; an array of its own, what is stored is never touched."""
    if not gap_samples:
        return performer
    left = len(performer) - gap_samples - np.arange(len(performer))  # samples until the gap begins
    weights = np.clip(left / (ramp_samples + 1), 0.0, 1.0).astype(np.float32)
    return performer * weights[:, None]


def _gains(gain: float, target: float, settled: int, samples: int) -> tuple[float, Float[np.ndarray, "samples 1"]]:
    """The gain after the settled samples, and the gains of all of them and of the provisional ones."""
    after, gains = ramp.step(gain, target, settled)
    _, provisional = ramp.step(after, target, samples - settled)
    return after, np.concatenate([gains, provisional]).astype(np.float32)[:, None]


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")
