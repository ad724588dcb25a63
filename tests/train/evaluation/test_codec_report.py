"""The codec report finds a perfect codec perfect and a broken stream broken."""

import numpy as np

from magenta_rt_py.train.evaluation import codec_report, tables
from magenta_rt_py.train.evaluation.renders import Sound


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


def test_report_has_ceiling_levels_and_perplexity():
    report = codec_report.evaluate_codec(FrameGainCodec(), _sounds())
    assert report["ceiling"]["mel_distance_db"] == 0.0
    assert report["levels_16"]["mel_distance_db"] > 1.0
    assert len(report["perplexity"]) == 16
    assert report["perplexity"][0] > 50
    assert "streamed against whole" in tables.codec_text(report)


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
