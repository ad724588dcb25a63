"""What a prompt may be."""

from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.generators import styles


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "loop.wav"
    audio.write(path, np.full((4800, 1), 0.25, np.float32), 16_000)
    return path


def test_text_stays_text():
    assert styles.as_prompt("  lofi hip hop ") == "lofi hip hop"
    assert styles.as_prompt("techno. wav") == "techno. wav"


def test_files_become_audio(loop, tmp_path):
    odd_name = tmp_path / "no suffix"
    odd_name.write_bytes(loop.read_bytes())
    for prompt in (loop, str(loop), str(odd_name)):
        read = styles.as_prompt(prompt)
        assert isinstance(read, audio.Audio)
        assert (read.samples.shape, read.sample_rate) == ((4800, 1), 16_000)


def test_arrays_become_audio():
    mono = styles.as_prompt((np.zeros(100), 48_000))
    stereo = styles.as_prompt((np.zeros((100, 2), np.float32), 44_100))
    assert isinstance(mono, audio.Audio)
    assert mono.samples.shape == (100, 1)
    assert isinstance(stereo, audio.Audio)
    assert stereo.sample_rate == 44_100
    assert styles.as_prompt(stereo) is stereo


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ("", ValueError),
        ("x" * 10_000, ValueError),
        ("missing.wav", AudioFormatError),
        (Path("missing.wav"), AudioFormatError),
        (3, ValueError),
        (np.zeros(3), ValueError),
        ((np.zeros(0), 48_000), ValueError),
        ((np.full(5, np.nan), 48_000), ValueError),
        ((np.zeros((2, 3, 4)), 48_000), ValueError),
        ((np.zeros(5), 0), ValueError),
    ],
)
def test_what_is_no_prompt(prompt, error):
    with pytest.raises(error):
        styles.as_prompt(prompt)


def test_pairs_from_mapping_and_list():
    assert styles.as_pairs({"a": 1, "b": 0.5}) == [("a", 1.0), ("b", 0.5)]
    assert styles.as_pairs([("a", 1), ["b", 0]]) == [("a", 1.0), ("b", 0.0)]
    for wrong in ([("a", float("nan"))], {"a": -1}, {"a": "1"}, ["a"], [("a", 1, 2)]):
        with pytest.raises(ValueError, match=r"weight|pairs"):
            styles.as_pairs(wrong)
