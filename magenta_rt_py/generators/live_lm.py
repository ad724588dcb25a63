"""The codec language model in the live engine: frames on request, and the sound of the frames that are played.

    request (history, conditioning, start, length) -> LiveLM.generate -> frames        on the device's thread
    frames that are surely played, in order        -> LiveSound.render -> sound        on the player's thread

Frames are generated beyond the next request and thrown away when it is in time; only what is played is ever decoded, so
the codec's state runs through the whole performance and nothing has to be joined.
Source: Live Music Models, section 2.3. What differs: requests of any length, from any point, see `live/chain.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.generators import codec_lm, hearing, sound_batch
from magenta_rt_py.generators.live_batch import LiveBatch, Made, Part
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.sound_batch import SoundBatch, Stream
from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_SAMPLES, MISSING, LiveState
from magenta_rt_py.live import transport
from magenta_rt_py.live.frame import Conditioning, Frame
from magenta_rt_py.live.generator import Kind, Request
from magenta_rt_py.live.injection import Mix
from magenta_rt_py.lm import clock as metrical_clock
from magenta_rt_py.lm import decode, vocabulary

__all__ = ["HeardMix", "LiveLM", "LiveSound", "make_chunk", "preroll"]


class HeardMix(NamedTuple):
    """What the performer adds to a request."""

    mix: Mix
    """Sound since the last settled frame, up to the request's start."""
    codes: Int[np.ndarray, "context levels"] | None = None
    """The context that came out of it when it was first served: a replay goes by it and encodes nothing."""


