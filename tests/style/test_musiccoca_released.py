"""The released style model's own file formats: programs made here with the released signatures, loaded the real way."""

import concurrent.futures
import dataclasses
import shutil
import sys

import ai_edge_litert.interpreter
import flax.traverse_util
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf
from jax.experimental import jax2tf

from magenta_rt_py.errors import BundleError, MissingExtraError
from magenta_rt_py.style import musiccoca_config, style_from_tensors
from magenta_rt_py.style.musiccoca_network import MusicCoCaAudioTower, MusicCoCaTextTower, log_mels
from magenta_rt_py.style.musiccoca_quantizer import variables_from_code_vectors
from magenta_rt_py.style.musiccoca_savedmodel import SavedModelTowers, load_savedmodels, read_variables
from magenta_rt_py.style.musiccoca_tflite import TFLiteTowers, load_tflite, read_code_vectors
from magenta_rt_py.style.musiccoca_towers import NativeTowers

RELEASED_TEXT, RELEASED_CLIP = 128, 160_000
TEXT_INPUTS = [tf.TensorSpec((1, 128), tf.int32, "inputs_0"), tf.TensorSpec((1, 128), tf.float32, "inputs_0_1")]
MUSIC_INPUTS = [tf.TensorSpec((1, 160_000), tf.float32, "inputs_0")]
MAPPER_INPUTS = [tf.TensorSpec((1, 12), tf.float32, "embedding"), tf.TensorSpec((1, 12), tf.float32, "noise")]
PROMPTS = ["dark techno", "gentle acoustic folk guitar with dusty drums at 130 bpm"]


class Weights:
    """Random weights of stand-ins that are small inside and have the released inputs, and their sums in NumPy."""

    def __init__(self, dim=12, hidden=8):
        random = np.random.default_rng(4)
        self.words = random.normal(size=(300, hidden)).astype(np.float32)
        self.places = random.normal(size=(RELEASED_TEXT, hidden)).astype(np.float32)
        self.text = random.normal(size=(hidden, dim)).astype(np.float32)
        self.bands = random.normal(size=(400, hidden)).astype(np.float32)
        self.music = random.normal(size=(hidden, dim)).astype(np.float32)
        self.mapping = random.normal(size=(2 * dim, dim)).astype(np.float32)

    def embed_tokens(self, ids, paddings):
        kept = (1.0 - paddings)[..., None]
        return np.tanh(((self.words[ids] + self.places) * kept).sum(1) / kept.sum(1)) @ self.text

    def embed_waveform(self, samples):
        parts = samples.reshape(len(samples), 400, 400)
        return np.tanh(np.log((parts @ self.bands) ** 2 + 1e-3)).mean(1) @ self.music

    def map(self, embedding, seed):
        noise = np.random.RandomState(seed).randn(*embedding.shape).astype(np.float32)
        mapped = np.concatenate([embedding, noise]) @ self.mapping
        return mapped / np.linalg.norm(mapped)


class Programs(tf.Module):
    """The stand-ins as TensorFlow functions of the released signatures."""

    def __init__(self, weights):
        super().__init__()
        self.made_of = {name: tf.Variable(value, name=name) for name, value in vars(weights).items()}

    @tf.function(input_signature=TEXT_INPUTS)
    def embed_text(self, inputs_0, inputs_0_1):
        made_of, kept = self.made_of, (1.0 - inputs_0_1)[..., None]
        rows = (tf.gather(made_of["words"], inputs_0) + made_of["places"]) * kept
        mean = tf.reduce_sum(rows, 1) / tf.reduce_sum(kept, 1)
        return {"contrastive_txt_embed": tf.tanh(mean) @ made_of["text"]}

    @tf.function(input_signature=MUSIC_INPUTS)
    def embed_music(self, inputs_0):
        return {"contrastive_music_embed": self.music_encoder(self.front_end(inputs_0))["embedding"]}

    @tf.function(input_signature=[tf.TensorSpec((1, 160_000), tf.float32, "samples")])
    def front_end(self, samples):
        bands = tf.reshape(samples, (400, 400)) @ self.made_of["bands"]
        return tf.math.log(bands * bands + 1e-3)[None]

    @tf.function(input_signature=[tf.TensorSpec((1, 400, 8), tf.float32, "mels")])
    def music_encoder(self, mels):
        return {"embedding": tf.reduce_mean(tf.tanh(mels), 1) @ self.made_of["music"]}

    @tf.function(input_signature=MAPPER_INPUTS)
    def mapper(self, embedding, noise):
        return {"mapped": tf.concat([embedding, noise], 1) @ self.made_of["mapping"]}


