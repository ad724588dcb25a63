"""Packs what training needs on a machine without a network, besides the checkout: the sound font and a few packages."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from magenta_rt_py.errors import MrtError
from magenta_rt_py.train.starter.soundfont_subset import subset
from magenta_rt_py.train.studio.drum_voices import GmDrum
from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.soundfont import DRUM_BANK, SOUNDFONT_VARIABLE, soundfont_path

LIMIT_BYTES = 64 * 2**20
"""What may travel, checkout included."""

TARGET_PYTHON = "3.12"
"""Python of the machine that trains; the packages are for it, on 64-bit Linux."""

PACKAGES = ("tinysoundfont", "soundfile", "soxr", "cffi")
"""Packages of the training path that a machine made for machine learning may lack; small, and all have wheels."""

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_CHECKOUT = Path(__file__).resolve().parents[2]


class TooMuchToCarryError(MrtError):
    """Checkout and luggage together are above the limit."""


def pack(out: Path) -> str:
    """Fills a folder, best one that git ignores (out/carry), and says how to use it.

    Raises:
      TooMuchToCarryError: the folder and the checkout together are above LIMIT_BYTES.
      SoundFontMissingError: there is no sound font to take along.
    """
    out.mkdir(parents=True, exist_ok=True)
    font = out / "starter.sf3"
    presets = presets_played()
    subset(soundfont_path(), font, presets)
    wheels = _fetch_packages(out)
    luggage, checkout = _bytes_of(out.rglob("*")), checkout_bytes(out)
    total = luggage + checkout
    lines = [
        f"{font}: {font.stat().st_size / 2**20:.1f} MiB, {len(presets)} presets",
        f"{wheels}: {_bytes_of(wheels.iterdir()) / 2**20:.1f} MiB, {', '.join(PACKAGES)} for Python {TARGET_PYTHON}",
        f"checkout {checkout / 2**20:.1f} MiB; in all {total / 2**20:.1f} of {LIMIT_BYTES / 2**20:.0f} MiB",
        f"there: python3 -m pip install --no-index --no-deps --target SITE {wheels}/*.whl, PYTHONPATH=SITE,",
        f"  {SOUNDFONT_VARIABLE}={font}; make starter-gpu does so with what lies in out/carry",
    ]
    if total > LIMIT_BYTES:
        raise TooMuchToCarryError("; ".join([*lines[:3], "remove files from the checkout, or instruments from the studio"]))
    return "\n".join(lines)


def presets_played() -> set[tuple[int, int]]:
    """(bank, program) of everything that the studio plays from the sound font."""
    played = {(0, instrument.program) for instrument in INSTRUMENTS.values() if instrument.program is not None}
    for voices in KITS.values():
        for voice in voices.values():
            if isinstance(voice, GmDrum):
                played.add((DRUM_BANK, voice.kit) if voice.program is None else (0, voice.program))
    return played


def checkout_bytes(luggage: Path) -> int:
    """Bytes of the files that travel with the checkout: those that git has or does not ignore, the luggage apart."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    paths = [_CHECKOUT / name.decode() for name in listed.split(b"\0") if name]
    inside = luggage.resolve()
    return _bytes_of(path for path in paths if not path.resolve().is_relative_to(inside))


def _bytes_of(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())


def _fetch_packages(out: Path) -> Path:
    """Puts the packages' wheels for the target into out/wheels, in the versions that are installed here."""
    wheels = out / "wheels"
    if len(list(wheels.glob("*.whl"))) != len(PACKAGES):
        wanted = [f"{name}=={importlib.metadata.version(name)}" for name in PACKAGES]
        platforms = [option for platform in _PLATFORMS for option in ("--platform", platform)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--only-binary=:all:", "--python-version", TARGET_PYTHON, "--implementation", "cp", *platforms,
             "--dest", str(wheels), *wanted],
            check=True,
        )  # fmt: skip
    return wheels
