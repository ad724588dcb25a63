"""Equal data, equal hash."""

import numpy as np

from magenta_rt_py.train.runs.data_hash import hash_arrays, hash_files


def test_files_are_named_by_content_and_not_by_order_or_folder(tmp_path):
    for folder, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shard-0.npz").write_text(text)
        (tmp_path / folder / "shard-1.npz").write_text("rest")
    shards = {name: sorted((tmp_path / name).iterdir()) for name in "abc"}
    assert hash_files(shards["a"]) == hash_files(str(path) for path in reversed(shards["b"]))
    assert hash_files(shards["a"]) != hash_files(shards["c"])


def test_arrays_are_named_by_shape_type_ends_and_texts():
    array = np.arange(1000, dtype=np.float32).reshape(500, 2)
    first = hash_arrays([array], ["a caption"])
    assert len(first) == 64 and first == hash_arrays([array.copy()], ["a caption"])
    changed = array.copy()
    changed[-1, 0] += 1
    others = [hash_arrays([array], ["another"])]
    others += [hash_arrays(arrays, ["a caption"])
               for arrays in ([changed], [array[:-1]], [array.astype(np.float64)], [array, array])]  # fmt: skip
    assert first not in others and len(set(others)) == len(others)


def test_memory_maps_are_not_read_whole(tmp_path):
    path = tmp_path / "long.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1_000_000, 2))
    mapped = np.load(path, mmap_mode="r")
    assert hash_arrays([mapped]) == hash_arrays([np.zeros((1_000_000, 2), np.float32)])
