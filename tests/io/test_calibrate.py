"""The round trip of a card, to the sample, and clear words where there is none."""

import numpy as np
import pytest

from magenta_rt_py.errors import AudioDeviceError
from magenta_rt_py.io import calibrate
from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live.clock import VirtualClock


def make_card(**options):
    return NullCard(clock=VirtualClock(), **options)


def noise(level):
    return (level * np.random.default_rng(0).normal(size=(48_000, 2))).astype(np.float32)


@pytest.mark.parametrize(("round_trip", "block"), [(0, 512), (1, 512), (479, 64), (1234, 512), (20_000, 480), (60_000, 512)])
def test_exact(round_trip, block):
    card = make_card(echo_gain=0.3, round_trip_samples=round_trip, block_samples=block)
    assert calibrate.measure(card) == round_trip


def test_quiet_in_a_noisy_room():
    card = make_card(echo_gain=0.02, round_trip_samples=2500, performance=noise(0.002), is_looped=True)
    assert calibrate.measure(card) == 2500


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_muted_microphone_is_an_error_and_no_number(level):
    card = make_card(performance=noise(level), is_looped=True)
    with pytest.raises(ValueError, match="not clearly heard; turn up the volume"):
        calibrate.measure(card)


def test_a_card_without_input():
    with pytest.raises(AudioDeviceError, match="without an input"):
        calibrate.measure(make_card())


def test_a_card_that_is_lost(monkeypatch):
    monkeypatch.setattr(calibrate, "PATIENCE_SECONDS", 0.3)
    card = make_card(echo_gain=0.3)
    card.unplug()
    with pytest.raises(AudioDeviceError, match="unplugged"):
        calibrate.measure(card)


@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_a_card_that_is_opened_anew_meanwhile(pieces):
    """Also before anything has come in: the samples that were written then are gone."""

    class Flaky(NullCard):
        def write(self, main, cue=None):
            nonlocal written
            super().write(main, cue)
            written += 1
            if written == pieces:
                self.unplug()
                self.plug_in()

    written = 0
    card = Flaky(clock=VirtualClock(), echo_gain=0.3, round_trip_samples=700)
    with pytest.raises(AudioDeviceError, match="opened anew"):
        calibrate.measure(card)


def test_a_card_that_comes_up_late():
    card = make_card(echo_gain=0.3, round_trip_samples=700)
    card.unplug()
    card.plug_in()  # opened by the first wait
    assert calibrate.measure(card) == 700 and card.opening == 1
