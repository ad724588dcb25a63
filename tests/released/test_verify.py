"""Comparing with test vectors: what is right passes, one changed number is found."""

import dataclasses

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.codec import spectrostream_config
from magenta_rt_py.codec.spectrostream import SpectroStream
from magenta_rt_py.codec.spectrostream_network import tensor_shapes
from magenta_rt_py.errors import BundleError
from magenta_rt_py.generators import system
from magenta_rt_py.generators.tiny import random_tensors
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.released import testdata
from magenta_rt_py.released.verify import all_right, codec_rows, language_model_rows, style_rows, verify
from magenta_rt_py.style import musiccoca_config
from magenta_rt_py.style.musiccoca import MusicCoCa
from magenta_rt_py.style.musiccoca_network import network_shapes
from magenta_rt_py.style.musiccoca_towers import NativeTowers

TEXTS = ("lofi hip hop", "Heavy Metal", "a string quartet")


def write_codec_vectors(folder, codec, *, seconds=0.4):
    """What the released files hold, of any codec: channels before samples."""
    folder.mkdir(parents=True)
    sound = np.random.default_rng(1).normal(0, 0.1, (2, int(48_000 * seconds), 2)).astype(np.float32)
    codes = codec.encode(sound)
    np.save(folder / "audio.npy", sound.swapaxes(1, 2))
    np.save(folder / "tokens.npy", codes)
    np.save(folder / "audio_rt.npy", codec.decode(codes).swapaxes(1, 2))


def write_style_vectors(folder, style):
    """The same for a style model."""
    folder.mkdir(parents=True)
    sound = np.random.default_rng(2).normal(0, 0.1, (2, 16_000)).astype(np.float32)
    embeddings = style.embed_text(list(TEXTS))
    (folder / "inputs.txt").write_text("\n".join(TEXTS) + "\n")
    np.save(folder / "embeddings.npy", embeddings)
    np.save(folder / "tokens.npy", style.quantize(embeddings))
    np.save(folder / "audio.npy", sound)
    np.save(folder / "embeddings_audio.npy", np.stack([style.embed_audio(samples) for samples in sound]))


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture
def vectors(bundle, tmp_path):
    """A folder of test vectors that the tiny bundle itself made."""
    write_codec_vectors(tmp_path / "testdata" / testdata.CODEC_FOLDER, system.load_codec(bundle))
    write_style_vectors(tmp_path / "testdata" / testdata.STYLE_FOLDER, system.load_style(bundle))
    return tmp_path


def row_of(rows, check):
    return next(row for row in rows if row.check == check)


def change(path, edit):
    """Edits one array file in place."""
    array = np.load(path)
    edit(array)
    np.save(path, array)


def test_a_bundle_that_made_the_vectors_is_right(bundle, vectors):
    rows = verify(bundle, vectors)
    assert all_right(rows)
    assert [row.check for row in rows if row.ok] == [
        "files",
        "codes of the test sounds",
        "sound of the test codes",
        "embeddings of the test texts",
        "style codes",
        "embeddings of the test sounds",
    ]
    assert row_of(rows, "codes of the test sounds").measured == "320 of 320"
    assert verify(bundle, vectors / "testdata") == rows


def test_one_changed_code_is_found(bundle, vectors):
    def edit(codes):
        codes[1, 4, 7] ^= 1

    change(vectors / "testdata" / testdata.CODEC_FOLDER / "tokens.npy", edit)
    rows = verify(bundle, vectors)
    row = row_of(rows, "codes of the test sounds")
    assert not all_right(rows)
    assert row.ok is False
    assert row.measured == "319 of 320"
    assert row.note.startswith("first at clip 1, frame 4, level 7: ")


def test_a_perturbed_sound_is_found(bundle, vectors):
    def edit(sound):
        sound[0, 1, 5000] += 2e-4

    change(vectors / "testdata" / testdata.CODEC_FOLDER / "audio_rt.npy", edit)
    row = row_of(verify(bundle, vectors), "sound of the test codes")
    assert row.ok is False
    assert float(row.measured) == pytest.approx(2e-4, rel=0.1)


@pytest.mark.parametrize(
    ("name", "check"),
    [("embeddings.npy", "embeddings of the test texts"), ("embeddings_audio.npy", "embeddings of the test sounds")],
)
def test_a_perturbed_embedding_is_found(bundle, vectors, name, check):
    def edit(embeddings):
        embeddings[1, 3] += 3e-5

    change(vectors / "testdata" / testdata.STYLE_FOLDER / name, edit)
    assert row_of(verify(bundle, vectors), check).ok is False


def test_levels_in_the_wrong_order_are_found(bundle, vectors):
    def edit(codes):
        codes[:] = codes[:, ::-1]

    change(vectors / "testdata" / testdata.STYLE_FOLDER / "tokens.npy", edit)
    assert row_of(verify(bundle, vectors), "style codes").ok is False


