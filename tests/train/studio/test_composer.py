"""What scores promise: everything on the grid, stems that sound where the label says so and nowhere else."""

import dataclasses
import functools
from fractions import Fraction

import pytest

from magenta_rt_py.train.studio.cards import KINDS, sample_card
from magenta_rt_py.train.studio.composer import compose, keep_active
from magenta_rt_py.train.studio.form import PARTS
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.score import BEATS_PER_BAR, Note


@functools.cache
def cases(genre):
    """Cards and scores of a genre: an arrangement, a soloist and a stem."""
    cards = [sample_card(2, genre=genre, kind=kind, seconds=20.0) for kind in KINDS]
    return [(card, compose(card)) for card in cards]


@pytest.mark.parametrize("genre", GENRES)
def test_every_onset_lies_on_the_grid_but_for_swing_and_strums(genre):
    for card, score in cases(genre):
        onsets = {hit.beat for hit in score.drums} | {note.beat for notes in score.notes.values() for note in notes}
        ticks = 480 / card.beat_samples
        for onset in onsets:
            grid = (onset - late * ticks for late in range(9))
            assert any(min(abs(at * 16 - round(at * 16)), abs(at * 12 - round(at * 12))) < 1e-6 for at in grid)
            assert Fraction(onset * card.beat_samples).limit_denominator(24) == pytest.approx(onset * card.beat_samples)


@pytest.mark.parametrize("genre", [name for name, spec in GENRES.items() if spec.kit])
def test_drums_play_in_most_bars(genre):
    found, whole = 0, 0
    for seed in range(6):
        card = sample_card(seed, genre=genre, seconds=20.0)
        found += len({int(hit.beat) // BEATS_PER_BAR for hit in compose(card).drums})
        whole += card.bars
    assert found >= 0.8 * whole


@pytest.mark.parametrize("genre", GENRES)
def test_all_stems_of_the_card_sound_and_only_where_they_are_on(genre):
    for card, score in cases(genre):
        assert score.sounding() == card.stems
        assert set(score.active) == set(card.stems)
        for stem, notes in score.notes.items():
            assert all(score.active[stem][int(note.beat)] for note in notes)
            ends = [int(-(-(note.beat + note.beats) // 1)) for note in notes]
            assert all(all(score.active[stem][int(note.beat) : end]) for note, end in zip(notes, ends, strict=True))
        assert all(score.active["drums"][int(hit.beat)] for hit in score.drums)
        assert score.beats == len(score.chords) == card.bars * BEATS_PER_BAR
        assert score.beats * card.beat_samples >= card.samples
        assert all(len(on) == score.beats for on in score.active.values())


@pytest.mark.parametrize("genre", GENRES)
def test_drums_that_are_on_play_in_that_bar(genre):
    for card, score in cases(genre):
        bars = {int(hit.beat) // BEATS_PER_BAR for hit in score.drums}
        on = {beat // BEATS_PER_BAR for beat, value in enumerate(score.active.get("drums", ())) if value}
        assert bars <= on
        silent = on - bars
        assert not silent or len(card.spec.drums[0]) < 2, (card.seed, card.form, silent)


def test_a_note_is_let_go_where_its_stem_goes_off():
    notes = [Note(1.0, 4.0, 60, 0.8), Note(3.0, 1.0, 62, 0.8), Note(6.5, 3.0, 64, 0.8)]
    kept = keep_active(notes, (True, True, True, False, False, False, True, True))
    assert kept == [Note(1.0, 2.0, 60, 0.8), Note(6.5, 1.5, 64, 0.8)]


def test_a_two_bar_loop_alternates_its_bars():
    card = next(card for card in (sample_card(seed, genre="trap") for seed in range(99)) if card.frames_per_beat == 10)
    score = compose(dataclasses.replace(card, form="steady"))
    assert card.loop_beats == 2 * BEATS_PER_BAR
    claps = [hit.beat for hit in score.drums if hit.voice == "clap" and hit.velocity > 0.5][:3]
    assert claps == [2.0, 6.0, 10.0]  # the fourth may be in a fill
    assert score.chords[0] == score.chords[7]


def test_the_same_card_composes_the_same_score_and_another_seed_another():
    card = sample_card(3, genre="house")
    assert compose(card) == compose(card)
    others = {compose(dataclasses.replace(card, seed=seed)).active["lead" if "lead" in card.cast else "pad"]
              for seed in range(8)}  # fmt: skip
    assert len(others) > 1


def test_chords_change_on_bar_lines_only():
    for genre in GENRES:
        for _, score in cases(genre):
            changes = [beat for beat in range(1, score.beats) if score.chords[beat] != score.chords[beat - 1]]
            assert all(beat % BEATS_PER_BAR == 0 for beat in changes)


def test_a_card_without_drums_has_none():
    card = dataclasses.replace(sample_card(3, genre="house"), drums=False)
    score = compose(card)
    assert not score.drums and "drums" not in score.active
    assert PARTS["full"].layer > 0
