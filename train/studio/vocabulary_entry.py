"""What one genre's captions are made of."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GenreWords:
    """Words for one genre, all true of every piece of it. Whole sentences of the evaluation must not be among them."""

    names: tuple[str, ...]  # ways to name the style; a name that stands twice is drawn twice as often
    wholes: tuple[str, ...]  # whole captions that do not name the style but what every piece of it has
    drums: tuple[str, ...] = ()  # what plays the beat; empty for genres without drums
    moods: tuple[str, ...]  # feelings, besides the genre's own
    sounds: tuple[str, ...]  # how it was recorded and mixed
    scenes: tuple[str, ...]  # where it would be played; follows the name
    eras: tuple[str, ...] = ()  # decades and years; precedes the name
