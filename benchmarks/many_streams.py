"""Measures how many streams one device plays in real time, at each size of batch, and prints JSON.

    python benchmarks/many_streams.py [--bundle DIR] [--sizes 1 2 4 8 16] [--hops 0.4 2] [--requests 20] [--out FILE]
    python benchmarks/many_streams.py --tiny --requests 2         a random bundle: only whether it runs

For each size and hop: a batch of so many requests of the language model, with a context, seed, style and knobs for each,
and the sound of as many frames of each of them, refinement and codec included. Two and three rows (with a performer) are
measured apart.

rtf              seconds of music, of all streams together, for each second of work
streams          that play in real time if every batch is full: the RTF, rounded down
batch_seconds    of one batch, language model and sound: median, percentiles and worst; the hop is what it may take
gain             RTF over that of streams one after another
compilations     programs compiled while it was measured; anything but 0 is a fault

The streams' codes are held against those that each gets alone (`equal_alone`, a share of 1.0 is wanted: at temperature 0).
A stream alone may have int8 weights (`lm.frame_loop`) and a batch has none: it then falls below 1.0 where codes score alike.
The load average stands beside the figures: with a busy machine they are upper bounds on time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from magenta_rt_py.speed.machine import describe_machine, load_average, peak_memory_megabytes
from magenta_rt_py.speed.timing import quantiles

FRAME_SECONDS = 0.04
PIECES = 4
"""The sound of a hop is made in pieces of so many frames, as players' threads ask for it."""


def main(argv: list[str] | None = None) -> int:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--tiny", action="store_true", help="a tiny bundle of random weights instead")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="of batches (default 1 to 16)")
    parser.add_argument("--hops", type=float, nargs="+", default=[0.4, 2.0], help="seconds of a request (default 0.4 2)")
    parser.add_argument("--rows", type=int, nargs="+", default=[2, 3], choices=(2, 3), help="3: with a performer")
    parser.add_argument("--requests", type=int, default=20, help="batches to time (default 20)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args(argv)
    if min(arguments.sizes) < 1 or arguments.requests < 1 or not all(0.04 <= hop <= 2.0 for hop in arguments.hops):
        parser.error("give sizes and requests of 1 or more, and hops of 0.04 to 2 seconds")
    report = measure(arguments)
    text = json.dumps(report, indent=2, allow_nan=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All sizes and hops."""
    from magenta_rt_py.generators import system
    from magenta_rt_py.generators.live_batch import LiveBatch

    with tempfile.TemporaryDirectory() as folder:
        model = system.load(_tiny(Path(folder)) if arguments.tiny else arguments.bundle)
    sizes = sorted({1, *arguments.sizes})
    batch = LiveBatch(model.models, sizes=sizes)
    table: list[dict[str, Any]] = []
    for hop in arguments.hops:
        for rows in arguments.rows:
            alone = None
            for size in sizes:
                row = {"hop_seconds": hop, "rows": rows, "size": size}
                row |= measure_size(model.models, batch, size, round(hop / FRAME_SECONDS), rows, arguments.requests)
                alone = row["rtf"] if size == 1 else alone
                row["gain"] = round(row["rtf"] / alone, 3) if alone else None
                table.append(row)
                progress = f"{size} streams, hop {hop:g} s, {rows} rows: RTF {row['rtf']:.2f}"
                print(progress, file=sys.stderr, flush=True)  # standard output is the JSON alone
    return {
        "command": " ".join(sys.argv),
        "machine": describe_machine(),
        "bundle": "tiny, random" if arguments.tiny else str(arguments.bundle or "starter"),
        "batches": table,
        "peak_memory_megabytes": peak_memory_megabytes(),
    }


def _tiny(folder: Path) -> Path:
    from magenta_rt_py.generators.tiny import save_tiny_bundle

    return save_tiny_bundle(folder / "tiny")


def measure_size(models: Any, batch: Any, size: int, frames: int, rows: int, requests: int) -> dict[str, Any]:
    """One size of batch."""
    from magenta_rt_py.generators import codec_lm
    from magenta_rt_py.generators.live_lm import LiveLM
    from magenta_rt_py.generators.sound_batch import Stream
    from magenta_rt_py.lm import decode

    lm = LiveLM(models, lengths=(frames,), together=batch)
    streams = [make_request(models, number, frames, rows) for number in range(size)]
    parts = [lm.begin(request) for request in streams]
    states = {place: codec_lm.init_state(models, seed=place) for place in range(size)}
    equal = equal_alone(batch, parts)

    def once() -> tuple[float, float]:
        began = time.perf_counter()
        made = batch.run(parts)
        drawn = time.perf_counter()
        for first in range(0, frames, PIECES):
            pieces = {place: Stream(states[place], made[place].codes[first : first + PIECES]) for place in states}
            for place, (state, _) in _render(models, pieces, size).items():
                states[place] = state
        return drawn - began, time.perf_counter() - drawn

    once()  # compiles
    before, compiled = load_average(), decode.compiled_programs()
    spent = np.array([once() for _ in range(requests)])
    whole = spent.sum(1)
    rtf = size * frames * FRAME_SECONDS / float(np.mean(whole))
    return {
        "rtf": rtf,
        "streams": int(rtf),
        "batch_seconds": quantiles(whole.tolist()),
        "language_model_seconds": float(np.mean(spent[:, 0])),
        "sound_seconds": float(np.mean(spent[:, 1])),
        "equal_alone": equal,
        "compilations": decode.compiled_programs() - compiled,
        "load_average_before": before,
        "load_average_after": load_average(),
    }


def _render(models: Any, pieces: Any, size: int) -> Any:
    """As a server does: together where that is of use on this backend, else one after the other."""
    from magenta_rt_py.generators import sound_batch

    width = size if size in sound_batch.usual_sizes((1, size)) else 1
    return sound_batch.render(models, pieces, width=width)


def make_request(models: Any, number: int, frames: int, rows: int) -> Any:
    """A stream's own context, style, seed and knobs; greedy, so that it can be held against the stream alone."""
    from magenta_rt_py.generators.live_lm import HeardMix
    from magenta_rt_py.live import transport
    from magenta_rt_py.live.frame import Conditioning, Frame
    from magenta_rt_py.live.generator import Request

    config, generator = models.lm_config, np.random.default_rng(number)
    codes = generator.integers(0, config.codebook_size, (config.context_frames, config.num_levels)).astype(np.int32)
    style = tuple(generator.integers(0, config.codebook_size, config.style_levels).tolist())
    knobs = Conditioning(0.0, 40, 1.0 + 0.1 * number, 1.0, style, transport.start(90.0 + number))
    heard = None
    if rows == 3:
        mixed = generator.integers(0, config.codebook_size, (config.context_frames, config.context_levels))
        heard = HeardMix(None, mixed.astype(np.int32))
    history = tuple(Frame(row, 0.08 * place, 120.0) for place, row in enumerate(codes))
    return Request(0, 0, 0, frames, history, knobs, seed=number, heard=heard)


def equal_alone(batch: Any, parts: list[Any]) -> float:
    """Share of codes that are those of the streams one by one."""
    together = np.stack([made.codes for made in batch.run(parts)])
    alone = np.stack([batch.run([part])[0].codes for part in parts])
    return float((together == alone).mean())


if __name__ == "__main__":
    sys.exit(main())
