"""Reverb, echo, ducking, tone and loudness of the mix, at 48 kHz.

Inside the studio sound is channels first, [2, samples]: filters and Fourier transforms run along rows, twice as fast.
Only the finished piece is [samples, 2].
"""

import functools

import numpy as np
import scipy.fft
from jaxtyping import Float
from scipy.signal import butter, lfilter, sosfilt

from magenta_rt_py.train.studio.score import SAMPLE_RATE
from magenta_rt_py.train.studio.seeds import sound_generator

ROOMS = {  # seconds until -60 dB
    "dry": 0.25,
    "room": 0.6,
    "chamber": 0.9,
    "plate": 1.3,
    "spring": 1.5,
    "hall": 2.2,
    "cathedral": 4.0,
}
PREDELAY_SECONDS = {"hall": 0.02, "cathedral": 0.03}  # of the tail; 10 ms elsewhere
REFLECTIONS = {"room": 6, "chamber": 8, "hall": 6, "cathedral": 4}  # single early ones, in the first 60 ms
BRIGHT_SHARE = 0.55  # the highs of a tail decay in this share of its time
TARGET_LUFS = -15.0
CEILING = 0.97  # peak of a finished piece
SILENCE_LUFS = -90.0  # below this there is nothing to make louder
KNEE = 0.6  # samples below this pass the limiter unchanged
RISER_BANDS_HZ = (200.0, 500.0, 1200.0, 2800.0, 6500.0, 15000.0)
DUCK_SECONDS = 0.09  # time constant of the recovery after a kick

# ITU-R BS.1770-4 at 48 kHz: the head's shelf, then the high-pass.
K_WEIGHTING = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)

Stereo = Float[np.ndarray, "2 samples"]


@functools.cache
def _room_spectrum(room: str) -> tuple[int, int, np.ndarray]:
    """The room as (block size, samples of new input in a block, spectrum [2, 1, bins]).

    The tail is decaying noise, darker towards the end, different left and right, after a few single reflections.
    """
    seconds = ROOMS[room]
    samples = int(seconds * SAMPLE_RATE)
    rng = sound_generator("room", room)
    time = np.arange(samples) / SAMPLE_RATE
    noise = rng.standard_normal((2, samples))
    dark = lfilter([0.2], [1, -0.8], noise, axis=1)
    tail = dark * np.exp(-6.9 * time / seconds) + 0.5 * (noise - dark) * np.exp(-6.9 * time / (BRIGHT_SHARE * seconds))
    if room == "spring":  # a slow ripple and nothing above the spring's 4 kHz
        tail = sosfilt(butter(4, 4000, fs=SAMPLE_RATE, output="sos"), tail, axis=1) * (1 + np.cos(2 * np.pi * 22 * time))
    tail = sosfilt(butter(1, 180, "highpass", fs=SAMPLE_RATE, output="sos"), tail, axis=1)
    tail[:, : int(PREDELAY_SECONDS.get(room, 0.01) * SAMPLE_RATE)] = 0
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    for number in range(REFLECTIONS.get(room, 0)):
        place = int((0.01 + 0.05 * rng.random()) * SAMPLE_RATE)
        tail[number % 2, place] += 0.4 * 0.85**number
    size = 1 << int(np.ceil(np.log2(2 * samples)))
    return size, size - samples, np.asarray(scipy.fft.rfft(tail.astype(np.float32), size, axis=1))[:, None]


