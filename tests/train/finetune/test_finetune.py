"""From a bundle and tokens to a bundle that plays: full, adapters, resume, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.generators import system
from magenta_rt_py.lm.adapters import PART
from magenta_rt_py.style.steering import read_steering
from magenta_rt_py.train.finetune.finetune import finetune
from magenta_rt_py.train.metrics_log import read_metrics
from tests.train.finetune.conftest import quick

FULL = quick(steps=4, checkpoint_every_steps=3, rehearsal_share=0.5)


@pytest.fixture(scope="module")
def full(bundle, shards, tmp_path_factory):
    output = tmp_path_factory.mktemp("full") / "mine"
    fitted = finetune(bundle, shards, output, FULL, rehearsal_data=shards)
    return load_bundle(output), fitted


@pytest.fixture(scope="module")
def lora(bundle, shards, tmp_path_factory):
    output = tmp_path_factory.mktemp("lora") / "mine"
    fitted = finetune(bundle, shards, output, quick("lora", learning_rate=0.05), rehearsal_data=shards)
    return load_bundle(output), fitted


def test_a_full_finetune_is_a_whole_bundle(bundle, full):
    made, fitted = full
    assert made.configs.keys() == bundle.configs.keys() | {"steering"}
    assert made.shards["codec"] == bundle.shards["codec"]
    changed = [name for name, value in made.tensors("lm").items() if not np.array_equal(value, bundle.tensors("lm")[name])]
    assert len(changed) > 20
    assert fitted.after["nats_mean"] != fitted.before["nats_mean"]


def test_the_record_says_what_it_came_from(bundle, full):
    history = full[0].record["finetuned"]
    assert len(history) == 1
    assert history[0]["from"]["fingerprint"] == bundle.fingerprint
    assert history[0]["steps"] == 4 and history[0]["settings"]["method"] == "full"
    assert history[0]["held_out"]["before"]["nats_mean"] == pytest.approx(float(full[1].before["nats_mean"]))
    json.dumps(history, allow_nan=False)


def test_adapters_lie_beside_an_untouched_base(bundle, lora):
    made, fitted = lora
    assert made.configs.keys() == bundle.configs.keys() | {PART, "steering"}
    assert made.part_fingerprint("lm") == bundle.part_fingerprint("lm")
    assert made.configs[PART]["rank"] == 2
    assert fitted.after["nats_mean"] != fitted.before["nats_mean"]
    base, adapted = (system.load(which).models.params_at(None) for which in (bundle, made))
    path = "encoder", "layers_0", "attention", "query", "kernel"
    for name in path:
        base, adapted = base[name], adapted[name]
    assert float(np.abs(np.asarray(adapted) - np.asarray(base)).max()) > 1e-4


def test_every_finetuned_bundle_knows_its_music(full, lora):
    for made in (full[0], lora[0]):
        found = read_steering(made)
        assert found is not None
        assert found.clips_per_centroid.sum() == 12 and len(found.centroids) == 5
        assert len(found.prompts()) == 6


def test_started_again_it_ends_the_same_and_the_last_step_is_kept(bundle, shards, full):
    output, first = full[0].path, full[1]
    work = output.with_suffix(".work")
    assert sorted(int(folder.name) for folder in (work / "steps").iterdir() if folder.name.isdigit()) == [3, 4]
    again = finetune(bundle, shards, output, FULL, rehearsal_data=shards)
    assert again.tensors.keys() == first.tensors.keys()
    for name, value in first.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], value)
    assert [line["step"] for line in read_metrics(work) if "loss" in line] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="other settings .*learning_rate"):
        finetune(bundle, shards, output, dataclasses.replace(FULL, learning_rate=0.5), rehearsal_data=shards)


def test_a_bundle_with_adapters_is_refused(lora, shards, tmp_path):
    with pytest.raises(ValueError, match="has adapters already"):
        finetune(lora[0], shards, tmp_path / "more", quick())
    assert not (tmp_path / "more").exists()
