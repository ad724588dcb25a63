"""The command line: `mrtpy <command>`. One thin file a command: parse, check, call the library, report.

A command's module has `register(commands)`, which adds its parser and sets `run`, a function from the parsed arguments
to an exit code. Heavy imports stay inside `run`, so that `mrtpy --help` is quick.
"""

from magenta_rt_py.cli.program import main

__all__ = ["main"]
