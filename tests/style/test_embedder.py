import dataclasses

import numpy as np
import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style.embedder import StyleModel, finish
from magenta_rt_py.style.prompts import Prompt
from magenta_rt_py.style.spectrogram import log_mel

RANDOM = np.random.default_rng(0)
CLIP = 16_000  # samples of the tiny model's clip; 3, 10 and 25 s of the starter are 0.3, 1 and 2.5 of these


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(samples).normal(size=samples)).astype(np.float32)


def with_settings(model: StyleModel, **settings) -> StyleModel:
    config = dataclasses.replace(model.config, **settings)
    return StyleModel.from_tensors(config, model.to_tensors(with_tokenizer=False), model.tokenizer.model_bytes)


@pytest.mark.parametrize("samples", [1, 4_800, CLIP, 40_000])
@pytest.mark.parametrize("pad_mode", ["loop", "zero"])
def test_audio_of_any_length_is_one_embedding(model, samples, pad_mode):
    embedding = with_settings(model, pad_mode=pad_mode).embed_audio(noise(samples))
    assert embedding.shape == (16,)
    assert np.linalg.norm(embedding) == pytest.approx(4.0, abs=1e-3)


def test_zero_padding_is_the_papers_mean_over_clips(model):
    raw = with_settings(model, pad_mode="zero", normalize=False)
    samples = noise(40_000)
    clips = np.pad(samples, (0, 8_000)).reshape(3, CLIP)
    expected = raw.embed_log_mels(log_mel(clips, raw.config)).mean(axis=0)
    np.testing.assert_allclose(raw.embed_audio(samples), expected, atol=1e-5)


def test_short_audio_is_repeated_and_the_last_clip_ends_with_the_audio(model):
    short = noise(4_800)
    np.testing.assert_allclose(model.embed_audio(short), model.embed_audio(np.resize(short, CLIP)), atol=1e-5)
    samples = noise(24_000)
    halves = np.stack([model.embed_audio(samples[:CLIP]), model.embed_audio(samples[8_000:])]).mean(axis=0)
    np.testing.assert_allclose(model.embed_audio(samples), halves * 4.0 / np.linalg.norm(halves), atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "not empty"),
        (np.zeros((10, 2), np.float32), "mono"),
        (np.zeros(10, np.int16), "got int16"),
        (np.array([0.0, np.nan], np.float32), "NaN"),
    ],
)
def test_unusable_audio_is_refused(model, samples, message):
    with pytest.raises(ValueError, match=message):
        model.embed_audio(samples)


def test_silence_is_no_crash(model):
    assert np.isfinite(model.embed_audio(np.zeros(CLIP, np.float32))).all()


def test_texts_do_not_depend_on_their_company(model):
    prompts = ["dark techno", "gentle acoustic folk guitar with a long description", *["jazz"] * 17]
    together = model.embed_text(prompts)
    assert together.shape == (19, 16)
    np.testing.assert_allclose(together[0], model.embed_text(["dark techno"])[0], atol=1e-5)
    np.testing.assert_allclose(together[2], together[18], atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-2
    assert model.embed_text([]).shape == (0, 16)


def test_unusable_texts_are_refused(model):
    with pytest.raises(ValueError, match="prompt is empty"):
        model.embed_text([""])
    with pytest.raises(ValueError, match="takes a list"):
        model.embed_text("techno")


def test_mix_of_text_and_audio_is_the_mean(model):
    samples = noise(CLIP)
    mixed = model.mix([Prompt(text="jazz", weight=1.0), Prompt(audio=samples, weight=3.0)])
    expected = 0.25 * model.embed_text(["jazz"])[0] + 0.75 * model.embed_audio(samples)
    np.testing.assert_allclose(mixed, expected, atol=1e-5)
    assert model.mix([Prompt(text="jazz", weight=0.0)]) is None
    np.testing.assert_array_equal(model.mix([Prompt(text="jazz", weight=0.2)]), model.embed_text(["jazz"])[0])


def test_codes_stand_for_the_sum_of_their_vectors(model):
    codes = model.quantize(RANDOM.normal(size=(5, 2, 16)).astype(np.float32))
    assert codes.shape == (5, 2, 3)
    assert codes.min() >= 0 and codes.max() < 8
    levels = model.code_vectors
    expected = levels[0, codes[..., 0]] + levels[1, codes[..., 1]] + levels[2, codes[..., 2]]
    np.testing.assert_allclose(model.dequantize(codes), expected, atol=1e-6)
    np.testing.assert_allclose(model.dequantize(codes[..., :1]), levels[0, codes[..., 0]], atol=1e-6)


def test_codes_are_the_nearest_vectors(model):
    embedding = model.embed_text(["dark techno"])[0]
    residual = embedding
    for level, code in enumerate(model.quantize(embedding)):
        distances = np.linalg.norm(residual - model.code_vectors[level], axis=1)
        assert code == distances.argmin()
        residual = residual - model.code_vectors[level, code]


def test_a_blend_is_quantized_by_its_direction(model):
    blend = 0.5 * model.embed_text(["jazz"])[0] + 0.5 * model.embed_text(["dark techno"])[0]
    np.testing.assert_array_equal(model.quantize(blend), model.quantize(10 * blend))
    raw = with_settings(model, normalize=False)
    assert (raw.quantize(blend) != raw.quantize(10 * blend)).any()


def test_centring_takes_the_modality_mean_away():
    config = presets.tiny()
    raw = (RANDOM.normal(size=(200, 16)) + 3.0).astype(np.float32)
    mean = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).mean(axis=0)
    finished = np.asarray(finish(raw, mean, config))
    assert np.abs(finished.mean(axis=0)).max() < 0.5
    np.testing.assert_allclose(np.linalg.norm(finished, axis=1), 4.0, rtol=1e-5)
    released = dataclasses.replace(config, normalize=False)
    np.testing.assert_array_equal(finish(raw, mean, released), raw)


def test_tensors_round_trip_with_their_tokenizer(model):
    tensors = model.to_tensors()
    assert tensors["tokenizer/model"].dtype == np.uint8
    again = StyleModel.from_tensors(model.config, tensors)
    np.testing.assert_array_equal(again.embed_text(["jazz"]), model.embed_text(["jazz"]))
    np.testing.assert_array_equal(again.embed_audio(noise(100)), model.embed_audio(noise(100)))


def test_tensors_that_do_not_fit_are_refused(model):
    tensors = model.to_tensors()
    with pytest.raises(ValueError, match="'centre/audio': got shape None, expected \\(16,\\)"):
        StyleModel.from_tensors(model.config, {k: v for k, v in tensors.items() if k != "centre/audio"})
    with pytest.raises(ValueError, match="got shape \\(4,\\)"):
        StyleModel.from_tensors(model.config, tensors | {"centre/audio": np.zeros(4, np.float32)})
    with pytest.raises(ValueError, match="no tokenizer"):
        StyleModel.from_tensors(model.config, model.to_tensors(with_tokenizer=False))


def test_log_mels_of_another_shape_are_refused(model):
    with pytest.raises(ValueError, match="do not fit the model's \\(48, 16\\)"):
        model.embed_log_mels(np.zeros((1, 496, 64), np.float16))
