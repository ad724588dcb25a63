"""Sounds for the tests of preparation, the same every time."""

import numpy as np

RATE = 48_000


def music(seconds, seed, rate=RATE):
    """Something that is no silence and the same every time: a tone and some noise."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.1 * np.sin(2 * np.pi * (200 + 40 * seed) * time) + random.normal(0, 0.02, len(time))
    return np.stack([wave, np.roll(wave, 7)], 1).astype(np.float32)


def clicks(bpm, seconds, *, first_seconds=0.0):
    """Short bursts on every beat, a little stronger on every fourth, over a little noise."""
    random = np.random.default_rng(5)
    wave = random.normal(0, 1e-3, round(seconds * RATE))
    burst = random.normal(0, 1, 2400) * np.exp(-np.arange(2400) / 400)
    for beat in range(int((seconds - first_seconds - 0.1) * bpm / 60) + 1):
        start = round((first_seconds + beat * 60 / bpm) * RATE)
        wave[start : start + 2400] += (0.36 if beat % 4 == 0 else 0.3) * burst
    return np.repeat(wave[:, None], 2, 1).astype(np.float32)


def song(bpm, seconds, *, first_seconds=0.0):
    """Clicks, with a bass and a chord that change on every bar line; beat 0 of bar 0 is at `first_seconds`."""
    time = np.arange(round(seconds * RATE)) / RATE
    bar = np.floor((time - first_seconds) / (240 / bpm)).astype(int)
    root = np.array([110.0, 146.8, 164.8, 130.8])[bar % 4]
    fade = 1.2 - ((time - first_seconds) / (240 / bpm)) % 1
    phase = 2 * np.pi * np.cumsum(root) / RATE
    tones = 0.05 * fade * (np.sin(phase) + np.sin(2 * phase) + np.sin(3 * phase) + np.sin(5 * phase))
    return clicks(bpm, seconds, first_seconds=first_seconds) + tones.astype(np.float32)[:, None]
