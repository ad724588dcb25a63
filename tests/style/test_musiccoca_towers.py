"""MusicCoCa's Flax towers against the same equations in NumPy, written from the released geometry's description."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.style import musiccoca_config as presets
from magenta_rt_py.style.musiccoca_network import MusicCoCaAudioTower, MusicCoCaTextTower, log_mels, network_shapes
from magenta_rt_py.style.musiccoca_towers import NativeTowers, Towers
from magenta_rt_py.style.spectrogram import log_mel, mel_matrix

TINY = presets.tiny()
ERF = np.vectorize(math.erf)


class Reference:
    """The towers in float64 NumPy."""

    def __init__(self, config, tensors):
        self.config = config
        self.weights = {name: value.astype(np.float64) for name, value in tensors.items()}

    def dense(self, name, x):
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

    def norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * self.weights[f"{name}/scale"] + self.weights[f"{name}/bias"]

    def layer(self, name, x, heads, present):
        width, cap = x.shape[-1], self.config.attention_soft_cap
        joint = self.dense(f"{name}/attention/query_key_value", self.norm(f"{name}/attention_norm", x))
        mixed = []
        for head in range(heads):
            size = width // heads
            query, key, value = (joint[:, part * width + head * size :][:, :size] for part in range(3))
            logits = cap * np.tanh(query @ key.T / math.sqrt(size) / cap)
            mixed.append(softmax(np.where(present, logits, -np.inf)) @ value)
        x = x + self.dense(f"{name}/attention/out", np.concatenate(mixed, axis=-1))
        hidden = self.dense(f"{name}/ffn/wi", self.norm(f"{name}/ffn_norm", x))
        hidden = hidden * 0.5 * (1.0 + ERF(hidden / math.sqrt(2.0)))
        # The released program silences padding here; the tested one does not have to.
        return x + present[:, None] * self.dense(f"{name}/ffn/wo", present[:, None] * hidden)

    def pool(self, name, x, present):
        size, heads = self.config.pooler_head_dim, self.config.pooler_heads
        joint, mixed = self.dense(f"{name}/key_value", x), []
        for head in range(heads):
            key, value = (joint[:, part * heads * size + head * size :][:, :size] for part in range(2))
            logits = key @ self.weights[f"{name}/query"][head]
            mixed.append(softmax(np.where(present, logits, -np.inf)) @ value)
        return self.norm(f"{name}/norm", self.dense(f"{name}/out", np.concatenate(mixed)))

    def tower(self, name, x, layers, heads, present):
        for layer in range(layers):
            x = self.layer(f"{name}/layers_{layer}", x, heads, present)
        return self.pool(f"{name}/pooler", self.norm(f"{name}/final_norm", x), present)

    def front_end(self, samples):
        config = self.config
        emphasised = samples - config.pre_emphasis * np.concatenate([[0.0], samples[:-1]])
        window = np.sin(np.pi * np.arange(config.window_samples) / config.window_samples) ** 2
        mels = []
        for frame in range(config.stft_frames):
            part = emphasised[frame * config.hop_samples :][: config.window_samples] * window
            turns = np.outer(np.arange(1, config.fft_samples // 2 + 1), np.arange(len(part))) / config.fft_samples
            power = np.abs(np.exp(-2j * np.pi * turns) @ part) ** 2
            mels.append(np.log(power @ self.weights["front_end/mel_matrix"] + config.log_floor))
        return np.array(mels)

    def audio(self, samples):
        config = self.config
        mels = self.front_end(samples.astype(np.float64))
        times, bands = config.patch_grid
        rows = [mels[time * config.patch_frames :][: config.patch_frames] for time in range(times)]
        patches = [part.ravel() for row in rows for part in np.split(row, bands, axis=1)]
        x = self.dense("audio/patch_projection", np.array(patches)) + self.weights["audio/positions"]
        return self.tower("audio", x, config.audio_layers, config.audio_heads, np.ones(len(x), bool))

    def text(self, ids, paddings):
        config = self.config
        x = self.weights["text/embedding/embedding"][ids] * config.text_embedding_scale
        if config.text_positions:
            x = x + self.weights["text/positions"]
        return self.tower("text", x, config.text_layers, config.text_heads, paddings == 0)


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def clips(count, config=TINY):
    return (0.1 * np.random.default_rng(count).normal(size=(count, config.clip_samples))).astype(np.float32)


def texts(config=TINY):
    random = np.random.default_rng(5)
    ids = random.integers(2, config.vocabulary_size, size=(3, config.max_tokens)).astype(np.int32)
    ids[:, 0] = 1
    paddings = (np.arange(config.max_tokens) >= np.array([[3], [7], [10]])).astype(np.float32)
    return np.where(paddings == 1, 0, ids).astype(np.int32), paddings


CHOICES = [
    TINY,
    presets.tiny(text_positions=False),
    dataclasses.replace(presets.tiny(text_positions=False), text_embedding_scale=24.0**0.5),
]


@pytest.mark.parametrize("config", CHOICES, ids=["positions", "no positions", "scaled"])
def test_texts_are_the_equations(config, network_weights):
    tensors = network_weights(config)
    ids, paddings = texts(config)
    expected = [Reference(config, tensors).text(*row) for row in zip(ids, paddings, strict=True)]
    np.testing.assert_allclose(NativeTowers(config, tensors).embed_tokens(ids, paddings), expected, atol=3e-5)


def test_clips_are_the_equations(network_weights):
    tensors, samples = network_weights(TINY), clips(2)
    expected = [Reference(TINY, tensors).audio(clip) for clip in samples]
    np.testing.assert_allclose(NativeTowers(TINY, tensors).embed_waveform(samples), expected, atol=3e-5)


def test_every_weight_is_heard(network_weights):
    """A weight that no output depends on would be one that loading could get wrong unnoticed."""
    tensors, samples, (ids, paddings) = network_weights(TINY), clips(1), texts()
    towers = NativeTowers(TINY, tensors)
    before = towers.embed_waveform(samples), towers.embed_tokens(ids, paddings)
    for name, value in tensors.items():
        changed = NativeTowers(TINY, tensors | {name: value[::-1].copy() if value.ndim > 1 else value[::-1] + 0.3})
        after = changed.embed_waveform(samples), changed.embed_tokens(ids, paddings)
        moved = [np.abs(new - old).max() > 1e-5 for new, old in zip(after, before, strict=True)]
        assert moved == [not name.startswith("text"), name.startswith("text")], name


def test_front_end_with_htk_mels_is_the_one_of_the_trained_towers():
    config = dataclasses.replace(presets.released_v2("native"), mel_low_hz=60.0)
    samples = (0.1 * np.random.default_rng(0).normal(size=(1, 160_000))).astype(np.float32)
    samples[0, 80_000:] *= np.sin(np.arange(80_000) * 0.2)
    ours = np.asarray(log_mels(jnp.asarray(samples), jnp.asarray(mel_matrix(config)), config))
    assert ours.shape == (1, 992, 128)
    np.testing.assert_allclose(ours, log_mel(samples, config), atol=2e-3)


def test_released_geometry():
    """Shapes and sizes that the released files are said to have; nothing of that size is computed."""
    second = network_shapes(presets.released_v2("native"))
    assert second["front_end/mel_matrix"] == (1024, 128)
    assert second["audio/patch_projection/kernel"] == (256, 768)
    assert second["audio/positions"] == (496, 768)
    assert second["text/embedding/embedding"] == (16_000, 768)
    assert second["text/positions"] == (128, 768)
    for tower in ("audio", "text"):
        assert len({name.split("/")[1] for name in second if name.startswith(f"{tower}/layers_")}) == 12
        assert second[f"{tower}/layers_11/attention/query_key_value/kernel"] == (768, 3 * 768)
        assert second[f"{tower}/layers_11/ffn/wi/kernel"] == (768, 3072)
        assert second[f"{tower}/pooler/query"] == (12, 256)
        assert second[f"{tower}/pooler/key_value/kernel"] == (768, 2 * 3072)
        assert second[f"{tower}/pooler/out/kernel"] == (3072, 768)
        assert second[f"{tower}/pooler/norm/scale"] == (768,)
    for tower, file_bytes in (("audio", 370_935_584), ("text", 418_674_324)):  # the second release's TFLite programs
        weights = 4 * sum(math.prod(shape) for name, shape in second.items() if name.startswith(f"{tower}/"))
        assert 0 < file_bytes - weights < 0.002 * file_bytes, "the rest is the graph"
    first = network_shapes(presets.released_v1("native"))
    assert first["text/embedding/embedding"] == (64_000, 768) and "text/positions" not in first
    towers = sum(math.prod(shape) for name, shape in first.items() if not name.startswith("front_end"))
    folded = 2 * (768 * 3072 + 3072 + 768 - 3072)  # the projections of the poolers' queries, which are multiplied out here
    assert towers + folded == 238_741_248  # "238.7M" in a port of the first release


def test_released_size_from_sound_and_text_to_768_numbers():
    config = dataclasses.replace(presets.released_v2("native"), audio_layers=1, text_layers=1)  # all have one shape
    key = jax.random.key(0)

    def both(samples, mel_matrix, ids):
        mels = log_mels(samples, mel_matrix, config)
        audio = MusicCoCaAudioTower(config).init_with_output(key, mels)[0]
        return mels, audio, MusicCoCaTextTower(config).init_with_output(key, ids, ids > 0)[0]

    inputs = [((1, 160_000), jnp.float32), ((1024, 128), jnp.float32), ((1, 128), jnp.int32)]
    outputs = jax.eval_shape(both, *(jax.ShapeDtypeStruct(*one) for one in inputs))
    assert [output.shape for output in outputs] == [(1, 992, 128), (1, 768), (1, 768)]


def test_tensors_that_do_not_fit_are_refused(network_weights):
    tensors = network_weights(TINY)
    assert isinstance(NativeTowers(TINY, tensors), Towers)
    with pytest.raises(ValueError, match="1 MusicCoCa tensors .* 'text/positions': got shape \\(10, 24\\), expected None"):
        NativeTowers(presets.tiny(text_positions=False), tensors)
    with pytest.raises(ValueError, match="'audio/positions': got shape None, expected \\(4, 16\\)"):
        NativeTowers(TINY, {name: value for name, value in tensors.items() if name != "audio/positions"})


def test_choices_that_do_not_exist_are_refused():
    assert presets.MusicCoCaConfig.from_dict(TINY.to_dict()) == TINY
    assert TINY.to_dict()["kind"] == "musiccoca"
    with pytest.raises(ValueError, match="embeddings are raw"):
        dataclasses.replace(TINY, normalize=True)
    with pytest.raises(ValueError, match="only the tflite towers have a mapper"):
        dataclasses.replace(TINY, map_text=True)
    with pytest.raises(ValueError, match="kind is 'clap'"):
        presets.MusicCoCaConfig.from_dict({"kind": "clap"})
    with pytest.raises(ValueError, match="unknown style config fields \\['widht'\\]"):
        presets.MusicCoCaConfig.from_dict({"widht": 3})


@pytest.mark.usefixtures("unchecked")
def test_towers_of_an_unknown_kind_are_refused():
    with pytest.raises(ValueError, match="towers is 'onnx'; choose one of native, savedmodel, tflite"):
        dataclasses.replace(TINY, towers="onnx")
