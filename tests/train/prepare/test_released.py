"""The released finetune's features: out and in again, and files that do not fit."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.prepare import open_prepared, released, run
from magenta_rt_py.train.prepare.released import export_features, import_features
from magenta_rt_py.train.prepare.run import prepare_folder
from magenta_rt_py.train.prepare.tfrecord import read_records, write_records


@pytest.fixture
def once(monkeypatch, encoders):
    """The bundle's encoders are loaded once for all tests."""
    for module in (run, released):
        monkeypatch.setattr(module, "load_encoders", lambda _: encoders)


def clip(encoders, frames=500, windows=2, seed=0):
    random = np.random.default_rng(seed)
    style = encoders.style.config
    return {
        "acoustic_tokens": random.integers(0, 1024, (frames, encoders.codec.num_levels)).astype(np.int32),
        "style_tokens": random.integers(0, style.codebook_size, (windows, style.num_levels)).astype(np.int32),
        "style_embeddings": random.normal(size=(windows, style.dim)).astype(np.float32),
    }


def write(path, examples):
    with path.open("wb") as file:
        write_records(file, examples)
    return path


def test_exported_features_are_the_pieces(tmp_path, folder, bundle, config, once):
    long = dataclasses.replace(config, shard_minutes=10.0)
    index = prepare_folder(folder, tmp_path / "out", bundle, config=long)
    path = export_features(tmp_path / "out", index)
    assert path.name == "out_examples.recordio" and not list((tmp_path / "out").glob("*.tmp"))
    prepared = open_prepared(tmp_path / "out", bundle)
    dataset = load_dataset([prepared.directory / shard.name for shard in index.shards])
    records = list(read_records(path))
    assert len(records) == dataset.pieces == 6
    for piece, record in enumerate(records):
        np.testing.assert_array_equal(record["acoustic_tokens"], dataset.codes.row(piece))
        np.testing.assert_array_equal(record["style_tokens"], dataset.audio_codes.row(piece)[:1])
        assert record["style_embeddings"].dtype == np.float32


def test_imported_features_are_read_by_training(tmp_path, bundle, encoders, once):
    examples = [clip(encoders, seed=seed) for seed in range(35)] + [clip(encoders, frames=750, windows=3, seed=99)]
    index = import_features(write(tmp_path / "a.recordio", examples), tmp_path / "out", bundle)
    assert sum(shard.pieces for shard in index.shards) == 36
    fewer = import_features(write(tmp_path / "b.recordio", examples[:5]), tmp_path / "out", bundle)
    assert [path.name for path in (tmp_path / "out" / "shards").iterdir()] == [Path(fewer.shards[0].name).name]
    import_features(tmp_path / "a.recordio", tmp_path / "out", bundle)
    prepared = open_prepared(tmp_path / "out", bundle)
    training, held_out = load_dataset(prepared.shard_paths), load_dataset(prepared.held_out_paths)
    assert (training.pieces, held_out.pieces) == (33, 3)
    both = {tuple(data.codes.row(piece)[:5, 0]) for data in (training, held_out) for piece in range(data.pieces)}
    assert both == {tuple(example["acoustic_tokens"][:5, 0]) for example in examples}
    last = held_out.pieces - 1
    np.testing.assert_array_equal(held_out.codes.row(last), examples[-1]["acoustic_tokens"])
    # Ours begin every 2 s: 0, 2, 4 s are nearest to the first window, 6 .. 14 s to the second.
    rows = examples[-1]["style_tokens"][[0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]]
    np.testing.assert_array_equal(held_out.audio_codes.row(last), rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acoustic_tokens": np.zeros((10, 3), np.int32)}, "3 levels"),
        ({"acoustic_tokens": np.full((10, 16), 1024, np.int32)}, "to 1024"),
        ({"style_embeddings": np.zeros((2, 5), np.float32)}, "style embeddings"),
        ({"style_tokens": np.zeros((0, 6), np.int32)}, "no style_tokens"),
    ],
)
def test_features_of_another_model_are_refused(tmp_path, bundle, encoders, once, change, message):
    path = write(tmp_path / "a.recordio", [clip(encoders) | change])
    with pytest.raises(PreparedDataError, match=message):
        import_features(path, tmp_path / "out", bundle)
    assert not (tmp_path / "out" / "index.json").exists()