def quantizer_program(code_vectors):
    """A quantizer as the released one is built: nearest entries through one product with the table times -2."""

    @tf.function(input_signature=[tf.TensorSpec((1, code_vectors.shape[2]), tf.float32)])
    def quantize(embedding):
        residual, codes = embedding, []
        for level, table in enumerate(code_vectors):
            distances = residual @ tf.constant(-2.0 * table.T) + tf.constant((table**2).sum(-1))
            codes.append(tf.argmin(distances, axis=-1, output_type=tf.int32))
            if level < len(code_vectors) - 1:
                residual = residual - tf.gather(tf.constant(table), codes[-1])
        return tf.stack(codes, axis=-1)

    return quantize


def convert(function, module=None) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
    return converter.convert()


@pytest.fixture(scope="session")
def weights() -> Weights:
    return Weights()


@pytest.fixture(scope="session")
def release_v1(tmp_path_factory, weights, style_codebooks, tokenizer_bytes):
    """A folder with the first release's files: towers, quantizer, vocabulary."""
    folder = tmp_path_factory.mktemp("release_v1")
    programs = Programs(weights)
    signatures = {"embed_text": programs.embed_text, "embed_music": programs.embed_music}
    tf.saved_model.save(programs, str(folder / "towers"), signatures=signatures)
    tables = variables_from_code_vectors(style_codebooks)
    in_order = [tf.Variable(tables[f"variables/{index}/.ATTRIBUTES/VARIABLE_VALUE"]) for index in range(12)]
    tf.saved_model.save(tf.train.Checkpoint(variables=in_order), str(folder / "quantizer"))
    (folder / "vocab.model").write_bytes(tokenizer_bytes)
    return folder


@pytest.fixture(scope="session")
def release_v2(tmp_path_factory, weights, style_codebooks, tokenizer_bytes):
    """A folder with the second release's files."""
    folder = tmp_path_factory.mktemp("release_v2")
    programs = Programs(weights)
    functions = {
        "text_encoder": programs.embed_text,
        "audio_preprocessor": programs.front_end,
        "music_encoder": programs.music_encoder,
        "mapper": programs.mapper,
    }
    for name, function in functions.items():
        (folder / f"{name}.tflite").write_bytes(convert(function, programs))
    (folder / "pretrained_vector_quantizer.tflite").write_bytes(convert(quantizer_program(style_codebooks)))
    (folder / "spm.model").write_bytes(tokenizer_bytes)
    return folder


def released_size(towers, *, map_text=False):
    """The tiny model with the released inputs."""
    sizes = {"clip_samples": RELEASED_CLIP, "max_tokens": RELEASED_TEXT, "map_text": map_text, "mapper_seed": 3}
    return dataclasses.replace(musiccoca_config.tiny(towers), **sizes)


def expected_text(weights, model):
    ids, present = model.tokenizer.encode(PROMPTS)
    return weights.embed_tokens(ids, 1.0 - present)


def expected_audio(weights, samples):
    clips = np.pad(samples, (0, -len(samples) % RELEASED_CLIP)).reshape(-1, RELEASED_CLIP)
    return weights.embed_waveform(clips).mean(axis=0)


@pytest.fixture(scope="session")
def samples() -> np.ndarray:
    """25 s of noise: two clips and a half."""
    return (0.1 * np.random.default_rng(0).normal(size=400_000)).astype(np.float32)


def load_v1(folder, config):
    return load_savedmodels(folder / "towers", folder / "quantizer", folder / "vocab.model", config)


@pytest.fixture(scope="session")
def first(release_v1):
    return load_v1(release_v1, released_size("savedmodel"))


@pytest.fixture(scope="session")
def second(release_v2):
    return load_tflite(release_v2, released_size("tflite"))


def test_saved_models_give_their_own_numbers(first, weights, style_codebooks, samples):
    np.testing.assert_array_equal(first.code_vectors, style_codebooks)
    np.testing.assert_allclose(first.embed_text(PROMPTS), expected_text(weights, first), atol=1e-4)
    np.testing.assert_allclose(first.embed_audio(samples), expected_audio(weights, samples), atol=1e-4)


