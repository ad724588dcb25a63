"""Bundles: what goes in comes out within the bounds of its storage, and anything damaged is refused by name."""

import json

import numpy as np
import pytest

from magenta_rt_py import bundle
from magenta_rt_py.bundle import load_bundle, save_bundle, update_record
from magenta_rt_py.errors import BundleError


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "dense/kernel": generator.normal(size=(64, 96)).astype(np.float32),
        "dense/bias": generator.normal(size=96).astype(np.float32),
        "scalar": np.float32(0.25),
        "tokenizer": np.frombuffer(b"pieces", np.uint8),
        "zeros/kernel": np.zeros((64, 64), np.float32),
    }


def saved(directory, tensors, storage="float32", **record):
    return save_bundle(directory, parts={"lm": ({"dim": 96}, tensors)}, record=record, storage={"lm": storage})


@pytest.mark.parametrize(("storage", "largest_error"), [("float32", 0.0), ("float16", 2**-11), ("int8", 1 / 254)])
def test_round_trip_is_within_the_bounds_of_its_storage(tmp_path, tensors, storage, largest_error):
    loaded = load_bundle(saved(tmp_path, tensors, storage, bpm=125.0))
    assert loaded.configs == {"lm": {"dim": 96}} and loaded.record == {"bpm": 125.0}
    back = loaded.tensors("lm")
    assert set(back) == set(tensors)
    for path, tensor in tensors.items():
        assert back[path].shape == tensor.shape
        assert back[path].dtype == (np.uint8 if path == "tokenizer" else np.float32)
    for path in ("dense/bias", "scalar", "tokenizer", "zeros/kernel"):  # small, whole, or exactly representable
        np.testing.assert_array_equal(back[path], tensors[path])
    kernel = tensors["dense/kernel"]
    # int8: half a step of the column's (or row's) scale, which is never larger than the whole matrix's.
    bound = largest_error * (np.abs(kernel) if storage == "float16" else np.abs(kernel).max())
    assert (np.abs(back["dense/kernel"] - kernel) <= bound + 1e-7).all()
    if storage != "float32":
        assert (back["dense/kernel"] != kernel).any()


def test_int8_scales_follow_columns_of_kernels_and_rows_of_codebooks(tmp_path):
    generator = np.random.default_rng(1)
    loud = np.exp(3 * generator.normal(size=128)).astype(np.float32)
    columns = generator.normal(size=(128, 128)).astype(np.float32) * loud
    tensors = {"columns": columns, "rows": np.ascontiguousarray(columns.T), "stack": np.stack([columns.T, columns.T])}
    back = load_bundle(saved(tmp_path, tensors, "int8")).tensors("lm")
    for path, axis in (("columns", 0), ("rows", 1), ("stack", 2)):
        step = np.abs(tensors[path]).max(axis=axis, keepdims=True) / 127
        assert (np.abs(back[path] - tensors[path]) <= step / 2 * 1.001).all(), path


def test_storage_can_differ_for_some_tensors_of_a_part(tmp_path, tensors):
    tensors["codebook/vectors"] = np.random.default_rng(2).normal(size=(64, 64)).astype(np.float32)
    storage = {"lm": "int8", "lm/codebook": "float32"}
    save_bundle(tmp_path, parts={"lm": ({}, tensors)}, record={}, storage=storage)
    back = load_bundle(tmp_path).tensors("lm")
    np.testing.assert_array_equal(back["codebook/vectors"], tensors["codebook/vectors"])
    assert (back["dense/kernel"] != tensors["dense/kernel"]).any()


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_shards_are_small_and_large_tensors_are_cut(tmp_path, monkeypatch, storage):
    monkeypatch.setattr(bundle, "SHARD_BYTES", bundle.SHARD_HEADER_BYTES + 20_000)
    generator = np.random.default_rng(3)
    tensors = {f"layer_{i}/kernel": generator.normal(size=(64, 64)).astype(np.float32) for i in range(5)}
    tensors["large"] = generator.normal(size=(3, 101, 97)).astype(np.float32)
    loaded = load_bundle(saved(tmp_path / "bundle", tensors, storage))
    assert len(loaded.shards["lm"]) > 1
    other = load_bundle(saved(tmp_path / "other", dict(reversed(tensors.items())), storage))
    for name in loaded.shards["lm"]:  # what goes into which shard does not depend on the order of the dict
        assert (loaded.path / name).read_bytes() == (other.path / name).read_bytes()
    for name in loaded.shards["lm"]:
        assert (loaded.path / name).stat().st_size <= bundle.SHARD_BYTES
    assert loaded.num_bytes == sum(file.stat().st_size for file in loaded.path.iterdir())
    back = loaded.tensors("lm")
    assert set(back) == set(tensors)
    for path, tensor in tensors.items():
        np.testing.assert_allclose(back[path], tensor, atol=0.0 if storage == "float32" else np.abs(tensor).max() / 254)


