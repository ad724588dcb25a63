"""The context of what was heard: settled codes stay, provisional ones are of one request, own codes are never written to."""

import numpy as np
import pytest

from magenta_rt_py.live import heard


def codes(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count)[:, None].repeat(4, axis=1)


def test_settled_codes_stay_and_provisional_ones_come_again():
    state = heard.init_state(context_frames=10)
    state, context = heard.step(state, 0, codes(0, 6), 4)
    assert context[:, 0].tolist() == [-1] * 4 + [0, 1, 2, 3, 4, 5]
    state, context = heard.step(state, 4, codes(104, 8), 8)
    assert context[:, 0].tolist() == [2, 3, *range(104, 112)]
    assert state.end_frame == 12
    state, context = heard.step(state, 12, codes(200, 25), 3)
    assert context[:, 0].tolist() == [*range(215, 225)]
    assert state.codes[:, 0].tolist() == [*range(105, 112), 200, 201, 202]


def test_the_models_own_context_is_copied_and_never_changed():
    own = codes(0, 10).astype(np.int32)
    state = heard.init_state(own, end_frame=10)
    state, context = heard.step(state, 10, codes(50, 3), 3)
    context[:] = 7
    assert own[:, 0].tolist() == [*range(10)]
    fresh = heard.init_state(own, end_frame=10)
    own[:] = 99  # the owner's next request
    assert fresh.codes[:, 0].tolist() == [*range(10)]
    assert state.codes[:, 0].tolist() == [3, 4, 5, 6, 7, 8, 9, 50, 51, 52]


def test_own_codes_are_kept_where_nothing_was_mixed_in():
    chosen = heard.choose_codes(codes(0, 3), codes(10, 3), np.array([True, False, True]))
    assert chosen[:, 0].tolist() == [0, 11, 2]


def test_refuses_codes_that_do_not_fit():
    state = heard.init_state(context_frames=10, end_frame=5)
    with pytest.raises(ValueError, match="expected 5"):
        heard.step(state, 4, codes(0, 2), 1)
    with pytest.raises(ValueError, match="16 levels"):
        heard.step(state, 5, np.zeros((2, 16), int), 1)
    with pytest.raises(ValueError, match="3 settled"):
        heard.step(state, 5, codes(0, 2), 3)
