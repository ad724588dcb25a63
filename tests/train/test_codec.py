import dataclasses
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.codec import CompactCodec, bands, network
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.nn import quantizer
from magenta_rt_py.train import codec as codec_training
from magenta_rt_py.train.codec_features import fit_start, sample_batch
from magenta_rt_py.train.metrics_log import read_metrics

CONFIG = dataclasses.replace(
    codec_config.tiny(),
    linear_bands_to_hz=200.0,
    bands_per_octave=4,
    latent_dim=8,
    num_levels=2,
    codebook_size=6,
)
TRAINING = codec_training.CodecTrainingConfig(
    batch=4,
    crop_frames=20,
    learning_rate=5e-3,
    warmup_steps=5,
    gain_db=(0.0, 0.0),
    log_every_steps=5,
    max_steps=60,
)


def make_piece(seed: int, frames: int = 60) -> np.ndarray:
    """Stored features of three chords that change every ten frames and fade, the treble fastest.

    Twelve codes a frame cannot say how far a chord has faded; a net that remembers the last frames can learn it.
    """
    random, size = np.random.default_rng(seed), bands.band_count(CONFIG)
    chords = 1.5 * np.random.default_rng(99).standard_normal((3, 1, 2, size))
    fade = -0.3 * (np.arange(frames) % 10)[:, None, None, None] * np.linspace(0.2, 1.5, size)
    noise = 0.02 * random.standard_normal((frames, 4, 2, size))
    return (chords[random.integers(3, size=frames // 10).repeat(10)] + fade + noise).astype(np.float16)


@pytest.fixture(scope="module")
def features():
    return [make_piece(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def run(features, tmp_path_factory):
    """A short training: (directory, tensors, log lines)."""
    directory, lines = tmp_path_factory.mktemp("codec"), []
    tensors = codec_training.train_codec(
        features, CONFIG, seconds_budget=3600.0, directory=directory, log=lines.append, training=TRAINING
    )
    return directory, tensors, lines


def error(tensors, features):
    """Mean absolute error of the log bands after all levels."""
    scaling = network.statistics(CONFIG, *(jnp.asarray(tensors[f"statistics/{name}"]) for name in ("mean", "deviation")))
    target = bands.features_of_energies(CONFIG, bands.energies_of_stored(jnp.asarray(np.stack(features))))
    latents = network.Encoder(CONFIG).apply({"params": network.unflatten(tensors, "encoder")}, target, scaling)
    books = jnp.asarray(tensors["quantizer/codebooks"])
    quantized = quantizer.decode(books, quantizer.encode(books, latents))
    predicted = network.Decoder(CONFIG).apply({"params": network.unflatten(tensors, "decoder")}, quantized, scaling)
    return float(jnp.abs(predicted - target).mean())


def test_the_start_is_a_working_codec(features):
    tensors = fit_start(CONFIG, features, seed=0)
    assert {name: value.shape for name, value in tensors.items()} == network.tensor_shapes(CONFIG)
    spread = float(np.stack(features).astype(np.float32).std())
    assert error(tensors, features) < 0.6 * spread
    random_books = tensors | {"quantizer/codebooks": np.roll(tensors["quantizer/codebooks"], 1, axis=0)}
    assert error(random_books, features) > error(tensors, features)


def test_training_improves_on_the_start(run, features):
    _, tensors, _ = run
    before, after = error(fit_start(CONFIG, features, seed=0), features), error(tensors, features)
    assert after < 0.95 * before


def test_the_result_is_a_codec(run):
    codec = CompactCodec.from_tensors(CONFIG, run[1])
    sound = 0.1 * np.random.default_rng(0).standard_normal((1, 9600, 2)).astype(np.float32)
    assert np.isfinite(codec.decode(codec.encode(sound))).all()


def test_a_line_is_logged_every_few_steps(run):
    directory, _, lines = run
    rows = read_metrics(directory)
    assert [row["step"] for row in rows[:3]] == [5, 10, 15]
    assert {"band", "mel", "difference", "commitment", "gradient_norm", "restarted_codes"} <= rows[0].keys()
    assert len([line for line in lines if line.startswith("codec step")]) == len(rows)


def test_a_finished_run_goes_no_further_and_a_longer_one_goes_on(run, features, tmp_path):
    directory, tensors, _ = run
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    lines = []

    def go_on(training):
        return codec_training.train_codec(
            features, CONFIG, seconds_budget=3600.0, directory=tmp_path, log=lines.append, training=training
        )

    same = go_on(TRAINING)
    for name in tensors:
        np.testing.assert_array_equal(same[name], tensors[name])
    longer = go_on(dataclasses.replace(TRAINING, max_steps=65))
    assert not np.array_equal(longer["decoder/principal/kernel"], tensors["decoder/principal/kernel"])
    assert "goes on at step 60" in lines[0]
    assert [row["step"] for row in read_metrics(tmp_path)][-2:] == [60, 65]


def test_another_config_cannot_go_on(run, features):
    other = dataclasses.replace(CONFIG, hidden_dim=48)
    with pytest.raises(CheckpointError, match="another configuration"):
        codec_training.train_codec(
            features, other, seconds_budget=3600.0, directory=run[0], log=lambda line: None, training=TRAINING
        )


def test_crops_come_from_every_piece_in_proportion(features):
    longer = np.concatenate([features[0]] * 3)
    marked = [np.full_like(longer, 1.0), np.full_like(features[0], 2.0), np.full_like(features[0][:10], 3.0)]
    random = np.random.default_rng(0)
    crops = np.concatenate([sample_batch(marked, random, batch=16, frames=20) for _ in range(20)])
    assert crops.shape[1:] == (20, 4, 2, bands.band_count(CONFIG))
    share = (crops[:, 0, 0, 0, 0] == 1.0).mean()
    assert 0.7 < share < 0.87  # 161 of 202 starts
    assert not (crops == 3.0).any()  # too short for a crop


def test_pieces_that_are_all_too_short_are_refused(features):
    with pytest.raises(ValueError, match="got pieces of at most 10 frames, expected at least one of 20"):
        sample_batch([features[0][:10]], np.random.default_rng(0), batch=2, frames=20)


def test_fitted_maps_take_smaller_steps():
    sizes = codec_training._STEP_SIZES
    names = [name for name in network.tensor_shapes(CONFIG) if name.startswith(("encoder", "decoder"))]
    assert all(any(name.startswith(prefix) for prefix in sizes) for name in names)
    assert sizes["encoder/principal"] < sizes["decoder/principal"] < sizes["decoder/blocks"]