def test_programs_made_as_the_released_ones_were_agree_with_the_native_towers(network_weights, tmp_path, samples):
    """The released towers are JAX programs inside a SavedModel; so are these: the native towers, exported."""
    config = released_size("native")
    tensors = network_weights(config)
    params = {part: unflatten(tensors, part) for part in ("audio", "text")}

    def embed_text(ids, paddings):
        return {"contrastive_txt_embed": MusicCoCaTextTower(config).apply(params["text"], ids, paddings < 0.5)}

    def embed_music(clips):
        mels = log_mels(clips, jnp.asarray(tensors["front_end/mel_matrix"]), config)
        return {"contrastive_music_embed": MusicCoCaAudioTower(config).apply(params["audio"], mels)}

    module = tf.Module()
    for function, inputs in ((embed_text, TEXT_INPUTS), (embed_music, MUSIC_INPUTS)):
        program = jax2tf.convert(function, native_serialization_platforms=["cpu"])
        setattr(module, function.__name__, tf.function(program, autograph=False, input_signature=inputs))
    signatures = {"embed_text": module.embed_text, "embed_music": module.embed_music}
    tf.saved_model.save(module, str(tmp_path), signatures=signatures)
    exported, native = SavedModelTowers(tmp_path), NativeTowers(config, tensors)
    ids = np.zeros((2, 128), np.int32)
    ids[:, :5], ids[1, 5:9] = [1, 7, 9, 120, 4], [3, 8, 200, 2]
    paddings = (np.arange(128) >= [[5], [9]]).astype(np.float32)
    np.testing.assert_allclose(exported.embed_tokens(ids, paddings), native.embed_tokens(ids, paddings), atol=1e-4)
    clips = samples[: 2 * RELEASED_CLIP].reshape(2, RELEASED_CLIP)
    np.testing.assert_allclose(exported.embed_waveform(clips), native.embed_waveform(clips), atol=1e-4)


def unflatten(tensors, part):
    """One tower's parameters as Flax wants them."""
    inside = {tuple(name.split("/")[1:]): value for name, value in tensors.items() if name.startswith(f"{part}/")}
    return {"params": flax.traverse_util.unflatten_dict(inside)}


def test_tflite_programs_give_their_own_numbers(second, weights, style_codebooks, samples):
    np.testing.assert_array_equal(second.code_vectors, style_codebooks)
    np.testing.assert_allclose(second.embed_text(PROMPTS), expected_text(weights, second), atol=1e-4)
    np.testing.assert_allclose(second.embed_audio(samples), expected_audio(weights, samples), atol=1e-4)


def test_codes_are_the_released_quantizers(second, release_v2, samples):
    quantizer = ai_edge_litert.interpreter.Interpreter(str(release_v2 / "pretrained_vector_quantizer.tflite"))
    quantizer.allocate_tensors()
    [embedding], [codes] = quantizer.get_input_details(), quantizer.get_output_details()
    for given in [*second.embed_text(PROMPTS), second.embed_audio(samples)]:
        quantizer.set_tensor(embedding["index"], given[None])
        quantizer.invoke()
        np.testing.assert_array_equal(second.quantize(given), quantizer.get_tensor(codes["index"])[0])


def test_mapped_texts_have_length_one_and_their_own_noise(release_v2, weights):
    model = load_tflite(release_v2, released_size("tflite", map_text=True))
    mapped = model.embed_text(PROMPTS)
    np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), 1.0, atol=1e-5)
    expected = [weights.map(embedding, seed=3) for embedding in expected_text(weights, model)]
    np.testing.assert_allclose(mapped, expected, atol=1e-5)
    np.testing.assert_array_equal(model.embed_text(PROMPTS[1:])[0], mapped[1])
    np.testing.assert_array_equal(style_from_tensors(*model.to_parts()).embed_text(PROMPTS), mapped)


@pytest.mark.parametrize("release", ["first", "second"])
def test_a_bundle_keeps_the_programs_as_assets(release, request, samples):
    model = request.getfixturevalue(release)
    fields, tensors, assets = model.to_parts()
    assert sorted(tensors) == ["quantizer/code_vectors", "tokenizer/model"]
    assert list(assets) == ["style/towers"] and assets["style/towers"].is_dir()
    again = style_from_tensors(fields, tensors, assets)
    assert again.config == model.config
    np.testing.assert_array_equal(again.embed_text(PROMPTS), model.embed_text(PROMPTS))
    np.testing.assert_array_equal(again.embed_audio(samples), model.embed_audio(samples))


