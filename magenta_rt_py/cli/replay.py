"""`mrtpy replay`: a performance again, from its log, sample for sample."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.options import add_bundle_option, check_output
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "replay",
        help="make a live performance again from its log",
        description="Makes the sound of a performance again from the event log that `mrtpy live` wrote, and compares it "
        "with the checksums in it.",
        epilog="example: mrtpy replay session.jsonl --out again.flac",
        allow_abbrev=False,
    )
    parser.add_argument("log", type=Path, help="event log: a .jsonl file")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the sound: .flac or .wav, 24 bits")
    add_bundle_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Makes it again; the exit code is 1 if it is not the same."""
    from magenta_rt_py.generators import performance, system
    from magenta_rt_py.live import replay
    from magenta_rt_py.live.recording_file import RecordingFile

    if arguments.out is not None:
        check_output(arguments.out, suffixes=(".flac", ".wav"))
    replay.read_script(arguments.log)  # before the model is loaded
    progress(arguments, "loading the model")
    script, pieces = performance.replay_log(system.load(arguments.bundle), arguments.log)
    file = None
    if arguments.out is not None:
        file = RecordingFile(arguments.out, sample_rate=48_000, channels=2)
    made, began = 0, time.perf_counter()

    def kept() -> Any:
        nonlocal made
        for piece in pieces:
            made += len(piece)
            if file is not None:
                file.append(piece)
            progress(arguments, f"{made / 48_000:.0f} s")
            yield piece

    verdict = replay.verify(script, kept())
    if file is not None:
        file.close()
    end_progress(arguments)
    report = {
        "command": "replay",
        "log": str(arguments.log),
        "out": None if arguments.out is None else str(arguments.out),
        "seconds": verdict.samples / 48_000,
        "checked_seconds": verdict.checked_samples / 48_000,
        "is_identical": verdict.is_identical,
        "knob_changes": script.knob_changes,
        "spent_seconds": time.perf_counter() - began,
    }
    emit(arguments, report, _lines(report))
    return 0 if verdict.is_identical else 1


def _lines(report: dict[str, Any]) -> list[str]:
    if not report["is_identical"]:
        verdict = "NOT the same: another machine or another version of a library computes other numbers"
    elif not report["checked_seconds"]:
        verdict = "nothing to compare it with: the log ends before its first checksum"
    else:
        verdict = f"identical, sample for sample, over the {report['checked_seconds']:.0f} s that the log has checksums for"
    return [
        f"{report['log']}: {report['seconds']:.1f} s made again in {report['spent_seconds']:.0f} s",
        f"  {verdict}",
        *([f"  written: {report['out']}"] if report["out"] else []),
    ]
