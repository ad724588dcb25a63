"""`mrtpy studio`: composes and renders one piece of training music, with its labels."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.generate import AUDIO_SUFFIXES
from magenta_rt_py.cli.options import check_output
from magenta_rt_py.cli.report import add_json_option, emit


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser("studio", help="compose a piece of training music", allow_abbrev=False)
    parser.add_argument("--genre", help="such as techno or 'lofi hip hop' (default: drawn from the seed)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same piece (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help=f"file to write: {' '.join(AUDIO_SUFFIXES)}")
    parser.add_argument("--labels", type=Path, help="also write what is known of the piece: .json")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Renders the piece and writes it."""
    from magenta_rt_py import audio
    from magenta_rt_py.train import studio
    from magenta_rt_py.train.studio.score import SAMPLE_RATE

    check_output(arguments.out, suffixes=AUDIO_SUFFIXES)
    if arguments.labels:
        check_output(arguments.labels, suffixes=(".json",))
    began = time.perf_counter()
    piece = studio.make_piece(arguments.seed, genre=arguments.genre, seconds=arguments.seconds)
    seconds = time.perf_counter() - began
    audio.write(arguments.out, piece.samples, SAMPLE_RATE)
    label = piece.label
    if arguments.labels:
        arguments.labels.write_text(json.dumps(label.as_dict(), indent=2) + "\n")
    report = {
        "command": "studio",
        "out": str(arguments.out),
        "labels": str(arguments.labels) if arguments.labels else None,
        "seconds": arguments.seconds,
        "genre": label.genre,
        "bpm": label.bpm,
        "key": f"{label.key} {label.mode}",
        "instruments": label.instruments,
        "caption": label.captions[0],
        "seed": label.seed,
        "rtf": arguments.seconds / seconds,
    }
    emit(
        arguments,
        report,
        [
            f"{arguments.out}: {arguments.seconds:g} s of {label.genre}, {label.bpm:.1f} bpm, {report['key']}",
            f"instruments: {', '.join(label.instruments)}",
            f"caption: {label.captions[0]}",
            f"made {report['rtf']:.0f} times faster than it plays",
        ],
    )
    return 0
