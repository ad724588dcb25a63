import numpy as np
import pytest

from magenta_rt_py.style.prompts import Prompt, mix

ONE, TWO, THREE = np.eye(3, 8, dtype=np.float32)


def test_mix_is_the_weighted_mean():
    np.testing.assert_allclose(mix([ONE, TWO, THREE], [1.0, 2.0, 5.0]), (ONE + 2 * TWO + 5 * THREE) / 8, rtol=1e-6)


def test_mix_does_not_depend_on_order_or_scale():
    np.testing.assert_array_equal(mix([ONE, TWO], [1.0, 3.0]), mix([TWO, ONE], [3.0, 1.0]))
    np.testing.assert_allclose(mix([ONE, TWO], [1e-300, 3e-300]), mix([ONE, TWO], [1.0, 3.0]), rtol=1e-6)
    np.testing.assert_allclose(mix([ONE, TWO], [1e300, 1e300]), (ONE + TWO) / 2, rtol=1e-6)


def test_one_prompt_alone_is_itself():
    vector = np.random.default_rng(0).normal(size=8).astype(np.float32)
    np.testing.assert_array_equal(mix([vector], [0.3]), vector)
    np.testing.assert_array_equal(mix([ONE, vector], [0.0, 0.3]), vector)


def test_nothing_to_mix_is_no_style():
    assert mix([ONE, TWO], [0.0, 0.0]) is None
    assert mix([], []) is None


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_unusable_weights_are_refused(weight):
    with pytest.raises(ValueError, match="expected a finite number of at least 0"):
        mix([ONE, TWO], [1.0, weight])
    with pytest.raises(ValueError, match="expected a finite number of at least 0"):
        Prompt(text="techno", weight=weight)


def test_as_many_weights_as_embeddings():
    with pytest.raises(ValueError, match="2 embeddings and 1 weights"):
        mix([ONE, TWO], [1.0])


def test_a_prompt_is_of_one_kind():
    with pytest.raises(ValueError, match="neither"):
        Prompt(weight=1.0)
    with pytest.raises(ValueError, match="both"):
        Prompt(text="techno", audio=np.zeros(10, np.float32))
