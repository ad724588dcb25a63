"""`mrtpy`: finds the command, runs it, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from magenta_rt_py import __version__
from magenta_rt_py.errors import MrtError

BAD_INPUT = 2
"""Exit code when the input, the files or the machine are at fault."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
LONGEST_ERROR = 400
"""Characters of an error's line."""

COMMANDS = (
    *("generate", "live", "ui", "replay", "bench", "codec", "embed", "doctor", "studio", "evaluate"),
    *("prepare", "train", "finetune", "simulate"),
    *("runs", "devices", "fetch", "convert", "verify"),
)
"""Modules of magenta_rt_py.cli, in the order the help shows them; one that is not installed is left out."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {_one_line(message)}; see {self.prog} --help\n")


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="mrtpy",
        description="A live music model: an endless stereo stream steered by text and audio prompts.",
        epilog="MRT_DEBUG=1 shows where an error came from.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mrtpy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name in COMMANDS:
        module = f"magenta_rt_py.cli.{name}"
        if importlib.util.find_spec(module):
            importlib.import_module(module).register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: arguments after the program's name; None reads the process's own.
    Returns:
      0 if all went well, 2 for bad input (one line on stderr says what came, what was expected and what to do), 130
      after Ctrl-C.
    """
    try:
        arguments = build_parser().parse_args(argv)
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("mrtpy: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse: --help, --version, a wrong argument
        return stop.code if isinstance(stop.code, int) else BAD_INPUT
    except BrokenPipeError:  # `mrtpy ... | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  or the interpreter complains again when it closes stdout
        return 0
    except (MrtError, ValueError, OSError) as error:
        if os.environ.get("MRT_DEBUG"):
            raise
        print(f"mrtpy: {_one_line(str(error) or type(error).__name__)}", file=sys.stderr)
        return BAD_INPUT


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 3]}..."
