"""`mrtpy verify`: does a bundle compute what the released models compute?"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.report import add_json_option, emit

RELEASED_KINDS = {"codec": "spectrostream", "style": "musiccoca"}
"""Parts that test vectors were released for, and what they call themselves in a bundle."""


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "verify",
        help="compare a bundle with the released test vectors",
        description="Compares a bundle with the released test vectors. Exit code 1: something differs.",
        allow_abbrev=False,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="model bundle, as `mrtpy convert` makes it")
    parser.add_argument("--testdata", type=Path, metavar="DIR", help="the released test vectors (default: fetched, 5 MB)")
    parser.add_argument("--offline", action="store_true", help="ask nobody for test vectors that are not here")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the table; 1 if a row failed."""
    from magenta_rt_py.bundle import load_bundle
    from magenta_rt_py.released.verify import all_right, verify

    if arguments.testdata and not arguments.testdata.is_dir():
        raise FileNotFoundError(f"there is no folder {arguments.testdata}; give --testdata the folder with the test vectors")
    bundle = load_bundle(arguments.bundle)
    vectors, reason = arguments.testdata, ""
    if vectors is None:
        vectors, reason = find_vectors(bundle, offline=arguments.offline)
    rows = verify(bundle, vectors, without_vectors=reason)
    right = all_right(rows)
    report = {
        "command": "verify",
        "bundle": str(arguments.bundle),
        "testdata": str(vectors) if vectors else None,
        "ok": right,
        "not_compared": sum(row.ok is None for row in rows),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    emit(arguments, report, _lines(report))
    return 0 if right else 1


def find_vectors(bundle: Any, *, offline: bool) -> tuple[Path | None, str]:
    """The folder of the released test vectors, fetched if need be; or None and why not."""
    from magenta_rt_py.errors import MrtError
    from magenta_rt_py.released.assets import TESTDATA
    from magenta_rt_py.released.fetch import fetch

    if not any(bundle.configs.get(part, {}).get("kind") == kind for part, kind in RELEASED_KINDS.items()):
        return None, "not the released model, so there is nothing to compare with"
    try:
        return fetch(TESTDATA, offline=True if offline else None, say=_say).root, ""
    except MrtError as error:
        return None, str(error)


def _lines(report: dict[str, Any]) -> list[str]:
    head = ("part", "check", "wanted", "measured", "")
    words = {True: "ok", False: "DIFFERS", None: "not compared"}
    table = [head] + [
        (row["part"], row["check"], row["wanted"], row["measured"], words[row["ok"]]) for row in report["rows"]
    ]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    for number, row in enumerate(report["rows"], 1):
        if row["note"]:
            lines[number] += f": {row['note']}"
    compared = [row for row in report["rows"] if row["ok"] is not None]
    failed = sum(not row["ok"] for row in compared)
    verdict = f"{failed} of {len(compared)} comparisons differ" if failed else f"{len(compared)} comparisons are right"
    return [*lines, f"{verdict}, {report['not_compared']} not compared"]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
