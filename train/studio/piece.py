"""A finished piece: the sound and everything that is known about it."""

import functools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.studio.captions import captions
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.renderer import Renderer
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Score
from magenta_rt_py.train.studio.seeds import choose, generator

NUM_CAPTIONS = 8


@dataclass(frozen=True, kw_only=True)
class PieceLabel:
    """What is true of a piece; exact, because the composer knows it."""

    captions: list[str]  # distinct ways to ask for it
    genre: str
    mood: str
    bpm: float  # 1500 / frames_per_beat
    frames_per_beat: int  # codec frames of 40 ms
    key: str  # for example "F#"
    mode: str  # a key of harmony.MODES
    chords: list[str]  # chord name at each beat
    beats: list[int]  # sample at which each beat starts; beat k at k * frames_per_beat * 1920
    downbeats: list[int]  # the first beats of the bars among them
    stems: dict[str, list[bool]]  # by stem: on at each beat
    cast: dict[str, str]  # instrument (for drums: kit) of each stem
    instruments: list[str]  # those of the cast that play at least one note in the piece
    brightness: float  # 0 dark .. 1 brilliant
    density: float  # 0 sparse .. 1 busy
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of training music."""

    samples: Float[np.ndarray, "samples 2"]  # 48 kHz
    label: PieceLabel


@functools.cache
def _shared_renderer() -> Renderer:
    return Renderer()


def make_piece(seed: int, *, genre: str | None = None, seconds: float = 30.0) -> Piece:
    """Composes and renders one piece; the same arguments give the same bits, in every process.

    Args:
      seed: any integer >= 0.
      genre: a key of GENRES; None draws one of them all.
      seconds: exact length, > 0; the piece starts on its first beat and is cut off where it ends.
    Raises:
      ValueError: on an unknown genre or a length that is not positive.
      SoundFontMissingError: if the piece needs a sound font that is not installed.
    """
    if genre is None:
        genre = choose(generator(seed, "genre"), tuple(GENRES))
    card = sample_card(seed, genre=genre, seconds=seconds)
    score = compose(card)
    samples = _shared_renderer().render(card, score)
    beats = list(range(0, card.samples, card.beat_samples))
    heard = _heard_stems(score, len(beats))
    cast = ({"drums": f"{card.spec.kit} drums"} if card.spec.kit else {}) | card.cast
    label = PieceLabel(
        captions=captions(card, generator(seed, f"captions {genre}"), NUM_CAPTIONS, stems=heard),
        genre=genre,
        mood=card.mood,
        bpm=card.bpm,
        frames_per_beat=card.frames_per_beat,
        key=card.key_name.split()[0],
        mode=card.mode,
        chords=list(score.chords[: len(beats)]),
        beats=beats,
        downbeats=beats[::BEATS_PER_BAR],
        stems={stem: list(on[: len(beats)]) for stem, on in score.active.items()},
        cast=cast,
        instruments=list(dict.fromkeys(cast[stem] for stem in heard)),
        brightness=card.brightness,
        density=card.density,
        seed=seed,
    )
    return Piece(samples=samples, label=label)


def _heard_stems(score: Score, beats: int) -> tuple[str, ...]:
    """Stems with a note that starts before the piece is cut off."""
    return tuple(
        stem for stem in score.sounding() if (score.drums if stem == "drums" else score.notes[stem])[0].beat < beats
    )
