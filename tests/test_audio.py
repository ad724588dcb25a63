"""Reading, writing, resampling and channels."""

import numpy as np
import pytest
import soundfile

from magenta_rt_py import audio
from magenta_rt_py.audio import Audio
from magenta_rt_py.errors import AudioFormatError


def sine(hz: float, sample_rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    time_seconds = np.arange(int(seconds * sample_rate)) / sample_rate
    wave = 0.5 * np.sin(2 * np.pi * hz * time_seconds).astype(np.float32)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_written_audio_is_read_back(tmp_path, suffix):
    path = tmp_path / f"take{suffix}"
    wave = sine(440, 44_100, 0.25, channels=2)
    wave[:, 1] *= 0.5
    audio.write(path, wave, 44_100)
    back = audio.read(path)
    assert back.sample_rate == 44_100
    assert back.samples.dtype == np.float32
    assert back.seconds == pytest.approx(0.25)
    np.testing.assert_allclose(back.samples, wave, atol=2**-22)  # 24 bits
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # nothing partial is left


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_lossy_files_keep_rate_length_and_pitch(tmp_path, suffix):
    samples = sine(1000.0, 48_000, 1.0, channels=2)
    path = tmp_path / f"take{suffix}"
    audio.write(path, samples, 48_000)
    read = audio.read(path)
    assert read.sample_rate == 48_000 and abs(len(read.samples) - len(samples)) <= 1
    spectrum = np.abs(np.fft.rfft(read.samples[:48_000, 0]))
    assert np.argmax(spectrum) == 1000
    assert path.stat().st_size < 0.2 * 4 * samples.size


def test_write_clips_what_is_beyond_full_scale(tmp_path):
    audio.write(tmp_path / "loud.wav", np.array([[2.0], [-2.0]], np.float32), 48_000)
    np.testing.assert_allclose(audio.read(tmp_path / "loud.wav").samples[:, 0], [1.0, -1.0], atol=1e-6)


@pytest.mark.parametrize("samples", [np.zeros((0, 2)), np.full((4, 2), np.nan), np.full((4, 2), np.inf)])
def test_write_refuses_what_is_not_audio(tmp_path, samples):
    with pytest.raises(ValueError, match="finite"):
        audio.write(tmp_path / "bad.wav", samples.astype(np.float32), 48_000)
    assert not list(tmp_path.iterdir())


def test_write_names_the_formats_it_knows(tmp_path):
    with pytest.raises(ValueError, match=r"\.flac"):
        audio.write(tmp_path / "take.xyz", sine(440, 48_000, 0.1), 48_000)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "take.wav"
    audio.write(path, sine(440, 48_000, 0.1), 48_000)
    before = path.read_bytes()
    with pytest.raises(ValueError):
        audio.write(path, np.full((4, 2), np.nan, np.float32), 48_000)
    assert path.read_bytes() == before
    with pytest.raises(OSError, match="directory"):
        audio.write(tmp_path / "absent" / "take.wav", sine(440, 48_000, 0.1), 48_000)


def test_a_full_disk_leaves_neither_a_part_nor_less_than_before(tmp_path, monkeypatch):
    path = tmp_path / "take.wav"
    audio.write(path, sine(440, 48_000, 0.1), 48_000)
    before = path.read_bytes()

    def fill_the_disk(file, *_, **__):
        file.write_bytes(b"RIFF")
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(audio.soundfile, "write", fill_the_disk)
    with pytest.raises(OSError, match="room"):
        audio.write(path, sine(440, 48_000, 0.2), 48_000)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["take.wav"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such"), (b"", "not a readable"), (b"RIFF\x00\x00\x00\x00WAVE", "readable"), (b"hello", "readable")],
)
def test_what_is_not_audio_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "loop.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioFormatError, match=reason) as caught:
        audio.read(path)
    assert "\n" not in str(caught.value) and "loop.wav" in str(caught.value)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(AudioFormatError, match="no such audio file"):
        audio.read(tmp_path)


def test_a_file_without_samples_or_with_nan_is_refused(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 48_000)
    with pytest.raises(AudioFormatError, match="no samples"):
        audio.read(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.full((8, 1), np.nan), 48_000, subtype="FLOAT")
    with pytest.raises(AudioFormatError, match="NaN"):
        audio.read(tmp_path / "nan.wav")


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 96_000])
def test_resampling_keeps_pitch_level_and_duration(sample_rate):
    wave = audio.to_stereo_48k(Audio(sine(1000, sample_rate, 1.0), sample_rate))
    assert wave.shape == (48_000, 2) and wave.dtype == np.float32
    np.testing.assert_allclose(wave[4800:-4800], sine(1000, 48_000, 1.0, channels=2)[4800:-4800], atol=2e-3)


def test_stereo_takes_the_first_two_of_many_channels():
    samples = np.arange(12, dtype=np.float32).reshape(3, 4) / 12
    np.testing.assert_array_equal(audio.to_stereo_48k(Audio(samples, 48_000)), samples[:, :2])


def test_mono_is_the_mean_of_the_channels():
    wave = np.concatenate([sine(100, 16_000, 0.1), -sine(100, 16_000, 0.1)], axis=1)
    mono = audio.to_mono(wave, 16_000, 16_000)
    assert mono.shape == (1600,)
    np.testing.assert_allclose(mono, 0.0, atol=1e-7)
    assert audio.to_mono(sine(100, 48_000, 0.5, channels=2), 48_000, 16_000).shape == (8000,)


def test_a_sample_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="positive"):
        audio.resample(sine(440, 48_000, 0.1), 48_000, 0)


def test_decibels():
    assert audio.db_to_gain(0.0) == 1.0
    assert audio.gain_to_db(0.5) == pytest.approx(-6.0206, abs=1e-4)
    assert audio.gain_to_db(audio.db_to_gain(-17.5)) == pytest.approx(-17.5)
    assert audio.gain_to_db(0.0) == -float("inf")
    for gain in (-0.1, float("nan")):
        with pytest.raises(ValueError):
            audio.gain_to_db(gain)
