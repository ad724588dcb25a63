"""Some blocks are encoded and decoded before all is; the warning comes where the codec knows nothing."""

import numpy as np
import soundfile

from magenta_rt_py.train.prepare.manifest import scan
from magenta_rt_py.train.prepare.round_trip import RoundTrip, try_codec
from tests.train.prepare.sounds import RATE


class PerfectCodec:
    """Codes are the samples themselves."""

    def encode(self, samples):
        return samples

    def decode(self, codes):
        return codes


class DeafCodec(PerfectCodec):
    """Gives noise for everything."""

    def decode(self, codes):
        return np.random.default_rng(0).normal(0, 0.1, codes.shape).astype(np.float32)


def test_a_perfect_codec_has_no_distance_and_a_deaf_one_a_warning(folder):
    soundfile.write(folder / "silence.wav", np.zeros((5 * RATE, 2)), RATE)
    entries = scan(folder, shortest_seconds=4.0).entries
    good, bad = try_codec(folder, entries, PerfectCodec()), try_codec(folder, entries, DeafCodec())
    assert set(good.distances_db) == {entry.path for entry in entries} - {"silence.wav"}
    assert good.mean_db == 0 and len(good.lines) == 1
    assert bad.mean_db > 4.5 and "warning" in bad.lines[1]


def test_without_a_block_it_says_so():
    assert "no block" in RoundTrip(distances_db={}).lines[0]
