"""What scores promise: everything on the grid, loops that repeat, drums that stay, stems that sound."""

import dataclasses
import functools
from fractions import Fraction

import pytest

from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.score import BEATS_PER_BAR

SEEDS = range(3)


@functools.cache
def cases(genre):
    """Cards and scores of a genre."""
    cards = [sample_card(seed, genre=genre) for seed in SEEDS]
    return [(card, compose(card)) for card in cards]


@pytest.mark.parametrize("genre", GENRES)
def test_every_onset_lies_on_the_grid(genre):
    for _, score in cases(genre):
        onsets = {hit.beat for hit in score.drums} | {note.beat for notes in score.notes.values() for note in notes}
        for onset in onsets:
            assert Fraction(onset).limit_denominator(48) == pytest.approx(onset, abs=1e-9)
            assert min(abs(onset * 16 - round(onset * 16)), abs(onset * 12 - round(onset * 12))) < 1e-6


@pytest.mark.parametrize("genre", [name for name, spec in GENRES.items() if spec.kit])
def test_drums_play_in_nearly_every_bar_from_the_first_on(genre):
    for card, score in cases(genre):
        bars = {int(hit.beat) // BEATS_PER_BAR for hit in score.drums}
        assert len(bars & set(range(card.bars))) >= 0.85 * card.bars
        assert score.drums[0].beat < BEATS_PER_BAR


@pytest.mark.parametrize("genre", GENRES)
def test_all_stems_of_the_card_sound_and_the_core_never_leaves(genre):
    for card, score in cases(genre):
        assert score.sounding() == card.stems
        for stem in set(card.spec.core) & set(card.stems):
            assert all(score.active[stem]), stem
        for notes_stem, notes in score.notes.items():
            assert all(score.active[notes_stem][int(note.beat)] for note in notes)
        assert score.beats == len(score.chords) == card.bars * BEATS_PER_BAR
        assert score.beats * card.beat_samples >= card.samples


def test_the_groove_repeats_exactly():
    card = sample_card(3, genre="techno")
    score = compose(card)

    def bar(number):
        return [(hit.beat % BEATS_PER_BAR, hit.voice, hit.velocity) for hit in score.drums
                if int(hit.beat) // BEATS_PER_BAR == number and hit.voice != "crash"]  # fmt: skip

    assert bar(4) and bar(4) == bar(5) == bar(6)


def test_a_two_bar_loop_alternates_its_bars():
    card = next(card for card in (sample_card(seed, genre="trap") for seed in range(99)) if card.frames_per_beat == 10)
    score = compose(card)
    assert card.loop_beats == 2 * BEATS_PER_BAR
    snares = [hit.beat for hit in score.drums if hit.voice == "clap"][:4]
    assert snares == [2.0, 6.0, 10.0, 14.0]
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


def test_bass_letters_are_chord_tones():
    card = dataclasses.replace(sample_card(1, genre="disco"), bass_figure="R...T...F...O...", key=0, mode="major",
                               chords=("I", "V"), cast={"bass": "electric bass"})  # fmt: skip
    pitches = [note.pitch for note in compose(card).notes["bass"][:8]]
    assert [pitch % 12 for pitch in pitches] == [0, 4, 7, 0, 7, 11, 2, 7]
    assert pitches[3] == pitches[0] + 12
