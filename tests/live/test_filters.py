"""One-sample memories, fast: equal to the loop they stand for, and to the last bit in any pieces."""

import numpy as np
import pytest

from magenta_rt_py.live import filters

FACTOR = filters.decay(0.003)


def noise(length: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (length, 2))


def by_hand(inputs: np.ndarray, combine, value: float) -> np.ndarray:
    outputs, last = [], np.full(inputs.shape[1], value)
    for row in inputs:
        last = combine(FACTOR * last, row)
        outputs.append(last)
    return np.array(outputs)


@pytest.mark.parametrize(("function", "combine"), [(filters.smooth, np.add), (filters.follow_peaks, np.maximum)])
def test_equal_the_loop_by_hand(function, combine):
    inputs = np.abs(noise(3000)) if combine is np.maximum else noise(3000)
    _, got = function(filters.init_memory(np.full(2, 5.0)), inputs, FACTOR)
    np.testing.assert_allclose(got, by_hand(inputs, combine, 5.0), atol=1e-11)


@pytest.mark.parametrize("function", [filters.smooth, filters.follow_peaks])
@pytest.mark.parametrize("sizes", [[1], [64], [255, 1, 300, 7]])
def test_pieces_equal_the_whole_to_the_last_bit(function, sizes):
    inputs = np.abs(noise(600))
    _, whole = function(filters.init_memory(np.zeros(2)), inputs, FACTOR)
    memory, pieces, start, turn = filters.init_memory(np.zeros(2)), [], 0, 0
    while start < len(inputs):
        size = sizes[turn % len(sizes)]
        memory, piece = function(memory, inputs[start : start + size], FACTOR)
        pieces.append(piece)
        start, turn = start + size, turn + 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_decay_reaches_one_over_e():
    assert filters.decay(0.01) ** 480 == pytest.approx(np.exp(-1))
