"""`mrtpy runs`: lists training runs; shows one of them; compares two, with their curves in one picture."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import check_output
from magenta_rt_py.cli.report import add_json_option, emit

if TYPE_CHECKING:
    from magenta_rt_py.train.runs import Run

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def register(commands: Any) -> None:
    """Adds the command and its actions."""
    parser = commands.add_parser("runs", help="list and compare training runs", allow_abbrev=False)
    _add_directory(parser)
    add_json_option(parser)
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(title="actions", metavar="show|compare", dest="action")
    show = actions.add_parser("show", help="everything that is known of a run", allow_abbrev=False)
    show.add_argument("name", metavar="RUN", help="a run's folder, or its name in the list")
    show.set_defaults(run=run_show)
    compare = actions.add_parser("compare", help="what two runs differ in", allow_abbrev=False)
    compare.add_argument("left", metavar="A", help="a run's folder, or its name in the list")
    compare.add_argument("right", metavar="B", help="another one")
    compare.set_defaults(run=run_compare)
    for action in (show, compare):
        # Suppressed defaults: what was given before the action's name stands.
        _add_directory(action, default=argparse.SUPPRESS)
        action.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the losses: .png, .svg or .pdf")
        add_json_option(action, default=argparse.SUPPRESS)


def run_list(arguments: argparse.Namespace) -> int:
    """All runs of a folder, in a table."""
    from magenta_rt_py.train.runs import find_runs
    from magenta_rt_py.train.runs.tables import list_lines

    root = _root(arguments)
    runs = find_runs(root) if arguments.dir or root.is_dir() else []
    lines = list_lines(runs, root) if runs else [f"no runs in {root}; --dir names another folder"]
    emit(arguments, {"command": "runs", "dir": str(root), "runs": [_as_dict(run) for run in runs]}, lines)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """One run in full."""
    from magenta_rt_py.train.runs.tables import show_lines

    run = _find(arguments, arguments.name)
    drawn = _draw(arguments, [run], [arguments.name])
    emit(arguments, {"command": "runs show", **_as_dict(run)}, [*show_lines(run), *drawn])
    return 0


def run_compare(arguments: argparse.Namespace) -> int:
    """Two runs side by side."""
    from magenta_rt_py.train.runs.tables import compare, compare_lines

    names = (arguments.left, arguments.right)
    left, right = (_find(arguments, name) for name in names)
    drawn = _draw(arguments, [left, right], list(names))
    compared = compare(left, right)
    emit(arguments, {"command": "runs compare", **compared}, [*compare_lines(compared, names), *drawn])
    return 0


def _add_directory(parser: argparse.ArgumentParser, default: Any = None) -> None:
    text = "folder to look for runs in (default: the user's cache)"
    parser.add_argument("--dir", type=Path, metavar="DIR", default=default, help=text)


def _root(arguments: argparse.Namespace) -> Path:
    from magenta_rt_py.train.runs import runs_folder

    # The parent: the starter's training, which has a folder of its own in the cache, is listed too.
    return arguments.dir or runs_folder().parent


def _find(arguments: argparse.Namespace, name: str) -> Run:
    """A run by its name in the list, or by its folder."""
    from magenta_rt_py.train.runs import read_run, runs_folder

    places = [_root(arguments) / name, runs_folder() / name, Path(name)]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise FileNotFoundError(f"there is no run {name!r} in {places[0].parent}; `mrtpy runs` lists those that are")
    return read_run(found)


def _draw(arguments: argparse.Namespace, runs: list[Run], names: list[str]) -> list[str]:
    """Draws the curves if that is wanted; the line that says so."""
    if not arguments.plot:
        return []
    from magenta_rt_py.train.runs.curves import draw_curves

    check_output(arguments.plot, suffixes=PICTURE_SUFFIXES)
    draw_curves(arguments.plot, runs, names)
    return [f"drew {arguments.plot}"]


def _as_dict(run: Run) -> dict[str, Any]:
    fields = {field.name: getattr(run, field.name) for field in dataclasses.fields(run) if field.name != "metrics"}
    fields |= {"directory": str(run.directory), "began": run.began, "step": run.step, "commit": run.commit}
    return fields | {"numbers": run.numbers, "takes": [str(path) for path in run.takes]}
