"""A browser page, simulated on a virtual clock: it plays, reports, starves and records as a real one does."""

import numpy as np

from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.serve import wire

FRAME = 1920
SECOND = 48_000
TICK = 960


def noise(samples, seed=0, level=0.1):
    """Noise that 16 bits can hold."""
    whole = np.random.default_rng(seed).normal(0.0, level * 32_768, (samples, 2)).round().clip(-32_768, 32_767)
    return (whole / 32_768).astype(np.float32)


def as_whole(samples):
    return np.frombuffer(wire.payload_of(samples), "<i2").reshape(samples.shape)


def sound_of(packets):
    """int16 [samples 2] of packets, without the metronome."""
    found = [wire.unpack(data) for data in packets]
    pieces = [np.frombuffer(one.payload, "<i2").reshape(-1, one.channels)[:, :2] for one in found]
    return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.int16)


def block(position, samples=None, *, opening=0, flags=0, channels=2):
    """A packet of a microphone."""
    samples = noise(FRAME, position)[:, :channels] if samples is None else samples
    return wire.Packet(
        wire.MICROPHONE, flags, channels, 0, opening, len(samples), 0, position, wire.payload_of(samples)
    )


class PageClock(VirtualClock):
    """A virtual clock by which pages live, too."""

    def __init__(self):
        super().__init__()
        self.pages = []

    def wait_until(self, seconds):
        while (due := min((page.next_seconds for page in self.pages), default=np.inf)) <= seconds:
            super().wait_until(due)
            for page in self.pages:
                if page.next_seconds <= due:
                    page.tick()
        super().wait_until(seconds)


class Page:
    """A browser: renders 960 samples every 20 ms out of its ring, and reports every 100 ms."""

    def __init__(self, clock, card, *, performance=None, echo=0.0, round_trip=0):
        self.card, self.clock = card, clock
        self.performance, self.echo, self.round_trip = performance, echo, round_trip
        self.ticks, self.next_seconds = 0, 0.02
        self.opening = self.position = self.end = self.starved = self.most_ahead = 0
        self.ring, self.heard, self.line = np.zeros((0, 2), np.int16), [], []
        self.is_connected, self.is_stopped, self.is_flowing = True, False, False
        self.clicking = []  # positions of packets with a metronome in them
        clock.pages.append(self)

    @property
    def sound(self):
        return np.concatenate(self.heard) if self.heard else np.zeros((0, 2), np.int16)

    def tick(self):
        self.ticks += 1
        self.next_seconds = (self.ticks + 1) * 0.02
        self.most_ahead = max(self.most_ahead, self.card.written_samples - self.position)
        if self.is_connected:
            self._receive()
        if self.is_stopped:
            return
        if not self.is_flowing:
            self.is_flowing = len(self.ring) >= 2 * FRAME
        rendered = self._render() if self.is_flowing else 0
        if self.is_connected and self.ticks % 5 == 0:
            self.card.report(self.opening, self.position, len(self.ring), is_playing=bool(rendered))

    def _receive(self):
        for data in self.card.take(self.end, SECOND):
            packet = wire.unpack(data)
            assert (packet.opening, packet.position) == (self.opening, self.end)
            self.end += packet.samples
            self.clicking += [packet.position] * (packet.channels == 3)
            self.ring = np.concatenate([self.ring, sound_of([data])])

    def _render(self):
        count = min(TICK, len(self.ring))
        self.heard.append(self.ring[:count])
        self.ring = self.ring[count:]
        if count:
            self._record(count)
        self.position += count
        if count < TICK:
            self.is_flowing = False
            self.starved += 1
            if self.is_connected:
                self.card.starved(self.opening, self.position, TICK - count)
        return count

    def _record(self, count):
        """What comes in while the samples from `position` on are rendered: blocks of 1920, stamped with their first one."""
        if self.performance is None and not self.echo:
            return
        places = np.arange(self.position, self.position + count) - self.round_trip
        came = np.zeros((count, 2), np.float32)
        if self.echo:
            recent = np.concatenate(self.heard[-25:])
            first = self.position + count - len(recent)
            there = places >= first
            came[there] = self.echo * recent[places[there] - first] / 32_768
        if self.performance is not None:
            there = (places >= 0) & (places < len(self.performance))
            came[there] += self.performance[places[there]]
        if not self.line:
            self.line_start = self.position
        self.line.append(came)
        samples = np.concatenate(self.line)
        if len(samples) >= FRAME or count < TICK:
            self.line = []
            if self.is_connected:
                self.card.hear(block(self.line_start, samples, opening=self.opening))
