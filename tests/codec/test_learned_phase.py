import dataclasses

import jax
import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, bands, learned_phase, network


@pytest.fixture(scope="module")
def learned_config(config):
    return dataclasses.replace(config, phase="learned", phase_dim=16, phase_blocks=1)


@pytest.fixture(scope="module")
def params(learned_config):
    """As before training, but louder, so that the net has something to say."""
    start = learned_phase.init_params(learned_config, jax.random.key(0))
    start["outputs"]["kernel"] = start["outputs"]["kernel"] * 100.0
    return start


@pytest.fixture(scope="module")
def learned_codec(learned_config, tensors, params):
    return CompactCodec.from_tensors(learned_config, tensors | network.flatten(params, "phase"))


def test_decoding_streams_to_the_same_samples(learned_codec, sound, decoding):
    decoding(learned_codec, learned_codec.encode(sound[None, : 1920 * 37]))


def test_several_streams_are_decoded_together_as_alone(learned_codec, sound, decoding_streams):
    decoding_streams(learned_codec, learned_codec.encode(sound[None, : 1920 * 21]))


def test_the_codes_are_those_of_the_other_phase(codec, learned_codec, sound):
    np.testing.assert_array_equal(learned_codec.encode(sound[None, :19_200]), codec.encode(sound[None, :19_200]))


def test_magnitudes_are_those_of_the_bands_before_training(learned_config, sound):
    energies = bands.band_energies(learned_config, sound[None, :19_200])
    logs = 0.5 * np.log(energies + learned_config.energy_floor).reshape(1, -1, 2, energies.shape[-1])
    params = learned_phase.init_params(learned_config, jax.random.key(0))
    _, spectra = learned_phase.step(learned_config, params, learned_phase.init_state(learned_config, 1), logs)
    single = int(learned_config.linear_bands_to_hz * 2048 / 48_000)  # bands of one bin, below the jitter
    made = np.log(np.abs(spectra[0, :, 1:, :single]) + 1e-1)
    wanted = np.log(np.exp(logs[0, :-1, :, :single]).transpose(1, 0, 2) + 1e-1)
    assert np.abs(made - wanted).mean() < 0.05


def test_equal_channels_stay_equal_where_noise_is_shared(learned_config, params, sound):
    mono = np.repeat(sound[None, :19_200, :1], 2, axis=2)
    energies = bands.band_energies(learned_config, mono)
    logs = 0.5 * np.log(energies + learned_config.energy_floor).reshape(1, -1, 2, energies.shape[-1])
    bias = np.asarray(params["outputs"]["bias"]).reshape(-1, learned_phase.OUTPUTS).copy()
    bias[:, 3] = -40.0  # no noise of their own
    quiet = params | {"outputs": params["outputs"] | {"bias": bias.ravel()}}
    _, spectra = learned_phase.step(learned_config, quiet, learned_phase.init_state(learned_config, 1), logs)
    below = round(learned_config.jitter_above_hz * 2048 / 48_000)
    np.testing.assert_array_equal(spectra[:, 0, :, :below], spectra[:, 1, :, :below])


@pytest.mark.parametrize("frequency_hz", [330.0, 1234.0, 3010.0])
def test_a_tone_keeps_its_pitch_before_any_training(learned_config, tensors, tone, frequency_hz):
    params = network.flatten(learned_phase.init_params(learned_config, jax.random.key(0)), "phase")
    codec = CompactCodec.from_tensors(learned_config, tensors | params)
    decoded = codec.decode(codec.encode(tone(frequency_hz)[None]))[0, 9600:33_600, 0]
    spectrum = np.abs(np.fft.rfft(decoded * np.hanning(len(decoded)), 4 * len(decoded)))
    assert abs(np.argmax(spectrum) * 48_000 / (4 * len(decoded)) - frequency_hz) < 3.0


def test_tensors_go_back_and_are_checked(learned_config, learned_codec, tensors):
    kept = learned_codec.to_tensors()
    again = CompactCodec.from_tensors(learned_config, kept)
    assert again.to_tensors().keys() == kept.keys() > tensors.keys()
    with pytest.raises(ValueError, match="got nothing for tensor 'phase/"):
        CompactCodec.from_tensors(learned_config, tensors)


def test_an_unknown_phase_is_refused(config):
    with pytest.raises(ValueError, match="got phase='guessed', expected one of integrated, learned"):
        dataclasses.replace(config, phase="guessed")
