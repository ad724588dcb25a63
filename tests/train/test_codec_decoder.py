"""A tiny learned phase trains on sound for some steps; codes, encoder and codebooks stay as they are."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, bands, learned_phase, network
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train.codec_decoder import DecoderTrainingConfig, coded_sounds, decode_crop, train_decoder
from magenta_rt_py.train.codec_features import fit_start
from magenta_rt_py.train.discriminator import DiscriminatorConfig
from magenta_rt_py.train.losses import SpectralLossConfig
from magenta_rt_py.train.metrics_log import read_metrics

PLAIN = dataclasses.replace(
    codec_config.tiny(), linear_bands_to_hz=1000.0, bands_per_octave=6, latent_dim=16, num_levels=2, codebook_size=16
)
CONFIG = dataclasses.replace(PLAIN, phase="learned", phase_dim=16, phase_blocks=1)
TRAINING = DecoderTrainingConfig(
    batch=2,
    crop_frames=8,
    learning_rate=1e-2,
    warmup_steps=5,
    spectra=SpectralLossConfig(windows=(512, 1024), mel_bands=(32, 64)),
    discriminator=DiscriminatorConfig(windows=(256,), channels=4, dilations=(1,)),
    adversarial_from_step=20,
    log_every_steps=5,
    max_steps=30,
)


def make_sound(seed: int) -> np.ndarray:
    """A tone with hits of noise."""
    random = np.random.default_rng(seed)
    time = np.arange(1920 * 20) / 48_000
    hits = 0.2 * random.standard_normal((len(time), 2)) * np.exp(-(time % 0.2) * 60)[:, None]
    return (hits + 0.1 * np.sin(2 * np.pi * random.uniform(200, 900) * time)[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def trained():
    """A codec fitted without training: (tensors, pieces)."""
    sounds = [make_sound(seed) for seed in range(4)]
    features = [bands.stored_features(bands.band_energies(PLAIN, sound[None]))[0] for sound in sounds]
    tensors = fit_start(PLAIN, features, seed=0)
    return tensors, coded_sounds(CompactCodec.from_tensors(PLAIN, tensors), sounds)


def train(trained, directory, lines, training=TRAINING):
    tensors, pieces = trained
    return train_decoder(
        pieces, CONFIG, tensors, seconds_budget=3600.0, directory=directory, log=lines.append, training=training
    )


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """A short training: (directory, tensors, log lines)."""
    directory, lines = tmp_path_factory.mktemp("decoder"), []
    return directory, train(trained, directory, lines), lines


def test_a_crop_decodes_as_the_codec_does(trained):
    """Differentiable and streamed decoding are the same function."""
    tensors, pieces = trained
    phase = network.flatten(learned_phase.init_params(CONFIG, jax.random.key(0)), "phase")
    codec = CompactCodec.from_tensors(CONFIG, tensors | phase)
    codes = pieces[0].codes[None, :12].astype(np.int32)
    parameters = {part: network.unflatten(tensors | phase, part) for part in ("decoder", "phase")}
    scaling = network.statistics(CONFIG, *(jnp.asarray(tensors[f"statistics/{n}"]) for n in ("mean", "deviation")))
    quantized = quantizer.decode(jnp.asarray(tensors["quantizer/codebooks"]), jnp.asarray(codes))
    crop = decode_crop(CONFIG, parameters, quantized, scaling)
    assert crop.shape == (1, 11 * 1920, 2)
    np.testing.assert_allclose(crop, codec.decode(codes)[:, : 11 * 1920], atol=2e-4)


def test_thirty_steps_lower_the_distance(run):
    rows = read_metrics(run[0])
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30]
    assert rows[-1]["mel"] < 0.97 * rows[0]["mel"]


def test_the_discriminator_comes_in_late(run):
    rows = read_metrics(run[0])
    assert all("adversarial" not in row for row in rows[:4])
    assert all(np.isfinite(row["adversarial"]) and row["matching"] > 0 for row in rows[4:])


def test_encoder_and_codebooks_are_frozen_and_the_result_is_a_codec(run, trained):
    tensors, pieces = trained
    for name, value in run[1].items():
        if name.startswith(("encoder/", "quantizer/", "statistics/")):
            np.testing.assert_array_equal(value, tensors[name])
    codec = CompactCodec.from_tensors(CONFIG, run[1])
    np.testing.assert_array_equal(codec.encode(pieces[0].samples[None])[0], pieces[0].codes)
    decoded = codec.decode(pieces[0].codes[None].astype(np.int32))
    assert np.isfinite(decoded).all() and np.abs(decoded).max() > 1e-2


def test_the_phase_net_learns_and_the_decoder_moves_little(run, trained):
    start = learned_phase.init_params(CONFIG, jax.random.key(0))
    moved = np.abs(run[1]["phase/outputs/kernel"] - np.asarray(start["outputs"]["kernel"])).mean()
    before = trained[0]["decoder/correction/kernel"]
    assert moved > 1e-3 and 0 < np.abs(run[1]["decoder/correction/kernel"] - before).mean() < 0.1 * moved


def test_a_finished_run_goes_no_further_and_a_longer_one_goes_on(run, trained, tmp_path):
    directory, tensors, _ = run
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    lines = []
    same = train(trained, tmp_path, lines)
    for name in tensors:
        np.testing.assert_array_equal(same[name], tensors[name])
    train(trained, tmp_path, lines, dataclasses.replace(TRAINING, max_steps=31, log_every_steps=1))
    assert "goes on at step 30" in lines[0]
    assert [row["step"] for row in read_metrics(tmp_path)][-2:] == [30, 31]


def test_a_codec_of_integrated_phase_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="got phase='integrated', expected 'learned'"):
        train_decoder(trained[1], PLAIN, trained[0], seconds_budget=1.0, directory=tmp_path)