def test_saving_twice_gives_the_same_bytes_and_leaves_no_old_shards(tmp_path, tensors):
    first, second = saved(tmp_path / "a", tensors, "int8"), tmp_path / "b"
    saved(second, {**tensors, "more": np.ones(3)}, "float32")
    save_bundle(second, parts={"old": ({}, tensors)}, record={})
    saved(second, dict(reversed(tensors.items())), "int8")
    assert {f.name: f.read_bytes() for f in first.iterdir()} == {f.name: f.read_bytes() for f in second.iterdir()}


@pytest.mark.parametrize(
    ("tensor", "storage", "message"),
    [
        (np.array([1.0, np.nan]), "float32", "NaN"),
        (np.full((64, 64), 1e6), "float16", "65504"),
        (np.ones((64, 64)), "int4", "unknown storage"),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path, tensor, storage, message):
    with pytest.raises(ValueError, match=message):
        saved(tmp_path, {"kernel": tensor}, storage)
    assert not list(tmp_path.iterdir())


def test_reserved_names_and_unknown_parts_are_refused(tmp_path, tensors):
    with pytest.raises(ValueError, match="reserved"):
        saved(tmp_path, {"kernel:scale": np.ones(2)})
    with pytest.raises(ValueError, match="no part 'codec'; it has lm"):
        load_bundle(saved(tmp_path, tensors)).tensors("codec")


def test_the_record_can_be_extended(tmp_path, tensors):
    path = saved(tmp_path, tensors, bpm=125.0)
    update_record(path, mel_db=2.5)
    assert load_bundle(path).record == {"bpm": 125.0, "mel_db": 2.5}


def truncate(path):
    shard = path / "lm-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-10])


def flip_a_bit(path):
    shard = path / "lm-00000.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))


def rewrite_index(path, **changes):
    index = json.loads((path / "bundle.json").read_text())
    index.pop("checksum")
    (path / "bundle.json").write_text(bundle._index_text({**index, **changes}))


def edit_a_setting(path):
    text = (path / "bundle.json").read_text()
    (path / "bundle.json").write_text(text.replace('"dim": 96', '"dim": 97'))


DAMAGE = {
    "truncated shard": (truncate, "bytes instead of"),
    "tampered shard": (flip_a_bit, "sha256 differs"),
    "missing shard": (lambda path: (path / "lm-00000.safetensors").unlink(), "missing"),
    "missing index": (lambda path: (path / "bundle.json").unlink(), "no model bundle here"),
    "truncated index": (lambda path: (path / "bundle.json").write_text('{"format"'), "not readable as JSON"),
    "another file": (lambda path: (path / "bundle.json").write_text("[]"), "is not a magenta_rt_py bundle"),
    "edited setting": (edit_a_setting, "changed after it was written"),
    "later version": (lambda path: rewrite_index(path, format_version=2), "format version is 2"),
    "no parts": (lambda path: rewrite_index(path, parts=None), "not a complete bundle index"),
    "way out": (
        lambda path: rewrite_index(
            path, parts={"lm": {"config": {}, "shards": ["../x"]}}, shards={"../x": {"bytes": 1, "sha256": ""}}
        ),
        "not a plain file name",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_bundle_is_refused_in_one_line(tmp_path, tensors, name):
    damage, message = DAMAGE[name]
    path = saved(tmp_path, tensors)
    load_bundle(path)
    damage(path)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)
