"""The studio's synthesizer: band-limited wavetables with a filter sweep, and two-operator FM.

A filter is imitated by eight tables of the same wave, darker to brighter, cross-faded sample by sample; the phase is
a 32-bit counter that wraps by itself, so a note costs a few integer operations per sample.
"""

import functools

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.studio.patches import PATCHES, Oscillator, Patch
from magenta_rt_py.train.studio.score import SAMPLE_RATE

TABLE_BITS = 13
TABLE_SIZE = 1 << TABLE_BITS
NUM_ROWS = 8  # brightness rows of a table; row 7 is unfiltered
LOWEST_CUT_HZ = 90.0  # low-pass of row 0; each row is ROW_RATIO higher
ROW_RATIO = 2.15
BAND_SEMITONES = 6  # pitches that share a table
HIGHEST_HZ = 20000.0
VIBRATO_HZ = 5.5
VIBRATO_DELAY_SECONDS = 0.12  # time constant with which the vibrato comes in


def _harmonics(shape: str, count: int) -> np.ndarray:
    """Amplitudes of the first `count` harmonics of a wave."""
    k = np.arange(1, count + 1, dtype=np.float64)
    if shape == "saw":
        return 1 / k
    if shape == "square":
        return (k % 2) * 1.3 / k
    if shape == "pulse":  # the spectrum of a wave that is high for a quarter of its period
        return 1.4 * np.sin(np.pi * k * 0.25) / k
    if shape == "triangle":
        return 1.2 * (k % 2) / k**2 * np.where(k % 4 == 1, 1.0, -1.0)
    if shape == "sine":
        return (k == 1) * 1.0
    raise ValueError(f"got wave shape {shape!r}, expected saw, square, pulse, triangle or sine")


@functools.lru_cache(maxsize=256)
def _tables(shape: str, band: int) -> np.ndarray:
    """[rows * size] float32: the wave for pitches of one band, from the darkest row to the open one."""
    lowest_hz, highest_hz = _hertz(band * BAND_SEMITONES), _hertz((band + 1) * BAND_SEMITONES)
    count = int(np.clip(HIGHEST_HZ / highest_hz, 1, TABLE_SIZE // 4))
    amplitudes, frequencies = _harmonics(shape, count), lowest_hz * np.arange(1, count + 1)
    rows = []
    for row in range(NUM_ROWS):
        cut = LOWEST_CUT_HZ * ROW_RATIO**row
        peak = 1 + np.exp(-((np.log2(frequencies / cut) / 0.4) ** 2))  # a mild resonance
        response = peak / np.sqrt(1 + (frequencies / cut) ** 6) if row < NUM_ROWS - 1 else np.ones(count)
        spectrum = np.zeros(TABLE_SIZE // 2 + 1, np.complex128)
        spectrum[1 : count + 1] = -0.5j * TABLE_SIZE * amplitudes * response
        rows.append(np.fft.irfft(spectrum))
    return np.concatenate(rows).astype(np.float32)


def _hertz(pitch: float | int) -> float:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _bend(patch: Patch, samples: int) -> np.ndarray | None:
    """Semitones by which the pitch is off the note at each sample; None for a steady note."""
    if not (patch.glide or patch.vibrato):
        return None
    time = np.arange(samples) / SAMPLE_RATE
    bend = patch.glide * np.exp(-time / 0.012)
    if patch.vibrato:
        depth = patch.vibrato * (1 - np.exp(-time / VIBRATO_DELAY_SECONDS))
        bend = bend + depth * np.sin(2 * np.pi * VIBRATO_HZ * time)
    return bend


def _phase(pitch: float, samples: int, *, start: float, bend: np.ndarray | None) -> np.ndarray:
    """Phase of each sample as a 32-bit fraction of the period."""
    offset = np.uint32(int(start * 2**32) % 2**32)
    if bend is None:
        step = np.uint32(round(_hertz(pitch) / SAMPLE_RATE * 2**32))
        return np.arange(samples, dtype=np.uint32) * step + offset
    curve = pitch + bend
    cycles = np.cumsum(440.0 * 2 ** ((curve - 69) / 12)) / SAMPLE_RATE
    return ((cycles % 1) * (2**32 - 1)).astype(np.uint32) + offset


def _wave(oscillator: Oscillator, pitch: int, rows: np.ndarray, *, bend: np.ndarray | None) -> np.ndarray:
    """One oscillator; `rows` is the brightness row at each sample."""
    tuned = pitch + oscillator.semitones
    tables = _tables(oscillator.shape, int(tuned) // BAND_SEMITONES)
    phase = _phase(tuned, len(rows), start=oscillator.phase, bend=bend)
    index = (phase >> np.uint32(32 - TABLE_BITS)).astype(np.int64)
    row = rows.astype(np.int64)
    index += row * TABLE_SIZE
    dark, bright = tables[index], tables[index + TABLE_SIZE]
    return dark + (rows - row).astype(np.float32) * (bright - dark)


def _envelope(patch: Patch, samples: int, gate_samples: int) -> np.ndarray:
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    level = patch.sustain + (1 - patch.sustain) * np.exp(-np.maximum(time - patch.attack, 0) / patch.decay)
    level = level * np.minimum(time / patch.attack, 1)
    level[gate_samples:] *= np.exp(-(time[gate_samples:] - gate_samples / SAMPLE_RATE) / patch.release)
    return level.astype(np.float32)


def play(name: str, pitch: int, gate_samples: int, brightness: float) -> Float[np.ndarray, "2 samples"]:
    """Plays one note.

    Args:
      name: a key of PATCHES.
      pitch: MIDI number.
      gate_samples: how long the key is held.
      brightness: 0 dark .. 1 brilliant.
    Returns:
      the note with its release, peak near 1.
    """
    patch = PATCHES[name]
    samples = gate_samples + int(4.5 * patch.release * SAMPLE_RATE)
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    sound = np.zeros((2, samples), np.float32)
    if patch.oscillators:
        bend = _bend(patch, samples)
        rows = patch.row + patch.row_per_brightness * brightness + patch.sweep * np.exp(-time / patch.sweep_seconds)
        if patch.wobble:
            rows = rows - patch.wobble * np.cos(2 * np.pi * patch.wobble_hz * time)
        rows = np.clip(rows, 0, NUM_ROWS - 1.001)
        for oscillator in patch.oscillators:
            wave = oscillator.gain * _wave(oscillator, pitch, rows, bend=bend)
            sound[0] += wave * min(1.0, 1 - oscillator.pan)
            sound[1] += wave * min(1.0, 1 + oscillator.pan)
    if patch.fm_ratio:
        index = patch.fm_index * (0.5 + brightness) * np.exp(-time / patch.fm_decay)
        for channel, detuning in enumerate((-patch.detuned, patch.detuned)):
            angle = (2 * np.pi / 2**32) * _phase(pitch + detuning, samples, start=0.0, bend=None)
            modulator = np.sin(2 * np.pi * patch.fm_ratio * _hertz(pitch + detuning) * time.astype(np.float64))
            sound[channel] += np.sin(angle + index * modulator).astype(np.float32)
    if patch.drive:
        sound = np.tanh((1 + patch.drive) * sound) / np.float32(np.tanh(1 + patch.drive))
    return sound * _envelope(patch, samples, gate_samples)
