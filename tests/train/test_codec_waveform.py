"""A tiny SpectroStream learns a sine in noise, with and without a discriminator, and goes on where it was stopped."""

import dataclasses
import shutil

import numpy as np
import pytest

from magenta_rt_py.codec import SpectroStream, spectrostream_config
from magenta_rt_py.codec import spectrostream_network as network
from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.train.codec_features import sample_sounds
from magenta_rt_py.train.codec_waveform import WaveformTrainingConfig, fit_start, train_spectrostream
from magenta_rt_py.train.discriminator import DiscriminatorConfig
from magenta_rt_py.train.losses import SpectralLossConfig
from magenta_rt_py.train.metrics_log import read_metrics

# Two blocks instead of seven: the same time geometry, and a step that compiles in a few seconds.
CONFIG = dataclasses.replace(
    spectrostream_config.tiny(),
    encoder_strides=((2, 8), (2, 12)),
    encoder_widths=(8, 16),
    decoder_first_width=16,
    decoder_widths=(32, 8),
    edge_kernel=3,
    num_levels=4,
    codebook_size=16,
)
TRAINING = WaveformTrainingConfig(
    batch=2,
    crop_frames=5,
    learning_rate=4e-3,
    warmup_steps=5,
    gain_db=(0.0, 0.0),
    spectra=SpectralLossConfig(windows=(512, 1024), mel_bands=(32, 64)),
    discriminator=DiscriminatorConfig(windows=(256,), channels=4, dilations=(1,)),
    adversarial_from_step=0,
    log_every_steps=5,
    max_steps=30,
)


def make_piece(seed: int) -> np.ndarray:
    """A sine that differs left and right, and a little noise."""
    random = np.random.default_rng(seed)
    time = np.arange(1920 * 20) / 48_000
    tone = np.sin(2 * np.pi * random.uniform(200, 2000) * time)[:, None] * random.uniform(0.1, 0.4, 2)
    return (tone + 0.01 * random.standard_normal((len(time), 2))).astype(np.float32)


@pytest.fixture(scope="module")
def sounds():
    return [make_piece(seed) for seed in range(4)]


def train(sounds, directory, lines, training=TRAINING, config=CONFIG):
    return train_spectrostream(
        sounds, config, seconds_budget=3600.0, directory=directory, log=lines.append, training=training
    )


@pytest.fixture(scope="module")
def run(sounds, tmp_path_factory):
    """A short training: (directory, tensors, log lines)."""
    directory, lines = tmp_path_factory.mktemp("codec"), []
    return directory, train(sounds, directory, lines), lines


def test_thirty_steps_lower_the_reconstruction_loss(run):
    rows = read_metrics(run[0])
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30]
    assert {"mel", "complex", "commitment", "gradient_norm", "restarted_codes"} <= rows[0].keys()
    first, last = (row["mel"] + row["complex"] for row in (rows[0], rows[-1]))
    assert last < 0.8 * first


def test_the_discriminator_learns_beside_the_codec(run):
    rows = read_metrics(run[0])
    assert all(np.isfinite(row["adversarial"]) and row["matching"] > 0.0 for row in rows)
    assert 0.2 < rows[-1]["discriminator"] < 4.0
    assert rows[-1]["discriminator"] != rows[0]["discriminator"]


def test_the_discriminator_comes_in_late_if_it_is_told_to(sounds, tmp_path):
    """The step before takes the same state and leaves the discriminator as it was."""
    training = dataclasses.replace(TRAINING, adversarial_from_step=1, log_every_steps=1, max_steps=1)
    train(sounds, tmp_path, [], training)
    first = read_metrics(tmp_path)[0]
    assert "mel" in first and "adversarial" not in first


def test_the_result_is_a_codec(run, sounds):
    codec = SpectroStream.from_tensors(CONFIG, run[1])
    decoded = codec.decode(codec.encode(sounds[0][None, : 1920 * 4]))
    assert np.isfinite(decoded).all() and np.abs(decoded).max() > 1e-3


def test_the_start_has_the_loudness_of_the_sound_and_codebooks_in_use(sounds):
    tensors = fit_start(CONFIG, TRAINING, sounds, seed=0)
    assert {name: value.shape for name, value in tensors.items()} == network.tensor_shapes(CONFIG)
    codec = SpectroStream.from_tensors(CONFIG, tensors)
    codes = np.concatenate([codec.encode(sound[None])[0] for sound in sounds])
    assert all(len(np.unique(codes[:, level])) > 4 for level in range(CONFIG.num_levels))
    decoded = np.concatenate([codec.decode(codec.encode(sound[None]))[0] for sound in sounds])
    assert 0.1 < np.sqrt((decoded**2).mean()) / np.sqrt((np.concatenate(sounds) ** 2).mean()) < 10.0
    latents = np.concatenate([codec.encode_latents(sound[None])[0] for sound in sounds])
    assert 0.3 < latents.std() < 3.0


def test_a_finished_run_goes_no_further_and_a_longer_one_goes_on(run, sounds, tmp_path):
    directory, tensors, _ = run
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    lines = []
    same = train(sounds, tmp_path, lines)
    for name in tensors:
        np.testing.assert_array_equal(same[name], tensors[name])
    longer = train(sounds, tmp_path, lines, dataclasses.replace(TRAINING, max_steps=31, log_every_steps=1))
    name = "decoder/decoder_0/conv2d_3x3/conv/kernel"
    assert not np.array_equal(longer[name], tensors[name])
    assert "goes on at step 30" in lines[0]
    assert [row["step"] for row in read_metrics(tmp_path)][-2:] == [30, 31]


def test_another_config_cannot_go_on(run, sounds):
    with pytest.raises(CheckpointError, match="another configuration"):
        train(sounds, run[0], [], config=dataclasses.replace(CONFIG, latent_dim=8))


def test_pieces_that_are_all_too_short_are_refused(sounds):
    with pytest.raises(ValueError, match="got pieces of at most 100 samples, expected at least one of 9600"):
        sample_sounds([sounds[0][:100]], np.random.default_rng(0), batch=2, samples=9600)
