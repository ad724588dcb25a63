"""Figures: the strings in which a genre's grooves, bass lines, comping and melodies are written."""

from typing import NamedTuple

from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Note

GATE = 0.92  # share of a note's written length that the key is held
VELOCITIES = (0.92, 0.78, 0.84, 0.78)  # of notes on the beats of a bar
OFFBEAT_VELOCITY = 0.72  # of eighths between beats
SIXTEENTH_VELOCITY = 0.66  # of all that lies between
HOLD, REST = "-", "."


class Step(NamedTuple):
    """A note of a figure: start and length in beats, and the figure's letter."""

    beat: float
    beats: float
    letter: str


def read_figure(figure: str, *, span_beats: int, start_beat: float = 0.0) -> list[Step]:
    """The notes of one pass; "-" lengthens the note before it.

    Args:
      figure: one letter a step.
      span_beats: beats that the whole string lasts.
      start_beat: where the pass starts.
    """
    step_beats = span_beats / len(figure)
    steps, index = [], 0
    while index < len(figure):
        letter, end = figure[index], index + 1
        while end < len(figure) and figure[end] == HOLD:
            end += 1
        if letter not in (HOLD, REST):
            steps.append(Step(start_beat + index * step_beats, (end - index) * step_beats, letter))
        index = end
    return steps


def repeat_figure(figure: str, *, span_beats: int, total_beats: int) -> list[Step]:
    """Passes of a figure until the piece is full; nothing starts after its end."""
    return [
        step
        for start in range(0, total_beats, span_beats)
        for step in read_figure(figure, span_beats=span_beats, start_beat=float(start))
        if step.beat < total_beats
    ]


def bar_of(figure: str, *, loop_beats: int, bar: int) -> str:
    """The steps of one bar of a loop that spans two bars, one, or half of one.

    Args:
      figure: one loop.
      loop_beats: beats that it spans: 8, 4 or 2.
      bar: number of the bar in the piece.
    """
    if loop_beats <= BEATS_PER_BAR:
        return figure * (BEATS_PER_BAR // loop_beats)
    loop_bars = loop_beats // BEATS_PER_BAR
    per_bar = len(figure) // loop_bars
    first = (bar % loop_bars) * per_bar
    return figure[first : first + per_bar]


def note(step: Step, pitch: int, *, gate: float = GATE) -> Note:
    """A note where the figure has it, as strong as its place in the bar."""
    return Note(step.beat, step.beats * gate, pitch, place_velocity(step.beat))


def place_velocity(beat: float) -> float:
    """Linear gain of a note by its place in the bar: the same place is always as strong."""
    place = beat % BEATS_PER_BAR
    if place % 1 == 0:
        return VELOCITIES[int(place)]
    return OFFBEAT_VELOCITY if place % 0.5 == 0 else SIXTEENTH_VELOCITY
