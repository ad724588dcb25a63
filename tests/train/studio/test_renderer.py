"""The renderer: notes land on their samples, and what is cached changes nothing."""

import dataclasses

import numpy as np

from magenta_rt_py.train.studio import effects
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.composer import compose
from magenta_rt_py.train.studio.renderer import Renderer
from magenta_rt_py.train.studio.score import Hit, Note, Score


def short(genre, seconds=3.0, seed=1):
    """A card and its score."""
    card = sample_card(seed, genre=genre, seconds=seconds)
    return card, compose(card)


def test_a_full_cache_forgets_but_sounds_the_same():
    card, score = short("chiptune")
    roomy, tight = Renderer(), Renderer(cache_bytes=100_000)
    expected = roomy.render(card, score)
    np.testing.assert_array_equal(tight.render(card, score), expected)
    np.testing.assert_array_equal(roomy.render(card, score), expected)
    assert tight._held_bytes <= 100_000 < roomy._held_bytes


def test_events_start_on_their_sample():
    card = dataclasses.replace(sample_card(1, genre="chiptune", seconds=3.0), cast={"lead": "chip pulse"})
    score = Score(drums=(Hit(1.0, "kick", 1.0),), notes={"lead": (Note(2.5, 0.5, 69, 0.8),)}, chords=("C",) * 4,
                  active={"drums": (True,) * 4, "lead": (True,) * 4})  # fmt: skip
    sound = np.abs(Renderer().render(card, score)).max(axis=1)
    first, second = card.beat_samples, round(2.5 * card.beat_samples)
    assert not sound[:first].any() and sound[first : first + 240].max() > 0.1
    quiet = sound[second - 240 : second].max()
    assert sound[second : second + 480].max() > 10 * quiet


def test_stems_are_balanced_by_the_genres_levels():
    card, score = short("synthwave")
    pads = Score(drums=(), notes={"pad": score.notes["pad"]}, chords=score.chords, active=score.active)
    sound = Renderer().render(card, pads)
    assert abs(effects.loudness_lufs(np.ascontiguousarray(sound.T)) - effects.TARGET_LUFS) < 1.0


def test_a_score_without_notes_is_silent():
    card, score = short("chiptune")
    assert not Renderer().render(card, Score(drums=(), notes={}, chords=score.chords, active={})).any()
