"""`mrtpy finetune`: a plan, and a finetune whose bundle plays."""

import argparse
import json

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.cli import finetune
from magenta_rt_py.train.finetune.config import LEARNING_RATES, METHODS, FinetuneConfig, released
from magenta_rt_py.train.finetune.presets import SIZES
from tests.train.finetune.conftest import write_shard

pytestmark = pytest.mark.usefixtures("quick_compiles")

QUICK = ("--steps", 2, "--batch", 2, "--rehearsal-share", 0, "--optimizer", "adamw")


@pytest.fixture(scope="module")
def shards(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    write_shard(folder / "shard-00000.npz", seed=0, style_dim=load_bundle(tiny_bundle).configs["style"]["dim"])
    return folder


def test_the_plan_lists_everything_and_says_whether_it_fits(run):
    code, printed, _ = run("finetune", "--plan", "--preset", "large", "--memory", 16)
    assert code == 0 and "fits 16 GB" in printed
    assert "encoder/layers_*/attention/query/kernel (24 of them)" in printed
    code, printed, _ = run("finetune", "--plan", "--preset", "large", "--memory", 6, "--json")
    report = json.loads(printed)
    assert code == 1 and not report["fits"]
    assert report["by_kind"]["weights"] == 4 * 761_651_456
    code, printed, _ = run("finetune", "--plan", "--preset", "large", "--method", "lora", "--memory", 12)
    assert code == 0 and "fits 12 GB" in printed


def test_a_plan_for_many_devices_splits(run):
    code, printed, _ = run("finetune", "--plan", "--preset", "base", "--devices", 8, "--fsdp", 4, "--tensor", 2, "--json")
    report = json.loads(printed)
    assert code == 0 and report["mesh"] == {"data": 1, "fsdp": 4, "tensor": 2}
    code, _, errors = run("finetune", "--plan", "--preset", "base", "--devices", 6, "--fsdp", 4)
    assert code == 2 and "expected a product of 6" in errors


def test_adapters_are_trained_the_same_every_time_and_the_bundle_plays(run, tiny_bundle, shards, tmp_path):
    options = ("--method", "lora", "--rank", 2, "--target", "attention/(query|value)$", *QUICK)
    for name in ("mine", "again"):
        code, printed, errors = run(
            "finetune", "--from", tiny_bundle, "--data", shards, "--out", tmp_path / name, *options
        )
        assert code == 0, errors
        assert "2 steps" in printed and "held-out loss" in printed
    made, again = load_bundle(tmp_path / "mine"), load_bundle(tmp_path / "again")
    assert made.configs["adapters"]["targets"] == ["attention/(query|value)$"]
    assert made.record["finetuned"][0]["from"]["fingerprint"] == load_bundle(tiny_bundle).fingerprint
    for name, value in made.tensors("adapters").items():
        np.testing.assert_array_equal(again.tensors("adapters")[name], value)
    take = tmp_path / "take.wav"
    code, _, errors = run("generate", "--bundle", made.path, "--prompt", "lofi", "--seconds", 2, "--out", take)
    assert code == 0 and take.stat().st_size > 100_000, errors


def test_music_that_is_named_is_rehearsed_with_any_preset():
    parser = argparse.ArgumentParser()
    finetune.register(parser.add_subparsers())

    def chosen(*options):
        return finetune.chosen(parser.parse_args(["finetune", *options]), released())

    assert chosen().rehearsal_share == 0 and not chosen().is_anchored
    named = chosen("--rehearse", "known", "--anchor-weight", "1.5")
    assert named.rehearsal_share == FinetuneConfig().rehearsal_share and named.anchor_weight == 1.5 and named.is_anchored
    assert chosen("--rehearse", "known", "--rehearsal-share", "0.1").rehearsal_share == 0.1
    with pytest.raises(ValueError, match="takes none of it"):
        chosen("--rehearse", "known", "--rehearsal-share", "0")


def test_what_may_be_asked_for_is_what_there_is():
    assert finetune.PRESETS == tuple(SIZES)
    optimizers = {optimizer for _, optimizer in LEARNING_RATES}
    assert set(finetune.OPTIMIZERS) == optimizers and set(finetune.METHODS) == set(METHODS)


def test_bad_input_is_one_line(run, tiny_bundle, shards, tmp_path):
    for arguments, message in (
        (("--from", tiny_bundle, "--out", tmp_path / "x"), "--data is missing"),
        (("--from", tiny_bundle, "--data", shards), "--out is missing"),
        (("--from", tiny_bundle, "--data", tmp_path, "--out", tmp_path / "x"), "holds no token shards"),
        (("--from", tiny_bundle, "--data", shards, "--out", tmp_path / "x", "--rank", 4), "add --method lora"),
    ):
        code, _, errors = run("finetune", *arguments)
        assert code == 2 and message in errors and errors.count("\n") == 1
    assert not (tmp_path / "x").exists()
