"""The stateful shell: load, embed, mix, stream."""

import shutil

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.errors import AudioFormatError, BundleError
from magenta_rt_py.generators import system
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.safety import CEILING
from magenta_rt_py.generators.score import parse_score
from magenta_rt_py.generators.state import SAMPLE_RATE
from magenta_rt_py.generators.styles import NO_STYLE
from magenta_rt_py.generators.take import play_score


@pytest.fixture(scope="module")
def loop():
    return audio.Audio(np.random.default_rng(0).normal(0, 0.1, (48_000, 2)).astype(np.float32), 48_000)


def test_defaults_come_from_the_bundle(model):
    assert model.defaults == Controls(temperature=1.0, top_k=40, guidance_weight=1.5, bpm=120.0)
    assert model.stream().controls == model.defaults
    assert model.stream(bpm=90.0, top_k=0).controls == model.defaults.replace(bpm=90.0, top_k=0)


def test_mix_is_the_weighted_mean(model, loop, tmp_path):
    path = tmp_path / "loop.wav"
    audio.write(path, loop.samples, 48_000)
    text, sound = model.embed("techno"), model.embed(path)
    style = model.mix([("techno", 1.0), (str(path), 3.0), ("ignored", 0.0)])
    np.testing.assert_allclose(style.embedding, (text + 3 * sound) / 4, atol=1e-4)
    assert style.codes.shape == (6,)
    np.testing.assert_array_equal(style.codes, model.style_model.quantize(style.embedding)[:6])
    pair = model.mix([((loop.samples, 48_000), 1.0)])
    np.testing.assert_allclose(pair.embedding, model.embed(loop), atol=1e-6)
    assert (model.mix({"techno": 1.0}).codes != model.mix({"solo piano": 1.0}).codes).any()


def test_the_directions_of_a_finetuned_bundle_are_prompts_in_the_mix(adapted_model, model):
    assert list(adapted_model.directions) == ["[mean style]", "[style 1]", "[style 2]"] and not model.directions
    mean, words = adapted_model.embed("[mean style]"), adapted_model.embed("techno")
    np.testing.assert_array_equal(mean, adapted_model.bundle.tensors("steering")["mean_style"])
    mixed = adapted_model.mix({" [mean style] ": 1.0, "techno": 3.0})
    np.testing.assert_allclose(mixed.embedding, (mean + 3 * words) / 4, atol=1e-4)
    with pytest.raises(ValueError, match=r"no \[style 3\]; it has \[mean style\], \[style 1\]"):
        adapted_model.embed("[style 3]")
    with pytest.raises(ValueError, match="only finetuned ones"):
        model.mix({"[mean style]": 1.0})


def test_directions_of_another_style_model_are_refused(adapted_model):
    with pytest.raises(BundleError, match="finetune again"):
        system.directions_of(adapted_model.bundle, 7)


def test_all_prompts_at_zero_mask_the_style(model):
    assert model.mix({"techno": 0.0, "house": 0.0}) == NO_STYLE
    assert model.mix({}) == NO_STYLE
    chunk = model.stream(model.mix({"techno": 0.0})).next_chunk()
    assert np.isfinite(chunk).all()


@pytest.mark.parametrize(
    ("prompts", "error"),
    [
        ({"": 1.0}, ValueError),
        ({"techno": float("nan")}, ValueError),
        ({"techno": -1.0}, ValueError),
        ({"x" * 10_000: 1.0}, ValueError),
        ({"missing.wav": 1.0}, AudioFormatError),
        ({"": 0.0}, ValueError),
    ],
)
def test_mix_refuses(model, prompts, error):
    with pytest.raises(error):
        model.mix(prompts)


def test_stream_counts_and_guards(model):
    stream = model.stream(model.mix({"techno": 1.0}), seed=1)
    chunks = list(stream.chunks(2))
    assert [chunk.shape for chunk in chunks] == [(96_000, 2)] * 2
    assert all(np.isfinite(chunk).all() and np.abs(chunk).max() <= CEILING + 1e-6 for chunk in chunks)
    assert stream.seconds == 4.0
    assert stream.model_seconds > 0
    assert not stream.is_warm
    np.testing.assert_array_equal(model.stream(stream.style, seed=1).render(3.0), np.concatenate(chunks)[: 3 * SAMPLE_RATE])


