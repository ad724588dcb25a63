"""Writes the notes: a card in, a score out.

A piece is a loop of one or two bars that repeats exactly; what changes is the chord (on bar lines), which stems are
on (per section of four bars or so), a fill on a section's last bar and a cymbal on its first beat. Nothing is
humanised: all hits lie on the grid, so that equal moments become equal tokens.
"""

from typing import NamedTuple

import numpy as np

from magenta_rt_py.train.studio.cards import StyleCard
from magenta_rt_py.train.studio.harmony import Chord, nearest_pitch, parse_chord, scale_pitch, voicing
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, PITCHED_STEMS, Hit, Note, Score
from magenta_rt_py.train.studio.seeds import generator

GATE = 0.92  # share of a note's written length that the key is held
STEP_VELOCITY = {"X": 1.0, "x": 0.72, "g": 0.34, "r": 0.6}
PITCHED_VELOCITY = {True: 0.9, False: 0.75}  # on the first step of a bar; elsewhere
BASS_DEGREES = {"R": 0, "T": 1, "F": 2, "S": 3}  # which chord tone


class Section(NamedTuple):
    """Bars that share an arrangement.

    start, end: bars, end excluded.
    stems: stems that are on.
    light: drums without their decoration.
    """

    start: int
    end: int
    stems: frozenset[str]
    light: bool


