"""From the studio to token shards, with tiny models: what the trained models will read is what the live ones compute."""

import json

import numpy as np
import pytest

from magenta_rt_py.generators.system import load_codec, load_style
from magenta_rt_py.generators.tiny import save_tiny_bundle
from magenta_rt_py.train import studio
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.starter import render, tokens
from magenta_rt_py.train.starter.recipe import StarterRecipe

RECIPE = StarterRecipe(num_pieces=3, pieces_per_shard=2, piece_seconds=4.0)


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


def test_the_last_shard_is_smaller_and_a_finished_one_is_left_alone(directory, models, monkeypatch):
    codec, style = models
    render.render_shard(directory, 1, RECIPE, codec.config, style.config)
    assert len(render.load_shard(directory, 1).labels) == 1
    monkeypatch.setattr(studio, "make_piece", None)  # would fail if it were called
    render.render_shard(directory, 1, RECIPE, codec.config, style.config)
    assert RECIPE.num_shards == 2


def test_tokens_are_what_codec_and_style_say_of_the_piece(directory, models):
    codec, style = models
    encode = tokens.load_codec(codec.config, codec.to_tensors())
    tokens.write_tokens(directory, 0, encode, style, captions=2)
    dataset = load_dataset([tokens.token_path(directory, 0)])
    piece = studio.make_piece(RECIPE.first_seed + 1, genre=studio.STARTER_GENRES[1], seconds=RECIPE.piece_seconds)
    stored = dataset.codes.values[100:200]
    # Features are stored in half precision and padded at the end of a piece: a few codes may differ, most may not.
    live = codec.encode(piece.samples[None])[0]
    assert np.mean(stored[:-1, 0] == live[:-1, 0]) > 0.95
    assert dataset.frames_per_beat[1] == piece.label.frames_per_beat
    text = style.quantize(style.embed_text(list(piece.label.captions[:2])))
    np.testing.assert_array_equal(dataset.text_codes.take(np.array([1, 1]), np.array([0, 1])), text)


def test_a_stage_that_was_not_run_is_named(tmp_path):
    from magenta_rt_py.train.starter import stages

    with pytest.raises(FileNotFoundError, match="'codec'"):
        stages.load_tensors(tmp_path, "codec")
