"""Suggestions: prompts that a bundle knows, to begin from. Pure: from a bundle's training record to a few words each.

A bundle says in its record which genres it was trained on. For those of the studio there are several phrases each, from
the captions of the training audio; any other genre is suggested by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PHRASES", "suggest"]

MOST = 60
"""Suggestions at most; more than anybody looks through."""
LONGEST = 120
"""Characters of one: it must fit a button."""

PHRASES: Mapping[str, tuple[str, ...]] = {
    "techno": ("dark warehouse techno", "minimal techno", "machine rhythm at night"),
    "house": ("deep house", "funky house", "bright chords over a four to the floor beat"),
    "lofi hip hop": ("dusty lofi hip hop", "jazzy lofi beat", "warm chords and vinyl crackle"),
    "drum and bass": ("liquid drum and bass", "jungle drum breaks", "frantic chopped drums with heavy sub"),
    "synthwave": ("neon synthwave", "retro synth soundtrack", "driving at night through a neon city"),
    "rock": ("garage rock", "stadium rock", "power chords and a backbeat"),
    "disco": ("seventies disco", "glittery disco", "music for a mirror ball dance floor"),
    "trap": ("808 trap", "dark trap", "a cold beat with long 808 notes"),
    "solo piano": ("solo piano ballad", "lone piano", "one person playing the piano"),
    "ambient": ("floating ambient pads", "beatless ambient", "weightless spacious textures"),
    "chiptune": ("8-bit music", "old video game music", "bleepy square waves from an old console"),
    "cinematic": ("orchestral score", "film score", "epic thundering drums and a full orchestra"),
    "funk": ("funk groove", "seventies funk", "a tight syncopated groove"),
    "reggae": ("roots reggae", "dub reggae", "laid back island rhythm"),
    "trance": ("uplifting trance", "euphoric trance", "euphoric festival synths"),
    "boom bap": ("boom bap", "nineties hip hop", "dusty drum break with upright bass"),
    "afrobeat": ("lagos afrobeat", "highlife groove", "interlocking rhythms made for dancing"),
    "bossa nova": ("bossa nova", "rio lounge bossa", "soft nylon guitar and brushes"),
    "folk": ("acoustic folk", "fireside folk", "songs with an acoustic guitar"),
    "jazz": ("swing jazz", "jazz trio", "walking bass and a swinging ride cymbal"),
}
"""By the studio's name of the genre."""


def suggest(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Prompts for a bundle, the most different ones first: a first phrase of every genre, then the second ones.

    Args:
      record: the bundle's; its "genres", a list of names. Without it, all that the studio has.
    """
    genres = record.get("genres")
    names = [name for name in genres if isinstance(name, str) and name.strip()] if isinstance(genres, Sequence) else []
    rows = [PHRASES.get(name, (name.strip()[:LONGEST],)) for name in names] or list(PHRASES.values())
    longest = max(len(row) for row in rows)
    found = (row[place] for place in range(longest) for row in rows if place < len(row))
    return tuple(dict.fromkeys(found))[:MOST]
