"""Captions of a file: what its owner wrote, what its tags and folders say, and what was measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from magenta_rt_py.train.folder import captions_of, path_captions
from magenta_rt_py.train.prepare.manifest import ManifestEntry
from magenta_rt_py.train.prepare.measured import Measured

LONGEST_CAPTION = 300
"""Characters; longer captions are cut at a word."""

_NOT_ABOUT_MUSIC = re.compile(r"https?:|www\.|@|ripp?ed|encod|lame\b|copyright|unknown|track \d|^\W*\d*\W*$", re.IGNORECASE)
"""Of tags: who made the file, not how it sounds."""


def captions_for(entry: ManifestEntry, directory: Path, measured: Measured | None, *, count: int) -> list[str]:
    """Ways to ask for a file, best first: exactly `count`, repeated in turn where there are fewer.

    Words of the owner (a sidecar) stand before tags, tags before folder and file names. What was measured is said with
    the best of them, and alone; the key, which is the least certain, only there.

    Args:
      entry: the file.
      directory: the folder it lies in.
      measured: of its sound; None leaves that out.
      count: how many.
    Raises:
      AudioFormatError: there is a sidecar that cannot be read.
    """
    base = captions_of(directory / entry.path, directory) if entry.sidecar else []
    base = base or [*tag_captions(entry.tags), *path_captions(Path(entry.path))]
    words, key = (measured.words, measured.key_word) if measured is not None else ([], "")
    joined = [", ".join([base[0], *words]), *base, ", ".join([word for word in [*words, key] if word])]
    found = list(dict.fromkeys(_cut(caption) for caption in joined if caption))
    return [found[place % len(found)] for place in range(count)]


def tag_captions(tags: dict[str, str]) -> list[str]:
    """What a file's tags say of its sound: genre first, then whose it is, then a comment."""
    useful = {name: text for name, text in tags.items() if not _NOT_ABOUT_MUSIC.search(text)}
    genre, artist, title = (useful.get(name, "") for name in ("genre", "artist", "title"))
    captions: Sequence[str] = (
        genre.lower(),
        f"{genre.lower()} by {artist}" if genre and artist else artist,
        ", ".join(text for text in (title, genre.lower()) if text),
        useful.get("comment", ""),
    )
    return list(dict.fromkeys(caption for caption in captions if caption))


def _cut(caption: str) -> str:
    if len(caption) <= LONGEST_CAPTION:
        return caption
    return caption[:LONGEST_CAPTION].rsplit(" ", 1)[0]
