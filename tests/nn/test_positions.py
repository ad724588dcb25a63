"""Sinusoids and relative buckets against numbers worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.nn.positions import CausalRelativeBias, causal_buckets, sinusoid


def test_sinusoid_has_sines_then_cosines_from_wavelength_one_to_ten_thousand():
    table = sinusoid(1006, 8)
    assert table.shape == (1006, 8) and table.dtype == np.float32
    np.testing.assert_array_equal(table[0], [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_allclose(table[3, [0, 4]], [np.sin(3), np.cos(3)], rtol=1e-6)
    np.testing.assert_allclose(table[1000, [3, 7]], [np.sin(0.1), np.cos(0.1)], rtol=1e-6)
    with pytest.raises(ValueError, match="got dim 7, expected an even number"):
        sinusoid(4, 7)


def test_every_distance_in_use_has_a_bucket_of_its_own():
    np.testing.assert_array_equal(causal_buckets(np.arange(50), 128, 128), np.arange(50))
    np.testing.assert_array_equal(causal_buckets(np.arange(16), 16, 16), np.arange(16))


def test_far_distances_share_logarithmic_buckets():
    # 8 buckets up to 16: four exact, then edges at 4 * 4 ** (n / 4) = 4, 5.66, 8, 11.3
    distance = np.array([-3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 100])
    expected = [0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 7]
    np.testing.assert_array_equal(causal_buckets(distance, 8, 16), expected)
    # T5's own 32 buckets up to 128: sixteen exact, then edges at 16 * 8 ** (n / 16)
    np.testing.assert_array_equal(causal_buckets(np.array([15, 16, 18, 19, 127, 128]), 32, 128), [15, 16, 16, 17, 31, 31])


def test_bias_is_read_by_distance_and_hides_the_future():
    table = jnp.asarray([[10.0, 11.0, 12.0, 13.0], [20.0, 21.0, 22.0, 23.0]])
    bias = CausalRelativeBias(2, 4, 4).apply({"params": {"rel_embedding": table}}, 3)
    hidden = -1e10
    expected = [[10, hidden, hidden], [11, 10, hidden], [12, 11, 10]]
    np.testing.assert_allclose(bias[0], expected)
    np.testing.assert_allclose(bias[1, 2], [22, 21, 20])
