"""`mrtpy convert`: released files into a bundle, and a bundle's language model into a T5X checkpoint."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.report import add_json_option, emit


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "convert",
        help="released checkpoints, codecs and style models into a bundle, or back into a T5X checkpoint",
        allow_abbrev=False,
    )
    parser.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="T5X checkpoint (folder or .tar), bundle, or a folder of fetched files",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="bundle to make or to add to; with --to t5x a new folder"
    )
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "type": Path, "default": [], "metavar": "PATH"}
    parser.add_argument("--codec", help="SpectroStream: safetensors files, or the SavedModels' folder", **several)
    parser.add_argument(
        "--style", help="MusicCoCa: SavedModels with quantizer and vocabulary, or the folder of TFLite programs", **several
    )
    parser.add_argument("--gin", type=Path, metavar="FILE", help="the checkpoint's settings (default: config.gin beside it)")
    parser.add_argument("--name", help="name of the model, for the bundle's record (default: the folder's)")
    parser.add_argument("--replace", action="store_true", help="replace parts that the bundle has already")
    parser.add_argument(
        "--storage", choices=("float32", "int8"), help="of the language model; int8 is quicker on a CPU (default: float32)"
    )
    parser.add_argument("--to", choices=("bundle", "t5x"), default="bundle", help="what to write (default: bundle)")
    parser.add_argument("--step", type=int, help="with --to t5x: training step (default: the one that it came with)")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), help="with --to t5x: type of all tensors (default: as they came)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Converts."""
    check_combination(arguments)
    started = time.perf_counter()
    report = to_t5x(arguments) if arguments.to == "t5x" else to_bundle(arguments)
    report |= {"seconds": time.perf_counter() - started}
    line = "{out}: {what}, {megabytes:.1f} MB, {seconds:.1f} s".format(
        what=", ".join(f"{part} ({count:,} numbers)" for part, count in report["parts"].items()) or "as it was",
        megabytes=report["num_bytes"] / 1e6,
        **{name: report[name] for name in ("out", "seconds")},
    )
    emit(arguments, report, [line, *(f"note: {note}" for note in report["notes"])])
    return 0


def to_bundle(arguments: argparse.Namespace) -> dict[str, Any]:
    """Makes or extends a bundle."""
    from magenta_rt_py.released.convert import convert

    made = convert(
        arguments.out,
        arguments.sources,
        codec=arguments.codec,
        style=arguments.style,
        settings=arguments.gin,
        name=arguments.name,
        replace=arguments.replace,
        storage=arguments.storage,
    )
    return {
        "command": "convert",
        "out": str(arguments.out),
        "to": "bundle",
        "parts": dict(made.num_parameters),
        "all_parts": sorted(made.bundle.configs),
        "num_bytes": made.bundle.num_bytes,
        "fingerprint": made.bundle.fingerprint,
        "notes": list(made.notes),
    }


def to_t5x(arguments: argparse.Namespace) -> dict[str, Any]:
    """Writes a T5X checkpoint."""
    from magenta_rt_py.released.convert import convert_to_t5x

    (source,) = arguments.sources
    count = convert_to_t5x(source, arguments.out, step=arguments.step, dtype=arguments.dtype)
    return {
        "command": "convert",
        "out": str(arguments.out),
        "to": "t5x",
        "parts": {"lm": count},
        "num_bytes": sum(file.stat().st_size for file in arguments.out.rglob("*") if file.is_file()),
        "notes": [],
    }


def check_combination(arguments: argparse.Namespace) -> None:
    """Refuses options that do not go together.

    Raises:
      ValueError: naming the option.
    """
    if arguments.to == "t5x":
        names = ("codec", "style", "gin", "name", "replace", "storage")
        useless = [f"--{name}" for name in names if getattr(arguments, name)]
        if useless:
            raise ValueError(f"{useless[0]} is of no use with --to t5x, which writes only the language model; leave it out")
        if len(arguments.sources) != 1:
            raise ValueError(f"--to t5x takes one bundle, got {len(arguments.sources)} paths; give one")
        if arguments.step is not None and not 0 <= arguments.step < 2**31:
            raise ValueError(f"--step is {arguments.step}; give 0 .. {2**31 - 1}")
    elif arguments.step is not None or arguments.dtype is not None:
        raise ValueError("--step and --dtype are for --to t5x; leave them out")
