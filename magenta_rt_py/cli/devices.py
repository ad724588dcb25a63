"""`mrtpy devices`: the sound cards there are, as the other commands call them."""

from __future__ import annotations

import argparse
from typing import Any

from magenta_rt_py.cli.report import add_json_option, emit


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "devices",
        help="which sound cards there are",
        description="Lists sound cards. Choose one by its index or by any part of its name.",
        allow_abbrev=False,
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Lists them. A machine without sound is a finding, not an error."""
    from magenta_rt_py.io import devices

    found = devices.query()
    report = {"command": "devices", "devices": [{**device._asdict(), "full_name": device.full_name} for device in found]}
    emit(arguments, report, _lines(found))
    return 0


def _lines(found: list[Any]) -> list[str]:
    if not found:
        return ["no sound cards: connect one, or start the sound server (PipeWire, PulseAudio or JACK)"]
    width = max(len(device.full_name) for device in found)
    lines = [f"    # {'name, host API':{width}}   in  out      rate   (> default input, < default output)"]
    for device in found:
        marks = (">" if device.is_default_input else " ") + ("<" if device.is_default_output else " ")
        lines.append(
            f"{marks} {device.index:2} {device.full_name:{width}} {device.input_channels:4} {device.output_channels:4} "
            f"{device.default_rate_hz:6} Hz"
        )
    return lines
