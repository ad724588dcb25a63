"""Ways to ask for a piece in words: from one word to a full sentence, always true of the piece."""

import re

import numpy as np

from magenta_rt_py.train.studio.cards import StyleCard
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.seeds import choose
from magenta_rt_py.train.studio.vocabulary import (
    BEAT_PHRASES,
    BRIGHTNESS_WORDS,
    DENSITY_WORDS,
    DRUM_WORDS,
    GENRE_PHRASES,
    MOOD_WORDS,
    PRODUCTION_WORDS,
    SCENES,
    TEMPO_WORDS,
)

BARE_ARTICLE = re.compile(r"\ba (?=[aeiou8])")  # "a upbeat", "a 8-bit"

ATTEMPTS_PER_CAPTION = 40  # short captions repeat; after this many draws we stop looking for a new one

# {genre} a way to name the style, {mood} a feeling, {tempo} slow .. fast, {sound} how it was recorded, {players} one
# to three instruments, {player} one, {busy} how full, {scene} where it would be played, {bpm} and {key} the numbers.
TEMPLATES = (
    "{genre}",
    "{genre}",
    "{mood} {genre}",
    "{tempo} {genre}",
    "{genre} with {players}",
    "{genre}, {player}",
    "{mood} {tempo} {genre} with {players}",
    "{players}, {mood}",
    "{sound} {genre}",
    "{sound} {busy} {genre}, {players}, {bpm} bpm, {key}",
    "a {mood} {genre} track at {bpm} bpm",
    "{genre} in {key}",
    "{mood} music featuring {players}",
    "{tempo} {mood} music, {genre}",
    "{genre} {scene}",
    "{mood} {genre} {scene}",
    "{mood}, {sound}, {busy}",
    "{genre}. {tempo}, {mood}, {sound}.",
    "something {mood} and {mood2}, like {genre}",
    "{genre} led by {player}, {sound} and {busy}",
    "{player} over {genre}",
    "{mood} {player}",
    "{genre} / {mood} / {tempo}",
    "a {tempo} {mood} piece of {genre}, {sound}, with {players}, around {bpm} bpm in {key}",
)


def captions(
    card: StyleCard,
    rng: np.random.Generator,
    count: int,
    *,
    stems: tuple[str, ...] | None = None,
) -> list[str]:
    """Draws distinct captions of widely varied length.

    Args:
      card: the piece's style.
      rng: where the choices come from.
      count: how many, >= 1; a very large count may not be reached.
      stems: stems that are heard; only their instruments are named. None means the whole cast.
    """
    if count < 1:
        raise ValueError(f"got count={count}, expected at least 1")
    found: dict[str, None] = {}
    for _ in range(ATTEMPTS_PER_CAPTION * count):
        found[_caption(card, rng, card.stems if stems is None else stems)] = None
        if len(found) == count:
            break
    return list(found)


def _caption(card: StyleCard, rng: np.random.Generator, stems: tuple[str, ...]) -> str:
    words = [word for word in MOOD_WORDS[card.genre] if word != card.mood]
    moods = [card.mood, choose(rng, tuple(words))]
    if rng.random() < 0.5:
        moods.reverse()
    players = _players(card, rng, stems)
    if rng.random() < 0.12 and card.genre in BEAT_PHRASES:
        return choose(rng, BEAT_PHRASES[card.genre])
    fields = {
        "genre": choose(rng, GENRE_PHRASES[card.genre]),
        "mood": moods[0],
        "mood2": moods[1],
        "tempo": choose(rng, _scale_word(TEMPO_WORDS, _felt_bpm(card))),
        "sound": choose(
            rng,
            (choose(rng, PRODUCTION_WORDS[card.genre]), choose(rng, _scale_word(BRIGHTNESS_WORDS, card.brightness))),
        ),
        "busy": choose(rng, _scale_word(DENSITY_WORDS, card.density)),
        "players": _join(players),
        "player": players[0],
        "scene": choose(rng, SCENES[card.genre]),
        "bpm": str(round(_felt_bpm(card) if rng.random() < 0.5 else card.bpm)),
        "key": card.key_name,
    }
    return BARE_ARTICLE.sub("an ", choose(rng, TEMPLATES).format_map(fields))


def _players(card: StyleCard, rng: np.random.Generator, stems: tuple[str, ...]) -> list[str]:
    """One to three heard instruments in one of their wordings, in any order."""
    names = [
        choose(rng, INSTRUMENTS[name].words)
        for name in dict.fromkeys(card.cast[stem] for stem in stems if stem in card.cast)
    ]
    if "drums" in stems:
        names.append(choose(rng, DRUM_WORDS[card.genre]))
    names = list(dict.fromkeys(names)) or [choose(rng, GENRE_PHRASES[card.genre])]
    order = rng.permutation(len(names))[: int(rng.integers(1, 4))]
    return [names[index] for index in order]


def _felt_bpm(card: StyleCard) -> float:
    """The tempo a listener would name: drum and bass, and trap if it counts slowly, are labelled at half of it."""
    halved = card.genre == "drum and bass" or (card.genre == "trap" and card.bpm < 100)
    return card.bpm * (2 if halved else 1)


def _scale_word(scale: tuple[tuple[float, tuple[str, ...]], ...], value: float) -> tuple[str, ...]:
    """Words of the first step of a scale whose upper bound is above the value."""
    return next(words for bound, words in scale if value < bound)


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
