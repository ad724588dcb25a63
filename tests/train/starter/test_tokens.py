"""From the studio to token shards, with tiny models: what the trained models will read is what the live ones compute."""

import json

import numpy as np
import pytest

from magenta_rt_py.generators.system import load_codec, load_style
from magenta_rt_py.generators.tiny import save_tiny_bundle
from magenta_rt_py.train import studio
from magenta_rt_py.train.augmentation import is_changed
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.starter import render, tokens
from magenta_rt_py.train.starter.kept import load_tensors
from magenta_rt_py.train.starter.recipe import StarterRecipe

RECIPE = StarterRecipe(num_pieces=3, pieces_per_shard=2, piece_seconds=4.0, codec_shards=1, held_out_pieces=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    bundle = save_tiny_bundle(tmp_path_factory.mktemp("bundle"))
    return load_codec(bundle), load_style(bundle)


@pytest.fixture(scope="module")
def directory(tmp_path_factory, models):
    codec, style = models
    directory = tmp_path_factory.mktemp("starter")
    render.render_shard(directory, 0, RECIPE, codec.config, style.config)
    return directory


def test_a_shard_holds_its_pieces_and_labels(directory, models):
    shard = render.load_shard(directory, 0)
    assert shard.log_energies.shape[:4] == (2, 100, 4, 2)
    assert shard.log_mels.shape[:2] == (2, 2)
    assert [label["genre"] for label in shard.labels] == list(studio.STARTER_GENRES[:2])
    assert json.dumps(shard.labels)
    changed = [number for number in range(2) if is_changed(RECIPE.first_seed + number)]
    assert shard.recorded_energies.shape == (len(changed), *shard.log_energies.shape[1:])


def test_the_last_shard_is_smaller_and_a_finished_one_is_left_alone(directory, models, monkeypatch):
    codec, style = models
    render.render_shard(directory, 1, RECIPE, codec.config, style.config)
    assert len(render.load_shard(directory, 1).labels) == 1
    monkeypatch.setattr(studio, "draw_piece", None)  # would fail if it were called
    assert not render.render_shard(directory, 1, RECIPE, codec.config, style.config)
    assert RECIPE.num_shards == 2


def test_tokens_are_what_codec_and_style_say_of_the_piece(directory, models):
    codec, style = models
    encode = tokens.load_codec(codec.config, codec.to_tensors())
    tokens.write_codes(directory, 0, encode)
    tokens.write_tokens(directory, 0, style, captions=2)
    dataset = load_dataset([tokens.token_path(directory, 0)])
    piece = studio.draw_piece(RECIPE.first_seed + 1, genre=studio.STARTER_GENRES[1], seconds=RECIPE.piece_seconds)
    stored = dataset.codes.values[100:200]
    # Features are stored in half precision and padded at the end of a piece: a few codes may differ, most may not.
    live = codec.encode(piece.samples[None])[0]
    assert np.mean(stored[:-1, 0] == live[:-1, 0]) > 0.95
    assert dataset.frames_per_beat[1] == piece.label.frames_per_beat
    text = style.quantize(style.embed_text(list(piece.label.captions[:2])))
    np.testing.assert_array_equal(dataset.text_codes.take(np.array([1, 1]), np.array([0, 1])), text)


def test_a_stage_that_was_not_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="'codec'"):
        load_tensors(tmp_path, "codec")


def test_a_piece_that_changes_its_style_says_where(tmp_path, models):
    codec, style = models
    frames, windows = 500, 10
    (tmp_path / "codes").mkdir()
    np.save(tokens.codes_path(tmp_path, 0), np.zeros((2, frames, 16), np.int16))
    final = render.shard_path(tmp_path, 0)
    final.mkdir(parents=True)
    for name in ("log_energies", "recorded_energies"):
        np.save(final / f"{name}.npy", np.zeros((2, 1), np.float16))
    mels = np.random.default_rng(0).normal(size=(2, windows, style.config.stft_frames, style.config.mel_bands))
    np.save(final / "log_mels.npy", mels.astype(np.float16))
    one = {"first_beat": 0, "genre": "techno", "captions": ["a", "b", "c"], "instruments": []}
    label = {"frames_per_beat": 12, "genre": "techno", "sections": [one]}
    both = {**label, "sections": [one, {**one, "first_beat": 20, "captions": ["d", "e"]}]}
    (final / "labels.json").write_text(json.dumps([label, both]))
    tokens.write_tokens(tmp_path, 0, style, captions=4)
    dataset = load_dataset([tokens.token_path(tmp_path, 0)])
    assert dataset.sections.row(0).tolist() == [0] and dataset.sections.row(1).tolist() == [0, 240]
    assert dataset.caption_sections.row(0).tolist() == [0] * 4 and dataset.caption_sections.row(1).tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(dataset.text_embeddings.row(1)[2], style.embed_text(["d"])[0], rtol=1e-4, atol=1e-4)
