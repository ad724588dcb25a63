"""Sections of a label, the windows that hear one of them, and captions shared out among them."""

import numpy as np
import pytest

from magenta_rt_py.train.starter.sections import section_of_windows, sections_of, spread_captions


def label(*first_beats, frames_per_beat=15):
    return {
        "frames_per_beat": frames_per_beat,
        "sections": [
            {"first_beat": beat, "genre": f"genre {n}", "captions": [f"{n} a", f"{n} b"], "instruments": ["flute"]}
            for n, beat in enumerate(first_beats)
        ],
    }  # fmt: skip


def test_sections_are_counted_in_frames_and_end_where_the_next_begins():
    first, second = sections_of(label(0, 24), 750)
    assert (first.first_frame, first.end_frame, second.first_frame, second.end_frame) == (0, 360, 360, 750)
    assert first.genre == "genre 0" and second.captions == ("1 a", "1 b") and second.instruments == ("flute",)


def test_windows_that_hear_two_styles_belong_to_neither():
    # Window w hears frames 50 w .. 50 w + 250; a second (25 frames) of the other style does not count.
    found = section_of_windows(sections_of(label(0, 24), 750), 15)
    np.testing.assert_array_equal(found, [0, 0, 0, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1])
    assert (section_of_windows(sections_of(label(0), 100), 2) == 0).all()  # a piece shorter than a window


@pytest.mark.parametrize(
    ("beats", "count", "expected"), [((0,), 3, [0, 0, 0]), ((0, 9), 4, [0, 0, 1, 1]), ((0, 9), 3, [0, 0, 1])]
)
def test_captions_are_shared_out_in_the_order_of_the_sections(beats, count, expected):
    texts, of = spread_captions(sections_of(label(*beats), 750), count)
    assert of.tolist() == expected
    assert [text[0] for text in texts] == [str(section) for section in expected]
    assert texts[0] == "0 a" and texts[2] == ("0 a" if expected[2] == 0 else "1 a")
