"""What the model hears: in the right frame, encoded once, and the same whatever the cuts into mixes."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magenta_rt_py.generators import hearing
from magenta_rt_py.generators.hearing import WARM_UP_FRAMES
from magenta_rt_py.live import injection
from magenta_rt_py.live.injection import InjectionSettings, Mix
from magenta_rt_py.lm import vocabulary
from magenta_rt_py.lm.config import MASK
from magenta_rt_py.testing import tiny_codec

FRAME = 1920
FRAMES = 100
SETTINGS = InjectionSettings(feedback=0.9, patience_seconds=1.0)


@pytest.fixture(scope="module")
def listening(models):
    """The tiny models with a codec that hears more differences: the bundle's gives nearly all sounds the same codes."""
    return dataclasses.replace(models, codec=tiny_codec())


@functools.cache
def noise(frames: int, seed: int = 0) -> np.ndarray:
    sound = np.random.default_rng(seed).normal(0, 0.1, (frames * FRAME, 2)).astype(np.float32)
    sound.setflags(write=False)
    return sound


def own_codes(first: int, last: int, levels: int = 16) -> np.ndarray:
    """Codes that tell frame and level; every seventh frame was not played."""
    frames = np.arange(first, last)[:, None]
    codes = (frames * 16 + np.arange(levels)) % 1024
    return np.where(frames % 7 == 3, -1, codes).astype(np.int32)


def empty(models, levels: int = 16) -> np.ndarray:
    return np.full((models.lm_config.context_frames, levels), -1, np.int32)


def mixed_frames(*stretches: tuple[int, int]) -> np.ndarray:
    is_mixed = np.zeros(FRAMES, bool)
    for first, last in stretches:
        is_mixed[first:last] = True
    return is_mixed


def hear_all(models, is_mixed: np.ndarray, cuts: list[tuple[int, int]]) -> hearing.HearingState:
    """Hears `FRAMES` frames in mixes of (settled, provisional) frames; what is provisional sounds different later."""
    state, start, turn = hearing.init_state(models, empty(models), end_frame=0), 0, 0
    while start < FRAMES:
        settled, provisional = cuts[turn % len(cuts)]
        settled = min(settled, FRAMES - start)
        end = min(FRAMES, start + settled + provisional)
        sound = noise(FRAMES)[start * FRAME : end * FRAME].copy()
        sound[settled * FRAME :] += noise(FRAMES, 9)[start * FRAME : end * FRAME][settled * FRAME :]
        flags = is_mixed[start:end].copy()
        flags[settled:] ^= turn % 2 == 1  # what may still be mixed in, or no longer
        state, _ = hearing.step(models, state, Mix(start, sound, settled, flags), own_codes(start, end))
        start, turn = start + settled, turn + 1
    return state


@functools.cache
def encoded(codec) -> np.ndarray:
    """Codes of all the sound, after a second of silence, from a codec that never pauses."""
    silence = np.zeros((WARM_UP_FRAMES * FRAME, 2), np.float32)
    return codec.encode(np.concatenate([silence, noise(FRAMES)])[None])[0, WARM_UP_FRAMES:]


def check_final(models, is_mixed: np.ndarray, cuts: list[tuple[int, int]]) -> None:
    state = hear_all(models, is_mixed, cuts)
    assert state.settled_frame == FRAMES and state.heard.end_frame == FRAMES - 1
    expected = np.where(is_mixed[:, None], encoded(models.codec), own_codes(0, FRAMES))[:-1]
    np.testing.assert_array_equal(state.heard.codes[-len(expected) :], expected)
    assert (state.heard.codes[: -len(expected)] == -1).all()


@settings(max_examples=12, deadline=None)
@given(
    stretches=st.lists(
        st.tuples(st.integers(0, FRAMES), st.integers(1, 30)).map(lambda pair: (pair[0], sum(pair))), max_size=3
    ),
    cuts=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), min_size=1, max_size=4),
)
@example(stretches=[(0, FRAMES)], cuts=[(8, 15)])
@example(stretches=[(3, 5), (30, 31), (32, 34), (61, 70)], cuts=[(1, 2), (60, 0)])
@example(stretches=[(10, 11), (36, 37), (61, 62), (87, 88)], cuts=[(7, 3)])
def test_final_codes_are_those_of_the_whole_whatever_the_cuts(listening, stretches, cuts):
    check_final(listening, mixed_frames(*stretches), cuts)


def test_provisional_codes_are_of_this_mix_with_silence_after_it(listening):
    state = hearing.init_state(listening, empty(listening), end_frame=0, recent_samples=noise(3, 4))
    before = np.concatenate([np.zeros(((WARM_UP_FRAMES - 3) * FRAME, 2), np.float32), noise(3, 4)])
    for start, settled, end in [(0, 0, 20), (0, 6, 30), (6, 14, 20), (20, 5, 26)]:
        sound = noise(FRAMES)[start * FRAME : end * FRAME]
        flags = np.arange(start, end) % 3 > 0
        state, context = hearing.step(listening, state, Mix(start, sound, settled, flags), own_codes(start, end))
        whole = np.concatenate([before, noise(FRAMES)[: end * FRAME]])
        codes = listening.codec.encode(whole[None])[0, WARM_UP_FRAMES:]
        expected = np.where((np.arange(end) % 3 > 0)[:, None], codes, own_codes(0, end))
        np.testing.assert_array_equal(context[-end:], expected)
        assert (context[:-end] == -1).all()


