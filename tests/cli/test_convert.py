"""`mrtpy convert`: there and back, the report, and one line for everything that is wrong."""

import dataclasses
import json

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.codec import spectrostream_config, spectrostream_files
from magenta_rt_py.codec.spectrostream_network import random_tensors
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.released.t5x import open_checkpoint
from tests.released import checkpoints


@pytest.fixture(scope="session")
def tensors():
    """Of a narrow language model in the released token layout."""
    layers = {"encoder_layers": 1, "temporal_layers": 1, "depth_layers": 1}
    sizes = dataclasses.replace(lm_config.base(), dim=4, num_heads=1, head_dim=3, mlp_dim=4, **layers)
    generator = np.random.default_rng(0)
    return {path: generator.normal(size=shape).astype(np.float32) for path, shape in parameter_shapes(sizes).items()}


@pytest.fixture
def checkpoint(tmp_path, tensors):
    """Its checkpoint."""
    return checkpoints.write_by_hand(tmp_path / "checkpoint_7", tensors, step=7)


def test_there_and_back(run, tmp_path, checkpoint, tensors):
    code, text, err = run("convert", checkpoint, "--out", tmp_path / "toy", "--name", "My Toy", "--json")
    assert (code, err) == (0, "")
    report = json.loads(text)
    count = sum(array.size for array in tensors.values())
    assert (report["parts"], report["all_parts"], report["notes"]) == ({"lm": count}, ["lm"], [])
    bundle = load_bundle(tmp_path / "toy")
    assert (report["num_bytes"], report["fingerprint"]) == (bundle.num_bytes, bundle.fingerprint)
    assert bundle.record["name"] == "My Toy"
    code, text, err = run("convert", tmp_path / "toy", "--to", "t5x", "--out", tmp_path / "t5x")
    assert (code, err) == (0, "") and f"lm ({count:,} numbers)" in text
    back = open_checkpoint(tmp_path / "t5x")
    assert back.step == 7
    for path, array in tensors.items():
        np.testing.assert_array_equal(back.read(path), array)
    run("convert", tmp_path / "toy", "--to", "t5x", "--out", tmp_path / "other", "--step", 9)
    assert open_checkpoint(tmp_path / "other").step == 9


def test_the_language_model_is_stored_as_asked(run, refuse, tmp_path, checkpoint, tensors):
    assert run("convert", checkpoint, "--out", tmp_path / "small", "--storage", "int8")[0] == 0
    bundle = load_bundle(tmp_path / "small")
    assert bundle.storage("lm") == "int8"
    path = "token_embedder/embedding"
    error = np.abs(bundle.tensors("lm")[path] - tensors[path])
    assert 0 < error.max() <= np.abs(tensors[path]).max() / 254 * 1.01
    run("convert", checkpoint, "--out", tmp_path / "large")
    assert load_bundle(tmp_path / "large").storage("lm") == "float32"
    line = refuse("convert", tmp_path / "small", "--out", tmp_path / "copy", "--storage", "int8")
    assert "no checkpoint to store so" in line and not (tmp_path / "copy").exists()


def test_settings_name_and_assumptions(run, refuse, tmp_path, checkpoint):
    settings = tmp_path / "model.gin"
    settings.write_text("ACTIVATION_DTYPE = 'bfloat16'\nNUM_HEADS = 1\n")
    assert run("convert", checkpoint, "--out", tmp_path / "a", "--gin", settings)[0] == 0
    bundle = load_bundle(tmp_path / "a")
    assert bundle.configs["lm"]["activation_dtype"] == "bfloat16" and bundle.record["name"] == "a"
    settings.write_text("NUM_HEADS = 12\n")
    line = refuse("convert", checkpoint, "--out", tmp_path / "b", "--gin", settings)
    assert "model.gin says NUM_HEADS = 12, but the tensors have 1" in line
    assert not (tmp_path / "b").exists()


def test_a_codec_is_added(run, refuse, tmp_path, checkpoint, monkeypatch):
    sizes = dataclasses.replace(spectrostream_config.tiny(), num_levels=2, codebook_size=4)
    monkeypatch.setattr(spectrostream_config, "released", lambda: sizes)
    from safetensors.numpy import save_file

    tensors = {name: np.asarray(array) for name, array in random_tensors(sizes).items()}
    save_file(spectrostream_files.to_safetensors(tensors), tmp_path / "codec.safetensors")
    assert run("convert", checkpoint, "--out", tmp_path / "a")[0] == 0
    code, text, _ = run("convert", "--codec", tmp_path / "codec.safetensors", "--out", tmp_path / "a")
    assert code == 0 and "codec (" in text and "lm (" not in text
    assert sorted(load_bundle(tmp_path / "a").configs) == ["codec", "lm"]
    line = refuse("convert", "--codec", tmp_path / "codec.safetensors", "--out", tmp_path / "a")
    assert "'codec' part already; add --replace" in line
    both = tmp_path / "both"
    assert run("convert", checkpoint, "--codec", tmp_path / "codec.safetensors", "--out", both, "--replace")[0] == 0
    assert sorted(load_bundle(both).configs) == ["codec", "lm"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to convert"),
        (["nowhere"], "no such file"),
        (["--codec", "nowhere"], "no such file"),
        (["FOLDER"], "none of the known forms"),
        (["--style", "FOLDER"], "none of its released files"),
        (["CHECKPOINT", "CHECKPOINT"], "given already"),
        (["CHECKPOINT", "--gin", "nowhere"], "check --gin"),
        (["CHECKPOINT", "--step", "3"], "--step and --dtype are for --to t5x"),
        (["CHECKPOINT", "--to", "t5x"], "no model bundle here"),
        (["--to", "t5x"], "takes one bundle, got 0 paths"),
        (["CHECKPOINT", "--to", "t5x", "--codec", "x"], "--codec is of no use with --to t5x"),
        (["CHECKPOINT", "--to", "t5x", "--step", "-1"], "--step is -1"),
        (["CHECKPOINT", "--to", "t5x", "--storage", "int8"], "--storage is of no use with --to t5x"),
        (["CHECKPOINT", "--to", "onnx"], "invalid choice"),
    ],
)
def test_wrong_words_are_one_line(refuse, tmp_path, checkpoint, arguments, message):
    (tmp_path / "folder").mkdir()
    places = {"CHECKPOINT": str(checkpoint), "FOLDER": str(tmp_path / "folder")}
    line = refuse("convert", *(places.get(word, word) for word in arguments), "--out", tmp_path / "out")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_damaged_source_and_a_place_that_is_taken(refuse, tmp_path, checkpoint):
    assert "holds something that is no bundle" in refuse("convert", checkpoint, "--out", checkpoint)
    chunk = checkpoint / "target.decoder.logits_dense.kernel" / "0.0"
    chunk.write_bytes(chunk.read_bytes()[:50])
    line = refuse("convert", checkpoint, "--out", tmp_path / "out")
    assert "decoder/logits_dense/kernel" in line and "get the checkpoint again" in line
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_the_starter_has_no_released_form(refuse, tmp_path):
    from magenta_rt_py.bundle import starter_path

    assert "no place for" in refuse("convert", starter_path(), "--to", "t5x", "--out", tmp_path / "out")
