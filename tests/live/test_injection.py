"""The performer's sound is mixed in at its exact sample, in any blocks, and is never heard in what is played."""

import numpy as np
import pytest

from magenta_rt_py.live import alignment, injection, loops
from magenta_rt_py.live.injection import FRAME_SAMPLES, InjectionSettings

SECOND = 48_000
PLAIN = InjectionSettings(feedback=1.0)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (round(seconds * SECOND), 2)).astype(np.float32)


def impulse(length: int, at: int) -> np.ndarray:
    block = np.zeros((length, 1), np.float32)
    block[at] = 1.0
    return block


def peaks(mix: injection.Mix) -> list[int]:
    """Stream samples at which something was mixed in."""
    return (mix.start_frame * FRAME_SAMPLES + np.flatnonzero(np.abs(mix.samples[:, 0]) > 0.5)).tolist()


def test_free_mode_mixes_in_at_the_moment_that_was_heard():
    state = injection.play(injection.init_state(settings=PLAIN), 0, noise(10))
    state = injection.hear(state, 0, impulse(8 * SECOND, 123_457))
    _, mix = injection.mix(state, PLAIN, 250)
    expected = noise(10)
    expected[123_457] += 1.0
    np.testing.assert_array_equal(mix.samples, expected)
    assert np.flatnonzero(mix.is_mixed).tolist() == [123_457 // FRAME_SAMPLES]


def test_free_mode_settles_what_has_been_received_and_gives_the_rest_again():
    state = injection.play(injection.init_state(settings=PLAIN), 0, noise(10))
    state = injection.hear(state, 0, noise(7, seed=1))
    state, mix = injection.mix(state, PLAIN, 250)
    # The last samples received ramp to silence, so their frame is not final.
    assert mix.settled_frames == (7 * SECOND - PLAIN.ramp_samples) // FRAME_SAMPLES == state.settled_frame
    assert not mix.is_mixed[176:].any()
    state = injection.hear(state, 7 * SECOND, noise(3, seed=2))
    state, later = injection.mix(state, PLAIN, 250)
    assert later.start_frame == 174 and later.is_mixed.all()


def test_looper_mode_mixes_in_one_loop_later_and_fills_the_context():
    loop = loops.Loop(beats=8, bpm=120.0)
    assert loop.offset_samples == 4 * SECOND
    state = injection.init_state(settings=PLAIN)
    offsets = np.full(8 * SECOND, loop.offset_samples)
    state = injection.hear(state, 0, impulse(8 * SECOND, 200_001), offsets)
    state, mix = injection.mix(state, PLAIN, 250)
    assert peaks(mix) == [200_001 + 4 * SECOND]
    assert mix.settled_frames == 250


def test_a_tempo_change_keeps_what_was_played_at_its_place():
    slow, fast = loops.Loop(beats=8, bpm=120.0), loops.Loop(beats=8, bpm=125.0)
    change = 4 * SECOND  # beat 8: a bar line
    samples = np.arange(9 * SECOND)
    beats = np.where(samples < change, samples * 2.0, 8 * SECOND + (samples - change) * 125 / 60) / SECOND
    looper = loops.request(loops.init_state(slow), fast, beat=4.1)
    state = injection.init_state(settings=PLAIN)
    at = [1000, change - 5000, change + 5000, 8 * SECOND + 7]  # the second sounds together with the next loop
    performed = np.zeros((len(samples), 1), np.float32)
    performed[at] = 1.0
    for start in range(0, len(samples), 9973):
        looper, offsets = loops.step(looper, beats[start : start + 9973])
        state = injection.hear(state, start, performed[start : start + 9973], offsets)
    _, mix = injection.mix(state, PLAIN, 14 * 25)
    lengths = [slow, slow, fast, fast]
    assert peaks(mix) == [place + loop.offset_samples for place, loop in zip(at, lengths, strict=True)]


def test_an_underrun_and_a_new_device_keep_the_place():
    state = injection.init_state(settings=PLAIN)
    card = alignment.advance(alignment.init_state(round_trip_samples=1200), 0, SECOND)
    card = alignment.advance(card, None, 3000)  # concealed
    card = alignment.advance(card, SECOND, SECOND)
    recorded = np.zeros((2 * SECOND + 3000, 1), np.float32)
    recorded[[10_000 + 1200, SECOND + 3000 + 1200 + 500]] = 1.0  # played to stream samples 10000 and SECOND + 500
    for part in alignment.place(card, 0, len(recorded)):
        state = injection.hear(state, part.stream_start, recorded[part.first : part.last])
    other = alignment.advance(alignment.init_state(round_trip_samples=300), 2 * SECOND + 777, SECOND)
    for part in alignment.place(other, 0, SECOND):
        recorded = impulse(SECOND, 4000)
        state = injection.hear(state, part.stream_start, recorded[part.first : part.last])
    _, mix = injection.mix(state, PLAIN, 75)
    assert peaks(mix) == [10_000, SECOND + 500, 2 * SECOND + 777 + 4000 - 300]


def settled_mix(sizes: list[int], hops: list[int], settings: InjectionSettings) -> np.ndarray:
    """What the encoder gets for good when blocks and requests have these lengths."""
    played, performed = noise(3), noise(3, seed=1)
    state = injection.init_state(settings=settings)
    settled, place, end_frame, turn = [], 0, 0, 0
    while end_frame < 75:
        end_frame = min(75, end_frame + hops[turn % len(hops)])
        while place < end_frame * FRAME_SAMPLES - 20_000:
            size = sizes[turn % len(sizes)]
            state = injection.hear(state, place, performed[place : place + size])
            state = injection.play(state, place, played[place : place + size])
            place, turn = place + size, turn + 1
        state = injection.play(state, place, played[place : end_frame * FRAME_SAMPLES])
        state, mix = injection.mix(state, settings, end_frame)
        settled.append(mix.samples[: mix.settled_frames * FRAME_SAMPLES])
        turn += 1
    return np.concatenate(settled)


@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_ragged_blocks_and_requests_give_the_same_mix(gap):
    settings = InjectionSettings(gap_seconds=gap)
    whole = settled_mix([3 * SECOND], [75], settings)
    for sizes, hops in [([1921], [25]), ([640, 1, 5000], [5, 17, 1, 20])]:
        pieces = settled_mix(sizes, hops, settings)
        common = min(len(whole), len(pieces))
        assert common > 1.8 * SECOND
        np.testing.assert_array_equal(pieces[:common], whole[:common])


def test_the_gap_at_the_end_is_silent_after_a_ramp_and_fills_up_later():
    settings = InjectionSettings(feedback=1.0, gap_seconds=0.5)
    state = injection.hear(injection.init_state(settings=settings), 0, np.ones((6 * SECOND, 2), np.float32))
    state, mix = injection.mix(state, settings, 100)
    gap = 4 * SECOND - SECOND // 2
    assert not mix.samples[gap:].any()
    ramp = mix.samples[gap - 101 : gap, 0]
    np.testing.assert_allclose(ramp, np.arange(101, 0, -1) / 101, atol=1e-6)
    assert (mix.samples[1000 : gap - 101] == 1).all()
    state, mix = injection.mix(state, settings, 120)
    assert (mix.samples[: (4 * SECOND) - mix.start_frame * FRAME_SAMPLES] == 1).all()


def test_gains_move_without_a_step_and_only_once():
    loud = InjectionSettings(feedback=1.0)
    state = injection.play(injection.init_state(settings=loud), 0, np.ones((8 * SECOND, 2), np.float32))
    state = injection.hear(state, 0, np.zeros((8 * SECOND, 2), np.float32))
    state, before = injection.mix(state, loud, 50)
    quiet = InjectionSettings(feedback=0.25)
    state, after = injection.mix(state, quiet, 100)
    state, last = injection.mix(state, quiet, 150)
    whole = np.concatenate([before.samples, after.samples, last.samples])
    assert np.abs(np.diff(whole, axis=0)).max() < 1.1 / 1024
    np.testing.assert_array_equal(last.samples, np.float32(0.25))


def test_a_ramp_does_not_run_ahead_in_what_is_provisional():
    loud, quiet = InjectionSettings(feedback=1.0), InjectionSettings(feedback=0.25)
    state = injection.play(injection.init_state(settings=loud), 0, np.ones((4 * SECOND, 2), np.float32))
    state, first = injection.mix(state, quiet, 50)  # nothing was received, so nothing is settled
    assert first.settled_frames == 0 and first.samples[-1, 0] == 0.25
    state, again = injection.mix(state, loud, 50)
    np.testing.assert_array_equal(again.samples, 1.0)


def test_history_is_what_was_played_and_is_never_edited():
    state = injection.init_state(settings=InjectionSettings(feedback=0.5))
    first, really = noise(4), noise(1, seed=3)
    state = injection.play(state, 0, first)
    state = injection.play(state, 2 * SECOND, really)
    state = injection.play(state, 4 * SECOND, noise(1, seed=4))
    state = injection.play(state, 3 * SECOND + 9, really)  # an overwrite after a later write
    half = InjectionSettings(feedback=0.5, input_gain=0.0)
    silent = injection.init_state(settings=half)._replace(played=state.played)
    _, mix = injection.mix(silent, half, 125)
    expected = np.concatenate([first, noise(1, seed=4)])
    expected[2 * SECOND : 3 * SECOND] = really
    expected[3 * SECOND + 9 : 4 * SECOND + 9] = really
    np.testing.assert_array_equal(mix.samples, expected * np.float32(0.5))
    _, again = injection.mix(silent, half, 125)
    np.testing.assert_array_equal(again.samples, mix.samples)


def test_what_may_still_be_replaced_stays_provisional():
    state = injection.play(injection.init_state(settings=PLAIN), 0, noise(4))
    off = InjectionSettings(input_gain=0.0, feedback=1.0)
    state = state._replace(input_gain=0.0)
    following, mix = injection.mix(state, off, 100, played_until_frame=60)
    assert mix.settled_frames == 60
    following = injection.play(following, 60 * FRAME_SAMPLES, noise(1, seed=5))
    _, later = injection.mix(following, off, 80)
    np.testing.assert_array_equal(later.samples, noise(1, seed=5)[: 20 * FRAME_SAMPLES])


def test_patience_ends_and_late_sound_is_counted():
    patient = InjectionSettings(feedback=1.0, patience_seconds=2.0)
    state = injection.init_state(settings=patient)
    state, mix = injection.mix(state, patient, 250)  # nothing was ever received
    assert mix.settled_frames == 200
    state = injection.hear(state, 7 * SECOND, np.ones((2 * SECOND, 1), np.float32))
    assert state.late_samples == SECOND
    with pytest.raises(ValueError, match="200 are settled"):
        injection.mix(state, patient, 199)


def test_a_kept_state_can_be_gone_back_to():
    state = injection.hear(injection.init_state(settings=PLAIN), 0, impulse(SECOND, 40_000))
    kept = state
    for frame in (25, 50, 75):
        state = injection.hear(state, frame * FRAME_SAMPLES, noise(1))
        state, _ = injection.mix(state, PLAIN, frame)
    _, mix = injection.mix(kept, PLAIN, 25)
    assert peaks(mix) == [40_000]


def test_memory_stays_flat():
    state, settings = injection.init_state(settings=PLAIN), PLAIN
    block = noise(0.2)
    for request in range(60):
        state = injection.hear(state, request * len(block), block)
        state = injection.play(state, request * len(block), block)
        state, _ = injection.mix(state, settings, (request + 1) * 5)
    for kept in (state.performer, state.played):
        assert sum(len(piece) for run in kept.runs for piece in run.pieces) < 2 * SECOND


def test_without_a_performer_nothing_is_encoded_twice():
    off = InjectionSettings(input_gain=0.0, feedback=1.0)
    state = injection.play(injection.init_state(settings=off), 0, noise(4))
    _, mix = injection.mix(state, off, 100)
    assert mix.settled_frames == 100 and not mix.is_mixed.any()


@pytest.mark.parametrize(
    "field", [{"input_gain": -1.0}, {"feedback": 1.1}, {"gap_seconds": float("nan")}, {"patience_seconds": 0.0}]
)
def test_settings_refuse_what_makes_no_sense(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        InjectionSettings(**field)
