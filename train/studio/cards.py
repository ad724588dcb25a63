"""The style card: every decision about a piece that is taken before a note is written."""

from dataclasses import dataclass

import numpy as np

from magenta_rt_py.train.studio.genre import Genre
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.harmony import NOTE_NAMES
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, FRAME_SAMPLES, FRAMES_PER_MINUTE, SAMPLE_RATE, STEMS
from magenta_rt_py.train.studio.seeds import choose, generator

BRIGHTNESS_STEPS = 10  # cards' brightness is a multiple of 1/10, so that rendered notes can be shared


@dataclass(frozen=True, kw_only=True)
class StyleCard:
    """A piece's style."""

    genre: str  # a key of GENRES
    seed: int  # drives what the composer still has to choose
    samples: int  # length at 48 kHz
    frames_per_beat: int  # codec frames of 40 ms
    key: int  # pitch class of the tonic, 0..11
    mode: str  # a key of harmony.MODES
    chords: tuple[str, ...]  # Roman numerals, repeated
    cast: dict[str, str]  # instrument by pitched stem; absent stems never play
    drum_variant: int  # index into Genre.drums
    bass_figure: str
    comp_figure: str
    lead_figure: str
    mood: str
    brightness: float  # 0 dark .. 1 brilliant
    density: float  # 0 sparse .. 1 busy

    @property
    def spec(self) -> Genre:
        """The genre's row of the table."""
        return GENRES[self.genre]

    @property
    def bpm(self) -> float:
        """Beats per minute; drum and bass counts at half time."""
        return FRAMES_PER_MINUTE / self.frames_per_beat

    @property
    def beat_samples(self) -> int:
        """Samples in a beat."""
        return self.frames_per_beat * FRAME_SAMPLES

    @property
    def bars(self) -> int:
        """Bars needed to fill the piece; the last may be cut short."""
        return -(-self.samples // (BEATS_PER_BAR * self.beat_samples))

    @property
    def loop_beats(self) -> int:
        """Beats that one groove string spans."""
        return BEATS_PER_BAR * (2 if self.frames_per_beat in self.spec.long_loops else 1)

    @property
    def chord_beats(self) -> int:
        """Beats that one chord lasts."""
        return max(self.spec.chord_beats, self.loop_beats)

    @property
    def key_name(self) -> str:
        """For example "F# minor"."""
        return f"{NOTE_NAMES[self.key]} {self.mode}"

    @property
    def stems(self) -> tuple[str, ...]:
        """Stems that this piece has."""
        return tuple(stem for stem in STEMS if (self.spec.kit if stem == "drums" else stem in self.cast))


def sample_card(seed: int, *, genre: str, seconds: float = 30.0) -> StyleCard:
    """Draws a card of a genre.

    Args:
      seed: any integer >= 0.
      genre: a key of GENRES.
      seconds: length of the piece, > 0.
    Raises:
      ValueError: on an unknown genre or a length that is not positive.
    """
    if genre not in GENRES:
        raise ValueError(f"got genre {genre!r}, expected one of: {', '.join(GENRES)}")
    if not seconds > 0:
        raise ValueError(f"got seconds={seconds}, expected a length above 0")
    spec, rng = GENRES[genre], generator(seed, f"card {genre}")
    mode, numerals = choose(rng, spec.chords)
    low, high = spec.brightness
    variant = int(rng.integers(len(spec.drums))) if spec.drums else 0
    return StyleCard(
        genre=genre,
        seed=seed,
        samples=round(seconds * SAMPLE_RATE),
        frames_per_beat=choose(rng, spec.frames_per_beat),
        key=int(rng.integers(12)),
        mode=mode,
        chords=tuple(numerals.split()),
        cast=_cast(spec, rng),
        drum_variant=variant,
        bass_figure=choose(rng, spec.bass_figures),
        comp_figure=choose(rng, spec.comp_figures),
        lead_figure=choose(rng, spec.lead_figures),
        mood=choose(rng, spec.moods),
        brightness=round(float(rng.uniform(low, high)) * BRIGHTNESS_STEPS) / BRIGHTNESS_STEPS,
        density=variant / (len(spec.drums) - 1) if len(spec.drums) > 1 else 0.5,
    )


def _cast(spec: Genre, rng: np.random.Generator) -> dict[str, str]:
    """An instrument for each pitched stem; stems outside the core are left out now and then."""
    cast = {}
    for stem, choices, chance in (
        ("bass", spec.bass, 0.92),
        ("comp", spec.comp, 0.9),
        ("pad", spec.pad, 0.75),
        ("lead", spec.lead, 0.7),
    ):
        present, instrument = rng.random() < chance, choose(rng, choices) if choices else None
        if instrument and (present or stem in spec.core):
            cast[stem] = instrument
    return cast
