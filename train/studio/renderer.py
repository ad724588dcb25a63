"""Turns a score into sound: every distinct note is made once and then added wherever it occurs."""

from collections import OrderedDict

import numpy as np
from jaxtyping import Float

from magenta_rt_py.train.studio import drums, effects, soundfont, strips, synth
from magenta_rt_py.train.studio.cards import StyleCard
from magenta_rt_py.train.studio.fills import RISER
from magenta_rt_py.train.studio.form import RISE_BARS
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.score import Note, Score

NOMINAL_DB = {"drums": 0.0, "bass": -16.0, "comp": -19.0, "pad": -21.0, "lead": -18.0}  # RMS while playing; drums: gain
DRUM_GAIN = 0.55
RMS_WINDOW_SAMPLES = 960  # 20 ms
DARKEST_HZ = 1200.0  # low-pass of sampled instruments on a card of brightness 0
BRIGHTNESS_OCTAVES = 4.5  # how far brightness 1 opens it
CACHE_BYTES = 192 * 2**20


class Renderer:
    """Renders scores; keeps the notes it has made for the next piece. Not for use by several threads at once."""

    def __init__(self, cache_bytes: int = CACHE_BYTES):
        """Starts with an empty cache that never grows above `cache_bytes`."""
        self._cache_bytes = cache_bytes
        self._held_bytes = 0
        self._notes: OrderedDict[tuple[str, int, int, float], np.ndarray] = OrderedDict()

    def render(self, card: StyleCard, score: Score) -> Float[np.ndarray, "samples 2"]:
        """Renders exactly `card.samples` samples at 48 kHz, peak at most 0.97, about -15 LUFS."""
        return np.ascontiguousarray(effects.master(self.mix(card, score)).T)

    def mix(self, card: StyleCard, score: Score) -> Float[np.ndarray, "2 samples"]:
        """All stems with their effects, before the loudness of the whole is set."""
        stems = {}
        if score.drums:
            stems["drums"] = self._drums(card, score)
        for stem, notes in score.notes.items():
            stems[stem] = self._pitched(card, stem, notes)
        return _mix(card, score, stems)

    def _drums(self, card: StyleCard, score: Score) -> np.ndarray:
        buffer = np.zeros((2, card.samples), np.float32)
        gain = DRUM_GAIN * 10 ** (card.spec.levels_db["drums"] / 20)
        for hit in score.drums:
            if hit.voice == RISER:
                sound = effects.riser(RISE_BARS * card.bar_samples)
            else:
                sound = drums.sound(card.spec.kit, hit.voice, card.key)
            _add(buffer, sound, round(hit.beat * card.beat_samples), gain * hit.velocity)
        return buffer

    def _pitched(self, card: StyleCard, stem: str, notes: tuple[Note, ...]) -> np.ndarray:
        buffer = np.zeros((2, card.samples), np.float32)
        instrument = card.cast[stem]
        for note in notes:
            start = round(note.beat * card.beat_samples)
            if start < card.samples:
                gate = max(480, round(note.beats * card.beat_samples / 480) * 480)  # 10 ms steps, to share notes
                _add(buffer, self._note(instrument, note.pitch, gate, card.brightness), start, note.velocity)
        target_db = NOMINAL_DB[stem] + card.spec.levels_db[stem]
        buffer *= np.float32(10 ** (target_db / 20) / max(_playing_rms(buffer), 1e-6))
        return buffer

    def _note(self, name: str, pitch: int, gate_samples: int, brightness: float) -> np.ndarray:
        instrument = INSTRUMENTS[name]
        key = (name, pitch, gate_samples, brightness if instrument.patch else 0.0)  # samples are darkened in the strip
        if key in self._notes:
            self._notes.move_to_end(key)
            return self._notes[key]
        if instrument.patch is not None:
            sound = synth.play(instrument.patch, pitch, gate_samples, brightness)
        else:
            sound = soundfont.play(instrument.program, pitch, gate_samples, velocity=instrument.velocity)
        self._notes[key] = sound
        self._held_bytes += sound.nbytes
        while self._held_bytes > self._cache_bytes:
            self._held_bytes -= self._notes.popitem(last=False)[1].nbytes
        return sound


def _lowpass_hz(card: StyleCard, stem: str) -> float:
    """Where the card's brightness cuts a sampled instrument; synthesizers are bright or dark by themselves."""
    if stem == "drums" or INSTRUMENTS[card.cast[stem]].patch is not None:
        return strips.HIGHEST_CUT_HZ
    return DARKEST_HZ * 2 ** (BRIGHTNESS_OCTAVES * card.brightness)


def _mix(card: StyleCard, score: Score, stems: dict[str, np.ndarray]) -> np.ndarray:
    """Runs the stems through their strips, ducks them under the kick, adds them and the room up, colours the whole."""
    spec = card.spec
    mix = np.zeros((2, card.samples), np.float32)
    send = np.zeros(card.samples, np.float32)
    kicks = [round(hit.beat * card.beat_samples) for hit in score.drums if hit.voice == "kick"]
    curve = effects.duck_curve(kicks, card.samples, spec.duck) if spec.duck and kicks else None
    for stem, sound in stems.items():
        strip = strips.strip_of(card.genre, spec, stem)
        sound = strips.process(sound, strip, bar_samples=card.bar_samples, lowpass_hz=_lowpass_hz(card, stem))
        if strip.drive:
            sound = effects.saturate(sound, strip.drive)
        if stem == "lead" and spec.echo:
            sound = effects.echo(sound, card.beat_samples * 3 // 4, spec.echo)
        if curve is not None and stem != "drums":
            sound *= curve
        mix += sound
        if spec.wet:
            send += np.float32(strip.send / 2) * (sound[0] + sound[1])
    if spec.wet:
        mix += np.float32(spec.wet) * effects.reverb(send, spec.room)
    width = strips.width_of(card.genre, spec)
    if width != 1:
        mix = strips.widen(mix, width)
    if spec.dust:
        mix += effects.crackle(card.samples, card.bar_samples, spec.dust)
    if spec.drive:
        mix = effects.saturate(mix, spec.drive)
    if spec.lowpass_hz:
        mix = effects.lowpass(mix, spec.lowpass_hz)
    return mix


def _add(buffer: np.ndarray, sound: np.ndarray, start: int, gain: float) -> None:
    part = buffer[:, start : start + sound.shape[1]]
    part += sound[:, : part.shape[1]] * np.float32(gain)


def _playing_rms(sound: np.ndarray) -> float:
    """Root mean square over the windows that are not near silence."""
    usable = sound.shape[1] // RMS_WINDOW_SAMPLES * RMS_WINDOW_SAMPLES
    if not usable:
        return float(np.sqrt(np.mean(sound**2)))
    windows = sound[:, :usable].reshape(2, -1, RMS_WINDOW_SAMPLES)
    power = np.einsum("cwn,cwn->w", windows, windows) / (2 * RMS_WINDOW_SAMPLES)
    return float(np.sqrt(power[power >= 1e-3 * power.max()].mean()))
