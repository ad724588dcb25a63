"""An underrun is a fade: no step where it begins or ends, no hole before the fade is over, counted once."""

import numpy as np
import pytest

from magenta_rt_py.live import concealment
from magenta_rt_py.live.concealment import ConcealmentConfig

CONFIG = ConcealmentConfig()


def tone(samples: int, hertz: float = 220.0) -> np.ndarray:
    time = np.arange(samples)[:, None] / 48_000
    return (0.5 * np.sin(2 * np.pi * hertz * time + [0.0, 1.0])).astype(np.float32)


def bridged(sound: np.ndarray, gaps: list[tuple[int, int]], config: ConcealmentConfig = CONFIG):
    present = np.ones(len(sound), bool)
    for first, last in gaps:
        present[first:last] = False
    spoilt = np.where(present[:, None], sound, np.float32(np.nan))
    return concealment.step(config, concealment.init_state(config), spoilt, present)


def test_without_an_underrun_nothing_changes():
    sound = tone(5000)
    state, heard = bridged(sound, [])
    np.testing.assert_array_equal(heard, sound)
    assert state.underruns == 0 and state.missing_samples == 0


def test_no_step_and_no_hole():
    sound = tone(96_000)
    state, heard = bridged(sound, [(48_000, 57_600)])  # 200 ms
    steepest = np.abs(np.diff(sound, axis=0)).max()
    assert np.abs(np.diff(heard, axis=0)).max() < 1.5 * steepest
    # Every 10 ms of the gap is audible, and each is softer than the sound was.
    levels = np.sqrt(np.mean(heard[48_000:57_600].reshape(20, -1) ** 2, axis=1))
    assert levels.min() > 0.05 and levels.max() < 0.51
    np.testing.assert_array_equal(heard[:48_000], sound[:48_000])
    np.testing.assert_array_equal(heard[57_600 + 960 :], sound[57_600 + 960 :])
    assert state.underruns == 1 and state.missing_samples == 9600


def test_a_long_underrun_ends_in_silence_and_the_music_fades_in():
    sound = tone(96_000)
    _, heard = bridged(sound, [(20_000, 60_000)])
    assert not heard[20_000 + CONFIG.fade_out_samples : 60_000].any()
    assert np.abs(np.diff(heard, axis=0)).max() < 1.1 * np.abs(np.diff(sound, axis=0)).max()
    rising = np.abs(heard[60_000:60_960]).reshape(4, -1).max(axis=1)
    assert (np.diff(rising) > 0).all()


def test_an_underrun_while_the_music_comes_back_is_another_fade():
    sound = tone(96_000)
    state, heard = bridged(sound, [(48_000, 50_000), (50_300, 52_000), (52_001, 53_000)])
    assert np.abs(np.diff(heard, axis=0)).max() < 1.5 * np.abs(np.diff(sound, axis=0)).max()
    assert state.underruns == 3 and state.missing_samples == 2000 + 1700 + 999


def test_before_the_first_sound_there_is_silence():
    _, heard = bridged(tone(5000), [(0, 1000)])
    assert not heard[:1000].any() and np.abs(heard[1000]).max() < 0.01


@pytest.mark.parametrize("sizes", [[1], [64], [500, 1, 4801, 7]])
def test_pieces_equal_the_whole_to_the_last_bit(sizes):
    config = ConcealmentConfig(memory_samples=50, fade_out_samples=150, fade_in_samples=20)
    sound, random = tone(1200), np.random.default_rng(0)
    present = np.repeat(random.random(40) > 0.3, 30)
    _, whole = concealment.step(config, concealment.init_state(config), sound, present)
    state, pieces, start, turn = concealment.init_state(config), [], 0, 0
    while start < len(sound):
        size = slice(start, start + sizes[turn % len(sizes)])
        state, piece = concealment.step(config, state, sound[size], present[size])
        pieces.append(piece)
        start, turn = size.stop, turn + 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_refuses_fades_of_no_length():
    with pytest.raises(ValueError, match="at least 2, 1 and 1"):
        ConcealmentConfig(fade_in_samples=0)
