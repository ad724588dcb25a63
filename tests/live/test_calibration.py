"""The round trip is found to the sample, also in a noisy room, and a muted microphone is an error."""

import numpy as np
import pytest

from magenta_rt_py.live import calibration


def recorded(delay: int, *, gain: float, noise: float, room: bool = False) -> np.ndarray:
    random = np.random.default_rng(delay)
    sound = random.normal(0, noise, 72_000)
    played = calibration.sweep()
    sound[delay : delay + len(played)] += gain * played
    if room:
        for later, echo in [(310, 0.5), (1777, 0.3), (4001, -0.2)]:
            sound[delay + later : delay + later + len(played)] += echo * gain * played
    return sound.astype(np.float32)


@pytest.mark.parametrize("delay", [0, 1, 2345, 9600])
@pytest.mark.parametrize("gain", [1.0, -0.05])
def test_finds_the_round_trip(delay, gain):
    sound = recorded(delay, gain=gain, noise=0.001)
    assert calibration.measure_round_trip(calibration.sweep(), sound) == delay


def test_finds_it_in_a_noisy_room_with_echoes():
    sound = recorded(4000, gain=0.3, noise=0.03, room=True)
    assert calibration.measure_round_trip(calibration.sweep(), sound) == 4000


def test_a_muted_microphone_is_an_error():
    for sound in (recorded(0, gain=0.0, noise=0.01), np.zeros(72_000, np.float32)):
        with pytest.raises(ValueError, match="not clearly heard"):
            calibration.measure_round_trip(calibration.sweep(), sound)
    with pytest.raises(ValueError, match="longer"):
        calibration.measure_round_trip(calibration.sweep(), np.zeros(100, np.float32))


def test_the_sweep_is_soft():
    sound = calibration.sweep()
    assert len(sound) == 48_000 and np.abs(sound).max() <= 0.1 and np.abs(sound[[0, -1]]).max() < 1e-3
