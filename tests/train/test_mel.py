"""Our mel filters are librosa's."""

import librosa
import numpy as np
import pytest

from magenta_rt_py.train.mel import mel_filters


@pytest.mark.parametrize(("rate", "fft", "bands"), [(48_000, 2048, 128), (48_000, 512, 48), (16_000, 1024, 64)])
def test_filters_are_librosas(rate, fft, bands):
    wanted = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=bands)
    np.testing.assert_allclose(mel_filters(rate, fft, bands), wanted, atol=1e-7)
