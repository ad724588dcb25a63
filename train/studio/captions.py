"""Ways to ask for a piece in words: from one word to a full sentence, always true of the piece, never held out."""

import functools
import re

import numpy as np

from magenta_rt_py.train.studio.held_out import HELD_OUT_CAPTIONS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.seeds import choose
from magenta_rt_py.train.studio.style_card import StyleCard
from magenta_rt_py.train.studio.vocabulary import BRIGHTNESS_WORDS, DENSITY_WORDS, TEMPO_WORDS, WORDS
from magenta_rt_py.train.studio.vocabulary_synonyms import reworded
from magenta_rt_py.train.studio.vocabulary_templates import (
    FULL,
    INSTRUMENTAL,
    MISSING,
    OTHERS_MISSING,
    PARTS,
    SOLO,
    STEM,
    Groups,
)

ATTEMPTS_PER_CAPTION = 40  # short captions repeat; after this many draws we stop looking for a new one
WHOLE_SHARE = 0.07  # of the captions of arrangements that are whole phrases of the genre
FRONT_STEMS = ("lead", "comp")  # a piece is asked for by the instruments that are heard in front ..
FRONT_SHARE = 0.65  # .. in so many of the captions that name one
BARE_ARTICLE = re.compile(r"\ba (?=[aeio8]|u(?!k|ni)|r&b|rnb|fm\b)")  # "a upbeat", "a 8-bit", but "a uk garage"
DATED = re.compile(r"\d|ies\b|old|classic|modern|century|early|victorian")  # words that say when
TEMPLATES: dict[str, Groups] = {"full": FULL, "solo": SOLO, "stem": STEM}
HALVED = ("drum and bass", "trap")  # genres whose drums are twice as fast as their beat is labelled ..
HALVED_BELOW_BPM = 100.0  # .. at tempos below this; in a transition they may be at another
VOICES = ("choir", "oohs")  # instruments that sing


def captions(
    card: StyleCard,
    rng: np.random.Generator,
    count: int,
    *,
    stems: tuple[str, ...] | None = None,
) -> list[str]:
    """Draws distinct captions of widely varied length; those of one instrument or one stem say so.

    Args:
      card: the piece's style.
      rng: where the choices come from.
      count: how many, >= 1; a very large count may not be reached.
      stems: stems that are heard; only their instruments are named. None means the whole cast.
    """
    if count < 1:
        raise ValueError(f"got count={count}, expected at least 1")
    heard = card.stems if stems is None else stems
    found: dict[str, None] = {}
    for _ in range(ATTEMPTS_PER_CAPTION * count):
        caption = _caption(card, rng, heard)
        if not is_held_out(caption):
            found[caption] = None
        if len(found) == count:
            break
    return list(found)


def is_held_out(text: str) -> bool:
    """Whether a text contains one that no training piece may say, whatever its case and punctuation."""
    return any(held_out in f" {_bare(text)} " for held_out in _held_out())


@functools.cache
def _held_out() -> tuple[str, ...]:
    return tuple(f" {_bare(text)} " for text in HELD_OUT_CAPTIONS)


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s&-]", " ", text.lower()).split())


def _caption(card: StyleCard, rng: np.random.Generator, stems: tuple[str, ...]) -> str:
    words = WORDS[card.genre]
    if card.kind == "full" and rng.random() < WHOLE_SHARE:
        return choose(rng, words.wholes)
    groups = TEMPLATES[card.kind]
    weights = np.array([weight for weight, _ in groups])
    template = choose(rng, groups[int(rng.choice(len(groups), p=weights / weights.sum()))][1])
    text = template.format_map(_fields(card, rng, stems))
    return BARE_ARTICLE.sub("an ", text)


def _fields(card: StyleCard, rng: np.random.Generator, stems: tuple[str, ...]) -> dict[str, str]:
    words = WORDS[card.genre]
    moods = [card.mood, choose(rng, tuple(word for word in words.moods if word != card.mood))]
    if rng.random() < 0.5:
        moods.reverse()
    player, plain, players = _players(card, rng, stems)
    name = choose(rng, _timeless(words.names))
    loud = choose(rng, words.sounds), choose(rng, _scale_word(BRIGHTNESS_WORDS, card.brightness))
    return {
        "genre": choose(rng, words.names),
        "dated": f"{choose(rng, words.eras)} {name}" if words.eras else name,
        "mood": reworded(moods[0], rng),
        "mood2": reworded(moods[1], rng),
        "tempo": choose(rng, _scale_word(TEMPO_WORDS, _felt_bpm(card))),
        "sound": reworded(choose(rng, loud), rng),
        "busy": choose(rng, _scale_word(DENSITY_WORDS, card.density)),
        "players": players,
        "player": player,
        "plain": plain,
        "part": choose(rng, PARTS[stems[0]]) if stems else "sound",
        "without": _without(card, rng, stems),
        "scene": choose(rng, words.scenes),
        "bpm": str(round(_felt_bpm(card) if rng.random() < 0.5 else card.bpm)),
        "key": card.key_name,
    }


@functools.cache
def _timeless(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names that no decade can contradict."""
    return tuple(name for name in names if not DATED.search(name)) or names


def _players(card: StyleCard, rng: np.random.Generator, stems: tuple[str, ...]) -> tuple[str, str, str]:
    """One heard instrument in one of its wordings and by its plainest name, and a list of one to three."""
    wordings = {
        name: INSTRUMENTS[name].words for name in dict.fromkeys(card.cast[stem] for stem in stems if stem in card.cast)
    }
    front = [name for name in dict.fromkeys(card.cast.get(stem) for stem in FRONT_STEMS) if name in wordings]
    if "drums" in stems:
        wordings["drums"] = WORDS[card.genre].drums
    if not wordings:
        name = choose(rng, WORDS[card.genre].names)
        return name, name, name
    named = choose(rng, tuple(front)) if front and rng.random() < FRONT_SHARE else choose(rng, tuple(wordings))
    order = [named, *rng.permutation([name for name in wordings if name != named])][: int(rng.integers(1, 4))]
    chosen = list(dict.fromkeys(choose(rng, wordings[name]) for name in order))
    plain = "drums" if named == "drums" else wordings[named][0]
    player = chosen[0]
    if rng.random() < 0.5:
        chosen.reverse()
    return player, plain, _join(chosen)


def _without(card: StyleCard, rng: np.random.Generator, stems: tuple[str, ...]) -> str:
    """Something that is not in the piece."""
    true = [MISSING[stem] for stem in MISSING if stem not in stems]
    if card.kind != "full":
        true.append(OTHERS_MISSING)
    if not true or rng.random() < 0.2:
        sings = any(card.cast.get(stem) in VOICES for stem in stems)
        true = [("no rapping", "no talking") if sings else INSTRUMENTAL]
    return choose(rng, choose(rng, tuple(true)))


def _felt_bpm(card: StyleCard) -> float:
    """The tempo a listener would name: drum and bass and trap that count slowly are labelled at half of it."""
    is_halved = card.genre in HALVED and card.bpm < HALVED_BELOW_BPM
    return card.bpm * (2 if is_halved else 1)


def _scale_word(scale: tuple[tuple[float, tuple[str, ...]], ...], value: float) -> tuple[str, ...]:
    """Words of the first step of a scale whose upper bound is above the value."""
    return next(words for bound, words in scale if value < bound)


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
