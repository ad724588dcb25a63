"""A finished piece: the sound and everything that is known about it."""

import functools
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.studio.captions import captions
from magenta_rt_py.train.studio.cards import StyleCard, sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.renderer import Renderer
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Score
from magenta_rt_py.train.studio.seeds import choose, generator

NUM_CAPTIONS = 8


class SectionLabel(TypedDict):
    """What is true of a piece from `first_beat` on, until the next section; all pieces but transitions have one."""

    first_beat: int  # index into PieceLabel.beats: the style's first note; the style before may still be fading
    settled_beat: int  # the first beat at which nothing of the style before is played; first_beat at a hard cut
    genre: str
    captions: list[str]
    instruments: list[str]
    mood: str
    key: str
    mode: str


@dataclass(frozen=True, kw_only=True)
class PieceLabel:
    """What is true of a piece; exact, because the composer knows it."""

    captions: list[str]  # distinct ways to ask for it; of a transition, for its first section
    kind: str  # one of cards.KINDS, or "transition"
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
    sections: list[SectionLabel]  # in order of time, the first at beat 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of training music."""

    samples: Float[np.ndarray, "samples 2"]  # 48 kHz
    label: PieceLabel


@functools.cache
def shared_renderer() -> Renderer:
    """The process's renderer, which keeps the notes of the pieces before."""
    return Renderer()


def make_piece(seed: int, *, genre: str | None = None, seconds: float = 30.0, kind: str = "full") -> Piece:
    """Composes and renders one piece; the same arguments give the same bits, in every process.

    Args:
      seed: any integer >= 0.
      genre: a key of GENRES; None draws one of them all.
      seconds: exact length, > 0; the piece starts on its first beat and is cut off where it ends.
      kind: "full" (an arrangement), "solo" (one instrument alone) or "stem" (one stem of an arrangement alone).
    Raises:
      ValueError: on an unknown genre or kind, or a length that is not positive.
      SoundFontMissingError: if the piece needs a sound font that is not installed.
    """
    if genre is None:
        genre = draw_genre(seed)
    return piece_of_card(sample_card(seed, genre=genre, seconds=seconds, kind=kind))


def draw_genre(seed: int) -> str:
    """The genre of a seed, any of GENRES."""
    return choose(generator(seed, "genre"), tuple(GENRES))


def piece_of_card(card: StyleCard) -> Piece:
    """Composes and renders the piece of a card.

    Raises:
      SoundFontMissingError: if the piece needs a sound font that is not installed.
    """
    score = compose(card)
    return Piece(samples=shared_renderer().render(card, score), label=label_of(card, score))


def label_of(card: StyleCard, score: Score) -> PieceLabel:
    """Everything that is known of a composed piece."""
    beats = list(range(0, card.samples, card.beat_samples))
    section = section_of(card, score, first_beat=0, settled_beat=0)
    return PieceLabel(
        captions=section["captions"],
        kind=card.kind,
        genre=card.genre,
        mood=card.mood,
        bpm=card.bpm,
        frames_per_beat=card.frames_per_beat,
        key=section["key"],
        mode=card.mode,
        chords=list(score.chords[: len(beats)]),
        beats=beats,
        downbeats=beats[::BEATS_PER_BAR],
        stems={stem: list(on[: len(beats)]) for stem, on in score.active.items()},
        cast=cast_of(card),
        instruments=section["instruments"],
        brightness=card.brightness,
        density=card.density,
        seed=card.seed,
        sections=[section],
    )


def cast_of(card: StyleCard) -> dict[str, str]:
    """The instrument of each stem; of the drums, the kit."""
    return ({"drums": f"{card.spec.kit} drums"} if "drums" in card.stems else {}) | card.cast


def section_of(card: StyleCard, score: Score, *, first_beat: int, settled_beat: int) -> SectionLabel:
    """What is true of one style within a piece; the card's piece starts at `first_beat`."""
    heard = _heard_stems(score, len(range(0, card.samples, card.beat_samples)))
    cast = cast_of(card)
    rng = generator(card.seed, f"captions {card.genre}")
    return SectionLabel(
        first_beat=first_beat,
        settled_beat=settled_beat,
        genre=card.genre,
        captions=captions(card, rng, NUM_CAPTIONS, stems=heard),
        instruments=list(dict.fromkeys(cast[stem] for stem in heard)),
        mood=card.mood,
        key=card.key_name.split()[0],
        mode=card.mode,
    )


def _heard_stems(score: Score, beats: int) -> tuple[str, ...]:
    """Stems with a note that starts before the piece is cut off."""
    return tuple(
        stem for stem in score.sounding() if (score.drums if stem == "drums" else score.notes[stem])[0].beat < beats
    )
