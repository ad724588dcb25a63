"""Captions: distinct, varied, true, of every kind of piece, and never one that is held out."""

import importlib
import re

import pytest

from magenta_rt_py.train.studio.captions import captions, is_held_out
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.held_out import EVALUATION_TEXTS, MORE_TEXTS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.seeds import generator
from magenta_rt_py.train.studio.vocabulary import WORDS
from magenta_rt_py.train.studio.vocabulary_templates import FULL, INSTRUMENTAL, MISSING, PARTS, SOLO, STEM


@pytest.fixture(scope="module")
def collected():
    """Genre -> captions of 12 cards."""
    return {genre: [text for seed in range(12) for text in captions(sample_card(seed, genre=genre),
            generator(seed, "test"), 12)] for genre in GENRES}  # fmt: skip


def drawn(genre, kind, seeds=range(12), count=20):
    """Cards of a kind with their captions."""
    for seed in seeds:
        card = sample_card(seed, genre=genre, kind=kind)
        yield card, captions(card, generator(seed, kind), count)


def test_no_caption_contains_a_held_out_one(collected):
    held_out = [text.lower() for text, _ in (*EVALUATION_TEXTS, *MORE_TEXTS)]
    assert not [text for texts in collected.values() for text in texts if any(other in text.lower() for other in held_out)]


def test_a_held_out_caption_is_drawn_again(monkeypatch):
    card = sample_card(3, genre="techno")
    assert "techno" in captions(card, generator(1, "x"), 60)
    module = importlib.import_module("magenta_rt_py.train.studio.captions")  # the package's attribute is the function
    monkeypatch.setattr(module, "_held_out", lambda: (" techno ",))
    texts = captions(card, generator(1, "x"), 60)
    assert texts and not [text for text in texts if "techno" in re.findall(r"[\w&-]+", text)]


@pytest.mark.parametrize("text", ["Warehouse techno, at night!", "play some warehouse techno at night please"])
def test_held_out_texts_are_known_in_any_dress(text):
    assert is_held_out(text)
    assert not is_held_out(text.replace("night", "nights"))


def test_the_words_of_the_evaluation_texts_are_learnt_in_their_genre(collected):
    known = {"the", "to", "at", "with", "of", "and", "a", "in", "on", "by", "nobody", "else"}
    for text, genre in EVALUATION_TEXTS:
        words = WORDS[genre]
        casts = {name for stem in ("bass", "comp", "pad", "lead") for name in getattr(GENRES[genre], stem)}
        learnt = " ".join(
            (
                *words.names,
                *words.wholes,
                *words.drums,
                *words.moods,
                *words.sounds,
                *words.scenes,
                *words.eras,
                *GENRES[genre].moods,
                *(word for name in casts for word in INSTRUMENTS[name].words),
            )
        )
        missing = {word for word in text.replace(",", "").split() if word not in learnt.lower()} - known
        assert not missing, (text, missing)


def test_captions_are_distinct_and_of_varied_length(collected):
    for genre in GENRES:
        lengths = {len(text.split()) for text in collected[genre]}
        assert min(lengths) <= 2 and max(lengths) >= 12
        assert len(set(collected[genre])) > 0.75 * len(collected[genre])
    everything = [text for texts in collected.values() for text in texts]
    assert len(set(everything)) > 0.85 * len(everything)


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


def test_an_instrument_alone_is_asked_for_often_enough():
    texts = [(card, text) for genre in ("rock", "jazz", "trap", "ambient")
             for card, some in drawn(genre, "full") for text in some]  # fmt: skip
    bare = [text for card, text in texts if any(text in INSTRUMENTS[name].words for name in card.cast.values())]
    assert 0.05 < len(bare) / len(texts) < 0.2


@pytest.mark.parametrize("genre", ["rock", "cinematic", "solo piano", "techno", "raga"])
def test_a_solo_is_named_by_its_instrument_and_as_alone(genre):
    alone = re.compile(
        r"solo|alone|only|just|nothing else|nobody else|by itself|unaccompanied|without|\bno |one |less\b|instrumental"
    )
    for card, texts in drawn(genre, "solo"):
        assert len(set(card.cast.values())) == 1 and "drums" not in card.stems
        words = INSTRUMENTS[next(iter(card.cast.values()))].words
        assert all(any(word in text for word in words) for text in texts)
        assert sum(bool(alone.search(text)) for text in texts) > 0.6 * len(texts)


@pytest.mark.parametrize("genre", ["rock", "techno", "folk", "salsa"])
def test_a_stem_is_named_by_its_part_or_player(genre):
    for card, texts in drawn(genre, "stem"):
        assert len(card.stems) == 1
        stem = card.stems[0]
        players = WORDS[genre].drums + ("drums",) if stem == "drums" else INSTRUMENTS[card.cast[stem]].words
        assert all(any(word in text for word in (*PARTS[stem], *players)) for text in texts)


@pytest.mark.parametrize("kind", ["full", "solo", "stem"])
def test_what_is_said_to_be_missing_is_missing(kind):
    said = 0
    for genre in GENRES:
        for card, texts in drawn(genre, kind, seeds=range(3)):
            for stem, words in MISSING.items():
                claims = [text for text in texts if any(re.search(rf"(^|, ){word}$", text) for word in words)]
                said += len(claims)
                assert not claims or stem not in card.stems, (card, claims)
            if {"choir", "oohs"} & set(card.cast.values()):
                assert not [text for text in texts if any(text.endswith(f", {word}") for word in INSTRUMENTAL)]
    assert said > 5


def test_templates_fill_every_gap():
    gaps = {"genre", "dated", "mood", "mood2", "tempo", "sound", "busy", "players", "player", "plain", "part", "without",
            "scene", "bpm", "key"}  # fmt: skip
    for groups in (FULL, SOLO, STEM):
        assert sum(weight for weight, _ in groups) == pytest.approx(1.0)
        assert {gap for _, templates in groups for text in templates for gap in re.findall(r"{(\w+)}", text)} <= gaps


def test_articles_are_right(collected):
    for texts in collected.values():
        wrong = re.compile(r"\ba (a|e|i|o|8|up|un|r&b)|\ban (b|m|uk|s)")
        assert not [text for text in texts if wrong.search(text)]


def test_every_genre_has_words():
    assert set(WORDS) == set(GENRES)
    for genre, spec in GENRES.items():
        words = WORDS[genre]
        assert len(set(words.names)) >= 6 and len(words.wholes) >= 3
        assert min(map(len, (words.moods, words.sounds, words.scenes))) >= 3
        assert bool(words.drums) == (spec.kit is not None)


def test_a_count_below_one_is_refused():
    with pytest.raises(ValueError, match="count=0"):
        captions(sample_card(0, genre="rock"), generator(0, "x"), 0)
