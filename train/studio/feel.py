"""Feel: swing and strummed chords, in steps of 10 ms, so that attacks keep to the codec's stft_frames.

Whoever knows the tempo finds every attack on a multiple of 10 ms; beats themselves never move.
"""

from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, SAMPLE_RATE, Hit, Note
from magenta_rt_py.train.studio.style_card import StyleCard

TICK_SAMPLES = SAMPLE_RATE // 100
SWING = {  # share of a sixteenth by which every second sixteenth is late
    "lofi hip hop": 0.12,
    "boom bap": 0.12,
    "uk garage": 0.12,
    "trip hop": 0.08,
    "r&b": 0.08,
    "funk": 0.06,
    "soul": 0.06,
}
STRUMMED = (24, 25, 46)  # General MIDI programs whose chords are rolled: nylon and steel guitar, harp


def swing_ticks(genre: str, frames_per_beat: int) -> int:
    """How many 10 ms a genre's second sixteenths are late at a tempo."""
    return round(SWING.get(genre, 0.0) * frames_per_beat)


def swing_hits(card: StyleCard, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
    """Moves the hits on every second sixteenth."""
    return tuple(hit._replace(beat=_late(card, hit.beat)) for hit in hits) if card.swing_ticks else hits


def swing_notes(card: StyleCard, notes: list[Note]) -> list[Note]:
    """Moves the notes on every second sixteenth; they end where they ended."""
    if not card.swing_ticks:
        return notes
    return [_moved(note, _late(card, note.beat) - note.beat) for note in notes]


def strum(card: StyleCard, stem: str, notes: list[Note]) -> list[Note]:
    """Rolls chords of strummed instruments upwards, 10 ms a string."""
    if INSTRUMENTS[card.cast[stem]].program not in STRUMMED:
        return notes
    tick, strummed, string = TICK_SAMPLES / card.beat_samples, [], 0
    for index, note in enumerate(notes):
        string = string + 1 if index and notes[index - 1].beat == note.beat else 0
        strummed.append(_moved(note, string * tick))
    return strummed


def _late(card: StyleCard, beat: float) -> float:
    sixteenth = beat % BEATS_PER_BAR * 4
    if abs(sixteenth - round(sixteenth)) > 1e-6 or round(sixteenth) % 2 == 0:
        return beat
    return beat + card.swing_ticks * TICK_SAMPLES / card.beat_samples


def _moved(note: Note, beats: float) -> Note:
    return note._replace(beat=note.beat + beats, beats=max(note.beats - beats, note.beats / 2))