class LiveLM:
    """A `live.generator.BatchGenerator` over a bundle's language model.

    Its only state is what the performer's sound came to.

    Attributes:
      heard_context: of the newest request with injection: the context that the model was given; for the event log.
      batch: of the newest request: size of the batch that it was served in, and its place there; for the event log.
    """

    def __init__(
        self, models: Models, *, lengths: Sequence[int] = (CHUNK_FRAMES,), together: LiveBatch | None = None
    ) -> None:
        """Nothing is compiled yet, see `warm_up`.

        Args:
          models: the loaded models.
          lengths: frames of the programs that requests are served with: the shortest that is long enough, cut. The
            chunk's is always among them.
          together: what serves requests of several sessions at once; None serves this one alone.
        """
        self.models = models
        self.lengths = tuple(sorted({*lengths, models.lm_config.chunk_frames}))
        self.heard_context: Int[np.ndarray, "context levels"] | None = None
        self.batch: tuple[int, int] | None = None
        self._together = together or LiveBatch(models)
        self._hearing: hearing.HearingState | None = None

    def generate(self, request: Request) -> list[Frame]:
        """See Generator. `request.controls` is a Conditioning, `request.heard` a HeardMix or None."""
        (made,) = self.run([self.begin(request)])
        return self.end(request, made)

    def kind(self, request: Request) -> Kind:
        """See BatchGenerator."""
        context = self.models.lm_config.context_frames
        is_full = len(request.history) >= context and request.history[-context] is not None
        rows, strength = 2 if request.heard is None else 3, None
        if self.models.adapted is not None:
            strength = request.controls.adapter_strength
        return self._together.kind(rows, self._program(request.length, is_full=is_full), strength)

    def begin(self, request: Request) -> Part:
        """See BatchGenerator."""
        conditioning: Conditioning = request.controls
        own, context_clock = self._context(request.history)
        if not conditioning.has_clock:  # in training both were unset, or the context's alone, and never the other way
            context_clock = metrical_clock.unset_clock(len(context_clock))
        mixed = None if request.heard is None else self._mixed(request, own)
        length = self._program(request.length, is_full=bool(own[0, 0] != MISSING))
        clock = _clock_ahead(conditioning, request.start, length)
        return self._part(request, own, mixed, context_clock, clock)

    def run(self, parts: Sequence[Part]) -> list[Made]:
        """See BatchGenerator."""
        return self._together.run(parts)

    def end(self, request: Request, made: Made) -> list[Frame]:
        """See BatchGenerator."""
        self.batch = made.batch
        count = min(request.length, len(made.codes))
        beats, tempos = _positions(request.controls, request.start, count)
        return [Frame(made.codes[place], float(beats[place]), float(tempos[place])) for place in range(count)]

    def warm_up(self, *, with_input: bool = False) -> None:
        """Compiles the programs, or reads them from the compilation cache.

        Args:
          with_input: those for guidance towards a performer, and the codec's encoder, too.
        """
        if with_input:
            silence = np.zeros((1, 2 * FRAME_SAMPLES, 2), np.float32)
            self.models.codec.encode_step(self.models.codec.init_encode_state(1), silence)
        own, context_clock = self._context(())
        conditioning = Conditioning(1.0, 0, 0.0, 0.0, None, transport.start(120.0))
        for length in self.lengths:
            clock, request = _clock_ahead(conditioning, 0, length), Request(0, 0, 0, length, controls=conditioning)
            for mixed in (None, own) if with_input else (None,):
                part = self._part(request, own, mixed, context_clock, clock)
                for size in self._together.sizes:
                    self.run([part] * size)

    def _program(self, length: int, *, is_full: bool) -> int:
        """Until ten seconds of context are full the model is run at the length it was trained with."""
        if not is_full:
            return self.models.lm_config.chunk_frames
        return next((known for known in self.lengths if known >= length), self.lengths[-1])

    def _context(
        self, history: Sequence[Frame | None]
    ) -> tuple[Int[np.ndarray, "context levels"], Float[np.ndarray, "context features"]]:
        """Codes and clock of the last ten seconds; missing where nothing was played."""
        config = self.models.lm_config
        codes = np.full((config.context_frames, self.models.num_levels), MISSING, np.int32)
        clock = metrical_clock.unset_clock(config.context_frames)
        known = [(place, frame) for place, frame in enumerate(history, config.context_frames - len(history)) if frame]
        if known:
            places = np.array([place for place, _ in known])
            levels = len(known[0][1].codes)
            codes[places, :levels] = np.stack([frame.codes for _, frame in known])
            beats, tempos = (np.array(values) for values in zip(*((frame.beat, frame.bpm) for _, frame in known)))
            is_timed = np.isfinite(beats) & np.isfinite(tempos)
            if is_timed.any():  # the rows of sound from elsewhere, whose beat nobody knows, stay unset
                clock[places[is_timed]] = _clock_rows(beats[is_timed], tempos[is_timed])
        return codes, clock

    def _mixed(self, request: Request, own: Int[np.ndarray, "context levels"]) -> Int[np.ndarray, "context mixed_levels"]:
        """The context with the performer in it."""
        heard: HeardMix = request.heard
        if heard.codes is not None:
            return heard.codes
        frames = len(heard.mix.is_mixed)
        if self._hearing is None or self._hearing.settled_frame != heard.mix.start_frame:
            # The first request with a performer, or the first one after a jump: until now only the own codes were heard.
            before = np.full_like(own, MISSING)
            before[min(frames, len(own)) :] = own[: max(0, len(own) - frames)]
            self._hearing = hearing.init_state(self.models, before, end_frame=heard.mix.start_frame)
        mix = heard.mix
        own_codes = np.full((frames, own.shape[1]), MISSING, np.int32)
        kept = min(frames, len(own))
        own_codes[frames - kept :] = own[len(own) - kept :]
        self._hearing, context = hearing.step(self.models, self._hearing, mix, own_codes)
        self.heard_context = context[:, : self.models.lm_config.context_levels]
        return context

    def _part(
        self,
        request: Request,
        own: Int[np.ndarray, "context levels"],
        mixed: Int[np.ndarray, "context mixed_levels"] | None,
        context_clock: Float[np.ndarray, "context features"],
        clock: Float[np.ndarray, "frames features"],
    ) -> Part:
        config, conditioning = self.models.lm_config, request.controls
        style = None if conditioning.style is None else np.array(conditioning.style, np.int32)
        if mixed is None:
            tokens = _two_rows(own, style, config)
        else:
            tokens = hearing.three_rows(mixed, own[:, : mixed.shape[1]], style, config)
        knobs = decode.Controls(
            temperature=np.float32(conditioning.temperature),
            top_k=np.int32(conditioning.top_k),
            guidance_weight=np.float32(conditioning.guidance_weight),
            input_guidance_weight=np.float32(conditioning.input_guidance_weight),
            context_clock=context_clock,
            target_clock=clock,
        )
        strength = None if self.models.adapted is None else conditioning.adapter_strength
        return Part(tokens, knobs, request.seed, request.start, request.batch, strength)


