"""What a command says: lines for people, or one JSON object with --json."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import Any


def add_json_option(parser: argparse.ArgumentParser, *, default: Any = False) -> None:
    """Adds --json; an action whose command has it too passes argparse.SUPPRESS, so that either place counts."""
    parser.add_argument("--json", action="store_true", default=default, help="print one JSON object instead of text")


def emit(arguments: argparse.Namespace, report: dict[str, Any], lines: Sequence[str]) -> None:
    """Prints the report as JSON if --json was given, else the lines."""
    if arguments.json:
        print(json.dumps(plain(report), indent=2, allow_nan=False))
    else:
        print("\n".join(lines))


def progress(arguments: argparse.Namespace, line: str) -> None:
    """Shows how far a command is, on a terminal only, in one line that is written over."""
    if not arguments.json and sys.stderr.isatty():
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)


def end_progress(arguments: argparse.Namespace) -> None:
    """Clears the line that `progress` wrote."""
    progress(arguments, "")


def plain(value: Any) -> Any:
    """What JSON can hold: it has no NaN and no infinity: they become null. Arrays become lists."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
