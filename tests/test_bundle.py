"""Bundles: what goes in comes out within the bounds of its storage, and anything damaged is refused by name."""

import json
import os
import shutil
import tracemalloc

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


@pytest.fixture
def programs(tmp_path_factory):
    """Files of another program, one in a folder below."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "variables").mkdir()
    (folder / "saved.pb").write_bytes(b"graph" * 1000)
    (folder / "variables" / "data").write_bytes(bytes(range(256)))
    (folder / ".hidden").write_bytes(b"not carried")
    return folder


def saved_with_assets(directory, tensors, programs):
    assets = {"style/towers": programs, "lm/words.model": programs / "saved.pb"}
    return save_bundle(directory, parts={"lm": ({}, tensors)}, record={}, assets=assets)


def files_of(directory):
    return {file.relative_to(directory).as_posix(): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_assets_are_carried_unchanged(tmp_path, tensors, programs):
    loaded = load_bundle(saved_with_assets(tmp_path / "a", tensors, programs))
    assert loaded.assets == ("lm/words.model", "style/towers/saved.pb", "style/towers/variables/data")
    assert loaded.asset_path("style/towers/saved.pb").read_bytes() == b"graph" * 1000
    assert loaded.asset_path("style/towers") == tmp_path / "a" / "style" / "towers"
    assert (loaded.asset_path("style/towers/") / "variables" / "data").read_bytes() == bytes(range(256))
    assert loaded.num_bytes == sum(map(len, files_of(tmp_path / "a").values()))
    for name in ("style/tower", "style/towers/.hidden", "nothing"):
        with pytest.raises(ValueError, match=f"no asset '{name}'; it has lm/words.model"):
            loaded.asset_path(name)
    update_record(tmp_path / "a", mel_db=1.0)
    assert load_bundle(tmp_path / "a").assets == loaded.assets
    saved(tmp_path / "a", tensors)  # without assets: the old ones go, with their folders
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["bundle.json", "lm-00000.safetensors"]


WAYS_OUT = ("../out/x", "/etc/x", "style/../../x", "x", "style//x", "style/./x", "style\\..\\x", "c:/x", "")


@pytest.mark.parametrize("name", WAYS_OUT)
def test_asset_names_that_lead_out_are_refused(tmp_path, tensors, programs, name):
    with pytest.raises(ValueError, match="asset name"):
        save_bundle(tmp_path / "a", parts={}, record={}, assets={name: programs / "saved.pb"})
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        save_bundle(tmp_path / "a", parts={}, record={}, assets={"style/x": programs / "nothing"})
    assert not list(tmp_path.iterdir())
    path = saved(tmp_path / "b", tensors)
    rewrite_index(path, assets={name: {"bytes": 1, "sha256": ""}})
    with pytest.raises(BundleError, match="leads out of the bundle"):
        load_bundle(path)


def longer(path):
    with (path / "style" / "towers" / "saved.pb").open("ab") as file:
        file.write(b"!")


ASSET_DAMAGE = {
    "cut": (lambda path: (path / "style/towers/saved.pb").write_bytes(b"graph"), "bytes instead of"),
    "longer": (longer, "bytes instead of"),
    "changed": (lambda path: (path / "style/towers/saved.pb").write_bytes(b"Graph" * 1000), "sha256 differs"),
    "missing": (lambda path: (path / "style/towers/variables/data").unlink(), "missing"),
    "stranger": (lambda path: (path / "style/towers/variables/more").write_bytes(b""), "not of the bundle; remove it"),
}


@pytest.mark.parametrize("name", ASSET_DAMAGE)
def test_damaged_assets_are_refused(tmp_path, tensors, programs, name):
    damage, message = ASSET_DAMAGE[name]
    path = saved_with_assets(tmp_path / "a", tensors, programs)
    load_bundle(path)
    damage(path)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)


def test_tensors_may_be_given_when_it_is_their_turn(tmp_path, tensors):
    asked = []
    lazy = {path: (lambda path=path: asked.append(path) or tensors[path]) for path in reversed(tensors)}
    assert files_of(saved(tmp_path / "a", lazy)) == files_of(saved(tmp_path / "b", tensors))
    assert asked == sorted(tensors)


def test_a_large_bundle_is_written_and_checked_shard_by_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "SHARD_BYTES", bundle.SHARD_HEADER_BYTES + 2**20)
    make = lambda: np.ones((512, 512), np.float32)  # noqa: E731  a shard each
    many = {f"layer_{number:02}/kernel": make for number in range(40)}
    tracemalloc.start()
    try:
        path = saved(tmp_path / "a", many)
        load_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20  # all of it would be 40 of these
    finally:
        tracemalloc.stop()
    assert len(load_bundle(path).shards["lm"]) == 40


def test_parts_are_taken_over_from_another_bundle_as_they_are_stored(tmp_path, tensors, programs):
    first = load_bundle(saved_with_assets(tmp_path / "a", tensors, programs))
    parts = {"codec": ({"a": 1}, {"kernel": np.ones((70, 70))})}
    save_bundle(tmp_path / "b", parts=parts, record={"name": "b"}, storage={"codec": "int8"}, base=first)
    both = files_of(tmp_path / "b")
    assert {name: both[name] for name in files_of(tmp_path / "a") if name != "bundle.json"}.items() <= both.items()
    save_bundle(tmp_path / "a", parts=parts, record={"name": "b"}, storage={"codec": "int8"}, base=first)  # in its place
    assert files_of(tmp_path / "a") == both
    replaced = {"lm": ({}, {"kernel": np.zeros(3)})}
    save_bundle(tmp_path / "a", parts=replaced, record={}, base=load_bundle(tmp_path / "a"))
    loaded = load_bundle(tmp_path / "a")
    assert loaded.configs == {"codec": {"a": 1}, "lm": {}}
    assert loaded.assets == ("style/towers/saved.pb", "style/towers/variables/data")  # lm's own went with it
    assert (tmp_path / "a" / "codec-00000.safetensors").read_bytes() == both["codec-00000.safetensors"]


def test_a_bundle_that_fails_leaves_what_was_there(tmp_path, tensors, programs):
    saved_with_assets(tmp_path / "a", tensors, programs)
    before = files_of(tmp_path / "a")
    for change in ({"x": np.array([1.0]), "y": np.array([np.nan])}, {"x": lambda: 1 / 0}):
        with pytest.raises((ValueError, ZeroDivisionError)):
            saved(tmp_path / "a", change)
        with pytest.raises((ValueError, ZeroDivisionError)):
            saved(tmp_path / "new", change)
    assert files_of(tmp_path / "a") == before
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="give another folder"):
        saved(tmp_path / "file", tensors)


def test_a_leftover_of_a_killed_program_is_no_hindrance(tmp_path, tensors):
    leftover = tmp_path / f".a.{os.getpid()}.part"
    shutil.copytree(saved(tmp_path / "b", tensors), leftover)
    saved(tmp_path / "a", tensors)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") and not leftover.exists()


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
