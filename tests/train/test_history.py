"""Spoilt history: what is hidden, what is swapped, and that nothing else moves."""

import numpy as np
import pytest

from magenta_rt_py.lm.config import MASK
from magenta_rt_py.train.history import HistoryConfig, spoil_history


@pytest.fixture
def tokens():
    return np.random.default_rng(0).integers(2, 500, (400, 30, 4)).astype(np.int32)


def spoil(tokens, **shares):
    nothing = {"hidden_probability": 0.0, "holes_probability": 0.0, "swapped_probability": 0.0}
    return spoil_history(tokens, HistoryConfig(**(nothing | shares)), np.random.default_rng(1))


def test_without_shares_the_history_is_the_truth_and_the_input_is_never_written(tokens):
    before = tokens.copy()
    np.testing.assert_array_equal(spoil(tokens), tokens)
    spoil(tokens, hidden_probability=0.5, swapped_probability=0.5)
    np.testing.assert_array_equal(tokens, before)


def test_hidden_crops_are_hidden_whole(tokens):
    hidden = (spoil(tokens, hidden_probability=0.25) == MASK).all((1, 2))
    assert hidden.mean() == pytest.approx(0.25, abs=0.07)
    np.testing.assert_array_equal(spoil(tokens, hidden_probability=0.25)[~hidden], tokens[~hidden])


def test_holes_are_whole_frames_up_to_the_largest_share(tokens):
    masked = spoil(tokens, holes_probability=1.0, largest_holes=0.6) == MASK
    assert (masked.all(-1) == masked.any(-1)).all()
    assert masked.mean() == pytest.approx(0.3, abs=0.05)


def test_swapped_frames_are_frames_of_the_batch(tokens):
    spoilt = spoil(tokens, swapped_probability=1.0, largest_swapped=0.4, fine_only_probability=0.0)
    changed = (spoilt != tokens).any(-1)
    assert changed.mean() == pytest.approx(0.2, abs=0.04)
    known = {tuple(frame) for frame in tokens.reshape(-1, 4)}
    assert all(tuple(frame) in known for frame in spoilt[changed])


def test_some_swapped_frames_keep_their_coarsest_level(tokens):
    spoilt = spoil(tokens, swapped_probability=1.0, largest_swapped=0.4, fine_only_probability=0.5)
    changed = (spoilt[..., 1:] != tokens[..., 1:]).any(-1)
    kept = (spoilt[..., 0] == tokens[..., 0])[changed].mean()
    assert kept == pytest.approx(0.5, abs=0.05)


def test_it_depends_on_the_generator_alone(tokens):
    config = HistoryConfig()
    first, again = (spoil_history(tokens, config, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (spoil_history(tokens, config, np.random.default_rng(8)) != first).any()
