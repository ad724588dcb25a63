"""The drums: a loop whose layers follow the form, whose bars differ by their place in the phrase, and fills.

The same place of the same bar of a phrase always sounds the same within a piece; hits lie on the grid.
"""

import numpy as np

from magenta_rt_py.train.studio.drums import KITS
from magenta_rt_py.train.studio.figures import REST, bar_of
from magenta_rt_py.train.studio.fills import RISER, Fill, build_hits, fills_of, voice_for
from magenta_rt_py.train.studio.form import PHRASE_BARS, SPARSE, TOP, Section
from magenta_rt_py.train.studio.genre import Groove
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Hit
from magenta_rt_py.train.studio.seeds import choose, generator
from magenta_rt_py.train.studio.style_card import StyleCard

STEP_VELOCITY = {"X": 1.0, "x": 0.72, "g": 0.34, "r": 0.6}
# The plainest groove goes without these, and the top layer without those.
DECORATION = ("shaker", "conga", "bongo", "tambourine", "cowbell", "tom", "taiko", "block", "triangle", "cabasa")
GROUND = ("kick", "snare", "clap", "timpani", "taiko", "tom")
CRASH_VELOCITY = 0.9
ACCENT_SPREAD = 0.12  # how far the levels of equal hits differ round the bar
# Small changes of one bar: voice, place in the bar 0..1, what is written there.
CHANGES = (
    ("kick", 14 / 16, "x"),
    ("kick", 10 / 16, "x"),
    ("kick", 15 / 16, "g"),
    ("open", 14 / 16, "x"),
    ("snare", 15 / 16, "g"),
    ("snare", 7 / 16, "g"),
    ("rim", 11 / 16, "x"),
    ("hat", 15 / 16, "x"),
    ("clap", 15 / 16, "g"),
    ("tom", 13 / 16, "x"),
)
NEWCOMERS = {"open", "rim", "tom"}  # voices that a change may bring in; others only where the groove has them
CHANGED_BARS = ((3,), (3,), (1, 3), (2, 3))  # of a phrase; a piece draws one of these


def write_drums(card: StyleCard, sections: list[Section]) -> tuple[Hit, ...]:
    """All hits of the piece in order of time."""
    if not card.drums or card.spec.kit is None or not card.spec.drums:
        return ()
    rng = generator(card.seed, f"drums {card.genre}")
    small, large = fills_of(card.spec, rng)
    changes = _draw_changes(card, rng)
    hits: list[Hit] = []
    for section in sections:
        voices = layer_voices(card, section.layer)
        for bar in range(section.start, section.rise_start):
            if not section.drums_on(bar):
                continue
            bar_voices = {name: bar_of(steps, loop_beats=card.loop_beats, bar=bar) for name, steps in voices.items()}
            for voice, place, letter in changes.get(bar % PHRASE_BARS, ()):
                _write_into(bar_voices, voice, place, letter)
            fill = _fill_of(section, bar, small, large)
            hits += _bar_hits(bar_voices, bar, fill, card.spec.kit)
        hits += build_hits(card.spec.kit, section.rise_start, section.end)
        if card.spec.crash and section.part in ("full", "tutti"):
            hits.append(Hit(float(section.start * BEATS_PER_BAR), "crash", CRASH_VELOCITY))
    return _levelled(hits, rng)


def layer_voices(card: StyleCard, layer: int) -> Groove:
    """The voices of a layer; one that would be empty keeps all voices of its groove."""
    plainest, whole = card.spec.drums[0], card.spec.drums[card.drum_variant]
    if layer == TOP:
        return {voice: steps for voice, steps in whole.items() if voice not in GROUND} or whole
    if layer == SPARSE:
        return {voice: steps for voice, steps in plainest.items() if voice not in DECORATION} or plainest
    return whole


def _draw_changes(card: StyleCard, rng: np.random.Generator) -> dict[int, list[tuple[str, float, str]]]:
    """What differs in which bars of a phrase: one change in some, a second one in the last."""
    used = set(card.spec.drums[card.drum_variant])
    new = set(KITS[card.spec.kit or ""]) & NEWCOMERS
    known = tuple(change for change in CHANGES if change[0] in used | new)
    if not known:
        return {}
    first, second = choose(rng, known), choose(rng, known)
    changes = {bar: [first] for bar in choose(rng, CHANGED_BARS)}
    return changes | {PHRASE_BARS - 1: [first, second]}


def _write_into(voices: Groove, voice: str, place: float, letter: str) -> None:
    """Writes a letter where the voice rests, if the bar has such a place."""
    length = len(next(iter(voices.values())))
    index = place * length
    steps = voices.get(voice, REST * length)
    if index == int(index) and steps[int(index)] == REST:
        voices[voice] = steps[: int(index)] + letter + steps[int(index) + 1 :]


def _fill_of(section: Section, bar: int, small: Fill, large: Fill) -> Fill | None:
    """The fill in this bar, if any. Fills stand at the end of phrases; the large one where a section ends, too."""
    if bar % PHRASE_BARS != PHRASE_BARS - 1:
        return None
    return large if bar == section.end - 1 else small


def _bar_hits(voices: Groove, bar: int, fill: Fill | None, kit: str) -> list[Hit]:
    start = float(bar * BEATS_PER_BAR)
    hits = [hit for voice, steps in voices.items() for hit in _hits(voice, steps, start)]
    if fill is None:
        return hits
    hits = [hit for hit in hits if hit.beat < start + fill.clears]
    for asked, steps in fill.groove.items():
        hits += _hits(voice_for(kit, asked), steps, start)
    return hits


def _hits(voice: str, steps: str, start_beat: float) -> list[Hit]:
    """The hits of one bar."""
    step_beats, hits = BEATS_PER_BAR / len(steps), []
    for index, step in enumerate(steps):
        if step == REST:
            continue
        beat = start_beat + index * step_beats
        hits.append(Hit(beat, voice, STEP_VELOCITY[step]))
        if step == "r":
            hits.append(Hit(beat + step_beats / 2, voice, STEP_VELOCITY[step]))
    return hits


def _levelled(hits: list[Hit], rng: np.random.Generator) -> tuple[Hit, ...]:
    """Gives every place in the bar its own level, the same in all bars, and lets no voice sound twice at once."""
    voices = sorted({hit.voice for hit in hits} - {"kick", "crash", RISER})
    accents = {voice: 1 - ACCENT_SPREAD * rng.random(BEATS_PER_BAR * 4) for voice in voices}
    loudest: dict[tuple[float, str], Hit] = {}
    for hit in hits:
        if hit.voice in accents:
            level = hit.velocity * accents[hit.voice][int(hit.beat % BEATS_PER_BAR * 4)]
            hit = hit._replace(velocity=round(float(level), 3))
        key = (hit.beat, hit.voice)
        loudest[key] = max(loudest.get(key, hit), hit, key=lambda other: other.velocity)
    return tuple(sorted(loudest.values()))
