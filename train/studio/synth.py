"""The studio's synthesizer: band-limited wavetables with a filter sweep, and two-operator FM.

A filter is imitated by eight tables of the same wave, darker to brighter, cross-faded sample by sample; the phase is
a 32-bit counter that wraps by itself, so a note costs a few integer operations per sample.
"""

import functools
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.studio.score import SAMPLE_RATE

TABLE_BITS = 13
TABLE_SIZE = 1 << TABLE_BITS
NUM_ROWS = 8  # brightness rows of a table; row 7 is unfiltered
LOWEST_CUT_HZ = 90.0  # low-pass of row 0; each row is ROW_RATIO higher
ROW_RATIO = 2.15
BAND_SEMITONES = 6  # pitches that share a table
HIGHEST_HZ = 20000.0


@dataclass(frozen=True, kw_only=True)
class Oscillator:
    """One wave of a patch."""

    shape: str = "saw"  # saw, square, pulse, triangle or sine
    semitones: float = 0.0  # tuning against the note
    gain: float = 1.0
    pan: float = 0.0  # -1 left .. 1 right
    phase: float = 0.0  # 0..1


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A sound. Times in seconds; brightness in table rows, 0..7."""

    oscillators: tuple[Oscillator, ...] = ()
    attack: float = 0.003
    decay: float = 0.2  # time constant towards `sustain`
    sustain: float = 0.8  # level while held, 0..1
    release: float = 0.06  # time constant after the key is up
    row: float = 3.0  # filter
    row_per_brightness: float = 3.0  # added at card brightness 1
    sweep: float = 0.0  # rows added at the onset
    sweep_seconds: float = 0.1  # time constant of the sweep
    drive: float = 0.0  # tanh saturation, 0 none
    fm_ratio: float = 0.0  # modulator frequency / carrier frequency; 0 means wavetables only
    fm_index: float = 0.0
    fm_decay: float = 0.5  # time constant of the index
    glide: float = 0.0  # semitones above the note at the onset, gone after 50 ms
    detuned: float = field(default=0.0)  # right FM carrier's detuning, semitones


def _unison(detunings: tuple[float, ...], shape: str = "saw") -> tuple[Oscillator, ...]:
    """Oscillators spread over the stereo field."""
    last = len(detunings) - 1
    return tuple(
        Oscillator(
            shape=shape,
            semitones=detuning,
            gain=1.2 / len(detunings),
            pan=0.8 * (2 * index / last - 1),
            phase=(0.37 * index) % 1,
        )
        for index, detuning in enumerate(detunings)
    )


PATCHES: dict[str, Patch] = {
    "supersaw": Patch(
        oscillators=_unison((-0.16, -0.07, 0.0, 0.09, 0.17)),
        attack=0.015,
        sustain=0.9,
        release=0.2,
        row=3.6,
        row_per_brightness=2.4,
    ),
    "warm pad": Patch(
        oscillators=(*_unison((-0.07, 0.06)), Oscillator(shape="triangle", semitones=-12.0, gain=0.4)),
        attack=0.12,
        sustain=0.95,
        release=0.4,
        row=1.8,
        row_per_brightness=2.2,
    ),
    "dark pad": Patch(
        oscillators=_unison((-0.1, 0.0, 0.08)), attack=0.06, sustain=0.9, release=0.3, row=1.2, row_per_brightness=2.0
    ),
    "glass pad": Patch(
        attack=0.08, decay=2.0, sustain=0.8, release=0.6, fm_ratio=3.0, fm_index=0.55, fm_decay=2.0, detuned=0.05
    ),
    "stab": Patch(
        oscillators=_unison((-0.12, 0.0, 0.11)),
        decay=0.12,
        sustain=0.25,
        release=0.08,
        row=2.0,
        sweep=1.6,
        sweep_seconds=0.07,
    ),
    "pluck": Patch(
        oscillators=(
            Oscillator(semitones=-0.04, pan=-0.4),
            Oscillator(semitones=0.05, pan=0.4, phase=0.4),
            Oscillator(shape="square", semitones=12.0, gain=0.3),
        ),
        decay=0.15,
        sustain=0.0,
        release=0.1,
        row=2.2,
        sweep=2.2,
        sweep_seconds=0.06,
    ),
    "arp synth": Patch(
        oscillators=(Oscillator(shape="pulse", pan=-0.3), Oscillator(shape="saw", semitones=0.07, gain=0.5, pan=0.3)),
        decay=0.12,
        sustain=0.3,
        release=0.06,
        row=2.6,
        sweep=1.4,
        sweep_seconds=0.08,
    ),
    "saw bass": Patch(
        oscillators=(Oscillator(), Oscillator(shape="square", semitones=-12.0, gain=0.5)),
        decay=0.15,
        sustain=0.6,
        release=0.03,
        row=1.6,
        row_per_brightness=2.0,
        sweep=1.6,
        sweep_seconds=0.1,
    ),
    "house bass": Patch(
        oscillators=(Oscillator(shape="square"), Oscillator(shape="sine", semitones=-12.0, gain=0.8)),
        decay=0.14,
        sustain=0.35,
        release=0.03,
        row=1.2,
        row_per_brightness=1.2,
        sweep=1.6,
        sweep_seconds=0.05,
    ),
    "rumble bass": Patch(
        oscillators=(Oscillator(shape="sine"), Oscillator(shape="saw", gain=0.35)),
        decay=0.12,
        sustain=0.7,
        release=0.04,
        row=0.5,
        row_per_brightness=1.0,
        drive=1.5,
    ),
    "acid bass": Patch(
        oscillators=(Oscillator(),),
        decay=0.15,
        sustain=0.5,
        release=0.02,
        row=1.2,
        row_per_brightness=1.5,
        sweep=2.8,
        sweep_seconds=0.09,
        drive=2.0,
    ),
    "sub bass": Patch(oscillators=(Oscillator(shape="sine"),), attack=0.006, sustain=0.9, release=0.05, drive=0.8, row=7.0),
    "808": Patch(
        oscillators=(Oscillator(shape="sine"),), decay=0.7, sustain=0.15, release=0.12, drive=2.2, row=7.0, glide=5.0
    ),
    "reese": Patch(
        oscillators=(
            Oscillator(semitones=-0.13, pan=-0.5),
            Oscillator(semitones=0.12, pan=0.5, phase=0.5),
            Oscillator(shape="sine", semitones=-12.0, gain=0.9),
        ),
        attack=0.008,
        sustain=0.95,
        release=0.06,
        row=2.2,
        row_per_brightness=1.8,
        drive=1.0,
    ),
    "saw lead": Patch(oscillators=_unison((-0.08, 0.0, 0.09)), attack=0.008, sustain=0.8, release=0.12, row=3.6),
    "square lead": Patch(
        oscillators=(Oscillator(shape="square"), Oscillator(shape="square", semitones=0.06, gain=0.5)),
        attack=0.006,
        sustain=0.75,
        release=0.1,
        row=3.2,
    ),
    "bell": Patch(decay=0.6, sustain=0.0, release=0.5, fm_ratio=3.5, fm_index=1.6, fm_decay=0.3),
    "chip pulse": Patch(
        oscillators=(Oscillator(shape="pulse"),), attack=0.001, decay=0.2, sustain=0.7, release=0.01, row=7.0
    ),
    "chip arp": Patch(
        oscillators=(Oscillator(shape="square"),), attack=0.001, decay=0.1, sustain=0.6, release=0.01, row=7.0
    ),
    "chip bass": Patch(
        oscillators=(Oscillator(shape="triangle"),), attack=0.001, decay=0.3, sustain=0.8, release=0.01, row=7.0
    ),
}


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


def _phase(pitch: float, samples: int, *, start: float, glide: float) -> np.ndarray:
    """Phase of each sample as a 32-bit fraction of the period."""
    offset = np.uint32(int(start * 2**32) % 2**32)
    if glide == 0:
        step = np.uint32(round(_hertz(pitch) / SAMPLE_RATE * 2**32))
        return np.arange(samples, dtype=np.uint32) * step + offset
    curve = pitch + glide * np.exp(-np.arange(samples) / (0.012 * SAMPLE_RATE))
    cycles = np.cumsum(440.0 * 2 ** ((curve - 69) / 12)) / SAMPLE_RATE
    return ((cycles % 1) * (2**32 - 1)).astype(np.uint32) + offset


def _wave(oscillator: Oscillator, pitch: int, rows: np.ndarray, *, glide: float) -> np.ndarray:
    """One oscillator; `rows` is the brightness row at each sample."""
    tuned = pitch + oscillator.semitones
    tables = _tables(oscillator.shape, int(tuned) // BAND_SEMITONES)
    phase = _phase(tuned, len(rows), start=oscillator.phase, glide=glide)
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
        rows = patch.row + patch.row_per_brightness * brightness + patch.sweep * np.exp(-time / patch.sweep_seconds)
        rows = np.clip(rows, 0, NUM_ROWS - 1.001)
        for oscillator in patch.oscillators:
            wave = oscillator.gain * _wave(oscillator, pitch, rows, glide=patch.glide)
            sound[0] += wave * min(1.0, 1 - oscillator.pan)
            sound[1] += wave * min(1.0, 1 + oscillator.pan)
    if patch.fm_ratio:
        index = patch.fm_index * (0.5 + brightness) * np.exp(-time / patch.fm_decay)
        for channel, detuning in enumerate((-patch.detuned, patch.detuned)):
            angle = (2 * np.pi / 2**32) * _phase(pitch + detuning, samples, start=0.0, glide=0.0)
            modulator = np.sin(2 * np.pi * patch.fm_ratio * _hertz(pitch + detuning) * time.astype(np.float64))
            sound[channel] += np.sin(angle + index * modulator).astype(np.float32)
    if patch.drive:
        sound = np.tanh((1 + patch.drive) * sound) / np.float32(np.tanh(1 + patch.drive))
    return sound * _envelope(patch, samples, gate_samples)
