"""The codec language model in the live engine: the same request, the same frames; the same frames, the same sound."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.generators import live_lm
from magenta_rt_py.generators.live_lm import HeardMix, LiveLM, LiveSound, preroll
from magenta_rt_py.live import injection, transport
from magenta_rt_py.live.frame import Conditioning
from magenta_rt_py.live.generator import Request

FRAME = 1920


@pytest.fixture(scope="module")
def lm(models):
    return LiveLM(models, lengths=(10, 20))


@pytest.fixture(scope="module")
def past(lm):
    return preroll(lm, conditioning(), seed=7)


def conditioning(**changes):
    plain = Conditioning(1.0, 40, 1.0, 0.0, (1, 2, 3, 4, 5, 6), transport.start(120.0))
    return plain._replace(**changes)


def request(past, *, start=0, length=10, seed=7, heard=None, **changes):
    return Request(0, start, start, length, past, conditioning(**changes), seed=seed, heard=heard)


def codes_of(frames):
    return np.stack([frame.codes for frame in frames])


def mix_of(samples, start_frame=0, settled=0):
    frames = len(samples) // FRAME
    return injection.Mix(start_frame, samples.astype(np.float32), settled, np.ones(frames, bool))


def noise(frames, seed=0):
    return np.random.default_rng(seed).normal(0, 0.2, (frames * FRAME, 2)).astype(np.float32)


def test_without_the_clock_the_tempo_makes_no_difference_and_frames_have_no_beat(lm, past):
    """Neither the tempo to come nor the beats of the context are told; what was made so never counts as being on a beat."""
    fast = transport.start(170.0)
    told = [codes_of(lm.generate(request(past, transport=each))) for each in (transport.start(120.0), fast)]
    assert not np.array_equal(*told)
    frames = lm.generate(request(past, has_clock=False))
    untold = lm.generate(request(past, has_clock=False, transport=fast))
    assert np.array_equal(codes_of(frames), codes_of(untold))
    beatless = tuple(frame._replace(beat=math.nan, bpm=math.nan) for frame in past)
    assert np.array_equal(codes_of(frames), codes_of(lm.generate(request(beatless, has_clock=False))))
    assert all(math.isnan(frame.beat) and math.isnan(frame.bpm) for frame in frames)
    # Back on the clock, the frames made without it have no place in any bar; the others keep theirs.
    _, rows = lm._context((*past[10:], *frames))
    assert not rows[-10:].any() and rows[:-10].any(axis=1).all()


def test_the_preroll_is_ten_seconds_up_to_the_start(past):
    assert len(past) == 250 and all(frame is not None for frame in past)
    beats = np.array([frame.beat for frame in past])
    np.testing.assert_allclose(beats, np.arange(-250, 0) * 0.04 * 2.0, atol=1e-9)


def test_the_same_request_gives_the_same_frames(lm, past):
    first, again = lm.generate(request(past)), lm.generate(request(past))
    assert len(first) == 10
    assert np.array_equal(codes_of(first), codes_of(again))
    assert [frame.beat for frame in first] == [frame.beat for frame in again]


@pytest.mark.parametrize(
    "changes", [{"seed": 8}, {"start": 1}, {"temperature": 0.3}, {"style": None}, {"guidance_weight": 5.0}]
)
def test_what_a_request_depends_on(lm, past, changes):
    assert not np.array_equal(codes_of(lm.generate(request(past))), codes_of(lm.generate(request(past, **changes))))


def test_frames_know_their_place_in_the_bar(lm, past):
    frames = lm.generate(request(past, start=100, transport=transport.start(150.0)))
    np.testing.assert_allclose([frame.beat for frame in frames], np.arange(100, 110) * 0.04 * 2.5)
    assert {frame.bpm for frame in frames} == {150.0}


@pytest.fixture
def programs(lm, monkeypatch):
    """Lengths of the programs that are run."""
    run, inner = [], live_lm.decode.generate

    def generate(*arguments, frames, averaged, packed):
        run.append(frames)
        return inner(*arguments, frames=frames, averaged=averaged, packed=packed)

    monkeypatch.setattr(live_lm.decode, "generate", generate)
    return run


def test_the_shortest_program_that_is_long_enough_is_run(lm, past, programs):
    for length, program in ((1, 10), (10, 10), (11, 20), (20, 20), (21, 50), (50, 50)):
        assert len(lm.generate(request(past, length=length))) == length
        assert programs.pop() == program


def test_until_ten_seconds_are_full_the_chunk_is_run(lm, past, programs):
    for history in ((), past[:100], (None, *past[1:])):
        assert len(lm.generate(request(history, length=5))) == 5
        assert programs.pop() == 50
    lm.generate(request(past, length=5))
    assert programs == [10]


@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 20))
def test_a_shorter_request_is_the_beginning_of_a_longer_one(models, past, count):
    lm = LiveLM(models, lengths=(20,))
    whole = lm.generate(request(past, length=20))
    assert np.array_equal(codes_of(whole)[:count], codes_of(lm.generate(request(past, length=count))))


# With a performer.


def test_three_rows_hear_the_performer(models, past, monkeypatch):
    rows, inner = [], live_lm.decode.generate

    def generate(params, config, tokens, *arguments, frames, averaged, packed):
        rows.append(np.array(tokens))
        return inner(params, config, tokens, *arguments, frames=frames, averaged=averaged, packed=packed)

    monkeypatch.setattr(live_lm.decode, "generate", generate)
    lm = LiveLM(models, lengths=(10,))
    heard = HeardMix(mix_of(noise(40), start_frame=-40))
    first = lm.generate(request(past, heard=heard, input_guidance_weight=1.0))
    kept = lm.heard_context
    assert rows[-1].shape[0] == 3 and kept.shape == (250, models.lm_config.context_levels)
    assert not np.array_equal(rows[-1][0], rows[-1][2])  # the mix is not the own context
    own = codes_of(past)[:, : kept.shape[1]]
    assert np.array_equal(kept[:210], own[:210]) and not np.array_equal(kept[210:], own[210:])
    # A replay goes by the context that is in the log, and encodes nothing.
    again = LiveLM(models, lengths=(10,)).generate(request(past, heard=HeardMix(None, kept), input_guidance_weight=1.0))
    assert np.array_equal(codes_of(first), codes_of(again))


def test_a_mix_that_goes_on_is_encoded_on(models, past):
    """Settled in one mix or in two, the context is the same."""
    sound = noise(60)
    one, two = LiveLM(models, lengths=(10,)), LiveLM(models, lengths=(10,))
    later = (*past[20:], *one.generate(request(past, length=20)))
    two.generate(request(past, heard=HeardMix(mix_of(sound[: 40 * FRAME], -40, settled=30))))
    two.generate(request(later, start=20, heard=HeardMix(mix_of(sound[30 * FRAME :], -10, settled=20))))
    one.generate(request(past, heard=HeardMix(mix_of(sound[: 40 * FRAME], -40))))
    one._hearing = None
    one.generate(request(later, start=20, heard=HeardMix(mix_of(sound, -40, settled=50))))
    assert np.array_equal(one.heard_context, two.heard_context)


# Sound.


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, 39), max_size=6), is_coarse=st.booleans())
def test_any_grouping_of_frames_gives_the_same_sound(models, past, cuts, is_coarse):
    frames, bounds = past[:40], sorted({0, 40, *cuts})
    whole, pieces = LiveSound(models, seed=1), LiveSound(models, seed=1)
    whole.is_coarse = pieces.is_coarse = is_coarse
    got = [pieces.render(frames[first:last]) for first, last in itertools.pairwise(bounds)]
    assert np.array_equal(whole.render(frames), np.concatenate(got))


def test_peeking_changes_nothing(models, past):
    sound, plain = LiveSound(models, seed=1), LiveSound(models, seed=1)
    first = sound.peek(past[:3])
    assert np.array_equal(first, sound.peek(past[:3])) and np.array_equal(first, sound.render(past[:3]))
    sound.peek(past[100:101])
    assert np.array_equal(plain.render(past[:3]), first)
    assert np.array_equal(plain.render(past[3:6]), sound.render(past[3:6]))


def test_sound_begins_after_its_past(models, past):
    cold, warm, whole = (LiveSound(models, seed=1, past=before) for before in ((), past[:60], ()))
    whole.render(past[10:60])
    assert np.array_equal(whole.render(past[60:70]), warm.render(past[60:70]))
    assert not np.array_equal(cold.render(past[60:70]), LiveSound(models, seed=1, past=past[:60]).render(past[60:70]))


def test_no_frames_no_sound(models):
    assert LiveSound(models, seed=1).render([]).shape == (0, 2)


def test_coarse_sound_leaves_the_finer_levels_out(models, past):
    fine, coarse = LiveSound(models, seed=1, past=past[:50]), LiveSound(models, seed=1, past=past[:50])
    coarse.is_coarse = True
    assert not np.array_equal(fine.render(past[50:60]), coarse.render(past[50:60]))


def test_nothing_is_compiled_once_it_plays(models, past):
    """Every group of frames and every length of request is served by programs that were made ready."""
    from magenta_rt_py.lm import decode, refinement

    lm = LiveLM(models, lengths=(10,))
    lm.warm_up(with_input=True)
    sound = LiveSound(models, seed=1, past=past)
    sound.render(past[:4])
    before = decode.compiled_programs(), refinement.refine._cache_size()
    for count in (1, 2, 3, 5, 7, 20):
        sound.render(past[:count])
        sound.peek(past[:count])
        lm.generate(request(past, length=min(count, 10)))
    assert (decode.compiled_programs(), refinement.refine._cache_size()) == before
