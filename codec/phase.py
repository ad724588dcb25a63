"""Phase from magnitudes, one STFT frame at a time: real-time phase gradient heap integration.

The log magnitude of a Hann-windowed STFT fixes its phase gradients: along time from the slope over frequency, along
frequency from the slope over time. A bin takes its phase either from itself one STFT frame earlier or from a
neighbour, whichever comes through the louder path. The published algorithm finds the path with a heap. In one
dimension the same tree follows from two linear scans, because the loudest path (the one whose quietest bin is loudest)
to a bin arrives from the left, from the right or from the past:

    left[m]  = min(now[m-1], max(past[m-1], left[m-1]))      quietest bin on the best path that enters m from m-1
    right[m] = min(now[m+1], max(past[m+1], right[m+1]))
    parent of m = the largest of past[m], left[m], right[m]

Bins that are quiet beside the loudest get a random phase, and noise jitter gives the smooth magnitudes of a decoder
the Rayleigh scatter that real noise has: without it, smooth noise becomes a grid of pulses. Both come from a hash of
(STFT frame, bin, channel), so that a stream may be cut anywhere.

Source: Prusa and Sondergaard, "Real-time spectrogram inversion using phase gradient heap integration" (DAFx 2016), with
one STFT frame of look-ahead; the linear scans, the hash and the jitter are ours.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Complex64, Float32, Float64, Int64

from magenta_rt_py.codec import bands
from magenta_rt_py.codec.config import CompactCodecConfig
from magenta_rt_py.nn.compiled import compiled

_HANN_TIME_FREQUENCY_RATIO = 0.25645  # gamma / window length^2 of a Hann window (Prusa et al. 2017, table I)
_LOG_FLOOR = 1e-6  # added to a magnitude before its logarithm
_TOLERANCE_LOG = -9.0  # bins this far below the loudest of two STFT frames get a random phase
QUIETEST_ENERGY = 1e-8  # of a decoded band, after its floor is taken off
LOUDEST_LOG = 8.0  # decoded log magnitudes are held below this (full scale is 6.2)
_JITTER_ENTRIES = 4096  # quantiles of the jitter; a power of two

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # constants of the splitmix64 finalizer
_MIX_2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class PhaseState(NamedTuple):
    """What the next STFT frame needs of the last two; the present one waits for its successor.

    logs_before, logs_now: log magnitudes of the STFT frame before the waiting one and of the waiting one.
    magnitudes_now: of the waiting one.
    turns_before: phases of the one before, 1 is a full turn.
    stft_frame: index of the waiting one.
    """

    logs_before: Float32[np.ndarray, "batch channels bins"]
    logs_now: Float32[np.ndarray, "batch channels bins"]
    magnitudes_now: Float32[np.ndarray, "batch channels bins"]
    turns_before: Float64[np.ndarray, "batch channels bins"]
    stft_frame: Int64[np.ndarray, ""]


class PhaseTables(NamedTuple):
    """Constants of a geometry, in the form the compiled loop reads."""

    band_of_bin: Int64[np.ndarray, "bins"]
    jitter_logs: Float32[np.ndarray, "entries"]
    jitter_factors: Float32[np.ndarray, "entries"]
    first_jittered_bin: int
    advance_turns: Float64[np.ndarray, "bins"]  # phase a bin's centre frequency gains in one hop, less whole turns
    time_scale: float  # turns a hop, per slope of the log magnitude over two bins
    frequency_scale: float  # turns a bin, per slope over two hops
    energy_floor: float
    band_gains: Float32[np.ndarray, "bands"]  # factors of the decoded magnitudes


def make_tables(config: CompactCodecConfig, gain: Float32[np.ndarray, "bands"] | None = None) -> PhaseTables:
    """Tables for a codec geometry.

    Args:
      gain: natural log by which a decoded band is made louder. Spectra of smooth magnitudes and integrated phases do not
        fit together where windows overlap, and come out quieter than they were meant; jittered ones come out louder.
        train/codec_gain.py measures by how much. None: 0. The configuration's trim comes on top.
    """
    gain = np.zeros(bands.band_count(config)) if gain is None else gain
    bins = np.arange(config.bins)
    gamma = _HANN_TIME_FREQUENCY_RATIO * config.window_samples**2
    exponential = -np.log1p(-(np.arange(_JITTER_ENTRIES) + 0.5) / _JITTER_ENTRIES)  # quantiles of Exp(1)
    logs = 0.5 * np.log(exponential)
    logs -= logs.mean()  # the mean log level stays
    bin_hz = config.sample_rate / config.window_samples
    return PhaseTables(
        band_of_bin=bands.band_of_bin(config).astype(np.int64),
        jitter_logs=logs.astype(np.float32),
        jitter_factors=np.exp(logs).astype(np.float32),
        first_jittered_bin=round(config.jitter_above_hz / bin_hz),
        advance_turns=(bins * config.hop_samples % config.window_samples) / config.window_samples,
        time_scale=config.hop_samples * config.window_samples / (2.0 * gamma) / (2.0 * np.pi),
        frequency_scale=-gamma / (2.0 * config.hop_samples * config.window_samples) / (2.0 * np.pi),
        energy_floor=config.energy_floor,
        band_gains=np.exp(gain + np.log(10.0) / 20.0 * config.trim_db).astype(np.float32),
    )


def init_state(config: CompactCodecConfig, batch: int) -> PhaseState:
    """Silence before the first STFT frame."""
    shape = (batch, config.channels, config.bins)
    silence = np.full(shape, np.log(np.sqrt(QUIETEST_ENERGY) + _LOG_FLOOR), np.float32)
    return PhaseState(silence, silence.copy(), np.zeros(shape, np.float32), np.zeros(shape), np.array(-1, np.int64))


@compiled
@no_type_check
def _hash(stft_frame, channel, frequency_bin):
    """64 well mixed bits (the splitmix64 finalizer)."""
    x = (np.uint64(stft_frame) * np.uint64(2) + np.uint64(channel)) * np.uint64(65536) + np.uint64(frequency_bin)
    x = x * _GOLDEN + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@compiled
@no_type_check
def _expand(band_logs, stft_frame, channel, tables, logs, magnitudes):
    """Magnitudes of all bins from the log magnitudes of the bands, with noise jitter; and their logarithms."""
    bands_count = len(band_logs)
    band_magnitudes = np.empty(bands_count, np.float32)
    band_levels = np.empty(bands_count, np.float32)
    for band in range(bands_count):
        energy = np.exp(2.0 * min(np.float64(band_logs[band]), LOUDEST_LOG)) - tables.energy_floor
        magnitude = np.sqrt(max(energy, QUIETEST_ENERGY)) * tables.band_gains[band]
        band_magnitudes[band] = magnitude
        band_levels[band] = np.log(magnitude + _LOG_FLOOR)
    for b in range(len(logs)):
        band = tables.band_of_bin[b]
        logs[b] = band_levels[band]
        magnitudes[b] = band_magnitudes[band]
    mask = np.uint64(len(tables.jitter_logs) - 1)
    for b in range(tables.first_jittered_bin, len(logs)):
        entry = np.int64(_hash(stft_frame, channel, b) & mask)
        logs[b] += tables.jitter_logs[entry]
        magnitudes[b] *= tables.jitter_factors[entry]


@compiled
@no_type_check
def _integrate(before, now, after, turns_before, random_bits_frame, channel, tables, turns):
    """Phases (in turns) of the STFT frame whose log magnitudes are `now`."""
    bins = len(now)
    loudest = np.float32(-1e9)
    for b in range(bins):
        loudest = max(loudest, max(now[b], before[b]))
    threshold = loudest + np.float32(_TOLERANCE_LOG)
    nothing = np.float32(-1e30)

    along_time = np.empty(bins, np.float64)  # half of the gradient over two frames, added for both
    along_frequency = np.empty(bins, np.float64)
    for b in range(bins):
        low, high = max(b - 1, 0), min(b + 1, bins - 1)
        slope = np.float64(now[high] - now[low]) + np.float64(before[high] - before[low])
        along_time[b] = tables.advance_turns[b] + 0.5 * tables.time_scale * slope
        along_frequency[b] = tables.frequency_scale * np.float64(after[b] - before[b]) - 0.5

    from_right = np.empty(bins, np.float32)
    best = nothing
    for b in range(bins - 1, -1, -1):
        from_right[b] = best
        best = min(now[b], max(before[b], best)) if now[b] > threshold else nothing

    waits_for_right = np.zeros(bins, np.bool_)
    best = nothing
    for b in range(bins):
        if now[b] <= threshold:
            bits = _hash(random_bits_frame, channel, b) >> np.uint64(11)
            turns[b] = np.float64(np.int64(bits)) * (1.0 / 9007199254740992.0)
            best = nothing
            continue
        left, right, past = best, from_right[b], before[b]
        if left >= past and left >= right:
            turns[b] = turns[b - 1] + 0.5 * (along_frequency[b - 1] + along_frequency[b])
        elif right > past:
            waits_for_right[b] = True
        else:
            turns[b] = turns_before[b] + along_time[b]
        best = min(now[b], max(past, left))
    for b in range(bins - 1, -1, -1):
        if waits_for_right[b]:
            turns[b] = turns[b + 1] - 0.5 * (along_frequency[b] + along_frequency[b + 1])


@compiled
@no_type_check
def _rotate(magnitudes, turns, spectrum):
    """Magnitude and phase to a complex spectrum; leaves the phases within half a turn.

    Sine and cosine by Taylor polynomials within an eighth of a turn: the loop vectorizes and rounds alike everywhere.
    """
    for b in range(len(turns)):
        wrapped = turns[b] - np.rint(turns[b])
        turns[b] = wrapped
        quarter = np.rint(wrapped * 4.0)
        x = np.float32((wrapped - quarter * 0.25) * 6.283185307179586)
        y = x * x
        sine = x * (np.float32(1.0) + y * (np.float32(-1 / 6) + y * (np.float32(1 / 120) + y * np.float32(-1 / 5040))))
        cosine = np.float32(1.0) + y * (
            np.float32(-0.5) + y * (np.float32(1 / 24) + y * (np.float32(-1 / 720) + y * np.float32(1 / 40320)))
        )
        q = np.int64(quarter) & 3
        swap = (q & 1) == 1
        real = sine if swap else cosine
        imaginary = cosine if swap else sine
        if q == 1 or q == 2:
            real = -real
        if q >= 2:
            imaginary = -imaginary
        spectrum[b] = magnitudes[b] * np.complex64(complex(real, imaginary))


@compiled
@no_type_check
def _run_channel(
    band_logs, channel, first_stft_frame, tables, logs_before, logs_now, magnitudes_now, turns_before, spectra
):
    """Runs one channel over its new STFT frames; the state arrays are changed in place."""
    bins = len(logs_now)
    logs_after = np.empty(bins, np.float32)
    turns_now = np.empty(bins, np.float64)
    for index in range(len(band_logs)):
        waiting = first_stft_frame + index  # gets its phase now that its successor is known
        magnitudes_after = np.empty(bins, np.float32)
        _expand(band_logs[index], waiting + 1, channel, tables, logs_after, magnitudes_after)
        _integrate(logs_before, logs_now, logs_after, turns_before, waiting, channel, tables, turns_now)
        _rotate(magnitudes_now, turns_now, spectra[index])
        logs_before[:] = logs_now
        logs_now[:] = logs_after
        magnitudes_now[:] = magnitudes_after
        turns_before[:] = turns_now


def step(
    tables: PhaseTables, state: PhaseState, band_logs: Float32[np.ndarray, "batch stft_frames channels bands"]
) -> tuple[PhaseState, Complex64[np.ndarray, "batch channels stft_frames bins"]]:
    """Spectra of the next STFT frames, one STFT frame late: the last one given waits for its successor.

    Args:
      band_logs: natural log of the magnitudes, floored as bands.features_of_energies does.
    """
    batch, frames, channels, _ = band_logs.shape
    state = PhaseState(*(np.array(part) for part in state))  # the caller's state stays as it was
    spectra = np.empty((batch, channels, frames, state.logs_now.shape[-1]), np.complex64)
    first = int(state.stft_frame)
    for item in range(batch):
        for channel in range(channels):
            _run_channel(
                np.ascontiguousarray(band_logs[item, :, channel]),
                channel,
                first,
                tables,
                state.logs_before[item, channel],
                state.logs_now[item, channel],
                state.magnitudes_now[item, channel],
                state.turns_before[item, channel],
                spectra[item, channel],
            )
    return state._replace(stft_frame=np.array(first + frames, np.int64)), spectra
