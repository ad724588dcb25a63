import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.style import MusicCoCa, Prompt, StyleEmbedder, StyleModel, style_from_tensors
from magenta_rt_py.style.musiccoca_config import tiny
from magenta_rt_py.style.musiccoca_towers import NativeTowers

CLIP = 3_200  # samples of the tiny model's clip


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(samples).normal(size=samples)).astype(np.float32)


class Recorder:
    """Towers that write down what they are asked and answer with simple numbers."""

    kind = "native"

    def __init__(self, dim=12):
        self.asked, self.dim = [], dim

    def embed_tokens(self, ids, paddings):
        self.asked.append((ids, paddings))
        return np.repeat(ids.sum(axis=1, keepdims=True), self.dim, axis=1).astype(np.float32)

    def embed_waveform(self, samples):
        self.asked.append(samples)
        return np.repeat(samples.sum(axis=1, keepdims=True), self.dim, axis=1)

    def to_tensors(self):
        return {}

    def to_assets(self):
        return {}


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def recorded(recorder, style_codebooks, tokenizer_bytes) -> MusicCoCa:
    """MusicCoCa over a recorder."""
    return MusicCoCa(tiny(), recorder, style_codebooks, tokenizer_bytes)


@pytest.fixture(scope="module")
def native(network_weights, style_codebooks, tokenizer_bytes) -> MusicCoCa:
    """MusicCoCa with random Flax towers."""
    return MusicCoCa(tiny(), NativeTowers(tiny(), network_weights(tiny())), style_codebooks, tokenizer_bytes)


def test_both_style_models_are_what_generators_ask_for(native, model):
    assert isinstance(native, StyleEmbedder) and isinstance(model, StyleEmbedder)
    assert not isinstance(native.tokenizer, StyleEmbedder)
    assert native.config.sample_rate_hz == 16_000


def test_texts_become_lower_case_pieces_with_a_start_and_paddings(recorded, recorder):
    recorded.embed_text(["Dub", "gentle acoustic folk guitar with dusty drums at 130 bpm"])
    [(ids, paddings)] = recorder.asked
    assert ids.dtype == np.int32 and paddings.dtype == np.float32 and ids.shape == paddings.shape == (2, 10)
    pieces = recorded.tokenizer.pieces("dub")
    assert len(pieces) < 9
    assert ids[0].tolist() == [1, *pieces] + [0] * (9 - len(pieces))
    assert paddings[0].tolist() == [0.0] * (1 + len(pieces)) + [1.0] * (9 - len(pieces))
    long = recorded.tokenizer.pieces("gentle acoustic folk guitar with dusty drums at 130 bpm")
    assert ids[1].tolist() == [1, *long[:9]], "127 pieces at the released size"
    assert not paddings[1].any()


