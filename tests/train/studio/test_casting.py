"""Casting: guests at the promised rate, never a held-out pair, never an instrument that cannot play the part."""

import numpy as np
import pytest

from magenta_rt_py.train.studio import casting
from magenta_rt_py.train.studio.casting import borrowable, draw_cast
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.held_out import HELD_OUT_PAIRS
from magenta_rt_py.train.studio.registers import is_bass, is_polyphonic
from magenta_rt_py.train.studio.seeds import generator


def test_guests_come_at_their_rates():
    casts = [draw_cast("techno", generator(seed, "test")) for seed in range(3000)]
    spec = GENRES["techno"]
    for stem, expected in (("comp", 0.08), ("lead", 0.15)):
        guests = [cast for cast in casts if stem in cast and cast[stem] not in getattr(spec, stem)]
        assert len(guests) / len(casts) == pytest.approx(expected, abs=0.02)
    assert len({cast["lead"] for cast in casts if "lead" in cast}) > 20


@pytest.mark.parametrize("genre", GENRES)
def test_held_out_pairs_are_never_cast(genre):
    for stem in ("comp", "lead"):
        guests = borrowable(genre, stem)
        assert not {(genre, name) for name in guests} & HELD_OUT_PAIRS
        assert not any(is_bass(name) for name in guests)
        assert stem == "lead" or all(is_polyphonic(name) for name in guests)
    for seed in range(60):
        assert not {(genre, name) for name in draw_cast(genre, generator(seed, "test")).values()} & HELD_OUT_PAIRS


def test_a_held_out_pair_would_be_cast_if_it_were_not_held_out(monkeypatch):
    genre, name = next(pair for pair in sorted(HELD_OUT_PAIRS) if not is_bass(pair[1]))
    monkeypatch.setattr(casting, "HELD_OUT_PAIRS", frozenset())
    assert name in borrowable.__wrapped__(genre, "lead")


def test_a_genre_of_one_instrument_has_no_guests():
    assert borrowable("solo piano", "lead") == ()
    rng = np.random.default_rng(0)
    assert all(set(draw_cast("solo piano", rng).values()) == {"grand piano"} for _ in range(50))
