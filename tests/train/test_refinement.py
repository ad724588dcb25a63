"""The refinement model's training: starts at the unigram, learns what the coarse levels tell, resumes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.lm import refinement
from magenta_rt_py.lm.refinement import RefinementConfig
from magenta_rt_py.lm.tables import normalise_levels
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.metrics_log import read_metrics
from magenta_rt_py.train.refinement import (
    FrameSampler,
    RefinementTrainingConfig,
    _corrupt,
    _draw_frames,
    make_loss,
    train_refinement,
)

CONFIG = RefinementConfig(
    coarse_levels=2, num_levels=5, codebook_size=16, codec_code_dim=8, width=16, blocks=1, kernel_frames=3
)
TRAINING = RefinementTrainingConfig(scored_frames=10, chosen_frames=5, warmup_steps=5, eval_crops=16)


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Level 2 copies level 0 of the frame before, level 3 is noise, level 4 tells level 3 in other words."""
    path = tmp_path_factory.mktemp("tokens") / "shard.npz"
    codes = np.random.default_rng(0).integers(0, 16, (8, 60, 5)).astype(np.int16)
    codes[:, 1:, 2] = codes[:, :-1, 0]
    codes[..., 4] = (5 * codes[..., 3] + 3) % 16
    style = np.zeros((8, 1, 12), np.int16)
    np.savez(
        path,
        codes=codes,
        frames_per_beat=np.full(8, 10),
        style_audio=np.zeros((8, 1, 4), np.float32),
        style_text=np.zeros((8, 1, 4), np.float32),
        style_audio_codes=style,
        style_text_codes=style,
    )
    return path


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(1).standard_normal((5, 16, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(shard, vectors, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    flat = train_refinement(
        [shard], vectors, CONFIG, directory=directory, max_steps=200, peak_learning_rate=1e-2, training=TRAINING
    )
    return flat, directory


def test_runs_of_frames_are_deterministic_and_unbroken(shard):
    dataset = load_dataset([shard])
    codes = FrameSampler(dataset, frames=12, batch_size=6, seed=3)(4)
    np.testing.assert_array_equal(codes, FrameSampler(dataset, frames=12, batch_size=6, seed=3)(4))
    np.testing.assert_array_equal(codes[:, 1:, 2], codes[:, :-1, 0])
    with pytest.raises(ValueError, match="no piece has 61 frames"):
        FrameSampler(dataset, frames=61, batch_size=2, seed=0)


def test_the_loss_starts_at_the_unigram(shard, vectors):
    dataset = load_dataset([shard])
    params = refinement.with_unigram(
        refinement.init(jax.random.PRNGKey(0), CONFIG), dataset.code_counts(5, 16).astype(np.float32)
    )
    codes = jnp.asarray(FrameSampler(dataset, frames=12, batch_size=16, seed=0)(0))
    loss = jax.jit(make_loss(CONFIG, TRAINING, jnp.asarray(normalise_levels(vectors, CONFIG.num_levels))))
    assert float(loss(params, codes, jax.random.PRNGKey(0))[1]["nats_mean"]) == pytest.approx(np.log(16), abs=0.15)


def test_fine_levels_are_learned_from_coarse_ones_and_from_each_other(trained):
    _, directory = trained
    last = [line for line in read_metrics(directory) if "eval/nats_0" in line][-1]
    assert last["eval/nats_0"] < 1.0, "level 2 needs the frame before"
    assert last["eval/nats_1"] > 2.5, "nothing tells level 3"
    assert last["eval/nats_2"] < 1.0, "level 4 needs level 3 of its own frame"


def test_a_finished_run_returns_its_weights_again(shard, vectors, trained):
    flat, directory = trained
    again = train_refinement([shard], vectors, CONFIG, directory=directory, max_steps=200, training=TRAINING)
    for name, value in flat.items():
        np.testing.assert_array_equal(again[name], value)


def test_scored_frames_have_their_past_except_at_the_rate():
    draw = jax.jit(jax.vmap(lambda key: _draw_frames(key, CONFIG, TRAINING)))
    frames = np.asarray(draw(jax.random.split(jax.random.PRNGKey(0), 2_000)))
    assert frames.min() == 0 and frames.max() == CONFIG.past_frames + 9
    # A short-past draw of 5 of 12 frames misses the first two with probability 7/12 * 6/11.
    share = (frames < CONFIG.past_frames).any(1).mean()
    assert share == pytest.approx(0.1 * (1 - 7 / 12 * 6 / 11), abs=0.02)
    assert all(len(set(row)) == 5 for row in frames[:50])


def test_corruption_touches_coarse_levels_at_its_rate():
    codes = jnp.full((50, 50, 5), 99)
    heard = np.asarray(_corrupt(jax.random.PRNGKey(0), codes, CONFIG, 0.1))
    assert (heard[..., :2] != 99).mean() == pytest.approx(0.1, abs=0.01)
    assert (heard[..., 2:] == 99).all() and heard[heard != 99].max() < 16