@pytest.mark.parametrize("samples", [1, CLIP, CLIP + 1, 3 * CLIP])
def test_audio_is_cut_into_clips_filled_with_silence_and_averaged(recorded, recorder, samples):
    audio = noise(samples)
    embedding = recorded.embed_audio(audio)
    [clips] = recorder.asked
    count = -(-samples // CLIP)
    assert clips.shape == (count, CLIP) and clips.dtype == np.float32
    np.testing.assert_array_equal(clips.ravel()[:samples], audio)
    assert not clips.ravel()[samples:].any()
    np.testing.assert_allclose(embedding, np.full(12, audio.sum() / count), atol=1e-4)


def test_unusable_prompts_are_refused(recorded):
    with pytest.raises(ValueError, match="takes a list"):
        recorded.embed_text("techno")
    with pytest.raises(ValueError, match="prompt is empty"):
        recorded.embed_text([" "])
    with pytest.raises(ValueError, match="shorten it to at most 2000"):
        recorded.embed_text(["a" * 2001])
    with pytest.raises(ValueError, match="NaN"):
        recorded.embed_audio(np.array([0.0, np.nan], np.float32))
    assert recorded.embed_text([]).shape == (0, 12)


def test_mix_is_the_weighted_mean_and_not_shorter(native):
    audio = noise(CLIP)
    mixed = native.mix([Prompt(text="jazz", weight=2.0), Prompt(audio=audio, weight=6.0), Prompt(text="dub", weight=0.0)])
    expected = 0.25 * native.embed_text(["jazz"])[0] + 0.75 * native.embed_audio(audio)
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    same = native.mix([Prompt(text="jazz", weight=0.5), Prompt(text="jazz", weight=0.5)])
    np.testing.assert_array_equal(native.quantize(same), native.quantize(native.embed_text(["jazz"])[0]))
    assert native.mix([Prompt(text="jazz", weight=0.0)]) is None
    assert native.mix([]) is None


def test_codes_keep_the_shape_of_their_batch(native):
    embeddings = np.random.default_rng(0).normal(size=(2, 3, 12)).astype(np.float32)
    codes = native.quantize(embeddings)
    assert codes.shape == (2, 3, 12) and codes.dtype == np.int32
    np.testing.assert_array_equal(native.quantize(embeddings[1, 2]), codes[1, 2])
    known = native.dequantize(codes)
    assert np.linalg.norm(known - embeddings) < 0.7 * np.linalg.norm(embeddings)
    assert np.linalg.norm(native.dequantize(codes[..., :6]) - embeddings) < np.linalg.norm(
        native.dequantize(codes[..., :1]) - embeddings
    )
    with pytest.raises(ValueError, match="got embeddings of 11 numbers, expected 12"):
        native.quantize(embeddings[..., 1:])


def test_parts_that_do_not_belong_together_are_refused(style_codebooks, tokenizer_bytes):
    with pytest.raises(ValueError, match="got native towers with a config for tflite"):
        MusicCoCa(tiny("tflite"), Recorder(), style_codebooks, tokenizer_bytes)
    with pytest.raises(ValueError, match="got style code vectors of shape \\(11, 32, 12\\), expected \\(12, 32, 12\\)"):
        MusicCoCa(tiny(), Recorder(), style_codebooks[1:], tokenizer_bytes)
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        MusicCoCa(tiny(), Recorder(), style_codebooks, b"words")
    wide = MusicCoCa(tiny(), Recorder(dim=16), style_codebooks, tokenizer_bytes)
    with pytest.raises(ValueError, match="gave embeddings of shape \\(1, 16\\), expected \\(1, 12\\)"):
        wide.embed_text(["jazz"])


def test_a_bundle_gives_the_same_model_back(native, tmp_path):
    fields, tensors, assets = native.to_parts()
    assert assets == {}
    save_bundle(tmp_path, parts={"style": (fields, tensors)}, record={})
    bundle = load_bundle(tmp_path)
    again = style_from_tensors(bundle.configs["style"], bundle.tensors("style"))
    assert isinstance(again, MusicCoCa) and again.config == native.config
    audio = noise(5_000)
    np.testing.assert_array_equal(again.embed_audio(audio), native.embed_audio(audio))
    np.testing.assert_array_equal(again.embed_text(["jazz"]), native.embed_text(["jazz"]))
    np.testing.assert_array_equal(again.code_vectors, native.code_vectors)


def test_a_bundle_without_a_kind_is_the_packages_own_model(model):
    again = style_from_tensors(model.config.to_dict(), model.to_tensors())
    assert isinstance(again, StyleModel)
    np.testing.assert_array_equal(again.embed_text(["jazz"]), model.embed_text(["jazz"]))


def test_bundles_that_are_not_whole_are_refused(native, tmp_path):
    fields, tensors, _ = native.to_parts()
    with pytest.raises(ValueError, match="kind is 'clap'"):
        style_from_tensors(fields | {"kind": "clap"}, tensors)
    with pytest.raises(ValueError, match="'tokenizer/model' is missing"):
        style_from_tensors(fields, {name: value for name, value in tensors.items() if name != "tokenizer/model"})
    with pytest.raises(ValueError, match="'audio/final_norm/bias': got shape None"):
        style_from_tensors(fields, {name: value for name, value in tensors.items() if name != "audio/final_norm/bias"})
    with pytest.raises(ValueError, match="savedmodel towers have no tensors, got 'audio/"):
        style_from_tensors(fields | {"towers": "savedmodel"}, tensors)
    few = {name: tensors[name] for name in ("quantizer/code_vectors", "tokenizer/model")}
    with pytest.raises(ValueError, match="tflite towers need the bundle's 'style/towers', got assets \\[\\]"):
        style_from_tensors(fields | {"towers": "tflite"}, few)
