"""A folder of a person's own music: pieces, captions, loudness, and a reason for everything left out."""

import json

import numpy as np
import pytest
import soundfile

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.folder import AudioFolder, FolderConfig, captions_of, gated_loudness_db, read_48k


def tone(seconds, rate=48_000, *, level=0.1, channels=2, hz=997.0):
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Deep House").mkdir()
    soundfile.write(tmp_path / "Deep House" / "01 - Night_Drive.wav", tone(11), 48_000)
    soundfile.write(tmp_path / "mono.flac", tone(6, 44_100, channels=1), 44_100)
    soundfile.write(tmp_path / "short.wav", tone(1), 48_000)
    soundfile.write(tmp_path / "silence.wav", 0 * tone(5), 48_000)
    soundfile.write(tmp_path / "loud.wav", np.clip(40 * tone(5), -1, 1), 48_000)
    (tmp_path / "broken.mp3").write_bytes(b"this is no music" * 100)
    (tmp_path / "notes.md").write_text("not audio")
    return tmp_path


def test_pieces_labels_and_skipped_files(folder):
    source = AudioFolder(folder, FolderConfig(piece_seconds=5.0))
    pieces = list(source)
    assert [(piece.label.path, piece.label.start_seconds) for piece in pieces] == [
        ("Deep House/01 - Night_Drive.wav", 0.0),
        ("Deep House/01 - Night_Drive.wav", 5.0),
        ("mono.flac", 0.0),
    ]
    assert all(len(piece.samples) == 240_000 and piece.samples.dtype == np.float32 for piece in pieces)
    label = pieces[0].label
    assert label.captions == ["deep house night drive", "deep house"] and label.genre == "Deep House"
    assert label.bpm is None and label.frames_per_beat == 0
    assert pieces[2].label.genre == "own"
    reasons = {file.path: file.reason for file in source.skipped}
    assert set(reasons) == {"broken.mp3", "loud.wav", "short.wav", "silence.wav"}
    assert "not readable" in reasons["broken.mp3"] and "clipped" in reasons["loud.wav"]
    assert "too short (1.0 s" in reasons["short.wav"] and "silent" in reasons["silence.wav"]
    assert "2 files, 4 skipped" in source.report() and "broken.mp3" in source.report()
    json.dumps(label.as_dict())


def test_blocks_join_to_the_resampled_whole_without_a_seam(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(25, 44_100), 44_100, subtype="FLOAT")
    pieces = list(AudioFolder(tmp_path, FolderConfig(piece_seconds=7.0, loudness_db=-20.0)))
    joined = np.concatenate([piece.samples for piece in pieces])
    assert len(joined) == 25 * 48_000
    reference = tone(25)
    gain = joined[1_000:-1_000, 0].std() / reference[1_000:-1_000, 0].std()
    np.testing.assert_allclose(joined[1_000:-1_000], gain * reference[1_000:-1_000], atol=2e-3 * gain)


def test_files_are_brought_to_one_loudness(tmp_path):
    soundfile.write(tmp_path / "loud.wav", tone(5, level=0.5), 48_000, subtype="FLOAT")
    soundfile.write(tmp_path / "quiet.wav", tone(5, level=0.05), 48_000, subtype="FLOAT")
    powers = [(piece.samples**2).mean() for piece in AudioFolder(tmp_path)]
    assert powers[0] == pytest.approx(powers[1], rel=1e-3)
    # BS.1770: a 997 Hz sine of amplitude a in both channels reads 20 log10(a) LUFS.
    assert 10 * np.log10(2 * powers[0]) == pytest.approx(-15.0, abs=0.1)


def test_the_gate_forgets_pauses():
    loud, pause = np.full(10, 1e-2), np.full(90, 1e-6)
    assert gated_loudness_db(np.concatenate([loud, pause])) == pytest.approx(gated_loudness_db(loud))
    assert gated_loudness_db(np.zeros(4)) == -np.inf


def test_hiss_is_not_blown_up(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(5, level=0.002), 48_000, subtype="FLOAT")
    (piece,) = AudioFolder(tmp_path, FolderConfig(largest_gain_db=6.0))
    assert np.abs(piece.samples).max() == pytest.approx(0.002 * 10 ** (6 / 20), rel=0.01)


def test_a_file_that_breaks_in_its_middle_is_skipped_and_the_next_is_read(tmp_path):
    path = tmp_path / "a.flac"
    noise = 0.1 * np.random.default_rng(0).standard_normal((20 * 48_000, 2))
    soundfile.write(path, noise, 48_000)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    soundfile.write(tmp_path / "b.wav", tone(5), 48_000)
    source = AudioFolder(tmp_path, FolderConfig(piece_seconds=4.0))
    assert [piece.label.path for piece in source] == ["b.wav"]
    (skipped,) = source.skipped
    assert skipped.path == "a.flac" and "broken while reading" in skipped.reason


def test_captions_from_sidecars(tmp_path):
    audio = tmp_path / "a.wav"
    (tmp_path / "a.txt").write_text("warm  pads\n\nslow chords\n")
    (tmp_path / "a.json").write_text(json.dumps({"caption": "dusk", "tags": ["pads", "slow"]}))
    assert captions_of(audio, tmp_path) == ["warm pads", "slow chords", "dusk", "pads, slow"]
    assert captions_of(tmp_path / "01.wav", tmp_path) == ["music"]


def test_a_broken_sidecar_skips_its_file_only(folder):
    (folder / "mono.json").write_text("{broken")
    source = AudioFolder(folder)
    assert {piece.label.path for piece in source} == {"Deep House/01 - Night_Drive.wav"}
    assert any("mono.json" in file.reason for file in source.skipped)


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(AudioFormatError, match="no audio file"):
        AudioFolder(tmp_path)
    with pytest.raises(AudioFormatError, match="no directory"):
        AudioFolder(tmp_path / "missing")


@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_a_file_is_read_at_another_speed_as_a_tape_is(tmp_path, rate):
    time = np.arange(2 * rate) / rate
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), rate)
    samples = np.concatenate(list(read_48k(tmp_path / "a.wav", speed=1.25)))
    assert abs(len(samples) - 2 * 48_000 / 1.25) < 100
    spectrum = np.abs(np.fft.rfft(samples[:48_000, 0]))
    assert abs(int(spectrum.argmax()) - 1250) <= 1
