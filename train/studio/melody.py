"""Melodies with a form: a motif is made once, repeated, moved to the chord that sounds, contrasted and answered.

A motif is one or two bars of one of the genre's rhythms with a contour in scale steps. Wherever its letter comes back,
it starts again from the chord tone nearest to the instrument's centre, so that it follows the harmony as people do.
Notes on the first and third beat and long notes are chord tones.
"""

from typing import NamedTuple

import numpy as np

from magenta_rt_py.train.studio.figures import Step, note, read_figure
from magenta_rt_py.train.studio.harmony import Chord, nearest_pitch, scale_pitches
from magenta_rt_py.train.studio.registers import compass, fit_centre
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Note
from magenta_rt_py.train.studio.seeds import choose, generator
from magenta_rt_py.train.studio.style_card import StyleCard

# Letters are motifs; an apostrophe gives the motif an ending on the root; "-" is a rest as long as a motif.
MELODY_FORMS: dict[str, tuple[str, ...]] = {
    "AABA": ("A", "A", "B", "A'"),
    "AABB": ("A", "A'", "B", "B'"),
    "AAAB": ("A", "A", "A", "B'"),
    "call and answer": ("A", "B'"),
    "ABAC": ("A", "B", "A", "C'"),
    "riff": ("A", "A", "A", "A'"),
    "call and rest": ("A", "-", "A", "B'"),
}
CONTOURS = ("arch", "fall", "rise", "wave", "valley", "hover")
WIDEST = 4  # scale steps of a contour from its start
LEAPS = 0.15  # share of the notes that may leap
LONG_BEATS = 1.5  # notes as long as this are chord tones


class Motif(NamedTuple):
    """A rhythm and its contour: one scale step a note, against the chord tone that it starts from."""

    steps: tuple[Step, ...]
    contour: tuple[int, ...]


def write_lead(card: StyleCard, chords: list[Chord]) -> list[Note]:
    """The melody of the whole piece; `chords` holds one a beat."""
    rng = generator(card.seed, f"melody {card.genre}")
    letters = MELODY_FORMS[card.melody]
    motifs = _motifs(card, rng)
    low, high = compass(card.cast["lead"])
    centre = fit_centre(card.cast["lead"], card.spec.lead_centre)
    scale = scale_pitches(key=card.key, mode=card.mode, low=low, high=high)
    unit = card.motif_bars * BEATS_PER_BAR
    notes = []
    for place, start in enumerate(range(0, len(chords), unit)):
        letter = letters[place % len(letters)]
        if letter == "-":
            continue
        motif = motifs[letter[0]]
        if place % (2 * len(letters)) >= len(letters):
            motif = _varied(motif, step_beats=2 * BEATS_PER_BAR / len(card.lead_figure))
        notes += _played(motif, start, chords, scale, centre, ends=letter.endswith("'"))
    return notes


def _motifs(card: StyleCard, rng: np.random.Generator) -> dict[str, Motif]:
    """A, its contrast B and an answer C that begins like A."""
    unit = card.motif_bars * BEATS_PER_BAR
    rhythm = _rhythm(card.lead_figure, card.motif_bars, first=True)
    others = [figure for figure in card.spec.lead_figures if figure != card.lead_figure]
    contrast = _rhythm(choose(rng, tuple(others)) if others else card.lead_figure, card.motif_bars, first=False)
    shape = choose(rng, CONTOURS)
    main = Motif(tuple(read_figure(rhythm, span_beats=unit)), ())
    main = main._replace(contour=_contour(rng, len(main.steps), shape))
    second = tuple(read_figure(contrast, span_beats=unit))
    other = Motif(second, _contour(rng, len(second), choose(rng, tuple(name for name in CONTOURS if name != shape)), lift=1))
    half = len(main.steps) // 2
    answer = main._replace(contour=main.contour[:half] + tuple(-step for step in main.contour[half:]))
    return {"A": main, "B": other, "C": answer}


def _rhythm(figure: str, bars: int, *, first: bool) -> str:
    """The figure's two bars, or the one of them that has notes; a contrast prefers the second."""
    if bars == 2:
        return figure
    half = len(figure) // 2
    choices = [figure[:half], figure[half:].replace("-", ".", 1) if figure[half] == "-" else figure[half:]]
    choices.sort(key=lambda part: part.count("x"), reverse=True)
    return choices[0] if first or "x" not in choices[1] else choices[1]


def _contour(rng: np.random.Generator, count: int, shape: str, *, lift: int = 0) -> tuple[int, ...]:
    """Scale steps that follow a shape, moving by one or two steps, or by a leap of three now and then."""
    place = np.linspace(0, 1, max(count, 2))[:count]
    curves = {
        "arch": 4 * np.sin(np.pi * place),
        "valley": -3 * np.sin(np.pi * place),
        "fall": 3 - 4 * place,
        "rise": 4 * place - 1,
        "wave": 2.5 * np.sin(2 * np.pi * place),
        "hover": np.zeros(count),
    }
    contour: list[int] = []
    for wanted in curves[shape] + lift + rng.choice([-1, 0, 0, 1], size=count):
        furthest = 3 if rng.random() < LEAPS else 2
        last = contour[-1] if contour else round(float(wanted))
        contour.append(last + int(np.clip(round(float(wanted)) - last, -furthest, furthest)))
    return tuple(int(np.clip(step, -WIDEST, WIDEST)) for step in contour)


def _varied(motif: Motif, *, step_beats: float) -> Motif:
    """The second time round: its first long note is broken in two on the grid, the second part a step higher."""
    for index, step in enumerate(motif.steps):
        first = (round(step.beats / step_beats) + 1) // 2 * step_beats
        if step.beats >= 1 and first < step.beats:
            halves = (step._replace(beats=first), Step(step.beat + first, step.beats - first, step.letter))
            steps = motif.steps[:index] + halves + motif.steps[index + 1 :]
            contour = motif.contour[: index + 1] + (motif.contour[index] + 1,) + motif.contour[index + 1 :]
            return Motif(steps, contour)
    return motif


def _played(motif: Motif, start: int, chords: list[Chord], scale: list[int], centre: int, *, ends: bool) -> list[Note]:
    """The motif from this beat on, over the chords that sound there."""
    notes = []
    for index, (step, offset) in enumerate(zip(motif.steps, motif.contour, strict=True)):
        beat = start + step.beat
        if beat >= len(chords):
            break
        chord = chords[int(beat)]
        anchor = min((nearest_pitch(tone, centre) for tone in chord.tones), key=lambda pitch: abs(pitch - centre))
        place = min(range(len(scale)), key=lambda number: abs(scale[number] - anchor))
        pitch = scale[max(0, min(len(scale) - 1, place + offset))]
        if ends and index == len(motif.steps) - 1:
            pitch = _onto((chord.root,), pitch, scale)
        elif beat % 2 == 0 or step.beats >= LONG_BEATS:
            pitch = _onto(chord.tones, pitch, scale)
        notes.append(note(step._replace(beat=beat), pitch))
    return notes


def _onto(tones: tuple[int, ...], pitch: int, scale: list[int]) -> int:
    """The nearest of these pitch classes, within the instrument's compass."""
    found = min((nearest_pitch(tone, pitch) for tone in tones), key=lambda near: (abs(near - pitch), near))
    if found < scale[0]:
        return found + 12
    return found - 12 if found > scale[-1] else found
