import heapq

import jax
import numpy as np
import pytest

from magenta_rt_py.codec import bands, phase, synthesis
from magenta_rt_py.nn.streaming import StreamingLayer
from magenta_rt_py.testing import check_streaming


def heap_integration(before, now, after, turns_before, tables):
    """The published algorithm for one STFT frame: a heap, loudest bin first. NaN where the phase is random."""
    bins, turns = len(now), np.full(len(now), np.nan)

    def time_gradient(logs):
        padded = np.pad(logs.astype(float), 1, mode="edge")
        return tables.advance_turns + tables.time_scale * (padded[2:] - padded[:-2])

    along_time = 0.5 * (time_gradient(before) + time_gradient(now))
    along_frequency = tables.frequency_scale * (after.astype(float) - before) - 0.5
    threshold = max(now.max(), before.max()) - 9.0
    waiting = {int(b) for b in np.nonzero(now > threshold)[0]}
    heap = [(-before[b], b, True) for b in waiting]
    heapq.heapify(heap)
    while waiting:
        _, b, is_past = heapq.heappop(heap)
        if is_past:
            reached = [(b, turns_before[b] + along_time[b])] if b in waiting else []
        else:
            reached = [
                (n, turns[b] + sign * 0.5 * (along_frequency[b] + along_frequency[n]))
                for n, sign in ((b + 1, 1), (b - 1, -1))
                if n in waiting
            ]
        for n, value in reached:
            turns[n] = value
            waiting.remove(n)
            heapq.heappush(heap, (-now[n], n, False))
    assert len(turns) == bins
    return turns


@pytest.fixture(scope="module")
def tables(config):
    return phase.make_tables(config)


@pytest.fixture(scope="module")
def logs(config, sound):
    energies = bands.band_energies(config, sound[None, :38400])
    return (0.5 * np.log(energies + config.energy_floor)).reshape(1, -1, 2, bands.band_count(config))


def test_the_linear_scans_are_the_heap_algorithm(tables):
    random = np.random.default_rng(0)
    bins = len(tables.advance_turns)
    for trial in range(6):
        # Rough and smooth spectra, with bins below the threshold among them.
        before, now, after = (
            np.convolve(random.standard_normal(bins + 9) * 2.5 / np.sqrt(1 + trial), np.ones(1 + trial), "same")[:bins]
            for _ in range(3)
        )
        before, now, after = (part.astype(np.float32) for part in (before, now, after))
        past = random.uniform(-0.5, 0.5, bins)
        turns = np.empty(bins)
        phase._integrate(before, now, after, past, 7, 0, tables, turns)
        expected = heap_integration(before, now, after, past, tables)
        known = np.isfinite(expected)
        assert 0.1 < known.mean() < 0.9
        np.testing.assert_allclose(turns[known], expected[known], atol=1e-6, rtol=0)
        assert ((0 <= turns[~known]) & (turns[~known] < 1)).all()


def test_rotation_is_sine_and_cosine():
    turns = np.random.default_rng(0).uniform(-40, 40, 5000)
    spectrum = np.empty(5000, np.complex64)
    phase._rotate(np.full(5000, 2.0, np.float32), (wrapped := turns.copy()), spectrum)
    np.testing.assert_allclose(spectrum, 2 * np.exp(2j * np.pi * turns), atol=2e-6)
    assert np.abs(wrapped).max() <= 0.5


def test_jitter_keeps_the_mean_level_and_is_that_of_noise(tables):
    assert abs(tables.jitter_logs.mean()) < 1e-5
    power = tables.jitter_factors.astype(float) ** 2
    assert abs(power.std() / power.mean() - 1) < 0.02  # an exponential distribution


def test_random_numbers_differ_by_frame_bin_and_channel():
    values = np.array([[[phase._hash(f, c, b) for b in range(200)] for c in (0, 1)] for f in range(-1, 20)], np.uint64)
    assert len(np.unique(values)) == values.size
    uniform = (values >> np.uint64(11)).astype(float) / 2**53
    assert abs(uniform.mean() - 0.5) < 0.01 and abs(uniform.std() - 12**-0.5) < 0.01
    assert np.abs(np.corrcoef(uniform.reshape(-1, 200).T[:8])[np.triu_indices(8, 1)]).max() < 0.6


def test_phase_and_synthesis_stream(config, tables, logs):
    lag = 4  # STFT frames: one of look-ahead, three of overlapping windows

    def init_state(batch):
        return phase.init_state(config, batch), synthesis.init_state(config, batch)

    def step(state, x):
        phases, spectra = phase.step(tables, state[0], x)
        overlap, samples = synthesis.step(config, state[1], spectra)
        return (phases, overlap), samples

    def whole(x):
        held = np.concatenate([x, np.repeat(x[:, -1:], lag, axis=1)], axis=1)
        return step(init_state(1), held)[1][:, lag * 480 :]

    layer = StreamingLayer(
        whole=whole,
        init_state=init_state,
        step=step,
        outputs_per_input=480,
        delay_outputs=lag * 480,
        lookahead_inputs=lag,
    )
    check_streaming(layer, logs, tolerance=0.0)


def test_step_leaves_the_callers_state_alone(config, tables, logs):
    state, _ = phase.step(tables, phase.init_state(config, 1), logs[:, :5])
    kept = jax.tree.map(np.copy, state)
    phase.step(tables, state, logs[:, 5:9])
    jax.tree.map(np.testing.assert_array_equal, state, kept)
