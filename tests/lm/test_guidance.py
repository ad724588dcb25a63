"""The two guidance formulas."""

import jax.numpy as jnp
import numpy as np

from magenta_rt_py.lm.guidance import guide, guide_twice

POSITIVE, NEGATIVE, OWN = jnp.array([1.0, 2.0]), jnp.array([0.5, 4.0]), jnp.array([0.0, -1.0])


def test_pushes_away_from_the_negative():
    np.testing.assert_allclose(guide(POSITIVE, NEGATIVE, 2.0), [2.0, -2.0])
    np.testing.assert_array_equal(guide(POSITIVE, NEGATIVE, 0.0), POSITIVE)
    np.testing.assert_array_equal(guide(POSITIVE, NEGATIVE, -1.0), NEGATIVE)


def test_two_guidances_act_independently():
    np.testing.assert_allclose(guide_twice(POSITIVE, NEGATIVE, OWN, 2.0, 0.0), guide(POSITIVE, NEGATIVE, 2.0))
    np.testing.assert_allclose(guide_twice(POSITIVE, NEGATIVE, OWN, 0.0, 3.0), guide(POSITIVE, OWN, 3.0))
    np.testing.assert_allclose(guide_twice(POSITIVE, NEGATIVE, OWN, 2.0, 3.0), [1 + 2 * 0.5 + 3 * 1, 2 - 2 * 2 + 3 * 3])
