"""Directions of a finetuned bundle: how they are spelt."""

import numpy as np
import pytest

from magenta_rt_py.style.steering import Steering, as_direction, is_direction


def test_every_slider_has_a_spelling_of_its_own():
    found = Steering(np.zeros(3, np.float32), np.ones((5, 3), np.float32), np.ones(5, np.int32))
    spelt = [as_direction(name) for name in found.prompts()]
    assert spelt == ["[mean style]", "[style 1]", "[style 2]", "[style 3]", "[style 4]", "[style 5]"]
    assert all(is_direction(text) for text in spelt)


@pytest.mark.parametrize(
    "text", ["mean style", "style 1", "[style]", "[style x]", "[piano]", "a [style 1]", "[style 1] b", ""]
)
def test_words_are_no_directions(text):
    assert not is_direction(text)
