"""SpectroStream's released files, both forms, into a bundle: the same tensors come out, and wrong ones are named."""

import dataclasses
import shutil
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.flax import save_file as save_flax
from safetensors.numpy import save_file

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.codec import codec_from_tensors, spectrostream_config, spectrostream_files
from magenta_rt_py.codec.spectrostream_network import random_tensors
from magenta_rt_py.errors import CheckpointError, MissingExtraError
from magenta_rt_py.released.convert import convert
from tests.released import checkpoints, saved_models

SIZES = dataclasses.replace(spectrostream_config.tiny(), num_levels=3, codebook_size=8)


@pytest.fixture(scope="module")
def tensors():
    """Of a tiny codec."""
    return {name: np.asarray(array) for name, array in random_tensors(SIZES, seed=3).items()}


@pytest.fixture(autouse=True)
def tiny_release(monkeypatch):
    """What counts as the released geometry here."""
    monkeypatch.setattr(spectrostream_config, "released", lambda: SIZES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tensors):
    """The three SavedModels' folder."""
    return saved_models.save_codec(tmp_path_factory.mktemp("codec"), *spectrostream_files.to_saved_models(tensors))


@pytest.fixture
def models(tmp_path, folders):
    """A copy that a test may spoil."""
    return shutil.copytree(folders, tmp_path / "savedmodels" / "ssv2_48k_stereo")


@pytest.fixture
def safetensors_folder(tmp_path, tensors):
    """The second release's files: an encoder, and a whole model with decoder and quantizer in it."""
    folder = tmp_path / "spectrostream"
    folder.mkdir()
    named = spectrostream_files.to_safetensors(tensors)
    save_file({name: value for name, value in named.items() if "encoder/" in name}, folder / "encoder.safetensors")
    rest = {name: value for name, value in named.items() if "encoder/" not in name}
    other = {"params/depthformer/encoder/layer/kernel": np.ones((2, 2), np.float32)}
    save_file(rest | other, folder / "decoder.safetensors")
    return folder


def assert_is_the_codec(path, tensors):
    loaded = load_bundle(path)
    assert loaded.configs["codec"]["kind"] == "spectrostream"
    back = loaded.tensors("codec")
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)
    codec_from_tensors(loaded.configs["codec"], back)


def test_safetensors(tmp_path, safetensors_folder, tensors):
    made = convert(tmp_path / "a", codec=[safetensors_folder])
    assert made.added == ("codec",)
    assert_is_the_codec(tmp_path / "a", tensors)
    convert(tmp_path / "b", codec=sorted(safetensors_folder.iterdir()))
    convert(tmp_path / "c", [safetensors_folder])
    for other in ("b", "c"):
        assert (tmp_path / "a/codec-00000.safetensors").read_bytes() == (
            tmp_path / other / "codec-00000.safetensors"
        ).read_bytes()


def test_saved_models(tmp_path, models, tensors):
    convert(tmp_path / "a", codec=[models])
    assert_is_the_codec(tmp_path / "a", tensors)
    convert(tmp_path / "b", [tmp_path])  # a folder of fetched files
    assert_is_the_codec(tmp_path / "b", tensors)
    convert(tmp_path / "c", codec=[models / name for name in ("quantizer", "decoder", "encoder")])
    assert_is_the_codec(tmp_path / "c", tensors)


def test_bfloat16_is_widened(tmp_path, safetensors_folder, tensors):
    named = spectrostream_files.to_safetensors(tensors)
    for file in safetensors_folder.iterdir():
        file.unlink()
    halved = {name: jnp.asarray(value, jnp.bfloat16) for name, value in named.items()}
    save_flax(halved, safetensors_folder / "x.safetensors")
    convert(tmp_path / "a", codec=[safetensors_folder])
    widened = {name: np.asarray(jnp.asarray(value, jnp.bfloat16), np.float32) for name, value in tensors.items()}
    assert_is_the_codec(tmp_path / "a", widened)


def test_a_codec_joins_a_language_model(tmp_path, safetensors_folder, lm_tensors, tensors):
    source = checkpoints.write_by_hand(tmp_path / "checkpoint_1", lm_tensors)
    made = convert(tmp_path / "a", [source], codec=[safetensors_folder])
    assert made.added == ("lm", "codec")
    convert(tmp_path / "b", [source])
    convert(tmp_path / "b", codec=[safetensors_folder])
    assert {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir() if file.suffix == ".safetensors"} == {
        file.name: file.read_bytes() for file in (tmp_path / "b").iterdir() if file.suffix == ".safetensors"
    }


def rewrite(file, change):
    from safetensors.numpy import load_file

    held = load_file(file)
    change(held)
    save_file(held, file)


FIRST = "params/encoder/base_conv_first/conv/kernel"
WRONG = {
    "missing": (lambda held: held.pop(FIRST), "lacks encoder/base_conv_first/conv/kernel"),
    "surplus": (lambda held: held.update({"params/encoder/more": held[FIRST]}), "has unknown encoder/more"),
    "shape": (lambda held: held.update({FIRST: held[FIRST][:3]}), "wrong shape encoder/base_conv_first/conv/kernel"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tensors_are_named(tmp_path, safetensors_folder, name):
    change, message = WRONG[name]
    rewrite(safetensors_folder / "encoder.safetensors", change)
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "out", codec=[safetensors_folder])
    assert not (tmp_path / "out").exists()


def test_files_that_differ_or_are_damaged(tmp_path, safetensors_folder):
    file = safetensors_folder / "encoder.safetensors"
    shutil.copy(file, safetensors_folder / "another.safetensors")
    convert(tmp_path / "twice", codec=[safetensors_folder])  # equal: all right
    rewrite(file, lambda held: held.update({FIRST: held[FIRST] + 1}))
    with pytest.raises(CheckpointError, match=f"'{FIRST}' differs"):
        convert(tmp_path / "out", codec=[safetensors_folder])
    (safetensors_folder / "another.safetensors").unlink()
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="encoder.safetensors: is no safetensors file, or a damaged one"):
        convert(tmp_path / "out", codec=[safetensors_folder])
    assert not (tmp_path / "out").exists()


def test_saved_models_with_other_names_say_what_was_found(tmp_path, tensors):
    encoder, decoder, codebooks = spectrostream_files.to_saved_models(tensors)
    strange = {f"dense_{number}/kernel": value for number, value in enumerate(encoder.values())}
    folder = saved_models.save_codec(tmp_path / "strange", strange, decoder, codebooks)
    with pytest.raises(CheckpointError, match=r"safetensors files can be converted instead.*encoder has \d+: dense_0/"):
        convert(tmp_path / "out", codec=[folder])
    folder = saved_models.save_codec(tmp_path / "fewer", encoder, decoder, {0: codebooks[0]})
    with pytest.raises(CheckpointError, match=r"codebooks of levels \[0\]"):
        convert(tmp_path / "out", codec=[folder])
    assert not (tmp_path / "out").exists()


def test_incomplete_or_damaged_saved_models(tmp_path, models):
    data = next((models / "decoder" / "variables").glob("variables.data*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"decoder: its variables cannot be read"):
        convert(tmp_path / "out", codec=[models])
    shutil.rmtree(models / "decoder")
    with pytest.raises(CheckpointError, match="no SavedModel 'decoder'"):
        convert(tmp_path / "out", codec=[models])
    assert not (tmp_path / "out").exists()


def test_tensorflow_is_named_where_it_is_missing(tmp_path, models, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtraError, match="tensorflow"):
        convert(tmp_path / "out", codec=[models])
