"""Captions: distinct, varied, true, and never one of the sentences the evaluation asks with."""

import pytest

from magenta_rt_py.train.evaluation.prompts import EVALUATION_PROMPTS
from magenta_rt_py.train.studio.captions import captions
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.seeds import generator
from magenta_rt_py.train.studio.vocabulary import (
    BEAT_PHRASES,
    DRUM_WORDS,
    GENRE_PHRASES,
    MOOD_WORDS,
    PRODUCTION_WORDS,
    SCENES,
)


@pytest.fixture(scope="module")
def collected():
    """Genre -> captions of 16 cards."""
    return {genre: [text for seed in range(16) for text in captions(sample_card(seed, genre=genre),
            generator(seed, "test"), 12)] for genre in GENRES}  # fmt: skip


def test_no_caption_contains_an_evaluation_prompt(collected):
    prompts = [prompt.text.lower() for prompt in EVALUATION_PROMPTS]
    assert len(prompts) == 10
    found = [text for texts in collected.values() for text in texts if any(p in text.lower() for p in prompts)]
    assert not found


def test_no_two_parts_can_make_an_evaluation_prompt():
    for prompt in EVALUATION_PROMPTS:
        for phrase in (*GENRE_PHRASES[prompt.genre], *BEAT_PHRASES[prompt.genre]):
            assert prompt.text.lower() not in phrase.lower()
            if not prompt.text.lower().startswith(phrase.lower()):
                continue
            rest = prompt.text[len(phrase) :].strip(" ,")
            endings = [
                *SCENES[prompt.genre],
                *(f"with {word}" for name in INSTRUMENTS for word in INSTRUMENTS[name].words),
            ]
            assert not any(rest and ending.startswith(rest) for ending in endings), (phrase, rest)


def test_the_words_of_the_evaluation_prompts_are_learnt_in_their_genre(collected):
    known = {"the", "to", "at", "with", "of", "nobody", "else"}
    for prompt in EVALUATION_PROMPTS:
        vocabulary = " ".join(collected[prompt.genre]).lower()
        missing = [word for word in prompt.text.lower().replace(",", "").split() if word not in vocabulary]
        assert set(missing) <= known, (prompt.text, missing)


def test_captions_are_distinct_and_of_varied_length(collected):
    for genre in GENRES:
        lengths = {len(text.split()) for text in collected[genre]}
        assert min(lengths) <= 2 and max(lengths) >= 12
        assert len(set(collected[genre])) > 130
    drawn = captions(sample_card(0, genre="rock"), generator(0, "x"), 30)
    assert len(drawn) == len(set(drawn)) == 30


def test_captions_are_reproducible():
    card = sample_card(5, genre="jazz")
    assert captions(card, generator(1, "x"), 9) == captions(card, generator(1, "x"), 9)
    assert captions(card, generator(1, "x"), 9) != captions(card, generator(2, "x"), 9)


def test_only_heard_instruments_are_named():
    card = next(card for card in (sample_card(seed, genre="disco") for seed in range(99))
                if card.cast.get("lead") == "brass section")  # fmt: skip
    texts = captions(card, generator(0, "x"), 300, stems=("drums", "bass", "comp"))
    assert not [text for text in texts if "brass" in text or "horns" in text]
    texts = captions(card, generator(0, "x"), 300)
    assert [text for text in texts if "brass" in text or "horns" in text]


def test_articles_are_right(collected):
    for texts in collected.values():
        assert not [text for text in texts if " a a" in f" {text}" or f" {text}".startswith(" a u") or " a 8" in text]


def test_every_genre_has_words():
    for genre, spec in GENRES.items():
        assert len(set(GENRE_PHRASES[genre])) >= 4
        assert all(genre in table for table in (BEAT_PHRASES, MOOD_WORDS, PRODUCTION_WORDS, SCENES))
        assert (genre in DRUM_WORDS) == (spec.kit is not None)


def test_a_count_below_one_is_refused():
    with pytest.raises(ValueError, match="count=0"):
        captions(sample_card(0, genre="rock"), generator(0, "x"), 0)
