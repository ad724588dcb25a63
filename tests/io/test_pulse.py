"""The sound card on PulseAudio: what is played is what arrives, heard at the other end."""

import subprocess

import numpy as np

from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.sound_card import SoundCard

FREQUENCIES = (440.0, 1250.0)


def tone(samples: int) -> np.ndarray:
    angle = 2.0 * np.pi * np.arange(samples)[:, None] * np.array(FREQUENCIES) / 48_000
    return (0.25 * np.sin(angle)).astype(np.float32)


def test_what_is_played_arrives(pulse, tmp_path):
    """Two tones, left and right, recorded from the device's monitor by another program, and by the input side."""
    heard = tmp_path / "heard"
    command = ["parec", "--device=ci.monitor", "--format=float32le", "--rate=48000", "--channels=2", "--latency-msec=50"]
    config = CardConfig(output="pulse", input="pulse", input_channels=(1, 2), buffer_samples=19_200, opening_seconds=60.0)
    sound, came = tone(168_000), []
    with open(heard, "wb") as file, SoundCard(config) as card:
        recorder = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
        try:
            for start in range(0, len(sound), 1920):
                assert card.wait_for_room(1920, 20.0)
                card.write(sound[start : start + 1920])
                came += card.read()
        finally:
            recorder.terminate()
            recorder.wait()
    recorded = np.fromfile(heard, np.float32)
    recorded = recorded[: len(recorded) // 2 * 2].reshape(-1, 2)
    captured = np.concatenate([one.samples for one in came])
    assert all(one.opening == 0 for one in came)
    for got in (recorded, captured):
        check_tones(got)


def check_tones(got: np.ndarray) -> None:
    """Left and right hold their tone at its level and nothing else, in the longest stretch without a gap."""
    loud = np.abs(got).max(axis=1) > 1e-4
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.convolve(loud, np.ones(64), "same") > 0, [0]])))
    stretches = sorted(zip(edges[::2], edges[1::2]), key=lambda stretch: stretch[1] - stretch[0])
    first, last = stretches[-1]
    assert last - first > 24_000
    for channel, frequency in enumerate(FREQUENCIES):
        part = got[last - 19_200 - 2400 : last - 2400, channel].astype(np.float64)
        angle = 2.0 * np.pi * frequency * np.arange(len(part)) / 48_000
        waves = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        parts, *_ = np.linalg.lstsq(waves, part, rcond=None)
        assert abs(np.hypot(*parts) - 0.25) < 0.01, frequency
        assert np.abs(part - waves @ parts).max() < 0.01
