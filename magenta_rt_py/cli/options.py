"""Options that several commands share, and the checks that come before any work."""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from magenta_rt_py.generators.score import check_weight
from magenta_rt_py.generators.styles import check_text, is_audio_path

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_ALMOST_NUMBER = re.compile(r"[+-]?[\d.,]+")


def add_bundle_option(parser: argparse.ArgumentParser) -> None:
    """Adds --bundle."""
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: the starter in the package)")


def parse_prompt(text: str) -> tuple[str, float]:
    """Splits `PROMPT[:WEIGHT]` at the last colon, if a number follows it.

    "lofi hip hop" -> 1.0; "dub: heavy bass:0.5" -> "dub: heavy bass", 0.5; "C:\\a.wav:2" -> "C:\\a.wav", 2.
    A prompt that itself ends in a colon and a number needs a weight behind it: "ratio 3:4:1".

    Raises:
      ValueError: if the prompt is empty or endless, or the weight is NaN, infinite or negative.
    """
    prompt, colon, tail = text.rpartition(":")
    tail = tail.strip()
    if not colon or not _NUMBER.fullmatch(tail):
        if colon and _ALMOST_NUMBER.fullmatch(tail):
            raise ValueError(f"the weight {tail!r} of prompt {prompt[:60]!r} is no number; write it like 0.5")
        prompt, tail = text, "1"
    prompt = prompt.strip()
    if not is_audio_path(prompt):
        prompt = check_text(prompt)
    return prompt, check_weight(prompt, float(tail))


def parse_bpm(text: str) -> float | None:
    """A tempo, or None for "none": leave it to the model."""
    if text.strip().lower() == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no tempo; give beats a minute, or none") from error


def check_output(path: Path, *, num_bytes: int = 0, suffixes: tuple[str, ...] = ()) -> None:
    """Makes sure, before any work, that a file can be written.

    Args:
      path: the file to come.
      num_bytes: room it needs at most.
      suffixes: endings that are allowed; empty allows all.
    Raises:
      ValueError: if the ending is not allowed.
      OSError: if the folder is missing or not writable, or the disk is too full.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"cannot write {path}: the ending is {path.suffix or 'missing'}; use {', '.join(suffixes)}")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give a file name")
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {folder}; make it first")
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(f"cannot write into {folder}: {error.strerror}; choose another --out") from error
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise OSError(
            f"{folder} has {free / 1e6:.0f} MB left and {path.name} may need {num_bytes / 1e6:.0f} MB; make room"
        )
