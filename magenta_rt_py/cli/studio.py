"""`mrtpy studio`: composes and renders one piece of training music, with its labels."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.generate import AUDIO_SUFFIXES
from magenta_rt_py.cli.options import check_output
from magenta_rt_py.cli.report import add_json_option, emit

if TYPE_CHECKING:
    from magenta_rt_py.train.studio import Piece, StyleCard

DEFAULT_SECONDS = 30.0
KINDS = ("full", "solo", "stem")


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser("studio", help="compose a piece of training music", allow_abbrev=False)
    parser.add_argument("--genre", help="such as techno or 'lofi hip hop' (default: drawn from the seed)")
    parser.add_argument("--to", metavar="GENRE", help="move from --genre to this one on a bar line")
    parser.add_argument("--kind", choices=KINDS, help="one instrument alone, or one stem of an arrangement (default: full)")
    parser.add_argument("--card", type=Path, metavar="FILE.json", help="render this style card, as --print-card writes it")
    parser.add_argument("--print-card", action="store_true", help="print the seed's style card as JSON, and no more")
    parser.add_argument("--seed", type=int, help="same seed, same piece (default: 1)")
    parser.add_argument("--seconds", type=float, help=f"length (default: {DEFAULT_SECONDS:g}, or the card's)")
    parser.add_argument("--out", type=Path, help=f"file to write: {' '.join(AUDIO_SUFFIXES)}")
    parser.add_argument("--labels", type=Path, help="also write what is known of the piece: .json")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Renders the piece and writes it."""
    from magenta_rt_py import audio
    from magenta_rt_py.train.studio.card_file import write_card
    from magenta_rt_py.train.studio.score import SAMPLE_RATE

    _check_together(arguments)
    if arguments.print_card:
        print(write_card(_card(arguments)), end="")
        return 0
    check_output(arguments.out, suffixes=AUDIO_SUFFIXES)
    if arguments.labels:
        check_output(arguments.labels, suffixes=(".json",))
    began = time.perf_counter()
    piece = _piece(arguments)
    spent = time.perf_counter() - began
    audio.write(arguments.out, piece.samples, SAMPLE_RATE)
    if arguments.labels:
        arguments.labels.write_text(json.dumps(piece.label.as_dict(), indent=2) + "\n")
    _report(arguments, piece, len(piece.samples) / SAMPLE_RATE, spent)
    return 0


def _check_together(arguments: argparse.Namespace) -> None:
    """Refuses options that contradict each other."""
    given = [name for name in ("genre", "to", "kind", "seed") if getattr(arguments, name) is not None]
    if arguments.card and given:
        raise ValueError(f"--card says all that --{given[0]} would; leave one of them out")
    if arguments.to and not arguments.genre:
        raise ValueError("--to needs --genre, the style that the piece comes from")
    if arguments.to and (arguments.kind or arguments.print_card):
        raise ValueError("a piece with --to has two cards and is a transition; leave --kind and --print-card out")
    if not arguments.print_card and not arguments.out:
        raise ValueError(f"--out is missing: give a file to write, {' '.join(AUDIO_SUFFIXES)}")


def _card(arguments: argparse.Namespace) -> StyleCard:
    """The card that is asked for, at the length that is asked for."""
    from magenta_rt_py.train import studio
    from magenta_rt_py.train.studio.card_file import card_of, read_card
    from magenta_rt_py.train.studio.score import SAMPLE_RATE

    if arguments.card:
        card = read_card(arguments.card)
        if arguments.seconds is None:
            return card
        if not arguments.seconds > 0:
            raise ValueError(f"got seconds={arguments.seconds}, expected a length above 0")
        return card_of(dataclasses.asdict(card) | {"samples": round(arguments.seconds * SAMPLE_RATE)})
    seed = 1 if arguments.seed is None else arguments.seed
    genre = studio.draw_genre(seed) if arguments.genre is None else arguments.genre
    seconds = DEFAULT_SECONDS if arguments.seconds is None else arguments.seconds
    return studio.sample_card(seed, genre=genre, seconds=seconds, kind=arguments.kind or "full")


def _piece(arguments: argparse.Namespace) -> Piece:
    from magenta_rt_py.train import studio

    if not arguments.to:
        return studio.piece_of_card(_card(arguments))
    seconds = DEFAULT_SECONDS if arguments.seconds is None else arguments.seconds
    seed = 1 if arguments.seed is None else arguments.seed
    return studio.make_transition(seed, genres=(arguments.genre, arguments.to), seconds=seconds)


def _report(arguments: argparse.Namespace, piece: Piece, seconds: float, spent: float) -> None:
    label = piece.label
    genres = [section["genre"] for section in label.sections]
    report = {
        "command": "studio",
        "out": str(arguments.out),
        "labels": str(arguments.labels) if arguments.labels else None,
        "seconds": seconds,
        "kind": label.kind,
        "genre": label.genre,
        "sections": label.sections,
        "bpm": label.bpm,
        "key": f"{label.key} {label.mode}",
        "instruments": label.instruments,
        "caption": label.captions[0],
        "seed": label.seed,
        "rtf": seconds / spent,
    }
    lines = [
        f"{arguments.out}: {seconds:g} s of {' to '.join(genres)} ({label.kind}), {label.bpm:.1f} bpm, {report['key']}",
        *(
            f"from beat {section['first_beat']}: {', '.join(section['instruments'])}; {section['captions'][0]}"
            for section in label.sections
        ),
        f"made {report['rtf']:.0f} times faster than it plays",
    ]
    emit(arguments, report, lines)
