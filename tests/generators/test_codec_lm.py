"""The generator as a pure function: shapes, context, determinism, purity, continuity, cold start."""

import jax
import numpy as np
import pytest

from magenta_rt_py.generators import codec_lm
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.state import FRAME_SAMPLES, MISSING, filled_frames
from magenta_rt_py.lm import clock

CONTROLS = Controls(temperature=1.0, top_k=40, guidance_weight=1.5, bpm=120.0)
STYLE = np.arange(6, dtype=np.int32) * 100


def run(models, state, lengths, *, style=STYLE, controls=CONTROLS):
    """Makes requests of the given lengths; returns the last state and the chunks."""
    chunks = []
    for frames in lengths:
        state, chunk = codec_lm.generate_chunk(models, state, style, controls, frames=frames)
        chunks.append(chunk)
    return state, chunks


def copies(tree):
    """Every leaf of a pytree, copied."""
    return jax.tree.map(lambda leaf: np.array(leaf), tree)


def assert_equal_trees(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_first_chunk_has_the_right_shape_and_fills_the_context(models):
    state = codec_lm.init_state(models, seed=0)
    assert filled_frames(state) == 0
    after, (chunk,) = run(models, state, [50])
    assert chunk.codes.shape == (50, 16)
    assert chunk.codes.min() >= 0
    assert chunk.codes.max() < 1024
    assert chunk.samples.shape == (96_000, 2)
    assert chunk.samples.dtype == np.float32
    assert np.isfinite(chunk.samples).all()
    assert filled_frames(after) == 50
    assert (after.context_codes[:200] == MISSING).all()
    np.testing.assert_array_equal(after.context_codes[200:], chunk.codes)
    assert int(after.frame_index) == 50
    assert float(after.beat) == pytest.approx(4.0)  # 2 s at 120 bpm


def test_context_rolls_by_the_frames_made(models, warm_state):
    after, chunks = run(models, warm_state, [50, 10, 10])
    made = np.concatenate([chunk.codes for chunk in chunks])
    np.testing.assert_array_equal(after.context_codes, np.concatenate([warm_state.context_codes[70:], made]))
    assert after.context_clock.shape == (250, 11)
    np.testing.assert_array_equal(after.context_clock[:-70], warm_state.context_clock[70:])
    assert int(after.frame_index) == 70


def test_beat_keeps_its_phase_when_the_tempo_changes(models, warm_state):
    state, _ = run(models, warm_state, [10], controls=CONTROLS)  # 10 frames at 120 bpm: 0.8 beats
    beat = float(state.beat)
    assert beat == pytest.approx(float(warm_state.beat) + 0.8)
    faster = CONTROLS.replace(bpm=150.0)
    state, _ = run(models, state, [10], controls=faster)
    assert float(state.beat) == pytest.approx(beat + 1.0)
    phase = np.arctan2(state.context_clock[-10, 4], state.context_clock[-10, 5]) / (2 * np.pi)  # sine, cosine of the beat
    assert phase % 1.0 == pytest.approx(beat % 1.0, abs=1e-5)
    unset, _ = run(models, state, [10], controls=Controls(bpm=None))
    assert float(unset.beat) == float(state.beat)
    assert (unset.context_clock[-10:] == 0).all()


def test_same_seed_same_take_other_seed_other_take(models):
    takes = [run(models, codec_lm.init_state(models, seed=seed), [50, 50])[1] for seed in (7, 7, 8)]
    for first, again, other in zip(*takes, strict=True):
        np.testing.assert_array_equal(first.codes, again.codes)
        np.testing.assert_array_equal(first.samples, again.samples)
        assert (first.codes != other.codes).any()


def test_no_two_chunks_share_their_randomness(models, warm_state):
    """Two requests from the same context at different positions of the stream must differ."""
    later = warm_state._replace(frame_index=warm_state.frame_index + np.int64(50))
    (one,), (other,) = run(models, warm_state, [10])[1], run(models, later, [10])[1]
    assert (one.codes != other.codes).any()


@pytest.mark.parametrize("continuity", ["stream", "crossfade"])
def test_state_is_left_alone_and_replays_bit_equal(models, continuity):
    start = codec_lm.init_state(models, seed=1, continuity=continuity)
    saved, _ = run(models, start, [50])
    before = copies(saved)
    _, first = run(models, saved, [50, 50])
    assert_equal_trees(saved, before)
    _, again = run(models, before, [50, 50])
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_state_is_a_pytree_of_arrays(models):
    state, _ = run(models, codec_lm.init_state(models, seed=1), [50])
    leaves, structure = jax.tree.flatten(state)
    assert all(isinstance(leaf, np.ndarray | np.generic | jax.Array) for leaf in leaves)
    assert_equal_trees(jax.tree.unflatten(structure, leaves), state)


def test_streamed_sound_is_the_codes_decoded_at_once(models, warm_state):
    """Whatever the requests' lengths, there is no seam: the sound is that of all codes in one, one frame later."""
    state = warm_state._replace(codec_state=models.codec.init_decode_state(1))
    _, chunks = run(models, state, [50, 10, 10])
    codes = np.concatenate([chunk.codes for chunk in chunks])
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert len(samples) == 70 * FRAME_SAMPLES
    _, whole = models.codec.decode_step(models.codec.init_decode_state(1), codes[None])
    np.testing.assert_allclose(samples, whole[0], atol=1e-5)
    np.testing.assert_allclose(samples[FRAME_SAMPLES:], models.codec.decode(codes[None])[0, :-FRAME_SAMPLES], atol=1e-5)


def test_crossfade_as_released(models):
    """Against the released state machine written out: 97,920 samples decoded, 96,000 returned, sine ramps."""
    state = codec_lm.init_state(models, seed=2, continuity="crossfade")
    _, chunks = run(models, state, [50, 50])
    ramp = np.sin(np.linspace(0, np.pi / 2, 1920, endpoint=False))[:, None]
    frame, tail = np.zeros((1, 16), np.int32), np.zeros((1920, 2))
    for chunk in chunks:
        decoded = models.codec.decode(np.concatenate([frame, chunk.codes])[None])[0]
        assert decoded.shape == (97_920, 2)
        expected = decoded[:96_000].copy()
        expected[:1920] = decoded[:1920] * ramp + tail * ramp[::-1]
        assert chunk.samples.shape == (96_000, 2)
        np.testing.assert_allclose(chunk.samples, expected, atol=1e-5)
        frame, tail = chunk.codes[-1:], decoded[-1920:]


def test_compiles_once_for_each_length(models, warm_state):
    run(models, warm_state, [50, 10])
    before = codec_lm.compiled_programs()
    run(models, warm_state, [10, 50, 10], controls=Controls(temperature=0.5, top_k=0, guidance_weight=0.0, bpm=None))
    run(models, warm_state, [10, 50], style=None)
    assert codec_lm.compiled_programs() == before
    run(models, warm_state, [1])
    assert codec_lm.compiled_programs() == before + 1


def test_cold_start_takes_whole_chunks_only(models):
    state = codec_lm.init_state(models, seed=0)
    for _ in range(5):
        with pytest.raises(ValueError, match="of 250 context frames filled"):
            codec_lm.generate_chunk(models, state, STYLE, CONTROLS, frames=49)
        state, _ = codec_lm.generate_chunk(models, state, STYLE, CONTROLS)
    run(models, state, [10])
    for frames in (0, -1, 51):
        with pytest.raises(ValueError, match=r"give 1 \.\. 50"):
            codec_lm.generate_chunk(models, state, STYLE, CONTROLS, frames=frames)


def test_style_controls_and_context_are_all_heard(models, warm_state):
    def codes(state=warm_state, style=STYLE, controls=CONTROLS):
        return run(models, state, [10], style=style, controls=controls)[1][0].codes

    usual = codes()
    other_past = warm_state._replace(context_codes=(warm_state.context_codes + 1) % 1024)
    changed = {
        "style": codes(style=STYLE + 1),
        "no style": codes(style=None),
        "temperature": codes(controls=CONTROLS.replace(temperature=0.3)),
        "top_k": codes(controls=CONTROLS.replace(top_k=2)),
        "guidance": codes(controls=CONTROLS.replace(guidance_weight=6.0)),
        "tempo": codes(controls=CONTROLS.replace(bpm=90.0)),
        "context": codes(state=other_past),
    }
    for name, other in changed.items():
        assert (usual != other).any(), name


def test_without_guidance_a_masked_style_is_the_unstyled_model(models, warm_state):
    """w times nothing: with neither style nor tempo both rows are the same and guidance cannot matter."""
    untimed = warm_state._replace(context_clock=clock.unset_clock(250))

    def codes(weight, bpm):
        controls = Controls(temperature=1.0, top_k=40, guidance_weight=weight, bpm=bpm)
        return run(models, untimed, [10], style=None, controls=controls)[1][0].codes

    np.testing.assert_array_equal(codes(0.0, None), codes(5.0, None))
    assert (codes(0.0, 120.0) != codes(5.0, 120.0)).any()


def test_init_state_refuses(models):
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match="seed"):
            codec_lm.init_state(models, seed=seed)
    with pytest.raises(ValueError, match="continuity"):
        codec_lm.init_state(models, seed=0, continuity="magic")


def test_prime_is_what_was_played(models):
    sound = np.random.default_rng(0).normal(0, 0.1, (300 * FRAME_SAMPLES, 2)).astype(np.float32)
    state = codec_lm.init_state(models, seed=0)
    primed = codec_lm.prime(models, state, sound, bpm=120.0)
    expected = models.codec.encode(sound[None, 50 * FRAME_SAMPLES :])[0]
    np.testing.assert_array_equal(primed.context_codes, expected)
    assert float(primed.beat) == pytest.approx(24.0)  # 12 s at 120 bpm
    assert int(primed.frame_index) == 0
    part = codec_lm.prime(models, state, sound[: 10 * FRAME_SAMPLES + 100])
    assert filled_frames(part) == 10
    assert (part.context_clock == 0).all()
    with pytest.raises(ValueError, match="at least one frame"):
        codec_lm.prime(models, state, sound[:1919])
