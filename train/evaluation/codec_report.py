"""The codec alone: how far its round trip is from held-out renders, and whether streamed is whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.evaluation import audio_metrics
from magenta_rt_py.train.evaluation.audio_metrics import SAMPLE_RATE_HZ
from magenta_rt_py.train.evaluation.renders import CodecLike, Sound, round_trip

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


def compare(originals: Sequence[Sound], decoded: Sequence[Sound]) -> dict[str, float]:
    """Means of every sound metric over pairs, edges left out."""
    metrics = {
        "mel_distance_db": audio_metrics.mel_distance,
        "peakiness_loss_db": audio_metrics.peakiness_loss,
        "onset_correlation": audio_metrics.onset_correlation,
        "si_sdr_db": audio_metrics.si_sdr,
        "stereo_width_error_db": audio_metrics.stereo_width_error,
    }
    inner = [
        (one.samples[EDGE_SAMPLES:-EDGE_SAMPLES], other.samples[EDGE_SAMPLES:-EDGE_SAMPLES])
        for one, other in zip(originals, decoded, strict=True)
    ]
    return {
        name: round(float(np.mean([measure(one, other) for one, other in inner])), 3)
        for name, measure in metrics.items()
    }


def per_genre_mel(originals: Sequence[Sound], decoded: Sequence[Sound]) -> dict[str, float]:
    """Mel distance in dB by genre: which sounds the codec finds hard."""
    distances: dict[str, list[float]] = {}
    for one, other in zip(originals, decoded, strict=True):
        distances.setdefault(one.genre, []).append(
            audio_metrics.mel_distance(
                one.samples[EDGE_SAMPLES:-EDGE_SAMPLES], other.samples[EDGE_SAMPLES:-EDGE_SAMPLES]
            )
        )
    return {genre: round(float(np.mean(values)), 2) for genre, values in distances.items()}


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


def evaluate_codec(codec: StreamingCodecLike, sounds: Sequence[Sound]) -> dict[str, object]:
    """Measures the codec on held-out renders of equal length.

    Returns:
      JSON-ready report: every metric at 4, 8 and 16 levels with its ceiling beside
      it (a sound against itself), perplexity of each level, streaming, speed.
    """
    report: dict[str, object] = {"sounds": len(sounds), "ceiling": compare(sounds, sounds)}
    for levels in LEVELS:
        decoded = round_trip(codec, sounds, levels=levels)
        report[f"levels_{levels}"] = compare(sounds, decoded)
        if levels == max(LEVELS):
            report["mel_distance_by_genre"] = per_genre_mel(sounds, decoded)
    codes = [np.asarray(codec.encode(sound.samples[None]))[0] for sound in sounds]
    report["perplexity"] = [round(value) for value in audio_metrics.code_perplexity(np.concatenate(codes))]
    report["streaming"] = streaming_difference(codec, sounds[0].samples[: 4 * SAMPLE_RATE_HZ])
    report["speed"] = real_time_factors(codec, sounds[0].samples)
    return report
