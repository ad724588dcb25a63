"""The picture: bands where the sound is, and a file that is a picture."""

import numpy as np
import pytest

from magenta_rt_py import plot


@pytest.mark.parametrize("hertz", [60.0, 440.0, 9_000.0])
def test_a_tone_lies_in_its_band(hertz):
    time = np.arange(48_000) / 48_000
    samples = np.stack([np.sin(2 * np.pi * hertz * time)] * 2, axis=1).astype(np.float32)
    levels = plot.band_levels_db(samples, 48_000)
    edges = plot.band_edges_hz(48_000)
    loudest = int(levels.mean(axis=1).argmax())
    bin_hz = 48_000 / plot.WINDOW_SAMPLES
    assert edges[loudest] - bin_hz <= hertz <= edges[loudest + 1] + bin_hz
    assert levels.max() == pytest.approx(0.0, abs=1e-6)
    assert levels.min() >= plot.FLOOR_DB


def test_writes_a_picture(tmp_path):
    path = tmp_path / "take.png"
    samples = np.random.default_rng(0).normal(0, 0.1, (24_000, 2)).astype(np.float32)
    plot.save_spectrogram(path, samples, 48_000, title="t", bpm=120.0, markers=[(0.0, "lofi"), (0.2, "techno")])
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 5_000


def test_silence_has_a_picture_too(tmp_path):
    plot.save_spectrogram(tmp_path / "s.png", np.zeros((100, 2), np.float32), 48_000)
