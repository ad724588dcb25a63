"""Who plays: an instrument for each stem, now and then one that the genre does not know."""

import functools

import numpy as np

from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.held_out import HELD_OUT_PAIRS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.registers import is_bass, is_polyphonic
from magenta_rt_py.train.studio.seeds import choose
from magenta_rt_py.train.studio.style_card import StyleCard

CHANCES = {"bass": 0.92, "comp": 0.9, "pad": 0.75, "lead": 0.75}  # that a stem outside the core is in the piece
BORROWED = {"comp": 0.08, "lead": 0.15}  # that it is played by an instrument from elsewhere
STEM_WEIGHTS = {"drums": 3.0, "bass": 2.0, "comp": 2.0, "pad": 1.0, "lead": 2.0}  # of pieces of one stem


def draw_cast(genre: str, rng: np.random.Generator) -> dict[str, str]:
    """An instrument for each pitched stem; stems outside the core are left out now and then."""
    spec, cast = GENRES[genre], {}
    for stem, chance in CHANCES.items():
        choices = getattr(spec, stem)
        present, borrowed = rng.random() < chance, rng.random() < BORROWED.get(stem, 0.0)
        own, other = rng.random(), rng.random()
        if not choices:
            continue
        elsewhere = borrowable(genre, stem) if borrowed else ()
        if elsewhere:
            cast[stem] = elsewhere[int(other * len(elsewhere))]
        elif present or stem in spec.core:
            cast[stem] = choices[int(own * len(choices))]
    return cast


@functools.cache
def borrowable(genre: str, stem: str) -> tuple[str, ...]:
    """Instruments that a genre may borrow for its comp or lead: no bass, none of its own, no held-out pair.

    A genre whose every stem is played on one instrument borrows none: it would no longer be itself.
    """
    spec = GENRES[genre]
    own = {*spec.bass, *spec.comp, *spec.pad, *spec.lead}
    if len(own) == 1:
        return ()
    return tuple(
        name
        for name in INSTRUMENTS
        if name not in own
        and not is_bass(name)
        and (stem == "lead" or is_polyphonic(name))
        and (genre, name) not in HELD_OUT_PAIRS
    )


def draw_soloist(genre: str, rng: np.random.Generator) -> dict[str, str]:
    """One of the genre's instruments, on all the stems that one player can play at once."""
    spec = GENRES[genre]
    players = tuple(dict.fromkeys((*spec.lead, *spec.comp, *spec.pad)))
    name = choose(rng, players or spec.bass)
    if name in spec.pad and name not in (*spec.lead, *spec.comp):
        return {"pad": name}
    stems = ["lead"] if spec.lead_figures else []
    if is_polyphonic(name) and spec.comp_figures:
        stems.append("comp")
        if name.endswith("piano") and spec.bass_figures:
            stems.append("bass")
    if not stems:
        stems = ["comp" if spec.comp_figures else "bass" if spec.bass_figures else "pad"]
    return dict.fromkeys(stems, name)


def draw_stem(card: StyleCard, rng: np.random.Generator) -> str:
    """Which stem of an arrangement is heard alone."""
    weights = np.array([STEM_WEIGHTS[stem] for stem in card.stems])
    return card.stems[int(rng.choice(len(card.stems), p=weights / weights.sum()))]
