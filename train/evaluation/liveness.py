"""Can it be left on for ten minutes? A meter that listens to a stream chunk by chunk and keeps next to nothing of it.

    chunk -> clipping, silence, loudness, tempo, spectrogram column      codes -> repetition, entropy

Source of loudness: ITU-R BS.1770-4 (K-weighting), short-term windows of 3 s as EBU R 128 has them, without gating.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import scipy.signal
from jaxtyping import Float, Int

from magenta_rt_py.generators.safety import CEILING
from magenta_rt_py.train.evaluation import rhythm
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, FRAMES_PER_MINUTE

CLIPPED = CEILING * 10.0 ** (-0.1 / 20.0)
"""A sample that is so loud is at the ceiling: within 0.1 dB of the loudest that leaves a stream."""

SILENT_RMS = 1e-3
"""-60 dBFS: a block below it is silence."""

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 100
"""10 ms: what silence and loudness are counted in."""

LOUDNESS_SECONDS = 3.0
LOUDNESS_FLOOR_LUFS = -70.0
TEMPO_SECONDS = 30.0
"""Sound from which one tempo is found."""

TEMPO_SPAN = 0.12
"""The tempo is looked for this far around the asked one: farther, another beat would be heard."""

TEMPO_TRUST = 0.08
"""Deviation of a bell around the asked tempo by which its lags are weighed: a sixteenth more or less than a bar is 6 %
off and repeats nearly as well in busy music; a drift of 3 % loses a fifteenth."""

TEMPO_BEATS = 4
"""The lag that tells the tempo: a bar, whose error is a quarter of a beat's."""

HEARD_BEAT = 0.1
"""Autocorrelation below which there is no beat to tell a tempo from."""

BARS = 4
ALIKE = 0.9
"""Share of equal coarsest codes at which a stretch counts as repeated verbatim."""

ENTROPY_FRAMES = FRAMES_PER_MINUTE


class Runs:
    """The longest run of true values in what is fed piece by piece."""

    def __init__(self) -> None:
        """Nothing fed yet."""
        self.longest = 0
        self._current = 0

    def feed(self, flags: np.ndarray) -> None:
        """Goes on with booleans."""
        breaks = np.flatnonzero(~flags)
        if not len(breaks):
            self._current += len(flags)
            self.longest = max(self.longest, self._current)
            return
        edges = np.concatenate([[-1 - self._current], breaks, [len(flags)]])
        lengths = np.diff(edges) - 1
        self.longest = max(self.longest, int(lengths.max()))
        self._current = int(lengths[-1])


