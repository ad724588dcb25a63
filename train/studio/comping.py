"""Chords: a comping figure that varies at the end of a phrase, and a pad that holds them."""

from magenta_rt_py.train.studio.figures import HOLD, Step, note, read_figure
from magenta_rt_py.train.studio.form import PHRASE_BARS
from magenta_rt_py.train.studio.harmony import Chord, voicing
from magenta_rt_py.train.studio.registers import fit_centre
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Note
from magenta_rt_py.train.studio.style_card import StyleCard

TURNS = ("same", "other", "thin", "lift")  # what the last loop of a phrase does: nothing, another figure, half, higher


def write_comp(card: StyleCard, chords: list[Chord]) -> list[Note]:
    """The comping of the whole piece; `chords` holds one a beat."""
    centre = fit_centre(card.cast["comp"], card.spec.comp_centre)
    notes = []
    for start in range(0, len(chords), card.loop_beats):
        figure, raised = _figure_at(card, start)
        for step in read_figure(figure, span_beats=card.loop_beats, start_beat=float(start)):
            if step.beat >= len(chords):
                break
            pitches = voicing(chords[int(step.beat)], centre + raised, power=card.spec.power_chords)
            notes += _strike(step, pitches)
    return notes


def _figure_at(card: StyleCard, start_beat: int) -> tuple[str, int]:
    """The figure of the loop that starts here, and by how much its voicings lie higher."""
    turning = (start_beat + card.loop_beats) % (PHRASE_BARS * BEATS_PER_BAR) == 0
    if not turning or card.comp_turn == "same":
        return card.comp_figure, 0
    if card.comp_turn == "lift":
        return card.comp_figure, 4
    half = len(card.comp_figure) // 2
    if card.comp_turn == "thin":
        return card.comp_figure[:half] + "." * half, 0
    others = [figure for figure in card.spec.comp_figures if len(figure) == 2 * half and figure != card.comp_figure]
    if not others:
        return card.comp_figure, 0
    other = others[card.seed % len(others)]
    joins = HOLD not in (other[half], card.comp_figure[half]) and other[half:] != card.comp_figure[half:]
    return (card.comp_figure[:half] + other[half:] if joins else other), 0


def _strike(step: Step, pitches: tuple[int, ...]) -> list[Note]:
    """All notes of the voicing, or the one that a digit asks for."""
    if step.letter == "x":
        return [note(step, pitch) for pitch in pitches]
    octave, index = divmod(int(step.letter), 4)
    return [note(step, pitches[min(index, len(pitches) - 1)] + 12 * octave)]


def write_pad(card: StyleCard, chords: list[Chord]) -> list[Note]:
    """Each chord held until the next."""
    centre = fit_centre(card.cast["pad"], card.spec.pad_centre)
    notes = []
    for beat in range(0, len(chords), card.chord_beats):
        step = Step(float(beat), float(card.chord_beats), "x")
        notes += [note(step, pitch, gate=1.0) for pitch in voicing(chords[beat], centre)]
    return notes
