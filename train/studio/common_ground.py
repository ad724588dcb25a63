"""What two styles can share when one turns into the other: a tempo and a key."""

import math
from dataclasses import replace

import numpy as np

from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.harmony import MODES
from magenta_rt_py.train.studio.score import BEATS_PER_BAR
from magenta_rt_py.train.studio.seeds import choose
from magenta_rt_py.train.studio.style_card import StyleCard

TEMPO_SPREAD = 0.15  # how much worse than the best common tempo the one that is drawn may fit, in natural logs


def common_tempo(genres: tuple[str, str], rng: np.random.Generator) -> int:
    """Frames a beat that suit both genres, directly or at half or double time."""
    candidates = sorted({frames for genre in genres for frames in GENRES[genre].frames_per_beat})
    costs = {frames: sum(loop_beats_at(genre, frames)[1] for genre in genres) for frames in candidates}
    best = min(costs.values())
    return choose(rng, tuple(frames for frames in candidates if costs[frames] <= best + TEMPO_SPREAD))


def loop_beats_at(genre: str, frames_per_beat: int) -> tuple[int, float]:
    """Beats that the genre's grooves should span at a tempo, and how far (in natural logs) it is then from its own."""
    spec, fits = GENRES[genre], []
    for own in spec.frames_per_beat:
        own_beats = BEATS_PER_BAR * (2 if own in spec.long_loops else 1)
        for beats in (BEATS_PER_BAR, 2 * BEATS_PER_BAR, BEATS_PER_BAR // 2):
            distance = abs(math.log(beats * frames_per_beat / (own_beats * own)))
            fits.append((distance, beats != BEATS_PER_BAR, beats))
    distance, _, beats = min(fits)
    return beats, distance


def at_tempo(card: StyleCard, frames_per_beat: int) -> StyleCard:
    """The card at another tempo, its grooves at half or double time if that is nearer to its own."""
    return replace(card, frames_per_beat=frames_per_beat, loop_beats=loop_beats_at(card.genre, frames_per_beat)[0])


def nearest_key(old: StyleCard, mode: str, rng: np.random.Generator) -> int:
    """A tonic at which a mode shares most notes with the old style's scale; the same one if it is among them."""
    scale = {(old.key + step) % 12 for step in MODES[old.mode]}
    shared = [len(scale & {(key + step) % 12 for step in MODES[mode]}) for key in range(12)]
    best = tuple(key for key in range(12) if shared[key] == max(shared))
    return old.key if old.key in best else choose(rng, best)
