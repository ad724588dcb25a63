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
    "dubstep": ("heavy dubstep", "half time bass music", "a half time beat with a wobbling bass"),
    "dub techno": ("deep dub techno", "foggy dub techno", "echoing minor chords over a soft deep kick"),
    "electro": ("detroit electro", "robot funk", "music for breakdancing robots"),
    "uk garage": ("two step garage", "london garage", "a skippy shuffled beat with warm organ bass"),
    "hardstyle": ("euphoric hardstyle", "hard dance", "pounding distorted kicks and huge melodies"),
    "psytrance": ("goa trance", "psychedelic trance", "a galloping sixteenth bass under squelching acid"),
    "phonk": ("drift phonk", "dark phonk", "night drifting music with cowbells"),
    "trip hop": ("moody downtempo", "bristol trip hop", "slow dusty drums with dark strings"),
    "r&b": ("modern r&b", "slow jam", "lush ninth chords and finger snaps"),
    "pop": ("dance pop", "synth pop", "bright happy chords and a catchy tune"),
    "reggaeton": ("reggaeton beat", "dembow", "latin urban beat for the summer"),
    "soul": ("classic soul", "southern soul", "vintage band with tambourine and busy bass"),
    "gospel": ("gospel choir", "sunday gospel", "a choir and a hammond organ praising"),
    "blues": ("electric blues", "delta blues", "a shuffling band with a crying solo"),
    "country": ("country and western", "honky tonk country", "boom chick acoustic guitar and a train beat"),
    "metal": ("heavy metal", "thrash metal", "fast palm muted guitars and double bass drum"),
    "punk": ("punk rock", "skate punk", "three chords played as fast as possible"),
    "big band": ("big band swing", "ballroom swing", "punchy brass over a swinging rhythm section"),
    "salsa": ("salsa dura", "cuban son", "piano montuno over congas and clave"),
    "dub": ("roots dub", "steppers dub", "a massive bass line with echoes everywhere"),
    "flamenco": ("flamenco guitar", "bulerias", "hand claps and a fiery spanish guitar"),
    "celtic": ("irish reel", "celtic music", "a fast reel with a bodhran"),
    "raga": ("sitar music", "indian raga", "meditative strings of india with tabla"),
    "baroque": ("baroque chamber music", "harpsichord music", "a running harpsichord with a walking bass line"),
    "string quartet": ("classical string quartet", "chamber strings", "only bowed strings, no drums"),
    "lullaby": ("music box lullaby", "cradle song", "a tinkling music box and nothing loud"),
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