@pytest.mark.parametrize("release", ["first", "second"])
def test_several_threads_may_ask_at_once(release, request):
    model = request.getfixturevalue(release)
    alone = [model.embed_text([prompt]) for prompt in PROMPTS]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda turn: model.embed_text([PROMPTS[turn % 2]]), range(40)))
    for turn, embedding in enumerate(together):
        np.testing.assert_array_equal(embedding, alone[turn % 2])


def test_inputs_of_another_size_are_refused(release_v1, release_v2):
    with pytest.raises(ValueError, match=r"towers refuse inputs of shapes .*\(1, 3200\)"):
        load_v1(release_v1, musiccoca_config.tiny("savedmodel")).embed_audio(np.ones(10, np.float32))
    with pytest.raises(ValueError, match=r"got inputs \['float32\[3200\]'\], expected \['float32\[1, 160000\]'\]"):
        load_tflite(release_v2, musiccoca_config.tiny("tflite")).embed_audio(np.ones(10, np.float32))


def test_folders_that_are_no_release_are_refused(release_v1, release_v2, tmp_path, tokenizer_bytes):
    config = released_size("savedmodel")
    with pytest.raises(BundleError, match="no SavedModel here"):
        SavedModelTowers(tmp_path)
    with pytest.raises(BundleError, match="its signatures are .* expected 'embed_text' with 'contrastive_txt_embed'"):
        SavedModelTowers(release_v1 / "quantizer")
    with pytest.raises(BundleError, match="no variables here"):
        read_variables(tmp_path)
    with pytest.raises(ValueError, match="the quantizer has .* expected 12 .*take the released quantizer's folder"):
        load_savedmodels(release_v1 / "towers", release_v1 / "towers", release_v1 / "vocab.model", config)
    with pytest.raises(BundleError, match="no such file; give the released SentencePiece"):
        load_savedmodels(release_v1 / "towers", release_v1 / "quantizer", tmp_path / "vocab.model", config)
    with pytest.raises(BundleError, match="spm.model: no such file"):
        load_tflite(tmp_path)
    (tmp_path / "spm.model").write_bytes(tokenizer_bytes)
    with pytest.raises(BundleError, match="text_encoder.tflite: no such file"):
        load_tflite(tmp_path)


def test_damaged_files_are_refused(release_v1, release_v2, tmp_path):
    cut = tmp_path / "text_encoder.tflite"
    cut.write_bytes((release_v2 / "text_encoder.tflite").read_bytes()[:500])
    with pytest.raises(BundleError, match="LiteRT cannot load this file .*; get it again"):
        TFLiteTowers(tmp_path)
    shutil.copytree(release_v1 / "towers", tmp_path / "towers")
    (tmp_path / "towers" / "saved_model.pb").write_bytes(b"not a program")
    with pytest.raises(BundleError, match="TensorFlow .* cannot load this SavedModel"):
        SavedModelTowers(tmp_path / "towers")
    shutil.copytree(release_v1 / "quantizer", tmp_path / "quantizer")
    (tmp_path / "quantizer" / "variables" / "variables.index").write_bytes(b"not an index")
    with pytest.raises(BundleError, match="its variables cannot be read"):
        read_variables(tmp_path / "quantizer")


def test_a_quantizer_that_is_built_differently_is_refused(release_v2, style_codebooks, tmp_path):
    config = released_size("tflite")
    with pytest.raises(BundleError, match=r"has no tables of shape \(32, 12\)"):
        read_code_vectors(release_v2 / "mapper.tflite", config)
    with pytest.raises(BundleError, match="answers with 12 codes in .* expected 13"):
        read_code_vectors(release_v2 / "pretrained_vector_quantizer.tflite", dataclasses.replace(config, num_levels=13))

    @tf.function(input_signature=[tf.TensorSpec((1, 12), tf.float32)])
    def reversed_codes(embedding):
        return quantizer_program(style_codebooks)(embedding)[:, ::-1]

    path = tmp_path / "quantizer.tflite"
    path.write_bytes(convert(reversed_codes))
    with pytest.raises(BundleError, match="no table in it explains the codes of level 0"):
        read_code_vectors(path, config)


def test_what_is_not_installed_is_named(release_v1, release_v2, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"'tensorflow': pip install 'magenta-rt-py\[released\]'"):
        SavedModelTowers(release_v1 / "towers")
    with pytest.raises(MissingExtraError, match=r"'ai-edge-litert': pip install 'magenta-rt-py\[released\]'"):
        TFLiteTowers(release_v2)
