"""The bass: a figure, with a note that leads into the next chord and a turnaround at the end of the phrase."""

from magenta_rt_py.train.studio.figures import Step, note, repeat_figure
from magenta_rt_py.train.studio.form import PHRASE_BARS
from magenta_rt_py.train.studio.harmony import Chord, nearest_pitch, scale_pitches
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Note
from magenta_rt_py.train.studio.style_card import StyleCard

DEGREES = {"R": 0, "T": 1, "F": 2, "S": 3}  # which chord tone a letter asks for; O is the root an octave up
APPROACHES = ("none", "below", "scale", "fifth", "octave", "walk")  # how the last note before a new chord leads there
PLUCKED_APPROACHES = ("below", "scale", "fifth", "walk", "none")
SYNTHESIZED_APPROACHES = ("none", "octave", "fifth", "none")


def approaches_of(instrument: str | None) -> tuple[str, ...]:
    """The approaches that a bass player of this instrument draws from."""
    if instrument is None:
        return ("none",)
    return SYNTHESIZED_APPROACHES if INSTRUMENTS[instrument].program is None else PLUCKED_APPROACHES


def write_bass(card: StyleCard, chords: list[Chord]) -> list[Note]:
    """The bass of the whole piece; `chords` holds one a beat."""
    steps = repeat_figure(card.bass_figure, span_beats=card.loop_beats, total_beats=len(chords))
    if card.approach == "walk":
        steps = _with_walks(steps, len(chords))
    last_starts = {int(step.beat) // BEATS_PER_BAR: step.beat for step in steps}
    notes = []
    for step in steps:
        bar = int(step.beat) // BEATS_PER_BAR
        following = chords[min(len(chords) - 1, (bar + 1) * BEATS_PER_BAR)]
        leads = step.beat == last_starts[bar] and step.beat % BEATS_PER_BAR >= BEATS_PER_BAR / 2
        turns = bar % PHRASE_BARS == PHRASE_BARS - 1
        changes = following.root != chords[int(step.beat)].root
        if step.letter in "<>" or (leads and card.approach != "none" and (turns or changes)):
            pitch = _leading_pitch(card, step, following)
        else:
            pitch = _pitch(card, step, chords)
        notes.append(note(step, pitch))
    return notes


def _pitch(card: StyleCard, step: Step, chords: list[Chord]) -> int:
    chord = chords[int(step.beat)]
    root = nearest_pitch(chord.root, card.spec.bass_centre)
    if step.letter == "O":
        return root + 12
    if step.letter == "A":
        following = chords[min(len(chords) - 1, int(step.beat) + 1)]
        return nearest_pitch(following.root, card.spec.bass_centre) - 1
    tone = chord.tones[min(DEGREES[step.letter], len(chord.tones) - 1)]
    return root + (tone - chord.root) % 12


def _leading_pitch(card: StyleCard, step: Step, following: Chord) -> int:
    """The pitch that leads to the next chord's root."""
    root = nearest_pitch(following.root, card.spec.bass_centre)
    below = [pitch for pitch in scale_pitches(key=card.key, mode=card.mode, low=root - 7, high=root - 1)]
    match card.approach:
        case "below":
            return root - 1
        case "fifth":
            return root - 5
        case "octave":
            return root + 12
        case "walk":
            return below[-2] if step.letter == "<" else below[-1]
        case _:
            return below[-1]


def _with_walks(steps: list[Step], beats: int) -> list[Step]:
    """In the last bar of each phrase the last beat becomes two eighths."""
    walked = []
    for step in steps:
        bar, place = divmod(step.beat, BEATS_PER_BAR)
        if bar % PHRASE_BARS == PHRASE_BARS - 1 and step.beat + step.beats > bar * BEATS_PER_BAR + 3:
            if place >= 3:
                continue
            step = step._replace(beats=bar * BEATS_PER_BAR + 3 - step.beat)
        walked.append(step)
    for end in range(PHRASE_BARS * BEATS_PER_BAR, beats + 1, PHRASE_BARS * BEATS_PER_BAR):
        walked += [Step(end - 1.0, 0.5, "<"), Step(end - 0.5, 0.5, ">")]
    return sorted(walked)