class LiveSound:
    """The sound of the frames that are played (stateful: the codec's state runs on from frame to frame).

    Attributes:
      is_coarse: whether the finer levels are left out, to save time.
      width: see `live.session_parts.Sound`.
    """

    latency_units = 1
    """Sound lags the codes by one frame: rendering frame u gives the sound of frame u - 1."""

    def __init__(
        self,
        models: Models,
        *,
        seed: int,
        past: Sequence[Frame | None] = (),
        together: SoundBatch | None = None,
        place: int = 0,
    ) -> None:
        """Starts after the sound of `past`, or in silence.

        Args:
          models: the loaded models.
          seed: of the stream.
          past: frames before the first.
          together: where it meets other streams; None makes it alone, or as a replay says by setting `width`.
          place: of this stream among them.
        """
        self.models = models
        self.is_coarse, self.width = False, 1
        self._together, self._place = None, place
        self._state = codec_lm.init_state(models, seed=seed)
        recent = [frame for frame in past if frame is not None][-CHUNK_FRAMES:]
        if recent:  # alone, so that a replay begins with the same
            self.render(recent)
            self.peek(recent[:1])  # compiles the program for a single frame, too
        self._together = together

    def render(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """The next len(frames) * 1920 samples; however frames are grouped, the same."""
        self._state, samples, self.width = self._after(frames)
        return samples

    def peek(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """What `render` would give, without going on."""
        return self._after(frames)[1]

    def _after(self, frames: Sequence[Frame]) -> tuple[LiveState, Float[np.ndarray, "samples 2"], int]:
        if not frames:
            return self._state, np.zeros((0, 2), np.float32), self.width
        stream = Stream(self._state, np.stack([frame.codes for frame in frames]), self.is_coarse)
        if self._together is not None:
            return self._together.render(self._place, stream)
        place = self._place if self.width > 1 else 0
        return (*sound_batch.render(self.models, {place: stream}, width=self.width)[place], self.width)


def preroll(lm: LiveLM, conditioning: Conditioning, *, seed: int, chunks: int | None = None) -> tuple[Frame | None, ...]:
    """Ten seconds of music from nothing, to begin from: the context of the first live request.

    Args:
      lm: the model.
      conditioning: as the performance will begin; its transport is read from -10 s on.
      seed: of the stream.
      chunks: of 2 s; None fills the context.
    """
    config = lm.models.lm_config
    count = -(-config.context_frames // config.chunk_frames) if chunks is None else chunks
    past: tuple[Frame | None, ...] = ()
    for number in range(count):
        past += tuple(make_chunk(lm, conditioning, past, (number - count) * config.chunk_frames, seed=seed))
    return past[-config.context_frames :]


def make_chunk(
    lm: LiveLM, conditioning: Conditioning, past: tuple[Frame | None, ...], start: int, *, seed: int
) -> list[Frame]:
    """A chunk of 2 s after `past`, outside the engine."""
    history = past[-lm.models.lm_config.context_frames :]
    return lm.generate(Request(0, start, start, lm.models.lm_config.chunk_frames, history, conditioning, seed=seed))


def _positions(
    conditioning: Conditioning, start: int, length: int
) -> tuple[Float[np.ndarray, "frames"], Float[np.ndarray, "frames"]]:
    """Beat and tempo of each frame to come; NaN without a clock, as nobody knows where its beats will be."""
    if not conditioning.has_clock:
        return np.full(length, np.nan), np.full(length, np.nan)
    frames = np.arange(start, start + length)
    tempos = np.array([conditioning.transport.bpm_at(float(frame)) for frame in frames])
    return conditioning.transport.beats(frames), tempos


def _clock_ahead(conditioning: Conditioning, start: int, length: int) -> Float[np.ndarray, "frames features"]:
    """What the model is told of the frames to come."""
    if not conditioning.has_clock:
        return metrical_clock.unset_clock(length)
    return _clock_rows(*_positions(conditioning, start, length))


def _clock_rows(
    beats: Float[np.ndarray, "frames"], tempos: Float[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames features"]:
    return metrical_clock.clock_features(beats[:, None], tempos)[:, 0]


def _two_rows(own: Int[np.ndarray, "context levels"], style: np.ndarray | None, config: Any) -> np.ndarray:
    """Style, and style masked."""
    chosen = None if style is None else style[None]
    return np.concatenate(
        [vocabulary.encoder_inputs(own[None], chosen, config), vocabulary.encoder_inputs(own[None], None, config)]
    )
