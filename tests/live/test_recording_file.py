"""A growing file can be played at any flush, and is never another take's end."""

import shutil

import numpy as np
import pytest
import soundfile

from magenta_rt_py.live import recording_file
from magenta_rt_py.live.recording_file import RecordingFile


@pytest.mark.parametrize("suffix", recording_file.SUFFIXES)
def test_playable_at_every_flush(tmp_path, suffix):
    path, sound = tmp_path / f"take{suffix}", np.random.default_rng(0).normal(0, 0.1, (30_000, 2)).astype(np.float32)
    file = RecordingFile(path, sample_rate=48_000, channels=2)
    file.flush()  # nothing written yet
    seen = 0
    for start in range(0, len(sound), 1900):
        file.append(sound[start : start + 1900])
        file.flush()
        shutil.copy(path, tmp_path / f"copy{suffix}")
        if file.safe_samples:
            got, _ = soundfile.read(tmp_path / f"copy{suffix}", dtype="float32")
            assert len(got) == file.safe_samples >= seen
            np.testing.assert_allclose(got, sound[: len(got)], atol=2**-22)
            seen = len(got)
    assert seen >= 30_000 - 4608
    file.close()
    got, _ = soundfile.read(path, dtype="float32")
    assert len(got) == file.safe_samples == 30_000


@pytest.mark.parametrize("suffix", recording_file.SUFFIXES)
def test_abandoned_it_is_playable(tmp_path, suffix):
    path = tmp_path / f"take{suffix}"
    file = RecordingFile(path, sample_rate=48_000, channels=1)
    file.append(np.full((20_000, 1), 0.25, np.float32))
    file.flush()
    file.append(np.full((9000, 1), 0.5, np.float32))
    file.abandon()
    got, _ = soundfile.read(path, dtype="float32")
    assert len(got) == 29_000 and got[0] == 0.25 and got[-1] == 0.5  # the disk was well, so all of it


def test_too_loud_is_clipped_and_no_number_is_silence(tmp_path):
    file = RecordingFile(tmp_path / "take.wav", sample_rate=48_000, channels=1)
    file.append(np.array([[3.0], [-3.0], [np.nan]], np.float32))
    file.close()
    got, _ = soundfile.read(tmp_path / "take.wav")
    np.testing.assert_allclose(got, [1.0, -1.0, 0.0], atol=1e-6)


def test_a_wav_file_says_when_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(recording_file, "LONGEST_WAV_BYTES", 600)
    file = RecordingFile(tmp_path / "take.wav", sample_rate=48_000, channels=2)
    file.append(np.zeros((100, 2), np.float32))
    with pytest.raises(OSError, match="record to .flac"):
        file.append(np.zeros((1, 2), np.float32))
    file.close()


def test_never_replaces_a_file_and_explains_why_not(tmp_path):
    path = tmp_path / "take.flac"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="another name"):
        RecordingFile(path, sample_rate=48_000, channels=2)
    assert path.read_bytes() == b"precious"
    with pytest.raises(ValueError, match="'.ogg'"):
        recording_file.check_suffix(tmp_path / "take.ogg")
    assert "no folder" in recording_file.explain(tmp_path / "a" / "b.wav", OSError())
    assert recording_file.explain(path, OSError(28, "No space left on device")) == "No space left on device"


def test_a_full_disk_is_called_so(tmp_path, monkeypatch):
    monkeypatch.setattr(recording_file.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert recording_file.explain(tmp_path / "take.wav", OSError()) == "the disk is full"
