"""The anchor: no pull on the base itself, the plain loss on new music, and the base stays the base beside adapters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py import lm
from magenta_rt_py.generators import system
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.train.data import CropSampler, load_dataset
from magenta_rt_py.train.finetune import anchor
from magenta_rt_py.train.finetune.anchor import AnchoredBatch, divergence, make_anchored_loss
from magenta_rt_py.train.finetune.crops import crops_of
from magenta_rt_py.train.finetune.finetune import vectors_of
from magenta_rt_py.train.finetune.fit import Music, fit, make_objective, starting_point
from magenta_rt_py.train.lm import LMTrainingConfig, make_batch, make_loss
from tests.train.finetune.conftest import quick

KEY = jax.random.PRNGKey(0)
PLAIN = LMTrainingConfig(z_loss=0.0)


@pytest.fixture(scope="module")
def model(bundle):
    config = LMConfig(**bundle.configs["lm"])
    vectors = vectors_of(config, system.load_codec(bundle), system.load_style(bundle))
    return config, lm.load(bundle.tensors("lm"), config), vectors


@pytest.fixture(scope="module")
def crops(model, shards):
    sampler = CropSampler(load_dataset(sorted(shards.glob("*.npz"))), crops_of(quick(), model[0]), batch_size=4, seed=0)
    return make_batch(sampler(0), model[0])


def moved(params, amount=0.1):
    """Other weights of the same shapes."""
    leaves, structure = jax.tree.flatten(params)
    random = np.random.default_rng(1)
    return structure.unflatten([leaf + amount * random.standard_normal(leaf.shape).astype(np.float32) for leaf in leaves])


def test_divergence_is_what_the_definition_says():
    base, other = (np.random.default_rng(seed).standard_normal((2, 3, 4, 5)).astype(np.float32) for seed in (0, 1))
    wanted, said = (np.exp(scores) / np.exp(scores).sum(-1, keepdims=True) for scores in (base, other))
    by_hand = (wanted * np.log(wanted / said)).sum(-1)
    np.testing.assert_allclose(divergence(jnp.asarray(base), jnp.asarray(other)), by_hand, rtol=1e-4)


def test_the_base_is_not_moved_by_what_it_knows(model, crops):
    config, params, vectors = model
    loss = jax.jit(jax.value_and_grad(make_anchored_loss(config, PLAIN, vectors, weight=2.0, rows=4), has_aux=True))
    known = AnchoredBatch(crops, np.ones(4, np.float32))
    (value, metrics), gradient = loss(params, params, known, KEY)
    steepest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    assert abs(float(value)) < 1e-5 and abs(float(metrics["anchor"])) < 1e-5 and steepest < 1e-5
    (value, metrics), gradient = loss(moved(params), params, known, KEY)
    assert float(value) > 1e-3 and float(metrics["anchor"]) > 1e-3
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)) > 1e-3


def test_new_music_is_learned_as_without_an_anchor(model, crops):
    config, params, vectors = model
    plain, _ = make_loss(config, LMTrainingConfig(), vectors)(params, crops, KEY)
    anchored = make_anchored_loss(config, LMTrainingConfig(), vectors, weight=2.0, rows=4)
    value, metrics = anchored(params, moved(params), AnchoredBatch(crops, np.zeros(4, np.float32)), KEY)
    assert float(value) == pytest.approx(float(plain), rel=1e-5) and float(metrics["anchor"]) == 0.0


def test_the_base_reads_no_more_rows_than_may_be_rehearsed(model, crops, monkeypatch):
    config, params, vectors = model
    read, logits = [], anchor.code_logits

    def recorded(weights, config, batch, *others):
        read.append(len(batch.target_tokens))
        return logits(weights, config, batch, *others)

    monkeypatch.setattr(anchor, "code_logits", recorded)
    known = AnchoredBatch(crops, np.array([1, 0, 0, 0], np.float32))
    whole = make_anchored_loss(config, PLAIN, vectors, weight=2.0, rows=4)(moved(params), params, known, KEY)
    head = make_anchored_loss(config, PLAIN, vectors, weight=2.0, rows=2)(moved(params), params, known, KEY)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), head, whole)
    assert read == [4, 4, 4, 2], "the trained model reads all rows, the base the head"
    assert quick(batch_size=8, rehearsal_share=0.3).rehearsed_rows == 3
    assert quick(batch_size=8, rehearsal_share=0.3, accumulate=2).rehearsed_rows == 2


def test_adapters_are_held_to_the_base_without_them(bundle, model, crops):
    config, _, vectors = model
    wanted = quick("lora", batch_size=8, rehearsal_share=0.5, anchor_weight=2.0)
    trained, frozen = starting_point(wanted, config, bundle.tensors("lm"))
    loss = make_objective(wanted, config, vectors)
    known = AnchoredBatch(crops, np.ones(4, np.float32))
    assert abs(float(loss(trained, frozen, known, KEY)[1]["anchor"])) < 1e-5
    value, metrics = loss(moved(trained, 0.5), frozen, known, KEY)
    assert float(metrics["anchor"]) > 1e-3 and np.isfinite(float(value))


def test_an_anchored_run_keeps_nearer_to_the_base(bundle, model, shards, tmp_path):
    config, params, vectors = model
    new = load_dataset(sorted(shards.glob("*.npz")))
    known = new._replace(codes=new.codes._replace(values=np.ascontiguousarray(new.codes.values[::-1])))
    ends = {}
    for name, weight in (("learned", 0.0), ("held", 50.0)):
        wanted = quick(steps=6, batch_size=4, rehearsal_share=0.9, anchor_weight=weight, learning_rate=3e-3)
        music = Music(train=new, held_out=new, rehearsal=known)
        ends[name] = fit(wanted, config, bundle.tensors("lm"), music, vectors, directory=tmp_path / name).tensors
    sampler = CropSampler(known, crops_of(quick(), config), batch_size=4, seed=5)
    crops = AnchoredBatch(make_batch(sampler(0), config), np.ones(4, np.float32))
    loss = make_anchored_loss(config, PLAIN, vectors, weight=1.0, rows=4)
    apart = {name: float(loss(lm.load(flat, config), params, crops, KEY)[1]["anchor"]) for name, flat in ends.items()}
    assert apart["held"] < 0.7 * apart["learned"], apart