def hear_live(models, performed: np.ndarray, hops: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Context and final codes at the end of `FRAMES` frames, the performer's sound arriving half a second late."""
    performance = injection.init_state(settings=SETTINGS)
    performance = injection.play(performance, 0, noise(FRAMES))
    state, end, turn, received = hearing.init_state(models, empty(models), end_frame=0), 0, 0, 0
    while True:
        end = min(FRAMES, end + hops[turn % len(hops)])
        until = max(received, end * FRAME - 24_001)
        performance = injection.hear(performance, received, performed[received:until])
        received = until
        performance, mix = injection.mix(performance, SETTINGS, end)
        own = own_codes(mix.start_frame, end)
        state, context = hearing.step(models, state, mix, own)
        turn += 1
        if end == FRAMES:
            return context, state.heard.codes


@pytest.mark.parametrize("at", [50 * FRAME, 50 * FRAME + 127, 50 * FRAME + 128, 51 * FRAME - 1])
@pytest.mark.parametrize("hops", [[10], [50, 7, 1]])
def test_an_impulse_shows_in_the_codes_of_its_own_frame(listening, at, hops):
    silent, performed = np.zeros((FRAMES * FRAME, 1), np.float32), np.zeros((FRAMES * FRAME, 1), np.float32)
    performed[at] = 1.0
    (without, final_without), (context, final) = (hear_live(listening, sound, hops) for sound in (silent, performed))
    differs = (context != without).any(axis=1)[-FRAMES:]
    # The last window of frame 49 reaches 128 samples into frame 50.
    first = 49 if at < 50 * FRAME + listening.codec.encode_lookahead_samples else 50
    assert differs[50] and np.flatnonzero(differs)[0] >= first
    assert (final != final_without).any(axis=1).argmax() >= first + len(final) - FRAMES
    # In the context these frames lie at the same distance from its end.
    assert context.shape == (250, 16) and (context[: 250 - FRAMES] == -1).all()


def test_the_codec_rests_while_nobody_plays(listening, monkeypatch):
    frames, really = [], listening.codec.encode_step

    def counting(state, samples):
        frames.append(samples.shape[1] // FRAME)
        return really(state, samples)

    monkeypatch.setattr(listening.codec, "encode_step", counting)
    hear_all(listening, mixed_frames(), [(8, 0)])
    assert not frames
    state = hear_all(listening, mixed_frames((50, 51)), [(8, 0)])
    # One mixed frame, a second before it and a second after it, and a frame of silence after each mix near it.
    assert sum(frames) <= 2 * WARM_UP_FRAMES + 10 and state.encode_state is None


def test_a_kept_state_can_be_gone_back_to(listening):
    state = hearing.init_state(listening, empty(listening), end_frame=0)
    mix = Mix(0, noise(FRAMES)[: 8 * FRAME], 5, np.ones(8, bool))
    state, _ = hearing.step(listening, state, mix, own_codes(0, 8))
    following = Mix(5, noise(FRAMES)[5 * FRAME : 12 * FRAME], 7, np.ones(7, bool))
    _, first = hearing.step(listening, state, following, own_codes(5, 12))
    hearing.step(listening, state, following._replace(samples=noise(7, 3)), own_codes(5, 12))
    _, again = hearing.step(listening, state, following, own_codes(5, 12))
    np.testing.assert_array_equal(first, again)


def test_without_a_performer_the_context_is_the_models_own(listening):
    own = own_codes(0, 250)
    state = hearing.init_state(listening, own[:, :4], end_frame=250)
    start = 250
    for settled, frames in [(5, 9), (0, 3), (30, 30), (0, 0)]:
        mix = Mix(start, noise(frames, 1), settled, np.zeros(frames, bool))
        state, context = hearing.step(listening, state, mix, own_codes(start, start + frames))
        np.testing.assert_array_equal(context, own_codes(start + frames - 250, start + frames, 4))
        start += settled
    assert state.settled_frame == 285


def test_refuses_what_does_not_fit(listening):
    state = hearing.init_state(listening, empty(listening), end_frame=10)
    mix = Mix(10, noise(4), 2, np.ones(4, bool))
    with pytest.raises(ValueError, match="expected 10"):
        hearing.step(listening, state, mix._replace(start_frame=9), own_codes(9, 13))
    with pytest.raises(ValueError, match="4 frames x at least 16 levels"):
        hearing.step(listening, state, mix, own_codes(10, 13))
    with pytest.raises(ValueError, match="4 frames x at least 16 levels"):
        hearing.step(listening, state, mix, own_codes(10, 14, 4))
    with pytest.raises(ValueError, match="5 frames settled"):
        hearing.step(listening, state, mix._replace(settled_frames=5), own_codes(10, 14))
    with pytest.raises(ValueError, match="expected 250 frames"):
        hearing.init_state(listening, empty(listening)[:99], end_frame=0)


def test_three_rows_are_what_both_guidances_compare(listening):
    config, style = listening.lm_config, np.arange(6, dtype=np.int32)
    mixed, own = own_codes(0, 250), own_codes(1000, 1250)
    rows = hearing.three_rows(mixed, own, style, config)
    pairs = [(mixed, style[None]), (mixed, None), (own, style[None])]
    expected = [vocabulary.encoder_inputs(context[None], codes, config)[0] for context, codes in pairs]
    np.testing.assert_array_equal(rows, expected)
    masked = hearing.three_rows(mixed, own, None, config)
    assert (masked[:, -config.style_levels :] == MASK).all()
    np.testing.assert_array_equal(masked[0], masked[1])
