"""The language model's training: the loss starts at the unigram, falls, and the evaluation sees what is read."""

import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.lm.config import tiny
from magenta_rt_py.lm.tables import normalise_code_vectors
from magenta_rt_py.train.data import CropSampler, load_dataset
from magenta_rt_py.train.lm import (
    LMEvaluation,
    LMTrainingConfig,
    _crops_at_changes,
    crop_config,
    initial_params,
    make_batch,
    make_loss,
    normalised_level_weights,
    train_lm,
    unigram_nats,
)
from magenta_rt_py.train.metrics_log import read_metrics

CONFIG = tiny(factorised=True)
TRAINING = LMTrainingConfig(eval_crops=16, warmup_steps=5, log_every_steps=10)
PIECES, FRAMES = 12, 300


def write_pieces(path):
    """Loops of one beat whose notes depend on the genre, so that style and clock both help."""
    random = np.random.default_rng(5)
    genre = np.arange(PIECES) % 2
    fpb = np.full(PIECES, 6)
    loops = random.integers(0, 32, (2, 6, 3))
    codes = loops[genre][:, np.arange(FRAMES) % 6].astype(np.int16)
    style = np.zeros((PIECES, 2, 2), np.int16) + (3 + 20 * genre)[:, None, None].astype(np.int16)
    embedding = np.zeros((PIECES, 2, 5), np.float32)
    np.savez(
        path,
        codes=codes,
        frames_per_beat=fpb,
        genre=genre,
        style_audio=embedding,
        style_text=embedding,
        style_audio_codes=style,
        style_text_codes=style,
    )
    return path


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    return write_pieces(tmp_path_factory.mktemp("tokens") / "shard.npz")


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(0)
    return (
        random.standard_normal((4, 32, 6)).astype(np.float32),
        random.standard_normal((3, 32, 5)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def trained(shard, vectors, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    flat = train_lm(
        [shard],
        *vectors,
        CONFIG,
        directory=directory,
        held_out_paths=[shard],
        max_steps=150,
        peak_learning_rate=1e-2,
        training=TRAINING,
    )
    return flat, directory


def test_the_loss_starts_at_the_unigram(shard, vectors):
    dataset = load_dataset([shard])
    params = initial_params(CONFIG, dataset)
    code_vectors = normalise_code_vectors(*vectors, CONFIG)
    batch = make_batch(CropSampler(dataset, crop_config(CONFIG), batch_size=32, seed=0)(0), CONFIG)
    loss, metrics = jax.jit(make_loss(CONFIG, TRAINING, code_vectors))(params, batch, jax.random.PRNGKey(0))
    expected = unigram_nats(dataset, dataset, 3, 32)
    np.testing.assert_allclose(metrics["nats"], expected, atol=0.25)
    weighted = (normalised_level_weights(TRAINING.level_weights, 3) * metrics["nats"]).mean()
    assert float(loss) == pytest.approx(float(weighted), abs=0.02)


def test_scoring_a_part_of_the_frames_is_unbiased(shard, vectors):
    dataset = load_dataset([shard])
    params = initial_params(CONFIG, dataset, seed=1)
    code_vectors = normalise_code_vectors(*vectors, CONFIG)
    batch = make_batch(CropSampler(dataset, crop_config(CONFIG), batch_size=8, seed=0)(0), CONFIG)
    whole, _ = jax.jit(make_loss(CONFIG, LMTrainingConfig(), code_vectors))(params, batch, jax.random.PRNGKey(0))
    part = jax.jit(make_loss(CONFIG, LMTrainingConfig(depth_frames=2), code_vectors))
    draws = [float(part(params, batch, jax.random.PRNGKey(seed))[0]) for seed in range(60)]
    assert np.std(draws) > 0
    assert np.mean(draws) == pytest.approx(float(whole), abs=4 * np.std(draws) / 60**0.5 + 1e-4)


def test_level_weights_have_mean_one():
    weights = normalised_level_weights((1.5, 1.25, 1.0, 1.0), 6)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0] / weights[5] == pytest.approx(1.5)
    assert len(normalised_level_weights((1.5, 1.25, 1.0, 1.0), 2)) == 2


def test_training_beats_the_unigram_and_returns_loadable_weights(shard, trained):
    flat, directory = trained
    lm.load(flat, CONFIG)
    last = [line for line in read_metrics(directory) if "eval/nats_mean" in line][-1]
    dataset = load_dataset([shard])
    assert last["eval/nats_mean"] < 0.5 * unigram_nats(dataset, dataset, 3, 32).mean()
    assert {"eval/nats_0", "eval/nats_2", "eval/cold_nats_mean", "eval/caption_cost"} <= set(last)


def test_a_trained_model_reads_style_and_clock(trained):
    _, directory = trained
    last = [line for line in read_metrics(directory) if "eval/nats_mean" in line][-1]
    assert last["eval/cold_wrong_style_cost"] > 0.1
    assert last["eval/shifted_clock_cost"] > 0.05
    assert last["eval/caption_cost"] == pytest.approx(0.0, abs=1e-5), "captions are coded like the audio here"


def test_a_fresh_model_does_not_read_the_clock(shard, vectors):
    dataset = load_dataset([shard])
    code_vectors = normalise_code_vectors(*vectors, CONFIG)
    evaluation = LMEvaluation(dataset, CONFIG, TRAINING, code_vectors)
    numbers = evaluation(initial_params(CONFIG, dataset))
    assert float(numbers["shifted_clock_cost"]) == 0.0
    assert abs(float(numbers["wrong_style_cost"])) > 0.0


def test_a_finished_run_returns_its_weights_again(shard, vectors, trained):
    flat, directory = trained
    again = train_lm([shard], *vectors, CONFIG, directory=directory, max_steps=150, training=TRAINING)
    for name, value in flat.items():
        np.testing.assert_array_equal(again[name], value)


def test_finetuning_starts_from_the_given_weights(shard, trained):
    flat, _ = trained
    params = initial_params(CONFIG, load_dataset([shard]), initial=flat)
    np.testing.assert_array_equal(lm.flatten(params)["token_embedder/special"], flat["token_embedder/special"])
    assert not jnp.allclose(params["token_embedder"]["special"], 0)


def test_changes_of_style_are_judged_apart(shard, vectors, tmp_path):
    with np.load(shard) as file:
        arrays = {name: file[name] for name in file.files}
    # Every piece turns into the other genre's loop half way, at frame 150; its windows of style do too.
    half = FRAMES // 2
    arrays["codes"][:, half:] = np.roll(arrays["codes"], 1, axis=0)[:, half:]
    arrays["style_audio_codes"] = np.concatenate(
        [
            np.repeat(block[:, :1], 3, axis=1)
            for block in (arrays["style_audio_codes"], np.roll(arrays["style_audio_codes"], 1, axis=0))
        ],
        axis=1,
    )
    arrays["style_audio"] = np.zeros((PIECES, 6, 5), np.float32)
    arrays["section_frames"] = np.tile([0, half], (PIECES, 1))
    path = tmp_path / "changing.npz"
    np.savez(path, **arrays)
    dataset = load_dataset([path])
    params = initial_params(CONFIG, dataset)
    code_vectors = normalise_code_vectors(*vectors, CONFIG)
    numbers = LMEvaluation(dataset, CONFIG, TRAINING, code_vectors)(params)
    assert {"change_nats_mean", "change_old_style_cost"} <= numbers.keys()
    assert abs(numbers["change_old_style_cost"]) < 0.05  # nothing is learnt yet
    plain = LMEvaluation(load_dataset([shard]), CONFIG, TRAINING, code_vectors)(params)
    assert "change_nats_mean" not in plain


def test_crops_at_a_change_begin_there_in_the_new_and_in_the_old_style():
    codes = np.zeros((1, 600, 3), np.int16)
    codes[0, :, 0] = np.arange(600) // 20
    windows = np.arange(12, dtype=np.int16)[None, :, None].repeat(2, axis=2)
    shard = {
        "codes": codes,
        "frames_per_beat": np.array([6]),
        "style_audio": np.zeros((1, 12, 5), np.float32),
        "style_text": np.zeros((1, 2, 5), np.float32),
        "style_audio_codes": windows,
        "style_text_codes": np.zeros((1, 2, 2), np.int16),
        "section_frames": np.array([[0, 320]]),
    }
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/shard.npz", **shard)
        crops = _crops_at_changes(load_dataset([f"{folder}/shard.npz"]), crop_config(CONFIG).plain(), 2)
    assert (crops["change"].target_codes[:, 0, 0] == 16).all() and (
        crops["change_old_style"].target_codes[:, 0, 0] == 16
    ).all()
    assert (crops["change"].style_codes == 6).all()  # the window of 300..550, and not the nearer one of 200..450
    assert (crops["change_old_style"].style_codes <= 1).all()