def test_another_number_of_levels_or_samples_is_a_difference(bundle, vectors):
    folder = vectors / "testdata" / testdata.CODEC_FOLDER
    np.save(folder / "audio_rt.npy", np.load(folder / "audio_rt.npy")[:, :, 10:])
    row = row_of(verify(bundle, vectors), "sound of the test codes")
    assert (row.ok, row.wanted, row.measured) == (False, "(2, 19190, 2)", "(2, 19200, 2)")


def test_without_vectors_nothing_is_compared_and_the_reason_is_given(bundle, tmp_path):
    rows = verify(bundle, None, without_vectors="no network")
    assert all_right(rows)
    assert {row.note for row in rows if row.part in ("codec", "style")} == {"no network"}
    assert not [row for row in rows if row.ok is None and not row.note]
    rows = verify(bundle, tmp_path)
    assert str(tmp_path) in row_of(rows, "style codes").note


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokens.npy", np.zeros((2, 10, 16), np.float32)),
        ("tokens.npy", np.zeros((2, 10), np.int32)),
        ("tokens.npy", np.zeros((3, 10, 16), np.int32)),
        ("audio_rt.npy", np.zeros((2, 3, 5), np.float32)),
        ("audio_rt.npy", b"not an array"),
        ("audio_rt.npy", None),
    ],
)
def test_damaged_vectors_are_refused(bundle, vectors, name, content):
    path = vectors / "testdata" / testdata.CODEC_FOLDER / name
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(BundleError, match="fetch them again"):
        verify(bundle, vectors)


def test_a_spectrostream_with_its_own_vectors(tmp_path):
    config = spectrostream_config.tiny()
    tensors = random_tensors(tensor_shapes(config), np.random.default_rng(0))
    codec = SpectroStream.from_tensors(config, tensors)
    write_codec_vectors(tmp_path / "vectors", codec, seconds=0.2)
    rows = codec_rows(codec, testdata.read_codec(tmp_path / "vectors"))
    assert all(row.ok for row in rows)


def test_a_musiccoca_with_its_own_vectors(bundle, tmp_path):
    config = musiccoca_config.tiny()
    random = np.random.default_rng(0)
    weights = random_tensors(dict(network_shapes(config)), random)
    weights["front_end/mel_matrix"] = np.abs(weights["front_end/mel_matrix"])  # its logarithm is taken
    towers = NativeTowers(config, weights)
    code_vectors = random.normal(size=(config.num_levels, config.codebook_size, config.dim)).astype(np.float32)
    style = MusicCoCa(config, towers, code_vectors, bundle.tensors("style")["tokenizer/model"].tobytes())
    write_style_vectors(tmp_path / "vectors", style)
    assert all(row.ok for row in style_rows(style, testdata.read_style(tmp_path / "vectors")))


def plain_bundle(folder, config, tensors):
    from magenta_rt_py.bundle import save_bundle

    parts = {"lm": (dataclasses.asdict(config), tensors)}
    return load_bundle(save_bundle(folder, parts=parts, record={}))


def test_the_language_model_is_counted_and_looked_at(tmp_path):
    config = lm_config.tiny(context_positions_per_frame=2)
    tensors = random_tensors(parameter_shapes(config), np.random.default_rng(0))
    rows = language_model_rows(plain_bundle(tmp_path / "right", config, tensors))
    assert [row.ok for row in rows] == [None, True, True, None]
    assert rows[0].measured == f"{sum(tensor.size for tensor in tensors.values()):,}"
    assert "no test vectors were released" in rows[-1].note

    tensors["decoder/decoder_norm/scale"][:] = 1e38
    rows = language_model_rows(plain_bundle(tmp_path / "wrong", config, tensors))
    assert row_of(rows, "logits are finite").ok is False


def test_a_tensor_that_is_missing_is_an_error(tmp_path):
    config = lm_config.tiny(context_positions_per_frame=2)
    tensors = random_tensors(parameter_shapes(config), np.random.default_rng(0))
    del tensors["decoder/logits_dense/kernel"]
    with pytest.raises(BundleError, match="decoder/logits_dense/kernel"):
        language_model_rows(plain_bundle(tmp_path / "lacking", config, tensors))


@pytest.mark.parametrize(("preset", "name"), [(lm_config.base, "Base"), (lm_config.large, "Large")])
def test_the_released_sizes_have_the_wanted_number_of_parameters(preset, name):
    from magenta_rt_py.released.verify import PARAMETERS

    count = sum(int(np.prod(shape)) for shape in parameter_shapes(preset()).values())
    assert PARAMETERS[preset().dim] == (name, count)
