"""Rows of the probe, and a cache that is never stale."""

import numpy as np

from magenta_rt_py.train.evaluation import probe_data

GENRES = ("techno", "ambient")


class HalvingCodec:
    """Codes are the first sample of each frame; decodes to quiet steps. Not like the sound at all."""

    def __init__(self, gain: float = 0.5) -> None:
        self._gain = gain
        self.levels_seen: set[int] = set()

    def encode(self, samples):
        frames = samples[:, : samples.shape[1] // 1920 * 1920, 0].reshape(len(samples), -1, 1920)
        return np.repeat((frames[:, :, 0, None] * 1000).astype(np.int32), 16, -1)

    def decode(self, codes):
        self.levels_seen.add(codes.shape[-1])
        wave = np.repeat(codes[..., 0] * self._gain / 1000, 1920, axis=1).astype(np.float32)
        return np.stack([wave, wave], -1)


def test_probe_data_holds_true_and_coded_windows(fake_studio):
    codec = HalvingCodec()
    options = {"pieces_per_genre": 2, "seconds": 20.0, "workers": 1}
    plain = probe_data.make_probe_data(GENRES, None, **options)
    coded = probe_data.make_probe_data(GENRES, codec, **options)
    assert len(plain.descriptors) == 4 * 2
    assert len(coded.descriptors) == 4 * 2 + 2
    assert codec.levels_seen == {16, 4}
    assert np.bincount(coded.genre_ids).tolist() == [5, 5]
    assert coded.instruments == ("ambient horn", "techno horn")
    assert coded.playing[:, 1].tolist() == (coded.genre_ids == 0).tolist()
    assert len(set(coded.piece_ids.tolist())) == 4


def test_cache_is_used_and_a_new_codec_makes_a_new_one(fake_studio, tmp_path, monkeypatch):
    made = []
    original = probe_data.make_probe_data
    monkeypatch.setattr(probe_data, "make_probe_data", lambda *a, **k: made.append(1) or original(*a, **k))

    def data(codec):
        return probe_data.cached_probe_data(GENRES, codec, pieces_per_genre=1, seconds=10.0, folder=tmp_path, workers=1)

    first, again = data(HalvingCodec()), data(HalvingCodec())
    for name in ("descriptors", "genre_ids", "piece_ids", "playing"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.instruments == again.instruments
    assert len(made) == 1
    data(HalvingCodec(gain=0.9))
    assert len(made) == 2
