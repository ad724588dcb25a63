"""The project's docstrings in the form that the site's parser reads."""

import pytest


@pytest.fixture(scope="module")
def docstrings(load_site_module):
    return load_site_module("docstrings")


def test_sections_are_parted_and_what_is_returned_has_no_type_in_front(docstrings):
    text = "Does it.\n\nArgs:\n  a: one.\nReturns:\n  the state: all of it,\n    and more.\nRaises:\n  ValueError: no."
    assert docstrings.parted(text) == (
        "Does it.\n\nArgs:\n  a: one.\n\nReturns:\n  : the state: all of it,\n    and more.\n\nRaises:\n  ValueError: no."
    )


def test_other_docstrings_stay_as_they_are(docstrings):
    text = "A table:\n\n    Args: are not these\n\nNote: nor this."
    assert docstrings.parted(text) == text


def test_the_comment_of_a_field_stands_above_or_beside_it(docstrings):
    lines = ["class Config:", "    # Steps taken,", "    # at most.", "    steps: int = 1"]
    lines += ["    rate: float = 0.5  # a step", "    colour: str = '#fff'"]
    assert docstrings.comment_at(lines, 4, 4) == "Steps taken,\nat most."
    assert docstrings.comment_at(lines, 5, 5) == "a step"
    assert docstrings.comment_at(lines, 6, 6) == ""
