"""Measures whether a bundle streams in real time on this machine, and prints JSON.

    python benchmarks/stream.py [--requests 300] [--bundle DIR] [--out FILE]

Figures: RTF and request times at 2 s and at a hop of 0.4 s; how a request's time divides between language model,
refinement and codec; seconds from starting Python to the first sound, with a filled and with an empty compilation cache
(each in a process of its own); peak memory. The load average stands beside every figure: with a busy machine they are
upper bounds on time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PROGRESS_EVERY = 50
CHUNK_FRAMES = 50
HOP_FRAMES = 10
PROMPT = "lofi hip hop"

FIRST_SOUND = f"""
import sys
import magenta_rt_py as mrt
model = mrt.load(sys.argv[1] if len(sys.argv) > 1 else None)
model.stream(model.mix({{{PROMPT!r}: 1.0}})).next_chunk()
"""


def main(argv: list[str] | None = None) -> int:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=300, help="2 s requests to time (default 300)")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    parser.add_argument("--skip-first-sound", action="store_true", help="leave out the two extra processes")
    arguments = parser.parse_args(argv)
    report: dict[str, Any] = {"command": " ".join(sys.argv), "machine": describe_machine()}
    if not arguments.skip_first_sound:
        report["first_sound_seconds"] = first_sound(arguments.bundle)
    report.update(stream_figures(arguments.bundle, arguments.requests))
    report["peak_memory_megabytes"] = peak_memory_megabytes()
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


def say(line: str) -> None:
    """Progress, on standard error: standard output is the JSON alone."""
    print(line, file=sys.stderr, flush=True)


def describe_machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory and versions."""
    import jax

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "load_average": load_average(),
    }


def load_average() -> float:
    """Processes that ran or waited in the last minute; ours are among them once we run."""
    return os.getloadavg()[0]


def first_sound(bundle: Path | None, program: str = FIRST_SOUND) -> dict[str, float]:
    """Seconds from a new Python process to its first 2 s chunk, with an empty cache and then with the filled one."""
    figures: dict[str, float] = {"load_average": load_average()}
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "jax"
        compiled.mkdir()
        # Numba keeps what it compiled for the codec's phase stage in a cache of its own; so does Python, without which
        # every import is compiled anew.
        environment = {
            **os.environ,
            "MRT_COMPILATION_CACHE": str(compiled),
            "NUMBA_CACHE_DIR": str(Path(folder) / "numba"),
            "PYTHONPYCACHEPREFIX": str(Path(folder) / "python"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        for name in ("empty_cache", "filled_cache"):
            started = time.perf_counter()
            command = [sys.executable, "-c", program, *([str(bundle)] if bundle else [])]
            subprocess.run(command, env=environment, check=True, capture_output=True)
            figures[name] = time.perf_counter() - started
            say(f"first sound, {name.replace('_', ' ')}: {figures[name]:.1f} s")
    return figures


def stream_figures(bundle: Path | None, requests: int) -> dict[str, Any]:
    """Times `requests` requests of 2 s, then the same number of 0.4 s, then the parts of a request."""
    import magenta_rt_py as mrt

    model = mrt.load(bundle)
    stream = model.stream(model.mix({PROMPT: 1.0}), seed=0)
    while not stream.is_warm:
        stream.next_chunk()
    figures: dict[str, Any] = {"guidance_weight": stream.controls.guidance_weight}
    figures["chunk_2_s"] = time_requests(stream, CHUNK_FRAMES, requests)
    stream.next_chunk(HOP_FRAMES)
    figures["hop_0.4_s"] = time_requests(stream, HOP_FRAMES, requests)
    figures["parts_of_2_s_request"] = time_parts(model, stream, min(requests, 20))
    return figures


def time_requests(stream: Any, frames: int, requests: int) -> dict[str, float]:
    """Wall time of requests of one length, compiled before."""
    before = load_average()
    seconds = []
    for number in range(1, requests + 1):
        started = time.perf_counter()
        stream.next_chunk(frames)
        seconds.append(time.perf_counter() - started)
        if number % PROGRESS_EVERY == 0:
            say(f"{number} of {requests} requests of {frames / 25:g} s: median {np.median(seconds):.3f} s")
    made = requests * frames / 25
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99))
    return {
        "requests": requests,
        "rtf": made / sum(seconds),
        "p50_seconds": float(p50),
        "p95_seconds": float(p95),
        "p99_seconds": float(p99),
        "worst_seconds": max(seconds),
        "load_average_before": before,
        "load_average_after": load_average(),
    }


def time_parts(model: Any, stream: Any, requests: int) -> dict[str, float]:
    """Mean wall time of the stages of a 2 s request."""
    from magenta_rt_py.generators import codec_lm

    totals: dict[str, float] = {}
    state = stream.state
    for _ in range(requests):
        started = time.perf_counter()
        clock, beat = codec_lm.clock_ahead(state.beat, stream.controls.bpm, CHUNK_FRAMES)
        coarse = codec_lm.sample_coarse(model.models, state, stream.style.codes, stream.controls, clock)
        sampled = time.perf_counter()
        refinement_state, codes = codec_lm.refine(model.models, state, coarse, stream.controls)
        refined = time.perf_counter()
        state, _ = codec_lm.decode_audio(model.models, state, codes)
        state = codec_lm.remember(state, codes, clock)._replace(beat=beat, refinement_state=refinement_state)
        decoded = time.perf_counter()
        for name, value in (
            ("language_model_seconds", sampled - started),
            ("refinement_seconds", refined - sampled),
            ("codec_seconds", decoded - refined),
        ):
            totals[name] = totals.get(name, 0.0) + value / requests
    return totals


def peak_memory_megabytes() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
