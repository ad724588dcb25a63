"""The live prompt: the last ten seconds, when there is something in them, and no longer than it is true."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.live import live_prompt, track
from magenta_rt_py.live.live_prompt import LivePromptConfig, LivePromptState

SECOND = 48_000
CONFIG = LivePromptConfig()
QUICK = LivePromptConfig(memory_seconds=1.0, refresh_seconds=0.3, least_seconds=0.4, stale_seconds=1.0)


def noise(seconds: float, level_db: float = -30.0, seed: int = 0) -> np.ndarray:
    length = round(seconds * SECOND)
    sound = np.random.default_rng(seed).uniform(-1, 1, (length, 2)) * 3**0.5
    return (sound * 10 ** (level_db / 20)).astype(np.float32)


def heard(
    sound: np.ndarray, state: LivePromptState | None = None, size: int = 4096, config: LivePromptConfig = CONFIG
) -> LivePromptState:
    state = live_prompt.init_state() if state is None else state
    first = max(0, state.end_sample)
    for start in range(0, len(sound), size):
        state = live_prompt.hear(config, state, first + start, sound[start : start + size])
    return state


def test_a_snapshot_is_the_last_ten_seconds_and_stays_what_it_was():
    sound = noise(13)
    state, snapshot = live_prompt.ask(CONFIG, heard(sound))
    assert snapshot.end_sample == 13 * SECOND == state.asked_sample
    np.testing.assert_array_equal(snapshot.samples, sound[3 * SECOND :])
    heard(noise(10, seed=1), state)
    np.testing.assert_array_equal(snapshot.samples, sound[3 * SECOND :])
    with pytest.raises(ValueError, match="read-only"):
        snapshot.samples[0] = 1.0
    _, short = live_prompt.ask(CONFIG, heard(sound[:123_457]))
    np.testing.assert_array_equal(short.samples, sound[:123_457])


def test_due_after_two_seconds_and_then_every_two():
    state, asked = live_prompt.init_state(), []
    for start in range(0, 9 * SECOND, 480):
        state = live_prompt.hear(CONFIG, state, 7000 + start, noise(0.01))
        if live_prompt.is_due(CONFIG, state):
            state, snapshot = live_prompt.ask(CONFIG, state)
            asked.append(snapshot.end_sample - 7000)
    assert asked == [2 * SECOND, 4 * SECOND, 6 * SECOND, 8 * SECOND]


def test_due_only_if_there_is_signal_in_what_is_kept():
    assert not live_prompt.is_due(CONFIG, live_prompt.init_state())
    assert not live_prompt.is_due(CONFIG, heard(noise(5, -60.5)))
    assert live_prompt.is_due(CONFIG, heard(noise(5, -59.5)))
    # A second of signal is enough while it is among the ten that are kept.
    faded = heard(np.concatenate([noise(1), np.zeros((9 * SECOND, 2), np.float32)]))
    assert live_prompt.is_due(CONFIG, faded)
    assert not live_prompt.is_due(CONFIG, heard(np.zeros((SECOND, 2), np.float32), faded))


def test_an_embedding_is_stored_with_its_moment_and_the_newest_stays():
    state = heard(noise(9))
    vector = np.arange(3.0)
    state = live_prompt.store(state, 6 * SECOND, vector)
    vector[:] = 7.0
    assert state.embedding is not None and state.embedding.tolist() == [0, 1, 2] and not state.embedding.flags.writeable
    assert live_prompt.store(state, 4 * SECOND, np.ones(3)) is state  # overtaken
    newer = live_prompt.store(state, 8 * SECOND, np.ones(3))
    assert newer.embedding is not None and newer.embedding.tolist() == [1, 1, 1] and newer.embedded_sample == 8 * SECOND


def test_it_goes_stale_without_signal_and_does_not_come_back():
    state = live_prompt.store(heard(noise(3)), 3 * SECOND, np.ones(2))
    silence = np.zeros((20 * SECOND, 2), np.float32)
    state = heard(silence, state)
    assert state.embedding is not None
    state = heard(noise(0.1, -61), state)
    assert state.embedding is None
    assert live_prompt.store(state, 3 * SECOND + 1, np.ones(2)).embedding is None  # asked for before
    state = heard(noise(1), state)
    assert state.embedding is None and live_prompt.store(state, 3 * SECOND + 1, np.ones(2)).embedding is None
    assert live_prompt.is_due(CONFIG, state)
    _, snapshot = live_prompt.ask(CONFIG, state)
    assert live_prompt.store(state, snapshot.end_sample, np.ones(2)).embedding is not None


def test_signal_in_time_keeps_it_fresh():
    state = live_prompt.store(heard(noise(3)), 3 * SECOND, np.ones(2))
    silence = np.zeros((19 * SECOND, 2), np.float32)
    for _ in range(2):
        state = heard(noise(0.5), heard(silence, state))
    assert state.embedding is not None


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1000, 60_000), min_size=1, max_size=5),
    silent=st.tuples(st.integers(0, 100_000), st.integers(0, 140_000)),
    hole=st.sampled_from([0, 1, 7000, 48_001]),
)
def test_pieces_equal_the_whole(sizes, silent, hole):
    sound = noise(3.3, seed=2).copy()
    sound[silent[0] : sum(silent)] = 0.0
    places = np.arange(len(sound)) + 1234
    places[90_000:] += hole

    def run(bounds: list[int]) -> LivePromptState:
        state = live_prompt.hear(QUICK, live_prompt.init_state(), 1234, sound[:1])
        state = live_prompt.store(state, 1235, np.ones(1))
        for first, last in itertools.pairwise(bounds):
            state = live_prompt.hear(QUICK, state, int(places[first]), sound[first:last])
        return state

    bounds, turn = [1], 0
    while bounds[-1] < len(sound):
        bounds.append(min(len(sound), bounds[-1] + sizes[turn % len(sizes)]))
        turn += 1
    whole, pieces = run([1, 90_000, len(sound)]), run(sorted({*bounds, 90_000}))
    np.testing.assert_array_equal(live_prompt.ask(QUICK, pieces)[1].samples, live_prompt.ask(QUICK, whole)[1].samples)
    without_sound = [state._replace(sound=track.EMPTY) for state in (pieces, whole)]
    assert without_sound[0] == without_sound[1]
    assert live_prompt.is_due(QUICK, pieces) == live_prompt.is_due(QUICK, whole)


def test_holes_are_silence_and_after_a_long_one_it_begins_anew():
    state = live_prompt.store(heard(noise(3)), 3 * SECOND, np.ones(2))
    near = live_prompt.hear(CONFIG, state, 4 * SECOND, noise(1, seed=1))
    expected = np.concatenate([noise(3), np.zeros((SECOND, 2), np.float32), noise(1, seed=1)])
    np.testing.assert_array_equal(live_prompt.ask(CONFIG, near)[1].samples, expected)
    overlapping = live_prompt.hear(CONFIG, state, 2 * SECOND, noise(2, seed=1))
    np.testing.assert_array_equal(
        live_prompt.ask(CONFIG, overlapping)[1].samples, np.concatenate([noise(3), noise(2, seed=1)[SECOND:]])
    )
    far = live_prompt.hear(CONFIG, state, 24 * SECOND, noise(1, seed=1))
    assert far.embedding is None and not live_prompt.is_due(CONFIG, far)
    assert live_prompt.store(far, 3 * SECOND + 1, np.ones(2)).embedding is None
    np.testing.assert_array_equal(live_prompt.ask(CONFIG, far)[1].samples, noise(1, seed=1))


def test_memory_stays_flat():
    state = live_prompt.init_state()
    for turn in range(300):
        state = live_prompt.hear(CONFIG, state, turn * 4800, noise(0.1))
    kept = sum(len(piece) for run in state.sound.runs for piece in run.pieces)
    assert kept <= 10 * SECOND + 2 * 4800 and len(state.powers) == 100


@pytest.mark.parametrize(
    "field", [{"memory_seconds": 0.0}, {"least_seconds": 11.0}, {"least_level_db": float("nan")}, {"stale_seconds": 0.0}]
)
def test_refuses_constants_out_of_range(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        LivePromptConfig(**field)
