"""Peers and ours side by side, in one run on one machine: a Markdown table, or JSON.

    python benchmarks/peers/side_by_side.py --peers-python PEERS_ENV/bin/python [--rounds 5] [--seconds 2] [--out FILE]

Two processes hold the models, ours and theirs, each in its own environment, and only one of them works at a time. Runs
alternate: every model once, then again, so that a busy minute of the machine meets all. The first run of each is not
counted. Weights are random but the starter's: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from magenta_rt_py.speed import table
from magenta_rt_py.speed.machine import describe_machine, load_average

HERE = Path(__file__).resolve().parent
OURS, THEIRS = HERE / "ours.py", HERE / "theirs.py"
GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "music": (("theirs", "MusicGen-small"), ("ours", "Base geometry"), ("ours", "starter")),
    "codecs": (
        ("theirs", "EnCodec 48 kHz"), ("theirs", "DAC 44.1 kHz"), ("theirs", "Mimi 24 kHz"),
        ("ours", "SpectroStream geometry"), ("ours", "starter codec"),
    ),
}  # fmt: skip
"""What is compared with what: (side, model), alternating in this order."""
HEADER = (
    "model", "M numbers", "of them, token model", "audio", "kbit/s", "run", "s a second of audio", "RTF",
    "ms a second of audio and M numbers", "notes",
)  # fmt: skip


class WorkerFailedError(RuntimeError):
    """A process that holds models said no, or is gone."""


class Worker:
    """A process that holds models, see worker.py."""

    def __init__(self, python: str, program: Path):
        """Starts it.

        Args:
          python: interpreter of its environment.
          program: its source.
        """
        self._name = f"{python} {program.name}"
        self._process = subprocess.Popen([python, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **order: Any) -> dict[str, Any]:
        """Sends an order and waits for the answer.

        Raises:
          WorkerFailedError: if the answer is an error, or the process has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerFailedError(f"{self._name} has ended with {self._process.wait()}; what it said stands above")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailedError(f"{self._name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Ends it."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait(timeout=60)


def main(argv: list[str] | None = None) -> int:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers-python", required=True, metavar="FILE", help="interpreter with requirements.txt installed")
    parser.add_argument("--groups", nargs="+", choices=tuple(GROUPS), default=list(GROUPS), help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each that count (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of audio a run (default 2)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the language models")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the program out")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the report: .json, else Markdown")
    parser.add_argument("--peers-program", type=Path, default=THEIRS, help=argparse.SUPPRESS)
    parser.add_argument("--our-program", type=Path, default=OURS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or not 0.04 <= arguments.seconds <= 60.0:
        parser.error(f"{arguments.rounds} rounds of {arguments.seconds:g} s; give 1 or more, of 0.04 to 60 s")
    report = {"command": " ".join(sys.argv), "machine": describe_machine(), "seconds": arguments.seconds}
    with _workers(arguments) as sides:
        report["groups"] = {name: compare(sides, name, arguments) for name in arguments.groups}
    text = markdown(report)
    print(text)
    if arguments.out:
        is_json = arguments.out.suffix.lower() == ".json"
        arguments.out.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n" if is_json else text, encoding="utf-8")
    return 0


@contextlib.contextmanager
def _workers(arguments: argparse.Namespace) -> Iterator[dict[str, Worker]]:
    with contextlib.ExitStack() as stack:
        sides = {}
        for side, python, program in (
            ("theirs", arguments.peers_python, arguments.peers_program),
            ("ours", sys.executable, arguments.our_program),
        ):
            sides[side] = Worker(python, program)
            stack.callback(sides[side].close)
        yield sides


def compare(sides: dict[str, Worker], group: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Loads a group's models, runs them in turn, and drops them.

    Returns:
      a row for each run of each model: what it is, the median time a second of audio, and all times.
    """
    rows: list[dict[str, Any]] = []
    for side, model in GROUPS[group]:
        _say(f"loading {model}")
        what = {"seconds": arguments.seconds, "dtype": arguments.dtype, "tiny": arguments.tiny}
        told = sides[side].ask(do="load", model=model, **what)
        runs = told.pop("runs")
        rows += [{"side": side, "model": model, **told, "run": run, "seconds": [], "load_average": []} for run in runs]
    for number in range(arguments.rounds + 1):
        _say(f"{group}: round {number} of {arguments.rounds}" if number else f"{group}: warming up")
        for row in rows:
            done = sides[row["side"]].ask(do="run", model=row["model"], run=row["run"])
            if number:  # the first compiles
                row["seconds"].append(done["seconds"] / done["audio_seconds"])
                row["load_average"].append(load_average())
    for side in sides.values():
        side.ask(do="drop")
    for row in rows:
        row["seconds_a_second"] = statistics.median(row["seconds"])
        row["rtf"] = 1.0 / row["seconds_a_second"]
        row["seconds_a_second_and_million"] = row["seconds_a_second"] / (row["parameters"] / 1e6)
    return rows


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown, a table a group."""
    machine = report["machine"]
    versions: dict[str, str] = {}
    for rows in report["groups"].values():
        for row in rows:
            versions |= row["versions"]
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    blocks = [
        f"`{report['command']}` on {machine['processor']}, {machine['cores']} cores; Python {machine['python']}, {told}; "
        f"{report['seconds']:g} s of audio a run; medians; load average at the start "
        f"{table.number(machine['load_average'])}."
    ]
    for group, rows in report["groups"].items():
        lines = [_line(row) for row in rows]
        blocks.append(f"{group}\n\n{table.rows_of(HEADER, lines)}")
    return "\n\n".join(blocks) + "\n"


def _line(row: dict[str, Any]) -> list[str]:
    channels = {1: "mono", 2: "stereo"}[row["channels"]]
    return [
        row["model"], table.number(row["parameters"] / 1e6), table.number(row["core_parameters"] / 1e6),
        f"{row['sample_rate'] / 1e3:g} kHz {channels}", table.number(row["bits_per_second"] / 1e3), row["run"],
        table.number(row["seconds_a_second"]), table.number(row["rtf"]),
        table.milliseconds(row["seconds_a_second_and_million"]), row["note"],
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