def reverb(send: Float[np.ndarray, " samples"], room: str) -> Stereo:
    """The room's answer to a mono send, as long as the send.

    Convolves block by block (overlap-add), because transforms that fit the processor's cache are much faster.
    """
    size, hop, spectrum = _room_spectrum(room)
    blocks = -(-len(send) // hop)
    padded = np.zeros(blocks * hop, np.float32)
    padded[: len(send)] = send
    wet = np.asarray(scipy.fft.irfft(scipy.fft.rfft(padded.reshape(blocks, hop), size, axis=1) * spectrum, size, axis=2))
    out = np.zeros((2, blocks * hop + size), np.float32)
    for block in range(blocks):
        out[:, block * hop : block * hop + size] += wet[:, block]
    return out[:, : len(send)]


def echo(dry: Stereo, delay_samples: int, gain: float) -> Stereo:
    """Adds three repeats that jump between the sides, each `gain` times the one before."""
    wet = dry.copy()
    mono = dry[0] + dry[1]
    for repeat in range(1, 4):
        start = repeat * delay_samples
        if start < len(mono):
            wet[repeat % 2, start:] += mono[: len(mono) - start] * np.float32(0.65 * gain**repeat)
    return wet


def duck_curve(starts: list[int], samples: int, depth: float) -> Float[np.ndarray, " samples"]:
    """Gain that dips by `depth` (0..1) at each start and recovers."""
    length = int(4 * DUCK_SECONDS * SAMPLE_RATE)
    dip = (1 - depth * np.exp(-np.arange(length) / (DUCK_SECONDS * SAMPLE_RATE))).astype(np.float32)
    curve = np.ones(samples, np.float32)
    for start in starts:
        part = curve[start : start + length]
        np.minimum(part, dip[: len(part)], out=part)
    return curve


def lowpass(sound: Stereo, cutoff_hz: float, *, order: int = 2) -> Stereo:
    """Butterworth low-pass."""
    return sosfilt(np.asarray(butter(order, cutoff_hz, fs=SAMPLE_RATE, output="sos"), np.float32), sound)


def saturate(sound: Stereo, amount: float) -> Stereo:
    """Soft clipping of a mix whose peaks are near 1; amount 0 none .. 1 strong."""
    gain = np.float32(1 + 2 * amount)
    return np.tanh(gain * sound) / gain


def crackle(samples: int, loop_samples: int, gain: float) -> Stereo:
    """Vinyl dust: hiss and clicks, the same loop over and over so that bars stay equal."""
    rng = sound_generator("crackle", loop_samples)
    clicks = np.where(rng.random((2, loop_samples)) < 12 / SAMPLE_RATE, rng.standard_normal((2, loop_samples)) * 40, 0)
    loop = lfilter([0.3], [1, -0.7], rng.standard_normal((2, loop_samples)) * 0.6 + clicks, axis=1)
    return np.tile((gain * loop).astype(np.float32), -(-samples // loop_samples))[:, :samples]


@functools.lru_cache(maxsize=16)
def riser(samples: int) -> Stereo:
    """Noise that rises from a rumble to a hiss, peak 1 at its end; what leads into a drop."""
    noise = sound_generator("riser", samples).standard_normal((2, samples)).astype(np.float32)
    place = np.linspace(0, 1, samples, dtype=np.float32)
    sound = np.zeros_like(noise)
    centres = np.linspace(0, 1, len(RISER_BANDS_HZ) - 1)
    for low, high, centre in zip(RISER_BANDS_HZ, RISER_BANDS_HZ[1:], centres, strict=False):
        band = sosfilt(np.asarray(butter(1, (low, high), "bandpass", fs=SAMPLE_RATE, output="sos"), np.float32), noise)
        sound += band * np.exp(-(((place - centre) / 0.25) ** 2))
    sound *= place**2
    return sound / np.abs(sound).max()


def loudness_lufs(sound: Stereo) -> float:
    """Integrated loudness, LUFS, without gating. Source: ITU-R BS.1770-4."""
    weighted = sosfilt(K_WEIGHTING.astype(np.float32), sound)
    return float(-0.691 + 10 * np.log10(np.vdot(weighted, weighted) / weighted.shape[1] + 1e-12))


def gain_to_target(sound: Stereo) -> np.float32:
    """The gain that brings a mix to TARGET_LUFS; 1 for silence."""
    loudness = loudness_lufs(sound)
    return np.float32(1.0 if loudness < SILENCE_LUFS else 10 ** ((TARGET_LUFS - loudness) / 20))


def master(sound: Stereo) -> Stereo:
    """Brings the mix to TARGET_LUFS and keeps every peak below CEILING by bending it above KNEE."""
    return _limit(sound * gain_to_target(sound))


def _limit(sound: np.ndarray) -> np.ndarray:
    over = np.abs(sound) > KNEE
    loud = sound[over]
    span = np.float32(CEILING - KNEE)
    sound[over] = np.sign(loud) * (np.float32(KNEE) + span * np.tanh((np.abs(loud) - np.float32(KNEE)) / span))
    return sound
