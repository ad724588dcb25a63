"""A recording is complete, or playable up to the moment something happened; the music never notices."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from magenta_rt_py.live import recorder as recorder_module
from magenta_rt_py.live.recorder import Recorder

SUFFIXES = [".flac", ".wav"]


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (samples, 2)).astype(np.float32)


def wait_until(condition, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never happened"
        time.sleep(0.01)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recording_holds_every_sample(tmp_path, suffix):
    path, sound = tmp_path / f"take{suffix}", noise(50_000)
    recording = Recorder(path)
    block = np.empty((480, 2), np.float32)
    for start in range(0, len(sound), 480):
        count = len(sound[start : start + 480])
        block[:count] = sound[start : start + 480]  # the same block again and again, as a sound card does
        assert recording.write(block[:count])
    status = recording.stop()
    assert status.problem is None and not status.is_recording
    assert (status.recorded_samples, status.lost_samples) == (50_000, 0)
    got, rate = soundfile.read(path, dtype="float32")
    assert rate == 48_000
    np.testing.assert_allclose(got, sound, atol=2**-22)
    assert not recording.write(block)


def test_a_killed_process_leaves_playable_files(tmp_path):
    program = f"""
import time
import numpy as np
from magenta_rt_py.live.recorder import Recorder
recordings = [Recorder({str(tmp_path)!r} + "/take" + suffix, flush_seconds=0.1) for suffix in {SUFFIXES}]
sound = np.random.default_rng(0).normal(0, 0.1, (48_000, 2)).astype(np.float32)
for start in range(0, 48_000, 480):
    for recording in recordings:
        recording.write(sound[start : start + 480])
while any(recording.status.recorded_samples < 48_000 for recording in recordings):
    time.sleep(0.01)
time.sleep(0.5)
print("written", flush=True)
while True:
    for recording in recordings:
        recording.write(sound[:480])
    time.sleep(0.01)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    for suffix in SUFFIXES:
        path = tmp_path / f"take{suffix}"
        got, _ = soundfile.read(path, dtype="float32")
        assert soundfile.info(path).frames == len(got)  # the header is right too
        assert len(got) >= 48_000 - (4608 if suffix == ".flac" else 0)
        common = min(len(got), 48_000)
        np.testing.assert_allclose(got[:common], noise(48_000)[:common], atol=2**-22)


def test_a_full_disk_stops_the_recording_and_not_the_music(tmp_path):
    program = f"""
import resource, time
import numpy as np
from magenta_rt_py.live.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
sound = np.random.default_rng(0).normal(0, 0.1, (48_000, 2)).astype(np.float32)
for suffix in {SUFFIXES}:
    said = []
    recording = Recorder({str(tmp_path)!r} + "/take" + suffix, flush_seconds=0.0, on_problem=said.append)
    for start in range(0, 48_000, 480):
        recording.write(sound[start : start + 480])
    while not said:
        time.sleep(0.01)
    assert not recording.write(sound)
    status = recording.stop()
    assert said == [status.problem] and not status.is_recording
    print(status.recorded_samples, status.problem)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for suffix, line in zip(SUFFIXES, done.stdout.splitlines(), strict=True):
        kept, words = line.split(maxsplit=1)
        path = tmp_path / f"take{suffix}"
        assert "the music goes on" in words and str(path) in words
        got, _ = soundfile.read(path, dtype="float32")
        assert len(got) >= int(kept) > 25_000
        np.testing.assert_allclose(got[: int(kept)], noise(48_000)[: int(kept)], atol=2**-22)


def test_a_place_that_takes_no_file_is_a_problem_and_not_an_error(tmp_path):
    said: list[str] = []
    recording = Recorder(tmp_path / "nowhere" / "take.flac", on_problem=said.append)
    wait_until(lambda: said)
    assert "no folder" in said[0] and not recording.write(noise(10)) and recording.stop().problem == said[0]
    taken = tmp_path / "take.wav"
    taken.write_bytes(b"precious")
    recording = Recorder(taken)
    wait_until(lambda: recording.status.problem)
    assert "exists already" in recording.status.problem and taken.read_bytes() == b"precious"
    with pytest.raises(ValueError, match="'.mp3'"):
        Recorder(tmp_path / "take.mp3")


def test_a_slow_disk_never_holds_up_the_music_and_the_file_keeps_time(tmp_path, monkeypatch):
    held = threading.Event()

    class SlowFile(recorder_module.RecordingFile):
        def append(self, samples: np.ndarray) -> None:
            held.wait(20.0)
            super().append(samples)

    monkeypatch.setattr(recorder_module, "RecordingFile", SlowFile)
    recording, sound = Recorder(tmp_path / "take.wav", queue_seconds=0.5), noise(72_000)
    started = time.monotonic()
    taken = [recording.write(sound[start : start + 480]) for start in range(0, 60_000, 480)]
    assert time.monotonic() - started < 5.0 and not held.is_set()
    assert taken.count(False) * 480 == recording.status.lost_samples > 30_000
    held.set()
    wait_until(lambda: recording.status.recorded_samples >= 24_000)
    assert recording.write(sound[60_000:])
    status = recording.stop()
    got, _ = soundfile.read(tmp_path / "take.wav", dtype="float32")
    assert status.recorded_samples == len(got) == 72_000
    np.testing.assert_allclose(got[:24_000], sound[:24_000], atol=2**-22)
    assert not got[24_000:60_000].any()
    np.testing.assert_allclose(got[60_000:], sound[60_000:], atol=2**-22)


def test_what_goes_wrong_inside_is_said(tmp_path, monkeypatch):
    class BrokenFile(recorder_module.RecordingFile):
        def append(self, samples: np.ndarray) -> None:
            raise MemoryError("no memory")

    monkeypatch.setattr(recorder_module, "RecordingFile", BrokenFile)
    recording = Recorder(tmp_path / "take.wav")
    recording.write(noise(10))
    wait_until(lambda: recording.status.problem)
    assert "no memory" in recording.status.problem
