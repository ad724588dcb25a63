"""T5X checkpoints: what T5X wrote is read, what is written is read again, and what is damaged is refused by name."""

import itertools
import json
import sys
from pathlib import Path

import msgpack
import numpy as np
import pytest

from magenta_rt_py.errors import CheckpointError, MissingExtraError
from magenta_rt_py.released import t5x_form
from magenta_rt_py.released.t5x import open_checkpoint
from magenta_rt_py.released.t5x_form import TensorForm
from magenta_rt_py.released.t5x_write import write_checkpoint
from magenta_rt_py.released.tree import open_tree
from tests.released import checkpoints


def read_all(path: Path) -> dict[str, np.ndarray]:
    checkpoint = open_checkpoint(path)
    return {name: checkpoint.read(name) for name in checkpoint.forms}


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_what_t5x_wrote_is_read(t5x_fixture):
    """Empty where the released code's files are not at hand; the next tests have the same layout made by hand."""
    for fixture in filter(None, [t5x_fixture]):
        checkpoint = open_checkpoint(fixture.path)
        assert checkpoint.step == 1_860_000
        assert_same(read_all(fixture.path), fixture.parameters)
        assert_same(read_all(fixture.path.parent), fixture.parameters)  # one level of nesting


@pytest.mark.parametrize("most_per_axis", [3, 10**9])
def test_several_chunks_types_and_a_cloud_bucket(tmp_path, most_per_axis):
    tensors = checkpoints.some_tensors()
    checkpoints.write_by_hand(tmp_path / "c", tensors, most_per_axis=most_per_axis)
    assert_same(read_all(tmp_path / "c"), tensors)
    assert open_checkpoint(tmp_path / "c").step == 1_860_000


@pytest.mark.parametrize(
    ("inside", "mode", "ending"), list(itertools.product(["", "./", "llm_base/"], ["w", "w:gz"], [".tar"]))
)
def test_an_archive_is_read_without_unpacking(tmp_path, inside, mode, ending):
    tensors = checkpoints.some_tensors()
    folder = checkpoints.write_by_hand(tmp_path / "c", tensors, most_per_axis=4)
    archive = checkpoints.pack(folder, tmp_path / f"llm{ending}", inside=inside, mode=mode)
    before = sorted(tmp_path.iterdir())
    assert_same(read_all(archive), tensors)
    assert sorted(tmp_path.iterdir()) == before


def test_without_an_index_the_arrays_count(tmp_path):
    tensors = checkpoints.some_tensors()
    checkpoint = open_checkpoint(checkpoints.write_by_hand(tmp_path / "c", tensors, index=False))
    assert checkpoint.step is None
    assert_same({name: checkpoint.read(name) for name in checkpoint.forms}, tensors)


def test_an_array_may_lie_in_the_index(tmp_path):
    tensors = checkpoints.some_tensors()
    folder = checkpoints.write_by_hand(tmp_path / "c", tensors)
    tree = msgpack.unpackb((folder / "checkpoint").read_bytes())
    packed = msgpack.packb([[2], "float32", np.array([1, 2], np.float32).tobytes()])
    tree["optimizer"]["target"]["small"] = msgpack.ExtType(1, packed)
    (folder / "checkpoint").write_bytes(msgpack.packb(tree))
    assert_same(read_all(folder), tensors | {"small": np.array([1, 2], np.float32)})


