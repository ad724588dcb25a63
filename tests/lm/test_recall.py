"""Which context frame each frame to come is shown."""

import jax.numpy as jnp
import numpy as np

from magenta_rt_py.lm import clock
from magenta_rt_py.lm.recall import recall_indices


def test_the_frame_one_bar_back_and_never_one_that_is_not_there():
    # 125 bpm: a beat is 12 frames, a bar 48. Frame 0 to come is context frame 250 - 48; frame 48 is so again.
    rows = clock.clock_features(np.arange(50.0)[None] / 12, 125.0)
    index, known = recall_indices(jnp.asarray(rows), 250)
    np.testing.assert_array_equal(index[0, [0, 1, 47, 48, 49]], [202, 203, 249, 202, 203])
    assert known.all()
    slow = clock.clock_features(np.zeros((1, 50)), 20.0)  # a bar of 300 frames reaches beyond the context
    index, known = recall_indices(jnp.asarray(slow), 250)
    assert not known[0, :50].any() and (index == 0).all()
    _, known = recall_indices(jnp.asarray(clock.unset_clock(1, 50)), 250)
    assert not known.any()
