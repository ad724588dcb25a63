"""Pieces that move from one style to another on a bar line, at one tempo."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.studio import effects
from magenta_rt_py.train.studio.cards import StyleCard, sample_card
from magenta_rt_py.train.studio.common_ground import at_tempo, common_tempo, nearest_key
from magenta_rt_py.train.studio.composer import compose, keep_active
from magenta_rt_py.train.studio.form import PHRASE_BARS
from magenta_rt_py.train.studio.genres import GENRES, STARTER_GENRES
from magenta_rt_py.train.studio.held_out import HELD_OUT_TRANSITIONS
from magenta_rt_py.train.studio.piece import Piece, PieceLabel, label_of, section_of, shared_renderer
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, SAMPLE_RATE, STEMS, Score
from magenta_rt_py.train.studio.seeds import choose, generator

WAYS = ("cut", "fade", "fade", "stems", "stems")  # at once; crossfade over one or two bars; stem by stem, a bar each
EDGE = 0.3  # the new style begins in the part of the piece between this share and its mirror
TAIL_SECONDS = 2.0  # the old style's last notes and its room ring on for so long


@dataclass(frozen=True, kw_only=True)
class Handover:
    """Where two styles meet, in beats of the piece."""

    first_beat: int  # the new style's first note, on a bar line
    settled_beat: int  # the first beat without a note of the old style
    leaves: dict[str, int]  # by stem of the old style: the beat at which it goes
    enters: dict[str, int]  # by stem of the new style: the beat at which it comes
    fades: bool  # the whole is crossfaded between first_beat and settled_beat


def make_transition(seed: int, *, genres: tuple[str, str] | None = None, seconds: float = 30.0) -> Piece:
    """Composes and renders a piece that moves from one style to another; the clock does not change.

    The tempo is one that suits both; a style that is far from it plays at half or double time. Keys have as many notes
    in common as their modes allow. Labels are those of the first style; `sections` holds both, and from the second
    one's `first_beat` on chords are the second one's. Stems are on where either style has them on.

    Args:
      seed: any integer >= 0.
      genres: the two styles, keys of GENRES; None draws a pair of STARTER_GENRES that is not held out.
      seconds: exact length, at least four bars of the slowest tempo, about 13 s.
    Raises:
      ValueError: on an unknown genre, two equal ones, or too short a length.
      SoundFontMissingError: if the piece needs a sound font that is not installed.
    """
    rng = generator(seed, "transition")
    if genres is None:
        first = choose(rng, STARTER_GENRES)
        genres = (first, draw_second(first, rng))
    for genre in genres:
        if genre not in GENRES:
            raise ValueError(f"got genre {genre!r}, expected one of: {', '.join(GENRES)}")
    if genres[0] == genres[1]:
        raise ValueError(f"got {genres[0]!r} twice, expected two different genres")
    old, new = _cards(seed, genres, seconds, rng)
    handover = _handover(old, new, rng)
    new = replace(new, samples=old.samples - handover.first_beat * old.beat_samples)
    old_score = _until(compose(old), handover.leaves)
    new_score = _from(compose(new), {stem: beat - handover.first_beat for stem, beat in handover.enters.items()})
    return Piece(
        samples=_join(old, old_score, new, new_score, handover),
        label=_label(old, old_score, new, new_score, handover, seed),
    )


def draw_second(first: str, rng: np.random.Generator) -> str:
    """A starter genre to move to that is not held out from this one."""
    allowed = tuple(name for name in STARTER_GENRES if name != first and (first, name) not in HELD_OUT_TRANSITIONS)
    return choose(rng, allowed)


# ---- two cards at one tempo ----


def _cards(seed: int, genres: tuple[str, str], seconds: float, rng: np.random.Generator) -> tuple[StyleCard, StyleCard]:
    old, new = (sample_card(seed, genre=genre, seconds=seconds) for genre in genres)
    frames = common_tempo(genres, rng)
    old, new = (at_tempo(replace(card, form="tutti"), frames) for card in (old, new))
    return old, replace(new, key=nearest_key(old, new.mode, rng))


# ---- where they meet ----


def _handover(old: StyleCard, new: StyleCard, rng: np.random.Generator) -> Handover:
    bars = old.samples // old.bar_samples
    if bars < PHRASE_BARS:
        raise ValueError(
            f"got {old.samples / SAMPLE_RATE:g} s, {bars} whole bars at {old.bpm:.1f} bpm; expected at least {PHRASE_BARS}"
        )
    way = choose(rng, WAYS)
    first_bar = _first_bar(bars, rng)
    room = bars - first_bar - 1  # the last bar belongs to the new style alone
    if way == "stems":
        return _stem_by_stem(old, new, first_bar, room, rng)
    length = 0 if way == "cut" else min(int(rng.integers(1, 3)), room)
    first, settled = first_bar * BEATS_PER_BAR, (first_bar + length) * BEATS_PER_BAR
    return Handover(
        first_beat=first,
        settled_beat=settled,
        leaves=dict.fromkeys(old.stems, settled),
        enters=dict.fromkeys(new.stems, first),
        fades=length > 0,
    )


def _first_bar(bars: int, rng: np.random.Generator) -> int:
    """A bar in the middle of the piece, where a phrase begins if there is one."""
    middle = range(max(1, math.ceil(EDGE * bars)), max(1, math.floor((1 - EDGE) * bars)) + 1)
    phrases = tuple(bar for bar in middle if bar % PHRASE_BARS == 0)
    return choose(rng, phrases or tuple(middle))


def _stem_by_stem(old: StyleCard, new: StyleCard, first_bar: int, room: int, rng: np.random.Generator) -> Handover:
    """Each bar one stem goes and its successor comes; drums first or last, never in between."""
    stems = [stem for stem in STEMS[1:] if stem in {*old.stems, *new.stems}]
    order = [stems[index] for index in rng.permutation(len(stems))]
    if "drums" in {*old.stems, *new.stems}:
        order = ["drums", *order] if rng.random() < 0.6 else [*order, "drums"]
    beats = {stem: (first_bar + min(index, room)) * BEATS_PER_BAR for index, stem in enumerate(order)}
    leaves, enters = ({stem: beats[stem] for stem in card.stems} for card in (old, new))
    return Handover(
        first_beat=min(enters.values()),
        settled_beat=max(*leaves.values(), min(enters.values())),
        leaves=leaves,
        enters=enters,
        fades=False,
    )


def _until(score: Score, leaves: dict[str, int]) -> Score:
    """The score with each stem off from a beat on."""
    active = {stem: tuple(on and beat < leaves[stem] for beat, on in enumerate(ons)) for stem, ons in score.active.items()}
    return _with_active(score, active)


def _from(score: Score, enters: dict[str, int]) -> Score:
    """The score with each stem off before a beat."""
    active = {stem: tuple(on and beat >= enters[stem] for beat, on in enumerate(ons)) for stem, ons in score.active.items()}
    return _with_active(score, active)


def _with_active(score: Score, active: dict[str, tuple[bool, ...]]) -> Score:
    notes = {stem: tuple(keep_active(list(notes), active[stem])) for stem, notes in score.notes.items()}
    drums = tuple(hit for hit in score.drums if active["drums"][int(hit.beat)])
    return replace(score, drums=drums, notes={stem: kept for stem, kept in notes.items() if kept}, active=active)


# ---- sound and labels ----


def _join(
    old: StyleCard, old_score: Score, new: StyleCard, new_score: Score, handover: Handover
) -> Float[np.ndarray, "samples 2"]:
    """Both styles at equal loudness where they are alone, added up."""
    renderer, beat = shared_renderer(), old.beat_samples
    first, settled = handover.first_beat * beat, handover.settled_beat * beat
    end = min(old.samples, settled + round(TAIL_SECONDS * SAMPLE_RATE))
    out = np.zeros((2, old.samples), np.float32)
    before = renderer.mix(replace(old, samples=end), old_score)
    before *= effects.gain_to_target(before[:, :first])
    after = renderer.mix(new, new_score)
    after *= effects.gain_to_target(after[:, settled - first :])
    tail = np.linspace(1, 0, end - settled, dtype=np.float32)
    before[:, settled:] *= tail
    if handover.fades:
        angle = np.linspace(0, np.pi / 2, settled - first, dtype=np.float32)
        before[:, first:settled] *= np.cos(angle)
        before[:, settled:] = 0
        after[:, : settled - first] *= np.sin(angle)
    out[:, :end] += before
    out[:, first:] += after
    return np.ascontiguousarray(effects.master(out).T)


def _label(old: StyleCard, old_score: Score, new: StyleCard, new_score: Score, handover: Handover, seed: int) -> PieceLabel:
    label, first = label_of(old, old_score), handover.first_beat
    beats = len(label.beats)
    chords = label.chords[:first] + list(new_score.chords)
    stems = {stem: label.stems.get(stem, [False] * beats) for stem in STEMS if stem in old.stems or stem in new.stems}
    for stem, ons in new_score.active.items():
        late = [False] * first + list(ons)
        stems[stem] = [on or also for on, also in zip(stems[stem], late, strict=False)]
    second = section_of(new, new_score, first_beat=first, settled_beat=handover.settled_beat)
    return replace(
        label, kind="transition", chords=chords[:beats], stems=stems, seed=seed, sections=[*label.sections, second]
    )