@pytest.mark.parametrize("chunk_bytes", [64, t5x_form.CHUNK_BYTES])
def test_what_is_written_is_read_again(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(t5x_form, "CHUNK_BYTES", chunk_bytes)
    tensors = checkpoints.some_tensors()
    forms = {name: TensorForm(array.shape, str(array.dtype)) for name, array in tensors.items()}
    lazy = {name: (lambda array=array: array.astype(np.float32)) for name, array in tensors.items()}
    write_checkpoint(tmp_path / "c", lazy, forms, step=7)
    assert open_checkpoint(tmp_path / "c").step == 7
    assert_same(read_all(tmp_path / "c"), tensors)
    several = [name for name, form in open_checkpoint(tmp_path / "c").forms.items() if form.num_chunks > 1]
    assert bool(several) == (chunk_bytes == 64)


def test_what_is_written_has_the_layout_of_t5x(tmp_path, t5x_fixture):
    """The same index and the same array descriptions as T5X's own, but for the optimiser's slots."""
    tensors = {"a/kernel": np.ones((3, 4), np.float32)}
    folder = write_checkpoint(tmp_path / "c", tensors, {"a/kernel": TensorForm((3, 4), "float32")}, step=5)
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint", "target.a.kernel"]
    meta = json.loads((folder / "target.a.kernel" / ".zarray").read_text())
    index = msgpack.unpackb((folder / "checkpoint").read_bytes(), strict_map_key=False)
    spec = index["optimizer"]["target"]["a"]["kernel"]
    assert index["version"] == 3 and index["optimizer"]["state"].keys() == {"step", "param_states"}
    assert spec["kvstore"] == {"driver": "file", "path": "target.a.kernel/"}
    assert meta["compressor"] == spec["metadata"]["compressor"] == {"id": "gzip", "level": 1}
    for fixture in filter(None, [t5x_fixture]):
        theirs = msgpack.unpackb((fixture.path / "checkpoint").read_bytes(), strict_map_key=False)
        embedding = theirs["optimizer"]["target"]["token_embedder"]["embedding"]
        assert embedding.keys() == spec.keys() and embedding["metadata"].keys() == spec["metadata"].keys()
        assert theirs["optimizer"]["state"]["step"].code == index["optimizer"]["state"]["step"].code
        array = json.loads((fixture.path / "target.token_embedder.embedding" / ".zarray").read_text())
        assert array | {"shape": 0, "chunks": 0} == meta | {"shape": 0, "chunks": 0}


def test_chunks_divide_the_shape_and_stay_small():
    form = TensorForm((29_824, 1024), "float32").in_chunks
    assert 2**26 >= 4 * form.chunks[0] * form.chunks[1] > 2**24
    assert 29_824 % form.chunks[0] == 0 and form.chunks[1] == 1024
    assert TensorForm((), "float32").in_chunks.chunks == ()


@pytest.mark.parametrize(
    ("array", "dtype", "message"),
    [(np.ones((2, 2), np.float32), "float32", "shape"), (np.full(3, 1.001, np.float32), "bfloat16", "does not fit into")],
)
def test_what_would_be_lost_is_refused_and_nothing_stays(tmp_path, array, dtype, message):
    with pytest.raises(ValueError, match=f"'a'.*{message}"):
        write_checkpoint(tmp_path / "c", {"a": array}, {"a": TensorForm((3,), dtype)}, step=0)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_refused(tmp_path):
    with pytest.raises(FileExistsError):
        write_checkpoint(tmp_path, {"a": np.ones(1)}, {"a": TensorForm((1,), "float32")}, step=0)


def damage_chunk(folder):
    (folder / "target.a.kernel" / "0.0").write_bytes((folder / "target.a.kernel" / "0.0").read_bytes()[:-9])


def change(file, **entries):
    meta = json.loads(file.read_text())
    file.write_text(json.dumps(meta | entries))


def change_index(folder, change):
    tree = msgpack.unpackb((folder / "checkpoint").read_bytes())
    change(tree)
    (folder / "checkpoint").write_bytes(msgpack.packb(tree))


DAMAGE = {
    "truncated chunk": (damage_chunk, "'a/kernel' cannot be read"),
    "missing chunk": (lambda folder: (folder / "target.a.kernel/1.1").unlink(), "'a/kernel' lacks 1 of its chunks"),
    "missing folder": (lambda folder: (folder / "target.b.half").rename(folder / "x.half"), "'b/half' has no folder"),
    "surplus": (
        lambda folder: checkpoints.write_zarr(folder / "target.more", np.ones(2, np.float32), [2]),
        "'more' is not in the index",
    ),
    "renamed": (lambda folder: (folder / "target.b.half").rename(folder / "target.b.hall"), "'b/half'|'b/hall'"),
    "no .zarray": (lambda folder: (folder / "target.a.scale/.zarray").unlink(), "'a/scale' has no readable .zarray"),
    "wrong shape": (lambda folder: change(folder / "target.a.scale/.zarray", shape=[4]), "'a/scale' has shape"),
    "huge shape": (lambda folder: change(folder / "target.a.kernel/.zarray", shape=[10**9] * 2), "lacks most"),
    "integers": (lambda folder: change(folder / "target.a.scale/.zarray", dtype="<i4"), "'a/scale' has type '<i4'"),
    "zarr 3": (lambda folder: change(folder / "target.a.scale/.zarray", zarr_format=3), "version 2"),
    "cut index": (
        lambda folder: (folder / "checkpoint").write_bytes((folder / "checkpoint").read_bytes()[:-40]),
        "not a readable index",
    ),
    "no index": (lambda folder: (folder / "checkpoint").write_bytes(b"hello"), "not a readable index"),
    "old index": (lambda folder: change_index(folder, lambda tree: tree.update(version=2)), "version is 2"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_in_one_line(tmp_path, name):
    damage, message = DAMAGE[name]
    folder = checkpoints.write_by_hand(tmp_path / "c", checkpoints.some_tensors(), most_per_axis=5)
    read_all(folder)
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_all(folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_refused(tmp_path):
    folder = checkpoints.write_by_hand(tmp_path / "c", checkpoints.some_tensors())
    archive = checkpoints.pack(folder, tmp_path / "c.tar")
    archive.write_bytes(archive.read_bytes()[:-11_000])
    with pytest.raises(CheckpointError):
        read_all(archive)
    archive.write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match="no tar archive"):
        open_checkpoint(archive)


def test_a_file_that_shrinks_or_goes_while_it_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    tree = open_tree(tmp_path)
    (tmp_path / "a").write_bytes(b"123")
    with pytest.raises(CheckpointError, match="'a' has 3 bytes instead of 5"):
        tree.read("a")
    (tmp_path / "a").unlink()
    with pytest.raises(CheckpointError, match="'a' cannot be read"):
        tree.read("a")
    with pytest.raises(CheckpointError, match="has no file 'b'"):
        tree.read("b")


def test_what_is_no_checkpoint_or_several(tmp_path):
    with pytest.raises(CheckpointError, match="holds no T5X checkpoint"):
        open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        open_checkpoint(tmp_path / "nowhere")
    for step in (1, 2):
        checkpoints.write_by_hand(tmp_path / f"checkpoint_{step}", checkpoints.some_tensors())
    with pytest.raises(CheckpointError, match="give one of them: checkpoint_1, checkpoint_2"):
        open_checkpoint(tmp_path)


def test_tensorstore_is_named_where_it_is_missing(tmp_path, monkeypatch):
    folder = checkpoints.write_by_hand(tmp_path / "c", checkpoints.some_tensors())
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    checkpoint = open_checkpoint(folder)  # opening needs no package
    with pytest.raises(MissingExtraError, match="tensorstore"):
        checkpoint.read("a/kernel")