def compose(card: StyleCard) -> Score:
    """Composes the piece that a card describes, long enough to fill `card.samples`."""
    sections = _arrange(card, generator(card.seed, f"sections {card.genre}"))
    section_of_bar = [section for section in sections for _ in range(section.start, section.end)]
    harmony = [parse_chord(numeral, key=card.key, mode=card.mode) for numeral in card.chords]
    beats = card.bars * BEATS_PER_BAR
    chords = [harmony[(beat // card.chord_beats) % len(harmony)] for beat in range(beats)]
    active = {
        stem: tuple(stem in section_of_bar[beat // BEATS_PER_BAR].stems for beat in range(beats)) for stem in card.stems
    }
    writers = {"bass": _bass, "comp": _comp, "pad": _pad, "lead": _lead}
    notes = {}
    for stem in PITCHED_STEMS:
        if stem in card.cast:
            written = [note for note in writers[stem](card, chords) if active[stem][int(note.beat)]]
            if written:
                notes[stem] = tuple(written)
    return Score(drums=_drums(card, sections), notes=notes, chords=tuple(chord.name for chord in chords), active=active)


def _arrange(card: StyleCard, rng: np.random.Generator) -> list[Section]:
    """Sections with stems on and off. Core stems stay; every other stem is on in most sections and at least once."""
    length = 4 if card.bars < 12 or rng.random() < 0.7 else 8
    starts = range(0, card.bars, length)
    optional = [stem for stem in card.stems if stem not in card.spec.core]
    plan = [{stem for stem in optional if rng.random() < (0.6 if stem == "lead" else 0.75)} for _ in starts]
    whole_sections = max(1, card.bars // length)
    for stem in optional:
        if not any(stem in stems for stems in plan[:whole_sections]):
            plan[int(rng.integers(whole_sections))].add(stem)
    light_start = rng.random() < 0.3
    core = {stem for stem in card.stems if stem in card.spec.core}
    return [
        Section(start, min(start + length, card.bars), frozenset(core | stems), light_start and start == 0)
        for start, stems in zip(starts, plan, strict=True)
    ]


# ---- drums ----

_DECORATION = ("shaker", "conga", "tambourine", "cowbell", "ride", "tom", "taiko")


def _drums(card: StyleCard, sections: list[Section]) -> tuple[Hit, ...]:
    if card.spec.kit is None:
        return ()
    groove = card.spec.drums[card.drum_variant]
    hits = []
    for section in sections:
        voices = {
            voice: steps
            for voice, steps in groove.items()
            if not (section.light and voice in _DECORATION) or (voice == "ride" and "hat" not in groove)
        }
        for bar in range(section.start, section.end):
            hits += _bar_of_drums(card, voices, bar)
            if card.spec.fill and bar == section.end - 1 and section.end - section.start > 2:
                for voice, steps in card.spec.fill.items():
                    hits += _hits(
                        voice,
                        steps,
                        first=0,
                        last=len(steps),
                        start_beat=float(bar * BEATS_PER_BAR),
                        step_beats=BEATS_PER_BAR / len(steps),
                    )
        if card.spec.crash and not section.light:
            hits.append(Hit(float(section.start * BEATS_PER_BAR), "crash", 0.9))
    loudest = {}
    for hit in hits:  # a fill on top of the groove must not sound a voice twice at once
        key = (hit.beat, hit.voice)
        loudest[key] = max(loudest.get(key, hit), hit, key=lambda other: other.velocity)
    return tuple(sorted(loudest.values()))


def _bar_of_drums(card: StyleCard, groove: dict[str, str], bar: int) -> list[Hit]:
    """One bar of the loop: all steps, or one half of them if the loop spans two bars."""
    loop_bars = card.loop_beats // BEATS_PER_BAR
    hits = []
    for voice, steps in groove.items():
        per_bar = len(steps) // loop_bars
        first = (bar % loop_bars) * per_bar
        hits += _hits(
            voice,
            steps,
            first=first,
            last=first + per_bar,
            start_beat=float(bar * BEATS_PER_BAR),
            step_beats=BEATS_PER_BAR / per_bar,
        )
    return hits


def _hits(voice: str, steps: str, *, first: int, last: int, start_beat: float, step_beats: float) -> list[Hit]:
    hits = []
    for index, step in enumerate(steps[first:last]):
        if step == ".":
            continue
        beat = start_beat + index * step_beats
        hits.append(Hit(beat, voice, STEP_VELOCITY[step]))
        if step == "r":
            hits.append(Hit(beat + step_beats / 2, voice, STEP_VELOCITY[step]))
    return hits


# ---- pitched stems ----


class Step(NamedTuple):
    """A note of a figure: start and length in beats, and the figure's letter."""

    beat: float
    beats: float
    letter: str


def _steps(figure: str, *, span_beats: int, total_beats: int) -> list[Step]:
    """Repeats a figure over the piece; '-' lengthens the note before it."""
    step_beats = span_beats / len(figure)
    one_pass, index = [], 0
    while index < len(figure):
        letter, end = figure[index], index + 1
        while end < len(figure) and figure[end] == "-":
            end += 1
        if letter not in ".-":
            one_pass.append(Step(index * step_beats, (end - index) * step_beats, letter))
        index = end
    return [
        step._replace(beat=step.beat + start)
        for start in range(0, total_beats, span_beats)
        for step in one_pass
        if step.beat + start < total_beats
    ]


def _note(step: Step, pitch: int, *, gate: float = GATE) -> Note:
    return Note(step.beat, step.beats * gate, pitch, PITCHED_VELOCITY[step.beat % BEATS_PER_BAR == 0])


def _bass(card: StyleCard, chords: list[Chord]) -> list[Note]:
    notes = []
    for step in _steps(card.bass_figure, span_beats=card.loop_beats, total_beats=len(chords)):
        chord = chords[int(step.beat)]
        root = nearest_pitch(chord.root, card.spec.bass_centre)
        if step.letter == "O":
            pitch = root + 12
        elif step.letter == "A":
            following = chords[min(len(chords) - 1, int(step.beat) + 1)]
            pitch = nearest_pitch(following.root, card.spec.bass_centre) - 1
        else:
            tone = chord.tones[min(BASS_DEGREES[step.letter], len(chord.tones) - 1)]
            pitch = root + (tone - chord.root) % 12
        notes.append(_note(step, pitch))
    return notes


def _comp(card: StyleCard, chords: list[Chord]) -> list[Note]:
    notes = []
    for step in _steps(card.comp_figure, span_beats=card.loop_beats, total_beats=len(chords)):
        pitches = voicing(chords[int(step.beat)], card.spec.comp_centre, power=card.spec.power_chords)
        if step.letter == "x":
            notes += [_note(step, pitch) for pitch in pitches]
        else:
            octave, index = divmod(int(step.letter), 4)
            notes.append(_note(step, pitches[min(index, len(pitches) - 1)] + 12 * octave))
    return notes


def _pad(card: StyleCard, chords: list[Chord]) -> list[Note]:
    notes = []
    for beat in range(0, len(chords), card.chord_beats):
        step = Step(float(beat), float(card.chord_beats), "x")
        notes += [_note(step, pitch, gate=1.0) for pitch in voicing(chords[beat], card.spec.pad_centre)]
    return notes


def _lead(card: StyleCard, chords: list[Chord]) -> list[Note]:
    """A two-bar motif: its rhythm and contour are fixed for the piece, chord tones fall on the beats."""
    phrase_beats = 2 * BEATS_PER_BAR
    rng = generator(card.seed, f"melody {card.genre}")
    motif = _steps(card.lead_figure, span_beats=phrase_beats, total_beats=phrase_beats)
    walk = np.clip(np.cumsum(rng.choice([-2, -1, -1, 0, 1, 1, 2], size=len(motif))) + int(rng.integers(0, 5)), -2, 8)
    notes = []
    for start in range(0, len(chords), phrase_beats):
        for step, degree in zip(motif, walk, strict=True):
            beat = start + step.beat
            if beat >= len(chords):
                break
            pitch = scale_pitch(int(degree), key=card.key, mode=card.mode, centre=card.spec.lead_centre)
            if step.beat % 1 == 0:
                pitch = min(
                    (nearest_pitch(tone, pitch) for tone in chords[int(beat)].tones),
                    key=lambda candidate: (abs(candidate - pitch), candidate),
                )
            notes.append(_note(step._replace(beat=beat), pitch))
    return notes
