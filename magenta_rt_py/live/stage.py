"""Stage: what is made goes out: through the output stage to the card, the recorder, and the journal's checksum.

It knows which stream sample every written sample is, and so what is heard now. Samples that are no numbers are bridged as
if they were missing. A card that was opened anew fades in. Stateful; the player's thread uses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from magenta_rt_py.live import metronome, output
from magenta_rt_py.live.card import Card
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.journal import Journal
from magenta_rt_py.live.performer import Performer
from magenta_rt_py.live.recorder import Recorder
from magenta_rt_py.live.transport import Transport

__all__ = ["FRAME_SAMPLES", "HOLD_SAMPLES", "SAMPLES_A_SECOND", "Stage", "is_playable", "sound_of"]

FRAME_SAMPLES = 1920
SAMPLES_A_SECOND = 48_000
HOLD_SAMPLES = 480
"""A concealment is made in steps of 10 ms, so that the music comes back soon."""
RETURN_SAMPLES = 960
"""A card that is back fades in over 20 ms."""


def sound_of(
    make: Callable[[Sequence[Frame]], Float[np.ndarray, "samples 2"]], frames: Sequence[Frame]
) -> tuple[Float[np.ndarray, "samples 2"], str | None]:
    """Sound of frames; NaN where it cannot be made, and why in one line (None: it can)."""
    shape = (len(frames) * FRAME_SAMPLES, 2)
    try:
        samples = make(frames)
        if samples.shape != shape:
            raise ValueError(f"{samples.shape} samples, expected {shape}")
    except Exception as error:  # a broken decoder must not end the music
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return np.full(shape, np.nan, np.float32), f"the model's sound fails ({reason}); it fades until it is back"
    if np.isfinite(samples).all():
        return samples, None
    return samples, "the model's sound fails (samples that are no numbers); it fades until it is back"


def is_playable(samples: Float[np.ndarray, "samples 2"]) -> Bool[np.ndarray, "samples"]:
    """Which samples can be played: those that are finite numbers."""
    is_finite = np.isfinite(samples)
    return is_finite[:, 0] & is_finite[:, 1]


class Stage:
    """The way out.

    Attributes:
      written: samples so far, concealments among them.
      has_sounded: whether anything has gone out.
      peak: of the last piece, 0 .. 1.
    """

    def __init__(
        self,
        card: Card,
        journal: Journal,
        *,
        performer: Performer | None,
        record_folder: Path,
        on_problem: Callable[[str], None],
    ) -> None:
        """Silence so far; the first sound fades in.

        Args:
          card: where it goes.
          journal: told what goes out.
          performer: told what is played; None if nobody plays along.
          record_folder: where recordings without a name go.
          on_problem: told why a recording stopped.
        """
        self.written, self.has_sounded, self.peak = 0, False, 0.0
        self._card, self._journal, self._performer = card, journal, performer
        self._opening, self._returned = card.opening, RETURN_SAMPLES
        self._recording: str | None = None
        self._record_folder, self._on_problem = record_folder, on_problem
        self._config = output.OutputConfig()
        self._output = output.init_state(self._config, volume=0.0)
        self._metronome = metronome.init_state()
        self._volume = float("nan")
        self._stream_end = -FRAME_SAMPLES - self._config.delay_samples
        self._recorder: Recorder | None = None

    @property
    def recording(self) -> str | None:
        """File that is being recorded to; None if none is."""
        recorder = self._recorder
        return self._recording if recorder is not None and recorder.status.is_recording else None

    @property
    def underruns(self) -> int:
        """Times that sound was not there in time."""
        return self._output.concealment.underruns

    @property
    def missing_samples(self) -> int:
        """Samples that were bridged."""
        return self._output.concealment.missing_samples

    def heard_sample(self) -> int:
        """Stream sample that leaves the loudspeaker now."""
        device = round(self._card.status.output_delay_seconds * SAMPLES_A_SECOND)
        return self._stream_end - self._card.queued_samples() - device

    def spare_samples(self) -> int:
        """Samples in front of the device beyond those without which it is about to run dry; below 0 it is."""
        return self._card.queued_samples() - self._card.block_samples - HOLD_SAMPLES

    def needs_bridging(self) -> bool:
        """Whether the card is about to run dry."""
        return self.has_sounded and self.spare_samples() < 0

    def play(
        self,
        samples: Float[np.ndarray, "samples 2"],
        stream_start: int,
        transport: Transport,
        *,
        volume: float,
        click: float,
    ) -> None:
        """Writes sound.

        Args:
          samples: the model's.
          stream_start: stream sample of the first one.
          transport: for the metronome.
          volume: the model's.
          click: the metronome's level.
        """
        if volume != self._volume:
            self._journal.event(self.written, "output", {"volume": volume, "missing": 0})
            self._volume = volume
        cue = None
        if self._card.has_cue:
            cue = self._click(stream_start, len(samples), transport, click)
        start = stream_start - self._config.delay_samples
        self._write(samples, is_playable(samples), cue, start)
        self._stream_end = start + len(samples)

    def _click(self, start: int, samples: int, transport: Transport, level: float) -> Float[np.ndarray, "samples"]:
        """The metronome at the samples from a stream sample on."""
        if samples and not level and not metronome.rings(self._metronome):
            beat = transport.beat_at((start + samples - 1) / FRAME_SAMPLES)
            self._metronome = metronome.pass_over(self._metronome, beat)
            return np.zeros(samples, np.float32)
        beats = transport.beats(np.arange(start, start + samples) / FRAME_SAMPLES)
        self._metronome, cue = metronome.step(
            self._metronome, beats, level=level, beats_per_bar=transport.beats_per_bar
        )
        return cue

    def bridge(self) -> None:
        """Writes 10 ms in place of sound that is not there: a fading echo of the last, or nothing."""
        volume = self._volume if np.isfinite(self._volume) else 0.0
        self._journal.event(self.written, "output", {"volume": volume, "missing": HOLD_SAMPLES})
        self._write(np.zeros((HOLD_SAMPLES, 2), np.float32), np.zeros(HOLD_SAMPLES, bool), None, None)

    def record(self, path: str) -> None:
        """Starts a recording, and ends the one before; an empty path makes a name up."""
        self.stop_recording()
        name = path or f"take-{datetime.now():%Y%m%d-%H%M%S}.flac"
        whole = Path(name) if os.path.isabs(name) else self._record_folder / name
        self._recorder = Recorder(whole, on_problem=self._on_problem)
        self._recording = str(whole)

    def stop_recording(self, *, wait: bool = False) -> None:
        """Completes the recording, if there is one.

        Args:
          wait: until it is complete; else that happens on the journal's thread.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        if wait:
            recorder.stop()
        else:
            self._journal.later(recorder.stop)

    def _write(
        self,
        samples: Float[np.ndarray, "samples 2"],
        is_present: np.ndarray,
        cue: Float[np.ndarray, "samples"] | None,
        stream_start: int | None,
    ) -> None:
        volume = self._volume if np.isfinite(self._volume) else 0.0
        self._output, main = output.step(self._config, self._output, samples, is_present, volume=volume)
        self._card.write(self._returning(main), cue)
        if self._performer is not None:
            self._performer.wrote(self._card.opening, stream_start, len(main))
        if self._recorder is not None:
            self._recorder.write(main)
        self._journal.heard(self.written, main)
        self.written += len(main)
        self.has_sounded = True
        self.peak = float(np.abs(main).max(initial=0.0))

    def _returning(self, main: Float[np.ndarray, "samples 2"]) -> Float[np.ndarray, "samples 2"]:
        """What the card gets: after a new opening it rises from silence. What is recorded does not."""
        if self._card.opening != self._opening:
            self._opening, self._returned = self._card.opening, 0
        if self._returned >= RETURN_SAMPLES:
            return main
        places = self._returned + 1 + np.arange(len(main))
        self._returned += len(main)
        return main * np.minimum(places / RETURN_SAMPLES, 1.0).astype(np.float32)[:, None]
