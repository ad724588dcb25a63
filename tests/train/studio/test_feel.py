"""Swing and strums keep to the 10 ms grid and never move a beat."""

import dataclasses

from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.feel import TICK_SAMPLES, swing_ticks
from magenta_rt_py.train.studio.genres import GENRES


def onsets(card):
    """Samples of all attacks."""
    score = compose(card)
    beats = [hit.beat for hit in score.drums] + [note.beat for notes in score.notes.values() for note in notes]
    return {round(beat * card.beat_samples) for beat in beats}


def test_attacks_lie_on_stft_frames_wherever_the_sixteenths_do():
    for genre in GENRES:
        card = sample_card(1, genre=genre, seconds=8.0)
        ragged = {onset for onset in onsets(card) if onset % TICK_SAMPLES}
        # Only rolls at odd tempos and triplets at indivisible ones lie between.
        assert not ragged or card.frames_per_beat % 6, (genre, sorted(ragged)[:4])
        assert len(ragged) < 0.7 * len(onsets(card)), genre


def test_swing_delays_every_second_sixteenth_by_whole_ticks():
    card = dataclasses.replace(sample_card(2, genre="boom bap"), swing_ticks=0, frames_per_beat=16)
    swung = dataclasses.replace(card, swing_ticks=2)
    straight, late = (sorted(onsets(each)) for each in (card, swung))
    step = card.beat_samples // 4
    assert late == sorted(onset + 2 * TICK_SAMPLES * (onset // step % 2) for onset in straight)
    assert late != straight


def test_swing_is_small_and_only_where_it_belongs():
    assert swing_ticks("techno", 12) == 0
    for genre, spec in GENRES.items():
        for frames in spec.frames_per_beat:
            assert swing_ticks(genre, frames) <= 3


def test_strummed_chords_roll_upwards_from_the_beat():
    card = dataclasses.replace(sample_card(1, genre="folk"), cast={"comp": "acoustic guitar"}, form="steady",
                               comp_figure="x---x---x---x---", comp_turn="same")  # fmt: skip
    notes = compose(card).notes["comp"][:3]
    assert [round(note.beat * card.beat_samples) for note in notes] == [0, TICK_SAMPLES, 2 * TICK_SAMPLES]
    assert notes[0].pitch < notes[1].pitch < notes[2].pitch
    assert len({note.beat + note.beats for note in notes}) == 1
