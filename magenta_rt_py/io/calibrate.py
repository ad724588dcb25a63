"""Calibrate: plays the test sweep on an opened card, and measures how long it takes to come back in.

Stateful only in the card. Nothing else may use the card meanwhile.
"""

from __future__ import annotations

import time

import numpy as np

from magenta_rt_py.errors import AudioDeviceError
from magenta_rt_py.live import calibration
from magenta_rt_py.live.card import Card

__all__ = ["measure"]

PIECE_SAMPLES = 480
LISTENING_SECONDS = 2.5
"""The sweep, and more than the longest round trip."""
PATIENCE_SECONDS = 15.0


def measure(card: Card) -> int:
    """Samples from writing one to its coming back in, by the card's own count: what is queued is not in it.

    Args:
      card: just opened: nothing has been written to it.
    Raises:
      AudioDeviceError: the card has no input, or does not run.
      ValueError: the sweep was not clearly heard.
    """
    if not card.input_channels:
        raise AudioDeviceError("the card was opened without an input; there is nothing to calibrate: give an input")
    played = calibration.sweep()
    line = np.zeros((round(LISTENING_SECONDS * 48_000), 2), np.float32)
    line[: len(played)] = played[:, None]
    recorded, written, opening = np.zeros(len(line), np.float32), 0, card.opening
    ends, heard = time.monotonic() + PATIENCE_SECONDS, 0
    while heard < len(line):
        if time.monotonic() > ends:
            problem = card.status.problem or "calibrate again"
            raise AudioDeviceError(f"the sound card took more than {PATIENCE_SECONDS:.0f} s for a sweep; {problem}")
        has_room = card.wait_for_room(PIECE_SAMPLES, 0.02)
        opening = card.opening if not written else opening
        if card.opening != opening:
            raise AudioDeviceError("the sound card was opened anew in the middle of the sweep; calibrate again")
        if has_room:
            piece = line[written : written + PIECE_SAMPLES]
            silence = np.zeros((PIECE_SAMPLES, 2), np.float32)
            card.write(piece if len(piece) == PIECE_SAMPLES else silence)
            written += PIECE_SAMPLES
        for captured in card.read():
            if captured.opening != opening:
                continue  # of before
            start = captured.device_start
            count = max(0, min(len(captured.samples), len(line) - start))
            recorded[start : start + count] = captured.samples[:count].mean(axis=1)
            heard = start + len(captured.samples)
    return calibration.measure_round_trip(played, recorded)
