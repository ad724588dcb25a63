"""Stream: a player's view of the generator. It carries the state; `codec_lm.generate_chunk` does the work."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from magenta_rt_py import audio
from magenta_rt_py.generators import codec_lm
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.safety import guard
from magenta_rt_py.generators.state import (
    CHUNK_FRAMES,
    FRAME_RATE_HZ,
    SAMPLE_RATE,
    LiveState,
    filled_frames,
)
from magenta_rt_py.generators.styles import Style


class Stream:
    """An endless take, made request by request; not safe to share between threads.

    Attributes:
      state: everything the next request depends on. Keep it and put it back to play a moment again.
      style: what the next request is conditioned on.
      controls: the knobs of the next request.
      model_seconds: wall time spent in the model so far.
    """

    def __init__(self, models: Models, style: Style, *, seed: int, controls: Controls, continuity: str = "stream"):
        """Starts a stream in silence.

        Args:
          models: the loaded models.
          style: what to play; `MusicModel.mix` makes it.
          seed: the same seed, style and controls give the same take.
          controls: the knobs.
          continuity: how chunks are joined, see `codec_lm.init_state`.
        """
        self._models = models
        self.state: LiveState = codec_lm.init_state(models, seed=seed, continuity=continuity)
        self.style = style
        self.controls = controls
        self.model_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of sound made so far."""
        return int(self.state.frame_index) / FRAME_RATE_HZ

    @property
    def is_warm(self) -> bool:
        """Whether ten seconds of context are full, so that requests may be shorter than 2 s."""
        return filled_frames(self.state) == self._models.lm_config.context_frames

    def set_style(self, style: Style) -> None:
        """Changes what is played, from the next request on."""
        self.style = style

    def set_controls(
        self,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        guidance_weight: float | None = None,
        bpm: float | None = None,
        adapter_strength: float | None = None,
    ) -> None:
        """Turns knobs, from the next request on; None leaves a knob where it is.

        Raises:
          ValueError: if a value is out of range; the stream plays on as it was.
        """
        self.controls = self.controls.replace(
            temperature=temperature,
            top_k=top_k,
            guidance_weight=guidance_weight,
            bpm=bpm,
            adapter_strength=adapter_strength,
        )

    def next_chunk(self, frames: int = CHUNK_FRAMES) -> Float[np.ndarray, "samples 2"]:
        """Makes the next piece of the stream.

        Args:
          frames: its length, 1 .. 50 frames of 40 ms; 50 until ten seconds of context are full.
        Returns:
          frames * 1920 samples at 48 kHz, below -0.3 dB full scale. The stream lags its codes by one frame, so the
          very first 40 ms are silent.
        Raises:
          ValueError: if frames is out of range; nothing has changed then.
        """
        started = time.perf_counter()
        self.state, chunk = codec_lm.generate_chunk(self._models, self.state, self.style.codes, self.controls, frames=frames)
        samples = guard(chunk.samples)
        self.model_seconds += time.perf_counter() - started
        return samples

    def chunks(self, count: int) -> Iterator[Float[np.ndarray, "samples 2"]]:
        """Makes `count` chunks of 2 s, one after another."""
        for _ in range(count):
            yield self.next_chunk()

    def render(self, seconds: float) -> Float[np.ndarray, "samples 2"]:
        """Makes the next `seconds` of the stream as one array; the rest of the last chunk is dropped."""
        if not 0.0 < seconds <= 36_000.0:
            raise ValueError(f"seconds is {seconds!r}; give more than 0 and at most 36000")
        length = round(seconds * SAMPLE_RATE)
        count = -(-length // (CHUNK_FRAMES * SAMPLE_RATE // FRAME_RATE_HZ))
        return np.concatenate(list(self.chunks(count)))[:length]

    def prime(self, sound: audio.Audio, *, bpm: float | None = None) -> None:
        """Lets the stream believe that it has just played `sound`; it goes on from there.

        Args:
          sound: any length; the last 10 s count. With 10 s or more, requests may be short from the first.
          bpm: its tempo, if its first sample is a downbeat: the stream's beat then goes on in phase.
        """
        self.state = codec_lm.prime(self._models, self.state, audio.to_stereo_48k(sound), bpm=bpm)
