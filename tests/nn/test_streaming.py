"""check_streaming must find every kind of breach, or no other streaming test proves anything."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming


def running_mean(inputs: np.ndarray, taps: int = 3) -> np.ndarray:
    padded = np.pad(inputs, ((0, 0), (taps - 1, 0), (0, 0)))
    return sum(padded[:, i : i + inputs.shape[1]] for i in range(taps)) / taps


def step(state: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.concatenate([state, inputs], axis=1)
    return known[:, -2:], running_mean(known)[:, 2:]


GOOD = StreamingLayer(whole=running_mean, init_state=lambda batch: np.zeros((batch, 2, 4)), step=step, past_inputs=2)


@pytest.fixture
def inputs():
    return np.random.default_rng(0).standard_normal((2, 40, 4))


def test_accepts_a_layer_that_keeps_the_contract(inputs):
    check_streaming(GOOD, inputs)


def test_finds_a_step_that_forgets(inputs):
    broken = dataclasses.replace(GOOD, step=lambda state, x: (state, step(state, x)[1]))
    with pytest.raises(AssertionError, match="streamed in"):
        check_streaming(broken, inputs)


def test_finds_a_layer_that_sees_the_future(inputs):
    def centred(x):
        return running_mean(np.pad(x, ((0, 0), (0, 1), (0, 0))))[:, 1:]

    broken = dataclasses.replace(GOOD, whole=centred, step=lambda state, x: (state, centred(x)))
    with pytest.raises(AssertionError):
        check_streaming(broken, inputs)
    late = StreamingLayer(whole=centred, init_state=GOOD.init_state, step=step, delay_outputs=1)
    with pytest.raises(AssertionError, match="future reached the past"):
        check_streaming(late, inputs)
    check_streaming(dataclasses.replace(late, lookahead_inputs=1, past_inputs=1), inputs)


@pytest.mark.parametrize(("declared", "message"), [(1, "beyond the receptive field"), (3, "smaller than declared")])
def test_finds_a_wrong_receptive_field(inputs, declared, message):
    with pytest.raises(AssertionError, match=message):
        check_streaming(dataclasses.replace(GOOD, past_inputs=declared), inputs)


def test_finds_a_layer_that_keeps_its_state_outside(inputs):
    shared = {}

    def init_state(batch):
        shared["past"] = np.zeros((batch, 2, 4))
        return ()

    def hidden_step(state, x):
        shared["past"], y = step(shared["past"], x)
        return state, y

    with pytest.raises(AssertionError, match="interleaved|resumed"):
        check_streaming(dataclasses.replace(GOOD, init_state=init_state, step=hidden_step), inputs)


def test_finds_an_output_that_is_missing(inputs):
    broken = dataclasses.replace(GOOD, step=lambda state, x: (step(state, x)[0], step(state, x)[1][:, 1:]))
    with pytest.raises(AssertionError, match="outputs, expected"):
        check_streaming(broken, inputs)
