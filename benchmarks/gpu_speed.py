"""All GPU figures of speed in one call of at most nine minutes, the most wanted first.

    python3 benchmarks/gpu_speed.py --out out/gpu [--seconds 540] [--steps large batch ...] [--tiny]

For any Python 3.11 whose JAX knows the GPU. Each step is a process of its own (`mrtpy bench model`), so that none holds
another's memory and one that fails or takes too long costs the others nothing. What is done is on disk at once: a report
a step, and in the end summary.json and summary.md, with what was wanted beside what was measured. Packages that the
machine lacks are taken from out/carry (`make starter-carry`). `--tiny` tries the script out on a CPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
CARRIED = CHECKOUT / "out" / "carry"
LEAST_SECONDS = 20.0
"""No step is started with less time left."""
TAIL_CHARACTERS = 2_000
FIRST_SOUND = "first_sound"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One process."""

    name: str
    arguments: tuple[str, ...]  # of `mrtpy bench model`; of FIRST_SOUND: size and dtype
    seconds: float  # most time it gets


STEPS = (
    Step(name="large", seconds=170, arguments=("--size", "large", "--dtype", "bfloat16", "--hops", "2", "0.2",
        "--requests", "1000", "--limit", "25")),
    Step(name=FIRST_SOUND, seconds=60, arguments=("large", "bfloat16")),
    Step(name="batch", seconds=150, arguments=("--size", "large", "--dtype", "bfloat16", "--hops", "2", "--requests", "40",
        "--limit", "15", "--streams", "32", "64")),
    Step(name="base", seconds=110, arguments=("--size", "base", "--dtype", "bfloat16", "--hops", "2", "0.4", "0.2",
        "--requests", "1000", "--limit", "10")),
    Step(name="profile", seconds=80, arguments=("--size", "large", "--dtype", "bfloat16", "--hops", "2", "--requests", "5",
        "--limit", "10", "--profile", "OUT/trace")),
    Step(name="float32", seconds=100, arguments=("--size", "large", "--hops", "2", "--requests", "100", "--limit", "10")),
    Step(name="starter", seconds=60, arguments=("--size", "starter", "--hops", "2", "0.4", "--requests", "100",
        "--limit", "8")),
)  # fmt: skip
"""In the order of what is wanted most."""

TINY = ("--size", "tiny", "--requests", "3", "--limit", "5")
"""Instead, to try the script out."""


