"""The meter of liveness against sounds whose faults are known; in pieces and at once."""

import math
import types

import numpy as np
import pytest

from magenta_rt_py.generators.safety import CEILING
from magenta_rt_py.train.evaluation import live_section
from magenta_rt_py.train.evaluation.liveness import LivenessMeter, RepetitionMeter, Runs, entropy_nats, tempo_near
from magenta_rt_py.train.evaluation.workbench import Sizes

RATE = 48_000


def tone(seconds, gain=0.3, hz=997.0):
    samples = gain * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([samples, samples], -1).astype(np.float32)


def clicks(seconds, bpm):
    samples = np.random.default_rng(0).normal(0.0, 3e-3, (round(seconds * RATE), 2)).astype(np.float32)
    burst = np.random.default_rng(1).normal(0.0, 0.3, (2400, 2)) * np.linspace(1.0, 0.0, 2400)[:, None] ** 2
    for at in np.arange(0.0, seconds - 0.1, 60.0 / bpm):
        samples[round(at * RATE) :][:2400] += burst
    return samples


def listen(samples, *, bpm=None, codes=None, size=96_000):
    meter = LivenessMeter(bpm=bpm)
    for number, start in enumerate(range(0, len(samples), size)):
        meter.feed(samples[start : start + size], None if codes is None else codes[number * 50 : (number + 1) * 50])
    return meter.result()


def test_runs_go_on_across_pieces():
    runs = Runs()
    for piece in ([0, 1, 1], [1, 1], [1, 0, 1], [], [1, 1, 1, 0]):
        runs.feed(np.array(piece, bool))
    assert runs.longest == 5
    runs.feed(np.ones(9, bool))
    assert runs.longest == 9


def test_loudness_is_that_of_the_standard():
    """ITU-R BS.1770: a full-scale sine of 997 Hz in one channel has -3.01 LKFS, so in both 0."""
    found = listen(tone(6.0, gain=1.0))
    assert found.loudness_median_lufs == pytest.approx(0.0, abs=0.05)
    assert found.loudness_deviation_db < 0.1


def test_pieces_change_nothing():
    samples = np.concatenate([tone(4.0), tone(4.0, 0.05), clicks(6.0, 120.0)])
    whole, ragged = listen(samples, size=len(samples)), listen(samples, size=7777)
    assert whole.clipping_milliseconds == ragged.clipping_milliseconds
    assert whole.silence_seconds == ragged.silence_seconds
    np.testing.assert_allclose(whole.loudness, ragged.loudness, atol=1e-6)


def test_clipping_is_the_longest_run_at_the_ceiling():
    samples = tone(4.0)
    samples[50_000:50_480, 1] = CEILING
    samples[90_000:90_100, 0] = -CEILING
    assert listen(samples).clipping_milliseconds == pytest.approx(10.0)
    assert listen(tone(4.0)).clipping_milliseconds == 0.0


def test_silence_and_loudness_that_leaves_its_median():
    samples = tone(40.0)
    samples[5 * RATE : 7 * RATE] = 1e-5
    samples[12 * RATE : 16 * RATE] *= 0.25
    found = listen(samples)
    assert found.silence_seconds == pytest.approx(2.0, abs=0.02)
    assert found.loudness_deviation_db == pytest.approx(12.0, abs=0.5)
    assert 0.5 < found.loudness_within_share < 1.0


def test_drift_is_the_farthest_tempo_from_the_asked():
    steady = listen(clicks(60.0, 120.0), bpm=120.0)
    assert steady.tempo_drift is not None and steady.tempo_drift < 0.005
    assert steady.beat_share == 1.0
    late = listen(np.concatenate([clicks(30.0, 120.0), clicks(30.0, 115.0)]), bpm=120.0)
    assert late.tempo_drift == pytest.approx(5 / 120, abs=0.005)
    assert listen(clicks(30.0, 120.0)).tempo_drift is None


def test_without_a_beat_there_is_no_tempo():
    noise = np.random.default_rng(0).normal(0.0, 0.1, (30 * RATE, 2)).astype(np.float32)
    assert math.isnan(tempo_near(noise, 120.0))
    assert listen(noise, bpm=120.0).tempo_drift is None


def test_four_bars_again_and_again_are_counted():
    random = np.random.default_rng(0)
    stretch = random.integers(0, 1024, (200, 4))
    other = random.integers(0, 1024, (200, 4))
    for order, wanted in (([stretch] * 4, 3), ([stretch, other] * 2, 0), ([other, stretch, stretch, other], 1)):
        meter = RepetitionMeter(200)
        codes = np.concatenate(order)
        for start in range(0, len(codes), 50):
            meter.feed(codes[start : start + 50])
        assert (meter.repeats, meter.exact_repeats) == (wanted, wanted)
    nearly = np.concatenate([stretch] * 4)
    nearly[:, 1:] = random.integers(0, 1024, (800, 3))
    meter = RepetitionMeter(200)
    for start in range(0, 800, 50):
        meter.feed(nearly[start : start + 50])
    assert (meter.repeats, meter.exact_repeats) == (3, 0)
    assert meter.share_alike == 1.0


def test_entropy_of_codes():
    assert entropy_nats(np.array([5, 5, 0, 5, 5])) == pytest.approx(math.log(4))
    codes = np.random.default_rng(0).integers(0, 1024, (3000, 2))
    codes[1500:, 0] = 7
    found = listen(tone(120.0), codes=codes)
    assert found.lowest_entropy_nats == 0.0
    assert found.entropy_nats[1] > 6.0 > found.entropy_nats[0] > 3.0


class Streams:
    """A model that plays clicks at the asked tempo; of ambient, a tone."""

    def mix(self, weights):
        return next(iter(weights))

    def stream(self, style, *, seed, bpm):
        samples = tone(40.0) if "ambient" in style else clicks(40.0, bpm)
        codes = np.random.default_rng(seed).integers(0, 1024, (1000, 4))
        state = types.SimpleNamespace(context_codes=codes[:250])

        def next_chunk():
            number = stream.number
            stream.number += 1
            state.context_codes = np.roll(codes, -50 * number, axis=0)[:250]
            return samples[number * 96_000 : (number + 1) * 96_000]

        stream = types.SimpleNamespace(state=state, next_chunk=next_chunk, number=0)
        return stream


class Codes:
    """A codec that only encodes."""

    def encode(self, samples):
        return np.random.default_rng(0).integers(0, 1024, (len(samples), samples.shape[1] // 1920, 4))


def test_the_section_finds_good_takes_good_and_its_floors_bad(bench, fake_studio, some_prompts, tmp_path):
    sizes = Sizes(live_minutes=0.6, live_takes=3)
    made = bench(Streams(), codec=Codes(), prompts=some_prompts, sizes=sizes)
    section = live_section.measure(made)
    assert [row["genre"] for row in section.report["takes"]] == ["techno", "lofi hip hop", "ambient"]
    assert all(verdict.is_met for verdict in section.verdicts), [verdict.to_json() for verdict in section.verdicts]
    floors = section.report["floors"]
    assert floors["noise, clipped"]["clipping_milliseconds"] > 1.0
    assert floors["silence"]["silence_seconds"] > 30.0
    assert floors["four bars looped"]["repeats"] > 2
    section.pictures[0][1](tmp_path / "live.png")
    assert (tmp_path / "live.png").stat().st_size > 10_000
    again = bench(Streams(), codec=Codes(), prompts=some_prompts, sizes=sizes)
    live_section.measure(again)
    assert again.units.made == 0
