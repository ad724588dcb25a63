"""A track keeps every sample at its place, whatever blocks it came in, and is never changed."""

import numpy as np
import pytest

from magenta_rt_py.live import track


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (length, 2)).astype(np.float32)


def written(sound: np.ndarray, start: int, sizes: list[int]) -> track.Track:
    kept, place = track.EMPTY, 0
    for turn in range(len(sound)):
        size = sizes[turn % len(sizes)]
        kept = track.write(kept, start + place, sound[place : place + size])
        place += size
        if place >= len(sound):
            break
    return kept


@pytest.mark.parametrize("sizes", [[20_000], [64], [1, 4800, 7, 4799, 9000]])
def test_blocks_of_any_size_make_the_same_track(sizes):
    sound = noise(20_000)
    kept = written(sound, 1000, sizes)
    assert kept.end == 21_000 and len(kept.runs) == 1
    np.testing.assert_array_equal(track.read(kept, 1000, 21_000), sound)
    around = track.read(kept, 500, 22_000)
    np.testing.assert_array_equal(around[500:20_500], sound)
    assert not around[:500].any() and not around[20_500:].any()
    whole = track.read(written(sound, 1000, [20_000]), 900, 21_100, ramp_samples=100)
    np.testing.assert_array_equal(track.read(kept, 900, 21_100, ramp_samples=100), whole)


def test_small_blocks_do_not_make_a_long_list():
    assert len(written(noise(48_000), 0, [64]).runs[0].pieces) <= 10


def test_what_overlaps_sounds_together_and_nothing_is_changed():
    first, second = noise(100), noise(100, seed=1)
    before = track.write(track.EMPTY, 0, first)
    after = track.write(before, 50, second)
    np.testing.assert_array_equal(track.read(before, 0, 100), first)
    np.testing.assert_array_equal(track.read(after, 50, 100), first[50:] + second[:50])
    first[:] = 9.0  # the block of a sound card is used again
    assert track.read(after, 0, 100).max() < 1.0


def test_ramps_at_both_ends_of_a_run_and_not_in_its_middle():
    kept = track.write(track.EMPTY, 100, np.ones((400, 1), np.float32))
    got = track.read(kept, 0, 600, ramp_samples=99)[:, 0]
    np.testing.assert_allclose(got[100:200], np.arange(1, 101) / 100, atol=1e-6)
    np.testing.assert_array_equal(got[200:400], 1.0)
    np.testing.assert_allclose(got[400:500], np.arange(100, 0, -1) / 100, atol=1e-6)
    np.testing.assert_array_equal(got[150:300], track.read(kept, 150, 300, ramp_samples=99)[:, 0])


def test_forgetting_keeps_the_places_and_the_ramps():
    sound = np.ones((50_000, 2), np.float32)
    kept = track.forget(written(sound, 10, [1000]), 20_000)
    assert kept.runs[0].kept_from > 10_000
    np.testing.assert_array_equal(track.read(kept, 20_000, 50_010), sound[: 30_010])
    assert track.read(kept, 20_000, 30_000, ramp_samples=15_000).min() == 1.0
    gone = track.forget(kept, 90_000)
    assert gone.end == 50_010
    assert not track.read(gone, 0, 60_000).any()
    assert track.read(track.write(gone, 50_010, sound[:5]), 50_010, 50_015).min() == 1.0


def test_erasing_makes_room():
    sound = noise(1000)
    kept = track.erase(track.write(track.EMPTY, 0, sound), 300, 400)
    expected = sound.copy()
    expected[300:400] = 0
    np.testing.assert_array_equal(track.read(kept, 0, 1000), expected)
    assert kept.end == 1000
    assert track.erase(kept, 0, 1000) == track.EMPTY


def test_refuses_what_is_no_sound_and_drops_what_was_before_the_stream():
    with pytest.raises(ValueError, match="3 channels"):
        track.write(track.EMPTY, 0, np.zeros((5, 3), np.float32))
    with pytest.raises(ValueError, match="NaN"):
        track.write(track.EMPTY, 0, np.full((5, 2), np.nan, np.float32))
    kept = track.write(track.EMPTY, -3, np.arange(5, dtype=np.float32)[:, None])
    np.testing.assert_array_equal(track.read(kept, 0, 2)[:, 0], [3, 4])
    assert track.write(track.EMPTY, -9, np.ones((5, 1), np.float32)) == track.EMPTY
