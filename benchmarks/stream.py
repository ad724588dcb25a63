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
import sys
from pathlib import Path
from typing import Any

from magenta_rt_py.speed.first_sound import PROMPT, first_sound
from magenta_rt_py.speed.machine import describe_machine, peak_memory_megabytes
from magenta_rt_py.speed.timing import time_parts, time_requests

CHUNK_FRAMES = 50
HOP_FRAMES = 10


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
        report["first_sound_seconds"] = first_sound(arguments=[str(arguments.bundle)] if arguments.bundle else [], say=say)
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


def stream_figures(bundle: Path | None, requests: int) -> dict[str, Any]:
    """Times `requests` requests of 2 s, then the same number of 0.4 s, then the parts of a request."""
    import magenta_rt_py as mrt

    model = mrt.load(bundle)
    stream = model.stream(model.mix({PROMPT: 1.0}), seed=0)
    while not stream.is_warm:
        stream.next_chunk()
    figures: dict[str, Any] = {"guidance_weight": stream.controls.guidance_weight}
    figures["chunk_2_s"] = time_requests(stream, CHUNK_FRAMES, requests, say=say)
    figures["hop_0.4_s"] = time_requests(stream, HOP_FRAMES, requests, say=say)
    figures["parts_of_2_s_request"] = time_parts(model.models, stream, min(requests, 20))
    return figures


if __name__ == "__main__":
    sys.exit(main())
