"""`mrtpy train codec|style|lm`: one part of a bundle from nothing, at any size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.finetune import PRESETS, add_run_options, check_extra, chosen, join_hosts
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magenta_rt_py.train.parts import Piece

ACTIONS = {
    "codec": "the codec, on audio",
    "style": "the style model, on audio and its captions",
    "lm": "the language model, on tokens (mrtpy prepare)",
}
DEFAULT_MINUTES = {"codec": 22.0, "style": 14.0}
"""Minutes of training: the starter's on two CPU cores."""


def register(commands: Any) -> None:
    """Adds the command and its actions."""
    parser = commands.add_parser("train", help="train codec, style model or language model from nothing", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="|".join(ACTIONS), dest="action", required=True)
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=f"Trains {text}.", allow_abbrev=False)
        action.add_argument("--preset", choices=PRESETS, default="starter", help="size (default: %(default)s)")
        action.add_argument("--out", type=Path, required=True, metavar="DIR", help="bundle to write")
        action.add_argument("--work", type=Path, metavar="DIR", help="checkpoints and metrics (default: OUT.work)")
        action.add_argument(
            "--bundle", type=Path, metavar="DIR", help="bundle whose other parts it gets (lm: default the starter)"
        )
        if name == "lm":
            action.add_argument("--data", type=Path, required=True, metavar="DIR", help="prepared folder, or token shards")
            add_run_options(action)
        else:
            music = action.add_mutually_exclusive_group(required=True)
            music.add_argument("--data", type=Path, metavar="DIR", help="folder of audio")
            music.add_argument("--studio", type=float, metavar="MINUTES", help="music of the studio instead")
            action.add_argument("--minutes", type=float, default=DEFAULT_MINUTES[name], help="of training (%(default)g)")
            action.add_argument("--seed", type=int, default=0, help="of weights and crops (default 0)")
        add_json_option(action)
        action.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains the part and reports."""
    check_extra("training")
    work = arguments.work or arguments.out.with_name(f"{arguments.out.name}.work")
    report = _language_model(arguments, work) if arguments.action == "lm" else _on_audio(arguments, work)
    end_progress(arguments)
    emit(arguments, report, [f"{report['out']}: {arguments.action} of size {arguments.preset}; next: {report['next']}"])
    return 0


def _on_audio(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    from magenta_rt_py.generators import system
    from magenta_rt_py.train import parts

    if not arguments.minutes > 0:
        raise ValueError(f"got --minutes {arguments.minutes:g}, expected more than 0")
    train = {"codec": parts.train_codec_part, "style": parts.train_style_part}[arguments.action]
    asked = parts.AudioRun(
        pieces=_pieces(arguments),
        music=f"folder {arguments.data.resolve()}" if arguments.data else f"studio, {arguments.studio:g} minutes",
        seconds=60 * arguments.minutes,
        work=work,
        base=system.open_bundle(arguments.bundle) if arguments.bundle else None,
        seed=arguments.seed,
        log=lambda line: progress(arguments, line),
    )
    train(arguments.preset, arguments.out, asked)
    step = {"codec": "mrtpy train style", "style": "mrtpy prepare"}[arguments.action]
    following = f"{step} --bundle {arguments.out}"
    return {"command": f"train {arguments.action}", "out": str(arguments.out), "preset": arguments.preset, "next": following}


def _pieces(arguments: argparse.Namespace) -> Iterator[Piece]:
    from magenta_rt_py.train import parts

    if arguments.studio is None:
        return parts.folder_pieces(arguments.data)
    if not arguments.studio > 0:
        raise ValueError(f"got --studio {arguments.studio:g}, expected minutes of music, more than 0")
    return parts.studio_pieces(arguments.studio)


def _language_model(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    join_hosts(arguments)
    from magenta_rt_py.generators import system
    from magenta_rt_py.train import parts
    from magenta_rt_py.train.finetune import presets

    config = chosen(arguments, presets.from_nothing(arguments.preset))
    fitted = parts.train_lm_part(
        arguments.preset,
        arguments.data,
        arguments.out,
        config,
        work=work,
        base=system.open_bundle(arguments.bundle),
        log=lambda line: progress(arguments, line),
    )
    return {
        "command": "train lm",
        "out": str(arguments.out),
        "preset": arguments.preset,
        "steps": int(fitted.state.step),
        "held_out_nats": float(fitted.after["nats_mean"]),
        "next": f"mrtpy ui --bundle {arguments.out}",
    }
