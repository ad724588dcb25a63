"""Writes the notes: a card in, a score out.

What the parts do stands in grooves.py, bass.py, comping.py and melody.py; which of them are on, in form.py. A piece
is loops of one or two bars whose last bar of four differs; equal moments are written equally, so that they become
equal tokens.
"""

from magenta_rt_py.train.studio.bass import write_bass
from magenta_rt_py.train.studio.cards import StyleCard
from magenta_rt_py.train.studio.comping import write_comp, write_pad
from magenta_rt_py.train.studio.feel import strum, swing_hits, swing_notes
from magenta_rt_py.train.studio.form import Section, arrange
from magenta_rt_py.train.studio.grooves import write_drums
from magenta_rt_py.train.studio.harmony import parse_chord
from magenta_rt_py.train.studio.melody import write_lead
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, PITCHED_STEMS, Note, Score
from magenta_rt_py.train.studio.seeds import generator

WRITERS = {"bass": write_bass, "comp": write_comp, "pad": write_pad, "lead": write_lead}


def compose(card: StyleCard) -> Score:
    """Composes the piece that a card describes, long enough to fill `card.samples`."""
    sections = arrange(card, generator(card.seed, f"sections {card.genre}"))
    harmony = [parse_chord(numeral, key=card.key, mode=card.mode) for numeral in card.chords]
    chords = [harmony[(beat // card.chord_beats) % len(harmony)] for beat in range(card.bars * BEATS_PER_BAR)]
    active = {stem: _active(stem, sections) for stem in card.stems}
    notes = {}
    for stem in PITCHED_STEMS:
        if stem in card.cast:
            written = strum(card, stem, swing_notes(card, WRITERS[stem](card, chords)))
            kept = keep_active(written, active[stem])
            if kept:
                notes[stem] = tuple(kept)
    return Score(
        drums=swing_hits(card, write_drums(card, sections)),
        notes=notes,
        chords=tuple(chord.name for chord in chords),
        active=active,
    )


def _active(stem: str, sections: list[Section]) -> tuple[bool, ...]:
    """Whether a stem is on, at each beat."""
    return tuple(
        section.drums_on(bar) if stem == "drums" else stem in section.stems
        for section in sections
        for bar in range(section.start, section.end)
        for _ in range(BEATS_PER_BAR)
    )


def keep_active(notes: list[Note], active: tuple[bool, ...]) -> list[Note]:
    """The notes that begin while a stem is on, let go where it goes off."""
    off_at, end = [0] * len(active), len(active)
    for beat in range(len(active) - 1, -1, -1):
        end = end if active[beat] else beat
        off_at[beat] = end
    return [
        note._replace(beats=min(note.beats, off_at[int(note.beat)] - note.beat)) for note in notes if active[int(note.beat)]
    ]
