"""MusicCoCa's released files into a bundle: the same model comes out of it, its programs carried unchanged."""

import dataclasses
import shutil

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.errors import BundleError, CheckpointError
from magenta_rt_py.generators.tiny import random_style_tensors, tiny_style
from magenta_rt_py.released.convert import convert
from magenta_rt_py.released.style_files import find_style
from magenta_rt_py.style import musiccoca_config, musiccoca_savedmodel, musiccoca_tflite, style_from_tensors
from magenta_rt_py.style.musiccoca_quantizer import variables_from_code_vectors
from tests.released import checkpoints, saved_models

SIZES = dataclasses.replace(musiccoca_config.released_v1(), dim=12, codebook_size=8)
TOWERS, QUANTIZER = "musiccoca_mv212f_cpu_novocab", "musiccoca_mv212_quant"


@pytest.fixture(autouse=True)
def small_release(monkeypatch):
    """What counts as the released geometry here: twelve numbers an embedding."""
    monkeypatch.setattr(musiccoca_savedmodel, "released_v1", lambda towers: SIZES)


@pytest.fixture(scope="module")
def code_vectors():
    sizes = 0.8 ** np.arange(12)[:, None, None]
    return (sizes * np.random.default_rng(3).normal(size=(12, 8, 12))).astype(np.float32)


@pytest.fixture(scope="module")
def release(tmp_path_factory, code_vectors):
    """The first release's folders."""
    vocabulary = random_style_tensors(tiny_style(), np.random.default_rng(0))["tokenizer/model"].tobytes()
    tables = variables_from_code_vectors(code_vectors)
    return saved_models.save_style(tmp_path_factory.mktemp("release"), tables, vocabulary, dim=12)


@pytest.fixture
def assets(tmp_path, release):
    """A copy that a test may spoil, as `mrtpy fetch` leaves it."""
    return shutil.copytree(release, tmp_path / "assets")


def load_style(path):
    bundle = load_bundle(path)
    towers = {"style/towers": bundle.asset_path("style/towers")}
    return style_from_tensors(bundle.configs["style"], bundle.tensors("style"), towers)


def test_the_first_release(tmp_path, assets, code_vectors):
    made = convert(tmp_path / "a", [assets])
    assert made.added == ("style",)
    assert made.bundle.configs["style"]["kind"] == "musiccoca" and made.bundle.configs["style"]["towers"] == "savedmodel"
    towers = assets / "savedmodels" / TOWERS
    carried = made.bundle.asset_path("style/towers")
    for file in (file for file in towers.rglob("*") if file.is_file()):
        assert (carried / file.relative_to(towers)).read_bytes() == file.read_bytes()
    shutil.rmtree(assets)  # nothing of the sources is needed any more
    style = load_style(tmp_path / "a")
    np.testing.assert_array_equal(style.code_vectors, code_vectors)
    embedding = style.embed_text(["techno"])
    assert embedding.shape == (1, 12) and np.isfinite(embedding).all()
    samples = np.full(160_000, 0.25, np.float32)
    np.testing.assert_allclose(style.embed_audio(samples), 0.25 + np.linspace(-1, 1, 12), atol=1e-6)


def test_places_may_be_named_one_by_one(tmp_path, assets):
    convert(tmp_path / "a", [assets], name="x")
    models = assets / "savedmodels"
    vocabulary = assets / "vocabularies" / "musiccoca_mv212f_vocab.model"
    moved = shutil.copytree(models / TOWERS, tmp_path / "elsewhere" / "musiccoca")
    for name, places in {
        "b": [models / TOWERS],  # the rest lies where the release has it
        "c": [vocabulary, models / QUANTIZER, models / TOWERS],
        "d": [moved, models / QUANTIZER, vocabulary],
    }.items():
        convert(tmp_path / name, style=places, name="x")
        assert (tmp_path / name / "bundle.json").read_text() == (tmp_path / "a" / "bundle.json").read_text()


def test_style_joins_a_language_model(tmp_path, assets, lm_tensors):
    source = checkpoints.write_by_hand(tmp_path / "checkpoint_1", lm_tensors)
    convert(tmp_path / "a", [source])
    made = convert(tmp_path / "a", style=[assets / "savedmodels"])
    assert sorted(made.bundle.configs) == ["lm", "style"]
    before = {name: (tmp_path / "a" / name).read_bytes() for name in made.bundle.assets}
    made = convert(tmp_path / "a", [source], replace=True)  # the assets of another part stay
    assert {name: (tmp_path / "a" / name).read_bytes() for name in made.bundle.assets} == before
    copied = convert(tmp_path / "b", [tmp_path / "a"])
    assert copied.bundle.fingerprint == made.bundle.fingerprint


def test_what_is_missing_is_named(tmp_path, assets):
    models = assets / "savedmodels"
    shutil.rmtree(assets / "vocabularies")
    with pytest.raises(CheckpointError, match="no SentencePiece file.*--style"):
        convert(tmp_path / "out", style=[models])
    shutil.rmtree(models / QUANTIZER)
    with pytest.raises(CheckpointError, match="no quantizer"):
        convert(tmp_path / "out", style=[models])
    assert find_style([tmp_path / "assets"]) is None
    assert not (tmp_path / "out").exists()


def test_damaged_files_are_refused(tmp_path, assets):
    tables = next((assets / "savedmodels" / QUANTIZER / "variables").glob("variables.data*"))
    tables.write_bytes(tables.read_bytes()[:100])
    with pytest.raises(BundleError, match=QUANTIZER):
        convert(tmp_path / "out", [assets])
    assert not (tmp_path / "out").exists()


def test_the_second_release_is_carried_as_a_folder(tmp_path, monkeypatch, code_vectors):
    """How its programs are read is tests/style's; here it counts what becomes of them."""
    folder = tmp_path / "resources" / "musiccoca"
    folder.mkdir(parents=True)
    for name in (musiccoca_tflite.TEXT, musiccoca_tflite.MUSIC, musiccoca_tflite.VOCABULARY, ".DS_Store"):
        (folder / name).write_bytes(name.encode())

    class Model:
        def to_parts(self):
            fields = {"kind": "musiccoca", "towers": "tflite"}
            return fields, {"quantizer/code_vectors": code_vectors}, {"style/towers": folder}

    monkeypatch.setattr(musiccoca_tflite, "load_tflite", lambda place, config: Model() if place == folder else None)
    made = convert(tmp_path / "a", [tmp_path])
    assert made.bundle.configs["style"]["towers"] == "tflite"
    assert made.bundle.assets == tuple(
        f"style/towers/{name}" for name in sorted([musiccoca_tflite.TEXT, musiccoca_tflite.MUSIC, "spm.model"])
    )