def main(argv: list[str] | None = None) -> int:
    """Runs the steps, as far as the time reaches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the reports")
    parser.add_argument("--seconds", type=float, default=540.0, help="most time in all (default 540)")
    parser.add_argument("--steps", nargs="+", choices=[step.name for step in STEPS], help="these alone (default: all)")
    parser.add_argument("--tiny", action="store_true", help="tiny models on the CPU, to try the script out")
    arguments = parser.parse_args(argv)
    began = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    environment = prepare(arguments.out)
    done: dict[str, Any] = {}
    for step in STEPS:
        if arguments.steps and step.name not in arguments.steps:
            continue
        left = arguments.seconds - (time.monotonic() - began)
        print(f"{step.name}: {left:.0f} s left", file=sys.stderr, flush=True)
        if left < LEAST_SECONDS:
            done[step.name] = {"failed": "no time was left"}
            continue
        most = left if arguments.tiny else min(step.seconds, left)
        done[step.name] = run_step(step, arguments.out, environment, most, is_tiny=arguments.tiny)
        write(arguments.out, done, time.monotonic() - began)
    write(arguments.out, done, time.monotonic() - began)
    print((arguments.out / "summary.md").read_text())
    return 0 if all("failed" not in report for report in done.values()) else 1


def prepare(out: Path) -> dict[str, str]:
    """The steps' environment: the checkout, what was carried, and one compilation cache."""
    site = CARRIED / "site"
    wheels = sorted((CARRIED / "wheels").glob("*.whl"))
    if wheels and not site.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
        subprocess.run([*command, *map(str, wheels)], check=True)
    paths = [str(CHECKOUT), str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MRT_COMPILATION_CACHE": str(out.resolve() / "compiled")}


def run_step(step: Step, out: Path, environment: dict[str, str], seconds: float, *, is_tiny: bool) -> dict[str, Any]:
    """Runs one step; what it measured, or why it failed."""
    started = time.monotonic()
    device = "cpu" if is_tiny else "gpu"
    report = out / f"{step.name}.json"
    if step.name == FIRST_SOUND:
        size, dtype = ("tiny", "bfloat16") if is_tiny else step.arguments
        command = first_sound_command(size, dtype, device)
    else:
        given = tuple(word.replace("OUT", str(out)) for word in step.arguments)
        command = [sys.executable, "-m", "magenta_rt_py", "bench", "model", *given, *(TINY if is_tiny else ())]
        command += ["--device", device, "--skip-first-sound", "--json", "--out", str(report)]
    try:
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {seconds:.0f} s"}
    spent = time.monotonic() - started
    if finished.returncode:
        return {"failed": f"exit code {finished.returncode}: {finished.stderr[-TAIL_CHARACTERS:]}"}
    if step.name == FIRST_SOUND:
        return {"filled_cache_seconds": spent}
    return {**json.loads(report.read_text()), "process_seconds": spent}


def first_sound_command(size: str, dtype: str, device: str) -> list[str]:
    """A new process that builds the model and makes its first chunk. An earlier step has filled the cache."""
    fields = json.dumps({"size": size, "dtype": dtype, "layers": None, "device": device})
    program = "from magenta_rt_py.speed.subject import RANDOM_PROGRAM; exec(RANDOM_PROGRAM)"
    return [sys.executable, "-c", program, fields]


def write(out: Path, done: dict[str, Any], spent: float) -> None:
    """Leaves what is there by now."""
    summary = {"command": " ".join(sys.argv), "seconds": spent, "steps": done, "wanted": verdicts(done)}
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (out / "summary.md").write_text(markdown(summary), encoding="utf-8")


def verdicts(done: dict[str, Any]) -> list[dict[str, Any]]:
    """What was wanted of Large on a large GPU, guidance on and codec included, beside what was measured."""
    hops = {f"{hop['hop_seconds']:g}": hop for hop in done.get("large", {}).get("hops", ())}
    chunk, short = hops.get("2", {}), hops.get("0.2", {})
    streams = done.get("batch", {}).get("streams_in_real_time", {})
    rows: list[tuple[str, float | None, float, bool]] = [
        ("RTF of one stream, requests of 2 s", chunk.get("rtf"), 8.0, True),
        ("RTF of one stream, hop 0.2 s", short.get("rtf"), 4.0, True),
        ("p99 of a request at hop 0.2 s, seconds", short.get("p99_seconds"), 0.2, False),
        ("streams in real time in one batch", streams.get("in_one_batch"), 32, True),
        ("seconds to the first sound, filled cache", done.get(FIRST_SOUND, {}).get("filled_cache_seconds"), 30.0, False),
    ]
    told = []
    for name, measured, wanted, is_least in rows:
        reached = None if measured is None else (measured >= wanted if is_least else measured <= wanted)
        limit = f"{'>=' if is_least else '<='} {wanted:g}"
        told.append({"figure": name, "measured": measured, "wanted": limit, "reached": reached})
    return told


def markdown(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    sys.path.insert(0, str(CHECKOUT))
    from magenta_rt_py.speed import table  # knows no JAX: this process leaves the GPU to the steps

    answers = {None: "not measured", True: "yes", False: "no"}
    rows = []
    for row in summary["wanted"]:
        rows.append((row["figure"], row["wanted"], table.number(row["measured"]), answers[row["reached"]]))
    blocks = [f"`{summary['command']}`: {summary['seconds']:.0f} s"]
    blocks.append(table.rows_of(("figure", "wanted", "measured", "reached"), rows))
    for name, report in summary["steps"].items():
        if "failed" in report:
            blocks.append(f"{name}: failed: {report['failed']}")
        elif "hops" in report:
            blocks.append(f"## {name}\n\n`{report['command']}`\n\n{table.markdown(report)}".rstrip())
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.exit(main())
