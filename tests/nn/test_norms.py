"""Root-mean-square normalisation against its formula."""

import jax.numpy as jnp
import numpy as np

from magenta_rt_py.nn.norms import RMSNorm


def normalise(x, scale, dtype="float32"):
    return RMSNorm(dtype=dtype).apply({"params": {"scale": jnp.asarray(scale)}}, jnp.asarray(x))


def test_divides_by_the_root_mean_square_and_keeps_the_mean():
    x = np.array([[3.0, 4.0], [0.0, 0.0], [-1e-3, 1e-3]], np.float32)
    scale = np.array([1.0, -2.0], np.float32)
    expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale
    np.testing.assert_allclose(normalise(x, scale), expected, rtol=1e-6)
    np.testing.assert_allclose(normalise(x, scale)[0], [3 / 12.5**0.5, -8 / 12.5**0.5], rtol=1e-6)


def test_bfloat16_is_cast_before_the_scale_and_summed_in_float32():
    x = np.full((1, 4096), 1.0, np.float32)
    x[0, 0] = 1.003
    scale = np.full(4096, 1.00390625, np.float32)  # one bfloat16 step above 1
    found = normalise(x, scale, "bfloat16")
    assert found.dtype == jnp.bfloat16
    expected = jnp.asarray(x / np.sqrt((x**2).mean()), jnp.bfloat16) * jnp.asarray(scale, jnp.bfloat16)
    np.testing.assert_array_equal(found.astype(jnp.float32), expected.astype(jnp.float32))