def test_stream_obeys_and_survives_a_wrong_knob(model, loop):
    stream = model.stream(model.mix({"techno": 1.0}), seed=1)
    stream.prime(audio.Audio(np.tile(loop.samples, (10, 1)), 48_000), bpm=120.0)
    assert stream.is_warm
    assert stream.next_chunk(10).shape == (19_200, 2)
    state, controls = stream.state, stream.controls
    with pytest.raises(ValueError, match="bpm"):
        stream.set_controls(bpm=float("nan"))
    with pytest.raises(ValueError, match="request of 60 frames"):
        stream.next_chunk(60)
    assert stream.state is state
    assert stream.controls == controls
    plain = stream.next_chunk(10)
    stream.state = state
    stream.set_style(NO_STYLE)
    stream.set_controls(guidance_weight=0.0, temperature=0.2)
    assert (stream.next_chunk(10) != plain).any()
    stream.state, stream.controls = state, controls
    stream.set_style(model.mix({"techno": 1.0}))
    np.testing.assert_array_equal(stream.next_chunk(10), plain)


def test_render_refuses_lengths_that_are_none(model):
    for seconds in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match="seconds"):
            model.stream().render(seconds)


def test_score_is_played_in_time(model):
    """The mix of a chunk is that of its middle; the second half must be what the second prompt alone would say."""
    score = parse_score(
        [
            {"at_seconds": 0, "prompts": {"techno": 1.0}},
            {"at_seconds": 2, "prompts": {"solo piano": 1.0}, "bpm": 90, "temperature": 0.5},
        ],
        model.defaults,
    )
    take = play_score(model, score, seconds=3.5, seed=4)
    assert take.samples.shape == (168_000, 2)
    assert len(take.request_seconds) == 2
    assert take.rtf > 0
    assert take.peak_db <= -0.3 + 1e-3
    stream = model.stream(model.mix({"techno": 1.0}), seed=4)
    first = stream.next_chunk()
    stream.set_style(model.mix({"solo piano": 1.0}))
    stream.set_controls(bpm=90.0, temperature=0.5)
    expected = np.concatenate([first, stream.next_chunk()])
    np.testing.assert_array_equal(take.samples, expected[:168_000])


def test_damaged_bundles_are_one_line(tiny_bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    shard = next(copy.glob("lm-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(BundleError) as caught:
        system.load(copy)
    assert "\n" not in str(caught.value)
    with pytest.raises(BundleError):
        system.load(tmp_path / "nowhere")


def test_config_that_does_not_fit_names_its_part(tiny_bundle, tmp_path):
    from magenta_rt_py.bundle import load_bundle, save_bundle

    bundle = load_bundle(tiny_bundle)
    parts = {name: (dict(bundle.configs[name]), bundle.tensors(name)) for name in bundle.configs}
    wider = {name: (config | {"dim": 32} if name == "lm" else config, flat) for name, (config, flat) in parts.items()}
    save_bundle(tmp_path / "wrong", parts=wider, record={})
    with pytest.raises(BundleError, match="'lm' part does not fit"):
        system.load(tmp_path / "wrong")
    unknown = {name: (config | {"colour": 1} if name == "codec" else config, flat) for name, (config, flat) in parts.items()}
    save_bundle(tmp_path / "unknown", parts=unknown, record={})
    with pytest.raises(BundleError, match="'codec' part does not fit"):
        system.load(tmp_path / "unknown")
    del parts["style"]
    save_bundle(tmp_path / "half", parts=parts, record={})
    with pytest.raises(BundleError, match="no 'style' part"):
        system.load(tmp_path / "half")


def test_cache_switch(monkeypatch, tmp_path):
    from magenta_rt_py.generators import compilation

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(compilation.SWITCH, raising=False)
    assert compilation.cache_path() == tmp_path / "magenta_rt_py" / "compiled"
    monkeypatch.setenv(compilation.SWITCH, "off")
    assert compilation.cache_path() is None
    monkeypatch.setenv(compilation.SWITCH, str(tmp_path / "here"))
    assert compilation.cache_path() == tmp_path / "here"
