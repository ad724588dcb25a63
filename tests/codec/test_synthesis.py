import numpy as np

from magenta_rt_py.codec import bands, synthesis


def spectra_of(config, samples):
    """Complex STFT in the codec's alignment, with the empty STFT frame before the first that the phase stage gives."""
    padded = np.pad(samples, ((1440, 2048), (0, 0))).T
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2048, axis=1)[:, ::480] * bands.window(config)
    spectra = np.fft.rfft(windows).astype(np.complex64)
    return np.concatenate([np.zeros_like(spectra[:, :1]), spectra], axis=1)[None]


def test_true_spectra_give_the_sound_back_from_the_first_sample(config, sound):
    spectra = spectra_of(config, sound[:20_000])
    _, samples = synthesis.step(config, synthesis.init_state(config, 1), spectra)
    assert (samples[0, :1920] == 0).all()
    complete = samples[0, 1920:]
    length = min(20_000, len(complete))
    np.testing.assert_allclose(complete[:length], sound[:length], atol=1e-6)


def test_pieces_give_the_same_bits(config, sound):
    spectra = spectra_of(config, sound[:20_000])
    _, whole = synthesis.step(config, synthesis.init_state(config, 1), spectra)
    state, pieces = synthesis.init_state(config, 1), []
    for start, stop in ((0, 1), (1, 8), (8, 9), (9, spectra.shape[2])):
        state, piece = synthesis.step(config, state, spectra[:, :, start:stop])
        pieces.append(piece)
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