def k_weighting() -> Float[np.ndarray, "2 6"]:
    """The two filters of BS.1770 at 48 kHz as second-order sections: a shelf above 1.5 kHz, and a high-pass."""
    return np.array(
        [
            [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
            [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
        ]
    )


def loudness_lufs(power: float) -> float:
    """Loudness of a K-weighted mean square summed over both channels."""
    return max(LOUDNESS_FLOOR_LUFS, -0.691 + 10.0 * math.log10(power + 1e-12))


class RepetitionMeter:
    """How often in a row a stretch of four bars comes again, by codes. Keeps one stretch."""

    def __init__(self, frames: int) -> None:
        """Nothing heard yet.

        Args:
          frames: length of the stretch.
        """
        self.frames = frames
        self._kept: np.ndarray | None = None
        self._compared = 0
        self._alike = 0
        self._runs = [0, 0]
        self._longest = [0, 0]

    def feed(self, codes: Int[np.ndarray, "frames levels"]) -> None:
        """Goes on with the next frames; a run is broken by a piece that is less than `ALIKE` like four bars before."""
        history = codes if self._kept is None else np.concatenate([self._kept, codes])
        new = min(len(codes), max(0, len(history) - self.frames))
        if new:
            now = history[len(history) - new :]
            before = history[len(history) - new - self.frames : len(history) - self.frames]
            equal = now == before
            for kind, same in enumerate((equal[:, 0], equal.all(1))):
                self._runs[kind] = self._runs[kind] + new if same.mean() >= ALIKE else 0
                self._longest[kind] = max(self._longest[kind], self._runs[kind])
            self._compared += new
            self._alike += int(equal[:, 0].sum())
        self._kept = history[-self.frames :]

    @property
    def repeats(self) -> int:
        """Most times in a row that four bars came again, by their coarsest codes."""
        return self._longest[0] // self.frames

    @property
    def exact_repeats(self) -> int:
        """The same with all codes of a frame equal."""
        return self._longest[1] // self.frames

    @property
    def share_alike(self) -> float:
        """Share of all frames whose coarsest code is that of four bars before."""
        return self._alike / max(self._compared, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Liveness:
    """What was found in a take."""

    seconds: float
    clipping_milliseconds: float
    """Longest run of samples of one channel at the ceiling."""
    silence_seconds: float
    """Longest silence."""
    loudness_median_lufs: float
    loudness_deviation_db: float
    """Largest distance of a short-term loudness from the median."""
    loudness_within_share: float
    """Share of short-term loudnesses within 6 dB of the median."""
    tempo_drift: float | None
    """Largest distance of a window's tempo from the asked one, as a share; None if no tempo was asked or no beat heard."""
    beat_share: float
    """Share of the windows in which a beat was heard."""
    repeats: int
    """Most times in a row that four bars came again, by the coarsest codes; 0 without codes."""
    exact_repeats: int
    """The same by all codes."""
    share_alike: float
    """Share of frames whose coarsest code is that of four bars before."""
    entropy_nats: tuple[float, ...]
    """Of each level's codes over the take; empty without codes."""
    lowest_entropy_nats: float
    """Of the coarsest codes of the poorest minute."""
    loudness: tuple[float, ...]
    """Short-term loudness each second, LUFS."""
    tempos: tuple[float, ...]
    """Found in each window, bpm; NaN where no beat was heard."""

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return dataclasses.asdict(self)


class LivenessMeter:
    """Listens to a take."""

    def __init__(self, *, bpm: float | None) -> None:
        """Nothing heard yet.

        Args:
          bpm: tempo asked for; None where no beat is wanted.
        """
        self._bpm = bpm
        self._samples = 0
        self._clipping = (Runs(), Runs())
        self._silence = Runs()
        self._filter = k_weighting()
        self._filter_state = np.zeros((len(self._filter), 2, 2))
        self._powers: list[float] = []
        self._rest = np.zeros((0, 2), np.float32)
        self._weighted_rest = np.zeros((0, 2))
        self._waiting: list[np.ndarray] = []
        self._tempos: list[float] = []
        stretch = BARS * BEATS_PER_BAR * FRAMES_PER_MINUTE / (bpm or 120.0)
        self._repetition = RepetitionMeter(round(stretch))
        self._counts: np.ndarray | None = None
        self._minute: list[np.ndarray] = []
        self._minute_entropies: list[float] = []

    def feed(self, samples: Float[np.ndarray, "samples 2"], codes: Int[np.ndarray, "frames levels"] | None = None) -> None:
        """Goes on with the next piece of the take.

        Args:
          samples: 48 kHz, any length.
          codes: of the same frames; None if they are not known.
        """
        self._samples += len(samples)
        for channel, runs in enumerate(self._clipping):
            runs.feed(np.abs(samples[:, channel]) >= CLIPPED)
        self._feed_levels(samples)
        self._feed_tempo(samples)
        if codes is not None and len(codes):
            self._feed_codes(codes)

    def _feed_levels(self, samples: Float[np.ndarray, "samples 2"]) -> None:
        weighted, self._filter_state = scipy.signal.sosfilt(self._filter, samples, axis=0, zi=self._filter_state)
        plain = np.concatenate([self._rest, samples])
        heard = np.concatenate([self._weighted_rest, weighted])
        whole = len(plain) // BLOCK_SAMPLES * BLOCK_SAMPLES
        blocks = plain[:whole].reshape(-1, BLOCK_SAMPLES * 2).astype(np.float64)
        self._silence.feed(np.sqrt((blocks**2).mean(1)) < SILENT_RMS)
        # The sum over the channels of their mean squares, as BS.1770 has it.
        self._powers += (heard[:whole].reshape(-1, BLOCK_SAMPLES, 2) ** 2).mean(1).sum(1).tolist()
        self._rest, self._weighted_rest = plain[whole:], heard[whole:]

    def _feed_tempo(self, samples: Float[np.ndarray, "samples 2"]) -> None:
        if self._bpm is None:
            return
        self._waiting.append(samples)
        if sum(map(len, self._waiting)) >= TEMPO_SECONDS * SAMPLE_RATE_HZ:
            self._tempos.append(tempo_near(np.concatenate(self._waiting), self._bpm))
            self._waiting = []

    def _feed_codes(self, codes: Int[np.ndarray, "frames levels"]) -> None:
        self._repetition.feed(codes)
        size = int(codes.max()) + 1
        width = max(size, 0 if self._counts is None else self._counts.shape[1])
        counts = np.stack([np.bincount(level, minlength=width) for level in codes.T])
        if self._counts is not None:
            counts[:, : self._counts.shape[1]] += self._counts
        self._counts = counts
        self._minute.append(codes[:, 0])
        if sum(map(len, self._minute)) >= ENTROPY_FRAMES:
            self._minute_entropies.append(entropy_nats(np.bincount(np.concatenate(self._minute))))
            self._minute = []

    def result(self) -> Liveness:
        """What was found up to here.

        Raises:
          ValueError: if less than 3 s were heard.
        """
        window = round(LOUDNESS_SECONDS * SAMPLE_RATE_HZ / BLOCK_SAMPLES)
        if len(self._powers) < window:
            raise ValueError(f"got {self._samples / SAMPLE_RATE_HZ:.1f} s, expected at least 3 s; listen for longer")
        powers = np.asarray(self._powers)
        starts = range(0, len(powers) - window + 1, SAMPLE_RATE_HZ // BLOCK_SAMPLES)
        loudness = np.array([loudness_lufs(float(powers[start : start + window].mean())) for start in starts])
        away = np.abs(loudness - np.median(loudness))
        heard = [tempo for tempo in self._tempos if not math.isnan(tempo)]
        drift = None
        if self._bpm and heard:
            drift = max(abs(tempo / self._bpm - 1.0) for tempo in heard)
        entropies = () if self._counts is None else tuple(entropy_nats(level) for level in self._counts)
        return Liveness(
            seconds=self._samples / SAMPLE_RATE_HZ,
            clipping_milliseconds=1000.0 * max(runs.longest for runs in self._clipping) / SAMPLE_RATE_HZ,
            silence_seconds=self._silence.longest * BLOCK_SAMPLES / SAMPLE_RATE_HZ,
            loudness_median_lufs=float(np.median(loudness)),
            loudness_deviation_db=float(away.max()),
            loudness_within_share=float((away <= 6.0).mean()),
            tempo_drift=drift,
            beat_share=len(heard) / len(self._tempos) if self._tempos else 0.0,
            repeats=self._repetition.repeats,
            exact_repeats=self._repetition.exact_repeats,
            share_alike=self._repetition.share_alike,
            entropy_nats=entropies,
            lowest_entropy_nats=min(self._minute_entropies, default=entropies[0] if entropies else 0.0),
            loudness=tuple(loudness.tolist()),
            tempos=tuple(self._tempos),
        )


def entropy_nats(counts: Int[np.ndarray, " codes"]) -> float:
    """Entropy of how often codes were used; 0 for a single one."""
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log(shares)).sum())


def tempo_near(samples: Float[np.ndarray, "samples 2"], bpm: float) -> float:
    """Tempo of a sound near an asked one, from the lag of a bar; NaN if no beat is heard there.

    Args:
      samples: 10 s or more.
      bpm: what was asked for.
    """
    correlation = rhythm.autocorrelation(rhythm.onset_flux(rhythm.log_mel(samples)))
    asked = TEMPO_BEATS * 60.0 * rhythm.FLUX_RATE_HZ / bpm
    lags = np.arange(math.ceil(asked * (1.0 - TEMPO_SPAN)), math.floor(asked * (1.0 + TEMPO_SPAN)) + 1)
    lags = lags[lags < len(correlation) - 1]
    if not len(lags) or float(correlation[lags].max()) < HEARD_BEAT:
        return math.nan
    trust = np.exp(-0.5 * ((lags / asked - 1.0) / TEMPO_TRUST) ** 2)
    best = int(lags[np.argmax(correlation[lags] * trust)])
    return TEMPO_BEATS * 60.0 * rhythm.FLUX_RATE_HZ / rhythm.refined(correlation, best)
