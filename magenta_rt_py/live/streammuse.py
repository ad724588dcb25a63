"""StreamMUSE: what its paper reports, and latency models under which our simulator comes closest to it. Data only.

Source: Real-Time Language Model Jamming: A Case Study for Live Music Accompaniment Generation (RTAS 2026), Table III:
120 bpm, 288 sixteenths a song, 64 songs, (I, GL) with GL in interleaved frames.

The models are fitted to the very rows they are compared with (six numbers a setting, 16 figures). Agreement therefore shows
that the client's rules are understood, not that the latencies are those of the machines in the paper. The latencies the
authors publish do not reproduce their table by themselves (their remote figure and table differ in machine).
"""

from __future__ import annotations

from typing import NamedTuple

from magenta_rt_py.live.latency import LatencyModel

BPM = 120.0
"""Of the experiments."""
NUM_UNITS = 288
"""Sixteenths a song."""
NUM_SONGS = 64
"""Songs that are averaged."""


class Reported(NamedTuple):
    """One row of Table III, its system metrics."""

    setting: str
    """"local" (one machine), "local-server" (wireless LAN) or "remote" (internet)."""
    interval: int
    """I in sixteenths."""
    generation_length: int
    """GL in interleaved frames; (GL + 1) / 2 sixteenths."""
    isr: float
    staleness: float
    isr_w: float


TABLE_III = (
    Reported("local", 1, 3, 0.9952, 0.001199, 0.9951),
    Reported("local", 2, 5, 0.9781, 0.9969, 0.9477),
    Reported("local", 2, 9, 0.5795, 1.944, 0.5443),
    Reported("local", 4, 5, 0.6855, 1.230, 0.6592),
    Reported("local", 4, 9, 0.9511, 2.419, 0.8792),
    Reported("local", 4, 15, 0.9495, 3.783, 0.8373),
    Reported("local", 7, 9, 0.6160, 2.455, 0.5687),
    Reported("local", 7, 15, 0.8628, 4.425, 0.7436),
    Reported("local-server", 1, 3, 0.3813, 0.5440, 0.3749),
    Reported("local-server", 2, 5, 0.9536, 1.451, 0.9104),
    Reported("local-server", 2, 9, 0.0373, 3.450, 0.0333),
    Reported("local-server", 4, 5, 0.5666, 1.529, 0.5395),
    Reported("local-server", 4, 9, 0.7776, 2.977, 0.7052),
    Reported("local-server", 4, 15, 0.2827, 5.281, 0.2360),
    Reported("local-server", 7, 9, 0.5131, 2.805, 0.4681),
    Reported("local-server", 7, 15, 0.6384, 5.355, 0.5316),
    Reported("remote", 1, 3, 0.01150, 1.000, 0.01114),
    Reported("remote", 2, 5, 0.8679, 1.471, 0.8280),
    Reported("remote", 2, 9, 0.4397, 2.410, 0.4066),
    Reported("remote", 4, 5, 0.5460, 1.573, 0.5191),
    Reported("remote", 4, 9, 0.9376, 2.518, 0.8638),
    Reported("remote", 4, 15, 0.9894, 3.589, 0.8785),
    Reported("remote", 7, 9, 0.5721, 2.586, 0.5259),
    Reported("remote", 7, 15, 0.8709, 4.364, 0.7522),
)

FITTED = {
    "local": LatencyModel(
        quadratic=0.000624, linear=0.038257, constant=0.000368, sigma=0.041948, tail_scale=0.000012, tail_shape=6.55
    ),
    "local-server": LatencyModel(
        quadratic=0.001414, linear=0.052897, constant=0.001989, sigma=0.071953, tail_scale=0.006056, tail_shape=2.28
    ),
    "remote": LatencyModel(
        quadratic=0.000007, linear=0.02715, constant=0.095161, sigma=0.0001, tail_scale=0.013664, tail_shape=1.5
    ),
}
"""Setting -> latency of a request for G sixteenths, fitted to TABLE_III with `fifo`: in-sample."""
