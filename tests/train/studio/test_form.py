"""Form: sections fill the piece, layers differ, the core leaves only where a part sheds it."""

import functools
import itertools
from collections import Counter

import pytest

from magenta_rt_py.train.studio import feel, form, strips
from magenta_rt_py.train.studio.cards import sample_card
from magenta_rt_py.train.studio.form import FAMILIES, FORMS, PARTS, RISE_BARS, SILENT, arrange, family, forms_of
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.seeds import generator


@functools.cache
def cases(genre):
    """Cards and their sections."""
    cards = [sample_card(seed, genre=genre) for seed in range(8)]
    return [(card, arrange(card, generator(card.seed, f"sections {genre}"))) for card in cards]


def test_tables_by_genre_name_genres_that_there_are():
    for table in (form.FAMILY_OF, feel.SWING, strips.CHORUSED, strips.WIDTHS):
        assert set(table) <= set(GENRES)


@pytest.mark.parametrize("genre", GENRES)
def test_sections_cover_the_piece_and_every_stem_is_on_somewhere(genre):
    for card, sections in cases(genre):
        assert sections[0].start == 0 and sections[-1].end == card.bars
        assert all(one.end == two.start and one.end % 2 == 0 for one, two in itertools.pairwise(sections))
        assert set().union(*(section.stems for section in sections)) == set(card.stems)
        for section in sections:
            assert section.stems
            for stem in set(card.spec.core) & set(card.stems):
                assert stem in section.stems or (PARTS[section.part].sheds and stem in ("drums", "bass")), stem


def test_every_form_is_drawn_by_some_family_or_by_transitions():
    assert {form for forms in FAMILIES.values() for form in forms} | {"tutti"} == set(FORMS)
    assert {part for form in FORMS.values() for part, _ in form} == set(PARTS)


def test_families_fit_their_genres():
    assert [family(genre) for genre in ("techno", "rock", "lofi hip hop", "ambient")] == ["dance", "band", "loop", "still"]
    drawn = Counter(card.form for genre in ("techno", "house", "trance") for card, _ in cases(genre))
    assert drawn["club"] + drawn["drop"] + drawn["short drop"] and not drawn["song"]


def test_short_pieces_have_no_form():
    assert forms_of("techno", 5) == ("steady",)
    assert {sample_card(seed, genre="techno", seconds=5.0).form for seed in range(20)} == {"steady"}


def test_drums_of_a_build_come_in_its_last_bars_only():
    card = next(card for card in (sample_card(seed, genre="trance") for seed in range(99)) if card.form == "drop")
    build = next(part for part in arrange(card, generator(0, "x")) if part.part == "build")
    assert build.layer == SILENT and build.end - build.rise_start == RISE_BARS
    assert [build.drums_on(bar) for bar in range(build.start, build.end)] == [False, False, True, True]


def test_solos_and_stems_never_rest():
    for kind in ("solo", "stem"):
        card = sample_card(3, genre="house", kind=kind)
        assert all(section.stems == set(card.stems) for section in arrange(card, generator(0, "x")))
