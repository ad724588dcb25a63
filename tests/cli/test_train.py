"""`mrtpy train`: every part from nothing, into a bundle."""

import json

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.generators import system
from tests.train.finetune.conftest import write_shard

pytestmark = pytest.mark.usefixtures("quick_compiles")

MINUTES = 0.02


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Five files of ten seconds with words beside them."""
    folder = tmp_path_factory.mktemp("music")
    random = np.random.default_rng(0)
    time = np.arange(480_000) / 48_000
    for number in range(5):
        tone = 0.3 * np.sin(2 * np.pi * 110 * (number + 1) * time)
        noise = random.normal(0, 0.02, (480_000, 2))
        audio.write(folder / f"tone-{number}.wav", (tone[:, None] + noise).astype(np.float32), 48_000)
        (folder / f"tone-{number}.txt").write_text(f"a steady tone, number {number}, low and plain")
    return folder


def test_a_language_model_is_trained_from_nothing(run, tiny_bundle, tmp_path):
    shards = tmp_path / "tokens"
    shards.mkdir()
    write_shard(shards / "shard-00000.npz", seed=0, style_dim=load_bundle(tiny_bundle).configs["style"]["dim"])
    out = tmp_path / "mine"
    command = (
        "train", "lm", "--preset", "tiny", "--data", shards, "--bundle", tiny_bundle, "--out", out, "--steps", 2,
        "--batch", 2, "--optimizer", "adamw",
    )  # fmt: skip
    code, printed, errors = run(*command, "--json")
    assert code == 0, errors
    assert json.loads(printed)["steps"] == 2
    made = load_bundle(out)
    assert made.part_fingerprint("codec") == load_bundle(tiny_bundle).part_fingerprint("codec")
    assert made.part_fingerprint("lm") != load_bundle(tiny_bundle).part_fingerprint("lm")
    assert np.isfinite(system.load(made).stream().next_chunk()).all()
    code, _, errors = run(*command, "--learning-rate", 0.5)
    assert code == 2 and "other settings (train.learning_rate" in errors
    code, _, errors = run("train", "lm", "--preset", "tiny", "--data", tmp_path, "--bundle", tiny_bundle, "--out", out)
    assert code == 2 and "holds no token shards" in errors


def test_a_codec_is_trained_on_a_folder(run, music, tmp_path):
    out = tmp_path / "mine"
    code, _, errors = run("train", "codec", "--preset", "tiny", "--data", music, "--out", out, "--minutes", MINUTES)
    assert code == 0, errors
    codec = system.load_codec(out)
    assert codec.num_levels == load_bundle(out).configs["codec"]["num_levels"]
    assert "codec" in load_bundle(out).record["trained"]


def test_nonsense_is_one_line(run, music, tmp_path):
    code, _, errors = run("train", "codec", "--data", music, "--out", tmp_path / "x", "--minutes", 0)
    assert code == 2 and "more than 0" in errors
    code, _, errors = run("train", "style", "--studio", -1, "--out", tmp_path / "x")
    assert code == 2 and "minutes of music" in errors
    code, _, errors = run("train", "lm", "--preset", "tiny", "--data", tmp_path / "none", "--out", tmp_path / "x")
    assert code == 2 and "no prepared folder" in errors
