"""`mrtpy fetch`: the released files from the Hugging Face hub, checked, and if wished converted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from magenta_rt_py.cli.report import add_json_option, emit


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "fetch",
        help="fetch released weights, checked and resumable",
        description="Fetches released files from the Hugging Face hub. Interrupted, it goes on where it was the next time.",
        allow_abbrev=False,
    )
    parser.add_argument("asset", nargs="?", metavar="NAME", help="what to fetch; without a name: a list of what there is")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="put the files here (default: the hub's cache, HF_HOME)")
    parser.add_argument("--revision", default="main", help="branch, tag or commit of the repository (default main)")
    parser.add_argument("--offline", action="store_true", help="ask nobody: only check that all is here")
    parser.add_argument("--yes", action="store_true", help="accept the licence without being asked")
    parser.add_argument("--convert", type=Path, metavar="BUNDLE", help="then make a bundle of the files, or add to one")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetches one asset, or says what there is."""
    from magenta_rt_py.released import fetch
    from magenta_rt_py.released.assets import ASSETS, find_asset

    if arguments.asset is None:
        report = {"command": "fetch", "assets": [_describe(asset) for asset in ASSETS]}
        emit(arguments, report, _table(ASSETS))
        return 0
    asset = find_asset(arguments.asset)
    _check_target(arguments, asset)
    plan = fetch.prepare(
        asset, folder=arguments.dir, revision=arguments.revision, offline=True if arguments.offline else None
    )
    for note in plan.notes:
        _say(note)
    if plan.missing:
        accept(plan, yes=arguments.yes)
    fetched = fetch.carry_out(plan, say=_say, show_progress=sys.stderr.isatty() and not arguments.json)
    notes = fetch.to_bundle(fetched, arguments.convert) if arguments.convert else ()
    report = {
        "command": "fetch",
        **_describe(asset),
        "folder": str(fetched.root),
        "commit": fetched.commit,
        "files": len(plan.files),
        "bytes": fetched.num_bytes,
        "received_bytes": fetched.received_bytes,
        "bundle": str(arguments.convert) if arguments.convert else None,
        "notes": list(notes),
    }
    emit(arguments, report, _lines(report))
    return 0


def accept(plan: Any, *, yes: bool) -> None:
    """Says what would come and under which licence, and asks whether that is wanted.

    Raises:
      ValueError: it is not wanted, or nobody is there to ask.
    """
    asset = plan.asset
    _say(f"{asset.name}: {asset.title}, from {asset.page}")
    _say(f"to come: {size(plan.missing_bytes)} of {size(plan.num_bytes)}, into {plan.store.folder}")
    _say(f"licence: {asset.licence}, and terms: {asset.terms}. In full: {asset.page}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise ValueError(f"nobody is here to accept the licence of {asset.name}; read {asset.page} and add --yes")
    print("Accept and fetch? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ValueError("not accepted, nothing was fetched")


def size(num_bytes: int) -> str:
    """As people read it."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"


def _check_target(arguments: argparse.Namespace, asset: Any) -> None:
    """Refuses, before gigabytes come, what would fail after them."""
    if arguments.convert is None:
        return
    if not asset.parts:
        raise ValueError(f"{asset.name} holds test vectors and no model; leave --convert out")
    from magenta_rt_py.bundle import load_bundle

    if (arguments.convert / "bundle.json").is_file():
        double = sorted(set(asset.parts) & load_bundle(arguments.convert).configs.keys())
        if double:
            raise FileExistsError(f"{arguments.convert} has a {double[0]!r} part already; give --convert another folder")
    elif arguments.convert.exists():
        raise FileExistsError(f"{arguments.convert} exists already; give --convert a new folder, or a bundle to add to")
    if not arguments.convert.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {arguments.convert.absolute().parent}; make it first")


def _describe(asset: Any) -> dict[str, Any]:
    return {
        "name": asset.name,
        "title": asset.title,
        "repository": asset.repository,
        "licence": asset.licence,
        "terms": asset.terms,
        "about_bytes": asset.about_bytes,
        "parts": list(asset.parts),
    }


def _table(assets: Any) -> list[str]:
    width = max(len(asset.name) for asset in assets)
    rows = [
        f"{asset.name:{width}}  about {size(asset.about_bytes):7}  {', '.join(asset.parts) or 'no model':16}  {asset.title}"
        for asset in assets
    ]
    return [*rows, f"licence of all: {assets[0].licence}, and terms; see {' and '.join(sorted({a.page for a in assets}))}"]


def _lines(report: dict[str, Any]) -> list[str]:
    came = f"{size(report['received_bytes'])} came" if report["received_bytes"] else "nothing had to come"
    lines = [
        f"{report['name']}: {report['files']} files, {size(report['bytes'])}, checksums right ({came}), "
        f"revision {report['commit'][:12]}",
        f"in {report['folder']}",
    ]
    if report["bundle"]:
        lines.append(f"bundle: {report['bundle']}")
    return lines + [f"note: {note}" for note in report["notes"]]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
