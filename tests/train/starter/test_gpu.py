"""What the first command gives out is what the second one needs, in few and small files."""

import json

import numpy as np
import pytest

from magenta_rt_py.generators.system import load_codec, load_style
from magenta_rt_py.generators.tiny import save_tiny_bundle
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.train.data import load_dataset
from magenta_rt_py.train.starter import gpu, stages
from magenta_rt_py.train.starter.kept import load_tensors, save_tensors
from magenta_rt_py.train.starter.recipe import smoke
from magenta_rt_py.train.starter.record import AMOUNTS_FILE, amounts, losses, minutes_by_stage
from magenta_rt_py.train.starter.tokens import token_path

RECIPE = smoke()
PIECES = RECIPE.pieces_per_shard


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    bundle = save_tiny_bundle(tmp_path_factory.mktemp("bundle"))
    return load_codec(bundle), load_style(bundle)


@pytest.fixture
def prepared(tmp_path, models, monkeypatch):
    """A work directory as the first command leaves it: two trained parts, three token shards, records."""
    codec, style = models
    monkeypatch.setattr(stages, "sizes", lambda recipe: (codec.config, style.config, lm_config.tiny()))
    save_tensors(tmp_path, "codec", codec.to_tensors(), 1.0)
    save_tensors(tmp_path, "style", style.to_tensors(with_tokenizer=False), 1.0)
    (tmp_path / "style" / "tokenizer.model").write_bytes(style.tokenizer.model_bytes)
    (tmp_path / "codec" / "metrics.jsonl").write_text(json.dumps({"step": 7, "mel": 0.5}) + "\n")
    (tmp_path / "times").mkdir()
    (tmp_path / "times" / "codec.json").write_text(json.dumps({"wall_seconds": 60.0, "processor_seconds": 90.0}))
    (tmp_path / AMOUNTS_FILE).write_text(json.dumps({"hours": 1.5}))
    random = np.random.default_rng(0)
    (tmp_path / "tokens").mkdir()
    for index in range(3):
        codes = random.integers(0, 1024, (PIECES, 8, 6))
        sections = np.full((PIECES, 2 if index == 1 else 1), -1)
        sections[:, 0] = 0
        np.savez(
            token_path(tmp_path, index),
            codes=random.integers(0, 1024, (PIECES, 500, 16)).astype(np.int16),
            frames_per_beat=np.full(PIECES, 12),
            style_audio=np.zeros((PIECES, 10, style.config.dim), np.float32),
            style_text=style.dequantize(codes),
            style_audio_codes=random.integers(0, 1024, (PIECES, 10, 6)).astype(np.int16),
            style_text_codes=codes.astype(np.int16),
            genre=np.arange(PIECES),
            section_frames=sections,
            caption_sections=np.zeros((PIECES, 8), np.int8),
        )
    return tmp_path


def test_the_second_command_finds_all_that_the_first_made(prepared, tmp_path_factory, models):
    out, there = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("there")
    gpu.give_out(RECIPE, prepared, out)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) <= gpu.MOST_FILES and max(path.stat().st_size for path in files) <= gpu.FILE_BYTES
    gpu.take_in(out, there)
    train, held_out = stages.token_shards(RECIPE, there)
    assert len(train) == len(held_out) == 1
    before = load_dataset([token_path(prepared, index) for index in range(2)])
    after = load_dataset(train)
    levels = lm_config.tiny().num_levels
    np.testing.assert_array_equal(after.codes.values, before.codes.values[:, :levels])
    np.testing.assert_array_equal(after.text_codes.values, before.text_codes.values)
    np.testing.assert_allclose(after.text_embeddings.values, before.text_embeddings.values, atol=0.2)
    assert after.sections.counts.tolist() == [1] * 2 * PIECES
    np.testing.assert_array_equal(load_dataset(held_out).genre, np.arange(PIECES))
    style = stages.load_style(RECIPE, there)
    assert np.corrcoef(style.embed_text(["driving techno"])[0], models[1].embed_text(["driving techno"])[0])[0, 1] > 0.95
    assert load_tensors(there, "codec").keys() == load_tensors(prepared, "codec").keys()
    assert amounts(RECIPE, there) == {"hours": 1.5} and losses(there, "codec")["mel"] == 0.5
    assert minutes_by_stage(there) == {"codec": {"wall": 1.0, "processor": 1.5}}


def test_too_much_to_give_out_is_refused(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "FILE_BYTES", 1000)
    with pytest.raises(ValueError, match="render fewer pieces"):
        gpu.give_out(RECIPE, prepared, tmp_path / "out")


def test_there_are_two_commands(tmp_path):
    with pytest.raises(ValueError, match="got step 3"):
        gpu.run(RECIPE, tmp_path, step=3, into=None, out=None, workers=1)
