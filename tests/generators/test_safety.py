"""The guard: nothing above -0.3 dB, nothing that is no number, nothing changed that was fine."""

import numpy as np

from magenta_rt_py.generators.safety import CEILING, KNEE, guard


def test_quiet_sound_is_untouched():
    samples = np.random.default_rng(0).uniform(-KNEE, KNEE, (1000, 2)).astype(np.float32)
    np.testing.assert_array_equal(guard(samples), samples)


def test_loud_sound_stays_below_the_ceiling_and_in_order():
    ramp = np.linspace(-5.0, 5.0, 4001, dtype=np.float32)[:, None].repeat(2, axis=1)
    guarded = guard(ramp)
    assert guarded.dtype == np.float32
    assert np.abs(guarded).max() <= CEILING + 1e-6
    assert (np.diff(guarded[:, 0]) >= 0).all()
    np.testing.assert_allclose(guarded, -guarded[::-1], atol=1e-6)
    just_above = np.full((1, 2), KNEE + 1e-3, np.float32)
    np.testing.assert_allclose(guard(just_above), just_above, atol=1e-5)  # no step at the knee


def test_what_is_no_number_becomes_safe():
    guarded = guard(np.array([[np.nan, np.inf], [-np.inf, 0.1]], np.float32))
    np.testing.assert_allclose(guarded, [[0.0, CEILING], [-CEILING, 0.1]], atol=1e-6)


def test_pieces_equal_the_whole():
    samples = np.random.default_rng(1).normal(0, 0.6, (999, 2)).astype(np.float32)
    pieces = np.concatenate([guard(piece) for piece in np.split(samples, [1, 100, 101, 700])])
    np.testing.assert_array_equal(pieces, guard(samples))
    assert guard(np.zeros((0, 2), np.float32)).shape == (0, 2)
