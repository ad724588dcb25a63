"""The codec alone: how far its round trip is from held-out renders and from real recordings, and whether streamed is whole.

Beside each figure stand a sound against itself (ceiling) and against the round trip of another sound (floor).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.train.evaluation import audio_metrics
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.intervals import mean_of
from magenta_rt_py.train.evaluation.renders import CodecLike, Sound

LEVELS = (4, 8, 16)
"""Leading levels at which the round trip is measured."""

EDGE_SAMPLES = 2048
"""Left out at both ends: one window that has no neighbours."""

RAGGED_SAMPLES = (1, 1919, 1920, 4801, 640, 7777, 12_000, 3)
"""Piece sizes of the streaming check, repeated to the end."""


@runtime_checkable
class StreamingCodecLike(CodecLike, Protocol):
    """What the streaming check needs besides."""

    frame_samples: int
    decode_latency_frames: int

    def init_encode_state(self, batch: int) -> Any: ...

    def encode_step(self, state: Any, samples: np.ndarray) -> tuple[Any, np.ndarray]: ...

    def init_decode_state(self, batch: int) -> Any: ...

    def decode_step(self, state: Any, codes: np.ndarray) -> tuple[Any, np.ndarray]: ...


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mel_distance_db": audio_metrics.mel_distance,
    "peakiness_loss_db": audio_metrics.peakiness_loss,
    "onset_correlation": audio_metrics.onset_correlation,
    "si_sdr_db": audio_metrics.si_sdr,
    "stereo_width_error_db": audio_metrics.stereo_width_error,
}
"""What is measured of a sound and its round trip."""


def measure_pair(original: Sound, decoded: Sound) -> dict[str, float]:
    """Every metric of one pair, edges left out."""
    one, other = (sound.samples[EDGE_SAMPLES:-EDGE_SAMPLES] for sound in (original, decoded))
    return {name: round(float(metric(one, other)), 4) for name, metric in METRICS.items()}


def measure_sounds(codec: CodecLike, sounds: Sequence[Sound], levels: Sequence[int] = LEVELS) -> dict[str, Any]:
    """Every metric of each sound's round trip, with the codes.

    Args:
      codec: encodes once, decodes at each number of levels.
      sounds: of one length.
      levels: leading levels that are decoded.
    Returns:
      `rows`: by number of levels, one dictionary a sound; `floor`: each sound against the next one's round trip; `codes`
      [sounds, frames, levels].
    """
    codes = np.asarray(codec.encode(np.stack([sound.samples for sound in sounds])))
    rows: dict[str, list[dict[str, float]]] = {}
    decoded: list[Sound] = []
    for count in levels:
        waves = np.asarray(codec.decode(codes[..., :count]), np.float32)
        decoded = [dataclasses.replace(sound, samples=wave[: len(sound.samples)]) for sound, wave in zip(sounds, waves)]
        rows[str(count)] = [measure_pair(one, other) for one, other in zip(sounds, decoded, strict=True)]
    floor = [measure_pair(sound, decoded[(number + 1) % len(sounds)]) for number, sound in enumerate(sounds)]
    return {"rows": rows, "floor": floor if len(sounds) > 1 else [], "codes": codes.astype(np.int16)}


def summarise(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean of every metric with its interval.

    SI-SDR is left out where it means nothing: a codec that finds phases anew does not follow the waveform, and its SI-SDR
    is below 0 dB however it sounds.
    """
    summary = {name: mean_of([row[name] for row in rows]).to_json() for name in METRICS}
    if float(np.median([row["si_sdr_db"] for row in rows])) < 0.0:
        summary["si_sdr_db"] = None
    return summary


def code_use(codes: Int[np.ndarray, "frames levels"], *, codebook_size: int = 1024) -> list[dict[str, Any]]:
    """How evenly each level's codes are used: perplexity, and codes that were never used."""
    perplexities = audio_metrics.code_perplexity(codes, codebook_size=codebook_size)
    return [
        {"level": level, "perplexity": round(perplexity, 1), "unused": codebook_size - len(np.unique(codes[:, level]))}
        for level, perplexity in enumerate(perplexities)
    ]


def ragged_pieces(
    samples: Float[np.ndarray, "samples 2"],
) -> list[Float[np.ndarray, "piece_samples 2"]]:
    """Cuts a sound into pieces of very different sizes."""
    pieces, start, turn = [], 0, 0
    while start < len(samples):
        size = RAGGED_SAMPLES[turn % len(RAGGED_SAMPLES)]
        pieces.append(samples[start : start + size])
        start += size
        turn += 1
    return pieces


def streaming_difference(codec: StreamingCodecLike, samples: Float[np.ndarray, "samples 2"]) -> dict[str, float]:
    """Streams a sound in ragged pieces and compares with the whole.

    Returns:
      share of codes that differ (a tie between two codebook vectors may fall the
      other way) and the largest difference of the decoded waveform for equal codes.
    """
    frame = codec.frame_samples
    samples = samples[: len(samples) // frame * frame]
    whole_codes = np.asarray(codec.encode(samples[None]))
    # One more frame of silence pushes the look-ahead of the last frame through.
    padded = np.concatenate([samples, np.zeros((frame, 2), np.float32)])
    state, parts = codec.init_encode_state(1), []
    for piece in ragged_pieces(padded):
        state, codes = codec.encode_step(state, piece[None])
        parts.append(np.asarray(codes))
    streamed_codes = np.concatenate(parts, 1)[:, : whole_codes.shape[1]]
    whole_wave = np.asarray(codec.decode(whole_codes))
    state, waves = codec.init_decode_state(1), []
    for start, stop in _frame_spans(whole_codes.shape[1]):
        state, wave = codec.decode_step(state, whole_codes[:, start:stop])
        waves.append(np.asarray(wave))
    lag = codec.decode_latency_frames * frame
    streamed_wave = np.concatenate(waves, 1)[:, lag:]
    gap = np.abs(streamed_wave - whole_wave[:, : streamed_wave.shape[1]])
    # The whole decode knows that nothing follows; the last frame may differ, so it is left out.
    return {
        "codes_differ": round(float((streamed_codes != whole_codes).mean()), 6),
        "waveform_largest_difference": float(gap[:, :-frame].max()),
    }


def _frame_spans(frames: int) -> list[tuple[int, int]]:
    """Spans of 1, 2, 3, 5, 1, ... frames that cover all frames."""
    spans, start, turn = [], 0, 0
    while start < frames:
        stop = min(frames, start + (1, 2, 3, 5)[turn % 4])
        spans.append((start, stop))
        start, turn = stop, turn + 1
    return spans


def real_time_factors(codec: CodecLike, samples: Float[np.ndarray, "samples 2"]) -> dict[str, float]:
    """Seconds of sound over seconds of work, whole clip, the first (compiling) run left out."""
    factors = {}
    codes = np.asarray(codec.encode(samples[None]))
    codec.decode(codes)
    for name, work in (
        ("encode_rtf", lambda: codec.encode(samples[None])),
        ("decode_rtf", lambda: codec.decode(codes)),
    ):
        started = time.perf_counter()
        np.asarray(work())
        factors[name] = round(len(samples) / SAMPLE_RATE_HZ / (time.perf_counter() - started), 1)
    return factors
