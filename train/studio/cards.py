"""Draws style cards: what kind of piece, in which tempo and key, with whom and in which form."""

from dataclasses import replace

import numpy as np

from magenta_rt_py.train.studio.bass import approaches_of
from magenta_rt_py.train.studio.casting import draw_cast, draw_soloist, draw_stem
from magenta_rt_py.train.studio.comping import TURNS
from magenta_rt_py.train.studio.feel import swing_ticks
from magenta_rt_py.train.studio.form import forms_of
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.melody import MELODY_FORMS
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, SAMPLE_RATE
from magenta_rt_py.train.studio.seeds import choose, generator
from magenta_rt_py.train.studio.style_card import KINDS, StyleCard

__all__ = ["BRIGHTNESS_STEPS", "KINDS", "StyleCard", "sample_card"]

BRIGHTNESS_STEPS = 10  # cards' brightness is a multiple of 1/10, so that rendered notes can be shared
SHORT_MOTIF_FRAMES = 15  # from so many frames a beat on, a bar is long enough for a motif


def sample_card(seed: int, *, genre: str, seconds: float = 30.0, kind: str = "full") -> StyleCard:
    """Draws a card of a genre.

    Args:
      seed: any integer >= 0.
      genre: a key of GENRES.
      seconds: length of the piece, > 0.
      kind: one of KINDS.
    Raises:
      ValueError: on an unknown genre or kind, or a length that is not positive.
    """
    if kind not in KINDS:
        raise ValueError(f"got kind {kind!r}, expected one of: {', '.join(KINDS)}")
    if genre not in GENRES:
        raise ValueError(f"got genre {genre!r}, expected one of: {', '.join(GENRES)}")
    if not seconds > 0:
        raise ValueError(f"got seconds={seconds}, expected a length above 0")
    spec, rng = GENRES[genre], generator(seed, f"card {genre}")
    mode, numerals = choose(rng, spec.chords)
    low, high = spec.brightness
    variant = int(rng.integers(len(spec.drums))) if spec.drums else 0
    frames_per_beat = choose(rng, spec.frames_per_beat)
    cast = draw_cast(genre, rng)
    card = StyleCard(
        genre=genre,
        kind=kind,
        seed=seed,
        samples=round(seconds * SAMPLE_RATE),
        frames_per_beat=frames_per_beat,
        loop_beats=BEATS_PER_BAR * (2 if frames_per_beat in spec.long_loops else 1),
        swing_ticks=swing_ticks(genre, frames_per_beat),
        key=int(rng.integers(12)),
        mode=mode,
        chords=tuple(numerals.split()),
        cast=cast,
        drum_variant=variant,
        bass_figure=_figure(rng, spec.bass_figures),
        approach=choose(rng, approaches_of(cast.get("bass"))),
        comp_figure=_figure(rng, spec.comp_figures),
        comp_turn=choose(rng, TURNS),
        lead_figure=_figure(rng, spec.lead_figures),
        melody=choose(rng, tuple(MELODY_FORMS)),
        motif_bars=1 if frames_per_beat >= SHORT_MOTIF_FRAMES or rng.random() < 0.6 else 2,
        mood=choose(rng, spec.moods),
        brightness=round(float(rng.uniform(low, high)) * BRIGHTNESS_STEPS) / BRIGHTNESS_STEPS,
        density=variant / (len(spec.drums) - 1) if len(spec.drums) > 1 else 0.5,
    )
    card = replace(card, form=choose(rng, forms_of(genre, card.bars)))
    if kind == "solo":
        return replace(card, cast=draw_soloist(genre, rng), drums=False)
    if kind == "stem":
        stem = draw_stem(card, rng)
        return replace(card, cast={stem: cast[stem]} if stem in cast else {}, drums=stem == "drums")
    return card


def _figure(rng: np.random.Generator, figures: tuple[str, ...]) -> str:
    """One of the figures; a genre without a stem has none for it, and rests."""
    return choose(rng, figures) if figures else "." * 16
