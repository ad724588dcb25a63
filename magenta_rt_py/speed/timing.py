"""Wall times of requests, and what is told of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from magenta_rt_py.generators import codec_lm
from magenta_rt_py.generators.state import CHUNK_FRAMES, FRAME_RATE_HZ
from magenta_rt_py.speed.machine import load_average

PROGRESS_EVERY = 50
FEWEST_REQUESTS = 3
"""Made even when the time is up, so that there is a median."""
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}

Say = Callable[[str], None]
"""Takes a line about how far the work is."""


def quantiles(seconds: Sequence[float]) -> dict[str, float | None]:
    """Median, 95th, 99th and 99.9th percentile and the largest; all None if there is nothing.

    With fewer values than a percentile needs (1,000 for the last) it lies between the two largest.
    """
    if not len(seconds):
        return {**dict.fromkeys(SHARES), "max": None}
    values = np.quantile(np.asarray(seconds, np.float64), list(SHARES.values()))
    return {**{name: float(value) for name, value in zip(SHARES, values)}, "max": float(max(seconds))}


def time_calls(
    request: Callable[[], Any],
    audio_seconds: float,
    requests: int,
    *,
    limit_seconds: float | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Times calls that each make the same length of sound, compiled before.

    Args:
      request: makes one request and waits for its result.
      audio_seconds: what one request makes.
      requests: most calls.
      limit_seconds: no further call after this long; None: no limit.
      say: told about progress.
    Returns:
      RTF over all calls, and the same for each second of one of the processor's cores; p50, p95, p99, p99.9 and worst
      time of a call; the load before and after.
    """
    before, began, seconds, spent = load_average(), time.perf_counter(), [], time.process_time()
    for number in range(1, requests + 1):
        started = time.perf_counter()
        request()
        now = time.perf_counter()
        seconds.append(now - started)
        if say and number % PROGRESS_EVERY == 0:
            say(f"{number} of {requests} requests of {audio_seconds:g} s: median {np.median(seconds):.3f} s")
        if limit_seconds is not None and number >= FEWEST_REQUESTS and now - began > limit_seconds:
            break
    spent = time.process_time() - spent
    figures = quantiles(seconds)
    return {
        "requests": len(seconds),
        "rtf": len(seconds) * audio_seconds / sum(seconds),
        "rtf_a_core": len(seconds) * audio_seconds / spent if spent else None,
        **{f"{name}_seconds": figures[name] for name in SHARES},
        "worst_seconds": figures["max"],
        "load_average_before": before,
        "load_average_after": load_average(),
    }


def time_requests(
    stream: Any, frames: int, requests: int, *, limit_seconds: float | None = None, say: Say | None = None
) -> dict[str, Any]:
    """Times requests of a warm stream, all of one length, after one that compiles."""
    stream.next_chunk(frames)
    return time_calls(
        lambda: stream.next_chunk(frames), frames / FRAME_RATE_HZ, requests, limit_seconds=limit_seconds, say=say
    )


def time_parts(models: Any, stream: Any, requests: int) -> dict[str, float]:
    """Mean wall time of the stages of a 2 s request: language model, refinement, codec."""
    totals: dict[str, float] = {}
    state = stream.state
    for _ in range(requests):
        started = time.perf_counter()
        clock, beat = codec_lm.clock_ahead(state.beat, stream.controls.bpm, CHUNK_FRAMES)
        coarse = codec_lm.sample_coarse(models, state, stream.style.codes, stream.controls, clock)
        sampled = time.perf_counter()
        refinement_state, codes = codec_lm.refine(models, state, coarse, stream.controls)
        refined = time.perf_counter()
        state, _ = codec_lm.decode_audio(models, state, codes)
        state = codec_lm.remember(state, codes, clock)._replace(beat=beat, refinement_state=refinement_state)
        decoded = time.perf_counter()
        for name, value in (
            ("language_model_seconds", sampled - started),
            ("refinement_seconds", refined - sampled),
            ("codec_seconds", decoded - refined),
        ):
            totals[name] = totals.get(name, 0.0) + value / requests
    return totals
