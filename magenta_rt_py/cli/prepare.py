"""`mrtpy prepare`: a folder of music to token shards that models are trained on."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import add_json_option, emit
from magenta_rt_py.errors import MissingExtraError

if TYPE_CHECKING:
    from magenta_rt_py.bundle import Bundle
    from magenta_rt_py.train.prepare.config import PrepareConfig
    from magenta_rt_py.train.prepare.index import PreparedIndex
    from magenta_rt_py.train.prepare.run import Preparation

RECORD_SUFFIXES = (".recordio", ".tfrecord", ".tfrecords")
ONLY_OF_SOUND = (
    *("limit", "shard_minutes", "held_out", "no_measured_words", "no_clock", "no_copies"),
    *("workers", "cluster", "export"),
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, None: 60.0}


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser("prepare", help="turn a folder of music into training data", allow_abbrev=False)
    parser.add_argument("source", type=Path, metavar="FOLDER", help="your music, or features that were exported (.recordio)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="prepared folder to write (default: FOLDER-prepared)")
    add_bundle_option(parser)
    parser.add_argument("--limit", type=parse_duration, metavar="10m", help="only the first files, so long together")
    parser.add_argument("--shard-minutes", type=float, help="audio in a shard, what is lost when killed (default: 15)")
    parser.add_argument("--held-out", type=float, metavar="SHARE", help="share kept for evaluation, in files (default: 0.1)")
    parser.add_argument("--no-measured-words", action="store_true", help="leave measured tempo and key out of captions")
    parser.add_argument("--no-clock", action="store_true", help="no clock, even for files on a steady beat")
    parser.add_argument("--no-copies", action="store_true", help="no faster and slower copies of little music (under 1 h)")
    parser.add_argument("--workers", type=int, metavar="N", help="work in N processes, as a Ray Data job (extra 'cluster')")
    parser.add_argument("--cluster", metavar="ADDRESS", help="of a running Ray cluster for --workers, or auto")
    parser.add_argument("--export", choices=("tfrecord",), help="also write the released finetune's feature file into DIR")
    add_json_option(parser)
    parser.set_defaults(run=run)


def parse_duration(text: str) -> float:
    """Seconds of "90s", "10m", "1.5h"; a plain number is minutes."""
    match = _DURATION.fullmatch(text.strip().lower())
    if not match or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write it like 90s, 10m or 1.5h")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def run(arguments: argparse.Namespace) -> int:
    """Prepares, and says what was used, what was not, and what is next."""
    try:
        import magenta_rt_py.train.prepare.progress  # noqa: F401  what it needs is needed later
        from magenta_rt_py.train.prepare import run as preparing
    except ImportError as error:
        raise MissingExtraError("preparing music", error.name or "librosa", "train") from error
    from magenta_rt_py.generators.system import open_bundle

    bundle = open_bundle(arguments.bundle)
    if arguments.source.suffix.lower() in RECORD_SUFFIXES:
        return _run_features(arguments, bundle)
    out = arguments.out or _beside(arguments.source)
    began = time.perf_counter()
    work = preparing.start(arguments.source, out, bundle, config=_config(arguments), limit_seconds=arguments.limit)
    _say_before(arguments, work)
    _make(arguments, work)
    index = work.finish()
    if arguments.export:
        from magenta_rt_py.train.prepare.released import export_features

        written = export_features(out, index)
        if not arguments.json:
            print(f"{written}: features for the released finetune")
    return _report(arguments, out, index, time.perf_counter() - began)


def _run_features(arguments: argparse.Namespace, bundle: Bundle) -> int:
    """Reads a feature file. What is an option of how sound becomes tokens is refused: there is no sound."""
    from magenta_rt_py.train.prepare.released import import_features

    given = [name for name in ONLY_OF_SOUND if getattr(arguments, name)]
    if given:
        raise ValueError(f"got --{given[0].replace('_', '-')} with a feature file, which is read as it is; leave it out")
    out = arguments.out or _beside(arguments.source.with_suffix(""))
    began = time.perf_counter()
    return _report(arguments, out, import_features(arguments.source, out, bundle), time.perf_counter() - began)


def _beside(source: Path) -> Path:
    """The prepared folder of who named none; "." and ".." have names, too."""
    source = source.resolve() if source.name in ("", "..") else source
    return source.with_name(f"{source.name}-prepared")


def _config(arguments: argparse.Namespace) -> PrepareConfig:
    from magenta_rt_py.train.prepare.config import PrepareConfig

    given = {"shard_minutes": arguments.shard_minutes, "held_out_share": arguments.held_out}
    given["copies_below_minutes"] = 0.0 if arguments.no_copies else None
    return PrepareConfig(
        **{name: value for name, value in given.items() if value is not None},
        measured_words=not arguments.no_measured_words,
        clock=not arguments.no_clock,
    )


def _say_before(arguments: argparse.Namespace, work: Preparation) -> None:
    """How much there is, what is done already, and whether the codec knows such music."""
    if arguments.json or not work.missing:
        return
    from magenta_rt_py.generators.system import load_codec
    from magenta_rt_py.train.prepare.round_trip import try_codec

    hours = sum(entry.seconds for entry in work.manifest.entries) / 3600
    made = len(work.plans) - len(work.missing)
    print(f"{len(work.manifest.entries)} files, {hours:.2f} h; {made} of {len(work.plans)} shards are there already")
    for line in try_codec(work.directory, work.manifest.entries, load_codec(work.bundle)).lines:
        print(line, flush=True)


def _make(arguments: argparse.Namespace, work: Preparation) -> None:
    from magenta_rt_py.train.prepare.progress import Progress

    missing = work.missing
    progress = Progress(missing, quiet=arguments.json)
    try:
        if arguments.workers is None and arguments.cluster is None:
            work.make(missing, progress.file_done)
            return
        from magenta_rt_py.train.prepare.cluster import make_on_cluster

        workers = 1 if arguments.workers is None else arguments.workers
        make_on_cluster(work, missing, workers=workers, address=arguments.cluster, done=progress.shard_done)
    finally:
        progress.close()


def _report(arguments: argparse.Namespace, out: Path, index: PreparedIndex, spent: float) -> int:
    """The table; the exit code says whether there is anything to train on."""
    from magenta_rt_py.train.prepare.table import lines_of

    seconds = sum(shard.seconds for shard in index.shards)
    report = {
        "command": "prepare",
        "out": str(out),
        "seconds": seconds,
        "held_out_seconds": index.seconds(held_out=True),
        "files": len(index.used),
        "skipped": {entry.path: entry.reason for entry in index.skipped},
        "notes": {used.path: used.notes for used in index.used if used.notes},
        "shards": len(index.shards),
        "wall_seconds": spent,
    }
    bundle = str(arguments.bundle) if arguments.bundle else "starter"
    emit(arguments, report, lines_of(index, out, bundle=bundle))
    return 0 if index.shards else 2
