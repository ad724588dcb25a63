"""The codec report finds a perfect codec perfect and a broken stream broken."""

import numpy as np
import pytest
import soundfile

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.evaluation import codec_report, codec_section, recordings
from magenta_rt_py.train.evaluation.renders import Sound
from magenta_rt_py.train.evaluation.workbench import Sizes


class FrameGainCodec:
    """Level 0 codes the mean of each frame; streams with one frame of delay."""

    frame_samples = 1920
    decode_latency_frames = 1

    def __init__(self, *, broken: bool = False) -> None:
        self._broken = broken

    def encode(self, samples):
        count = -(-samples.shape[1] // 1920)
        padded = np.pad(samples, ((0, 0), (0, count * 1920 - samples.shape[1]), (0, 0)))
        means = padded.reshape(len(samples), count, 1920, 2).mean((2, 3))
        codes = np.clip(np.round(means * 400 + 512), 0, 1023).astype(np.int32)
        return np.stack([codes] * 16, -1)

    def decode(self, codes):
        wave = np.repeat((codes[..., 0] - 512) / 400, 1920, axis=1).astype(np.float32)
        return np.stack([wave, wave], -1)

    def init_encode_state(self, batch):
        return np.zeros((batch, 0, 2), np.float32)

    def encode_step(self, state, samples):
        held = np.concatenate([state, samples], 1)
        ready = held.shape[1] // 1920 * 1920
        return held[:, ready:], self.encode(held[:, :ready]) if ready else np.zeros((1, 0, 16), np.int32)

    def init_decode_state(self, batch):
        return np.zeros((batch, 1920, 2), np.float32)

    def decode_step(self, state, codes):
        wave = np.concatenate([state, self.decode(codes)], 1)
        last = np.zeros_like(state) if self._broken else wave[:, -1920:]
        return last, wave[:, :-1920]


def _sounds() -> list[Sound]:
    generator = np.random.default_rng(0)
    steps = generator.uniform(-0.5, 0.5, (2, 100))
    waves = np.repeat(steps, 1920, axis=1)[..., None].repeat(2, -1).astype(np.float32)
    noise = 0.01 * generator.standard_normal(waves.shape).astype(np.float32)
    return [Sound(samples=wave, genre="techno", bpm=120.0, seed=0) for wave in waves + noise]


def test_round_trips_are_measured_at_each_number_of_levels_with_a_floor():
    measured = codec_report.measure_sounds(FrameGainCodec(), _sounds())
    assert set(measured["rows"]) == {"4", "8", "16"}
    near = codec_report.summarise(measured["rows"]["16"])
    far = codec_report.summarise(measured["floor"])
    assert 1.0 < near["mel_distance_db"]["value"] < far["mel_distance_db"]["value"]
    assert near["onset_correlation"]["value"] > far["onset_correlation"]["value"] + 0.2
    low, high = near["mel_distance_db"]["interval_95"]
    assert low <= near["mel_distance_db"]["value"] <= high


def test_signal_to_distortion_is_left_out_where_it_means_nothing():
    row = dict.fromkeys(codec_report.METRICS, 1.0)
    assert codec_report.summarise([{**row, "si_sdr_db": 5.0}])["si_sdr_db"]["value"] == 5.0
    assert codec_report.summarise([{**row, "si_sdr_db": -20.0}])["si_sdr_db"] is None


def test_dead_codes_are_counted():
    codes = np.stack([np.arange(2048) % 1024, np.zeros(2048, int)], -1)
    used, dead = codec_report.code_use(codes)
    assert (used["unused"], dead["unused"]) == (0, 1023)
    assert used["perplexity"] == pytest.approx(1024, abs=0.1)
    assert dead["perplexity"] == 1.0


@pytest.fixture
def section(bench, fake_studio, monkeypatch, tmp_path):
    """Measures a codec on a made-up studio of two genres, and on a folder."""
    monkeypatch.setattr("magenta_rt_py.train.studio.STARTER_GENRES", ("techno", "ambient"))

    def make(folder=None):
        made = bench(None, codec=FrameGainCodec(), sizes=Sizes(codec_seconds=4.0))
        return made, codec_section.measure(made, folder=folder)

    return make


def test_section_stands_beside_what_is_wanted_and_is_kept(section, tmp_path):
    made, found = section()
    assert found.report["sounds"] == 4
    assert found.report["ceiling"]["mel_distance_db"]["value"] == 0.0
    assert found.report["floor"]["mel_distance_db"]["value"] > 1.0
    assert [verdict.is_met for verdict in found.verdicts] == [False, False]
    assert len(found.report["code_use"]) == 16
    assert "-" in found.tables[0].rows[0]
    found.pictures[0][1](tmp_path / "codec.png")
    assert (tmp_path / "codec.png").stat().st_size > 10_000
    again, second = section()
    assert (made.units.made, again.units.made) == (2, 0)
    assert second.report["levels_16"] == found.report["levels_16"]


def test_real_recordings_are_measured_against_the_studio(section, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    noise = 0.3 * np.random.default_rng(0).standard_normal((44_100 * 9, 1))
    soundfile.write(folder / "mono.wav", noise, 44_100)
    soundfile.write(folder / "silent.flac", np.zeros((96_000 * 2, 2)), 48_000)
    (folder / "broken.ogg").write_bytes(b"not audio")
    (folder / "notes.txt").write_text("no audio")
    made, found = section(folder)
    own = found.report["recordings"]
    assert (own["files"], own["blocks"]) == (1, 2)
    assert len(own["left_out"]) == 2 and "broken.ogg" in own["left_out"][0]
    assert own["ratio_to_studio"]["value"] > 1.0
    assert found.verdicts[-1].wanted == "<= 1.7"
    again, _ = section(folder)
    assert again.units.made == 0


def test_blocks_are_spread_over_a_recording_and_brought_to_48k_stereo(tmp_path):
    rate = 22_050
    tones = [0.3 * np.sin(2 * np.pi * 200 * (number + 1) * np.arange(2 * rate) / rate) for number in range(5)]
    soundfile.write(tmp_path / "steps.wav", np.concatenate(tones), rate)
    found = list(recordings.blocks(tmp_path / "steps.wav", seconds=2.0, most=3))
    assert [sound.seed for sound in found] == [0, 2, 4]
    assert {sound.samples.shape for sound in found} == {(96_000, 2)}
    peaks = [int(np.abs(np.fft.rfft(sound.samples[:48_000, 0])).argmax()) for sound in found]
    assert peaks == [200, 600, 1000]


def test_a_folder_without_audio_is_one_line(tmp_path):
    with pytest.raises(AudioFormatError, match="holds no audio"):
        recordings.audio_files(tmp_path)
    with pytest.raises(AudioFormatError, match="no such folder"):
        recordings.audio_files(tmp_path / "nowhere")


def test_ragged_streaming_equals_whole():
    difference = codec_report.streaming_difference(FrameGainCodec(), _sounds()[0].samples)
    assert difference == {"codes_differ": 0.0, "waveform_largest_difference": 0.0}


def test_a_broken_stream_is_found():
    difference = codec_report.streaming_difference(FrameGainCodec(broken=True), _sounds()[0].samples)
    assert difference["waveform_largest_difference"] > 0.01


def test_ragged_pieces_lose_nothing():
    samples = np.arange(60_000, dtype=np.float32).reshape(-1, 2)
    pieces = codec_report.ragged_pieces(samples)
    np.testing.assert_array_equal(np.concatenate(pieces), samples)
    assert len({len(piece) for piece in pieces}) > 4
