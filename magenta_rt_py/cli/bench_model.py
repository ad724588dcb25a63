"""`mrtpy bench model`: how fast a model is on a device, and how far from what the device allows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.options import add_bundle_option, check_output
from magenta_rt_py.cli.report import add_json_option, emit, end_progress, plain, progress

SIZES = ("starter", "base", "large", "tiny")
DTYPES = ("float32", "bfloat16")
STORAGES = ("float32", "int8")
"""As in speed/subject.py and lm/packing.py, which would bring JAX along; a test compares them."""
FRAMES_A_SECOND = 25


def register(kinds: Any) -> None:
    """Adds the command below `mrtpy bench`."""
    parser = kinds.add_parser(
        "model",
        help="speed of a model on a device",
        description="Times requests, batches of streams and the first sound, codec and guidance included, and puts the "
        "device's limit beside them. Base and large have random weights: their speed is the same.",
        epilog="example: mrtpy bench model --size base --device cpu --dtype bfloat16 --json",
        allow_abbrev=False,
    )
    parser.add_argument("--size", choices=SIZES, default="starter", help="model (default: starter; tiny is for trying out)")
    parser.add_argument("--device", choices=("cpu", "gpu", "tpu"), help="where it runs (default: JAX's choice)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the language model")
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        help="of the weights that the frame loop of a CPU reads (default: the bundle's; base and large without it: XLA)",
    )
    parser.add_argument("--layers", type=int, metavar="N", help="cut base or large to N layers a stack, if all do not fit")
    parser.add_argument(
        "--hops", type=float, nargs="+", default=[2.0, 0.4, 0.2], metavar="S", help="seconds a request (default: 2 0.4 0.2)"
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[], metavar="N", help="also batches of N streams")
    parser.add_argument("--batch-hop", type=float, default=2.0, metavar="S", help="seconds a batch's request (default: 2)")
    parser.add_argument("--requests", type=int, default=200, help="most requests of each kind (default: 200)")
    parser.add_argument("--limit", type=float, default=60.0, metavar="S", help="most seconds for each kind (default: 60)")
    parser.add_argument("--skip-first-sound", action="store_true", help="leave out the two extra processes")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="write a JAX trace of two requests here")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the report: .json or .md")
    add_bundle_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measures and reports."""
    if arguments.out:
        check_output(arguments.out, suffixes=(".json", ".md"))
    if arguments.bundle is not None and arguments.size != "starter":
        raise ValueError(f"--bundle and --size {arguments.size} are both given; give one of them")
    hops, batch_hop = [_frames(hop) for hop in arguments.hops], _frames(arguments.batch_hop)
    from magenta_rt_py.speed import model_speed, table

    plan = model_speed.Plan(
        size=arguments.size,
        bundle=arguments.bundle,
        dtype=arguments.dtype,
        storage=arguments.storage,
        layers=arguments.layers,
        device=arguments.device,
        hops=tuple(hops),
        streams=tuple(arguments.streams),
        batch_hop=batch_hop,
        requests=arguments.requests,
        limit_seconds=arguments.limit,
        has_first_sound=not arguments.skip_first_sound,
        profile=arguments.profile,
    )
    report = {"command": _command(arguments), **model_speed.measure(plan, say=lambda line: progress(arguments, line))}
    end_progress(arguments)
    tables = table.markdown(report)
    if arguments.out:
        is_json = arguments.out.suffix.lower() == ".json"
        text = json.dumps(plain(report), indent=2, allow_nan=False) + "\n" if is_json else tables
        arguments.out.write_text(text, encoding="utf-8")
    emit(arguments, report, [tables])
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """The command that measures the same again."""
    words = ["mrtpy bench model", f"--bundle {arguments.bundle}" if arguments.bundle else f"--size {arguments.size}"]
    given = ("device", "storage", "layers")
    words += [f"--{name} {value}" for name in given if (value := getattr(arguments, name)) is not None]
    words += [f"--dtype {arguments.dtype}", "--hops", *(f"{hop:g}" for hop in arguments.hops)]
    if arguments.streams:
        words += ["--streams", *map(str, arguments.streams), f"--batch-hop {arguments.batch_hop:g}"]
    return " ".join([*words, f"--requests {arguments.requests}", f"--limit {arguments.limit:g}"])


def _frames(seconds: float) -> int:
    """Frames of a hop.

    Raises:
      ValueError: if it is no whole number of frames from 1 to 50.
    """
    frames = seconds * FRAMES_A_SECOND
    if not 0.999 <= frames <= 50.001 or abs(frames - round(frames)) > 1e-6:
        raise ValueError(f"a hop of {seconds:g} s; give a multiple of 0.04 s from 0.04 to 2")
    return round(frames)
