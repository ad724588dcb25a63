"""The sound card on JACK without hardware: pacing, other rates, and a server that ends and comes back."""

import time

import numpy as np
import pytest

from magenta_rt_py.errors import AudioDeviceError
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.sound_card import SoundCard

JACK = "JACK Audio"
PATIENCE_SECONDS = 30.0


def open_card(config: CardConfig) -> SoundCard:
    """Opens it as soon as the server is there."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return SoundCard(config)
        except AudioDeviceError:
            if time.monotonic() > ends:
                raise


def play(card: SoundCard, seconds: float) -> tuple[int, list]:
    """Keeps the card filled for some time: samples written, and what came in."""
    written, came, ends = 0, [], time.monotonic() + seconds
    silence = np.zeros((960, 2), np.float32)
    while time.monotonic() < ends:
        if card.wait_for_room(960, 0.05):
            card.write(silence)
            written += 960
        came += card.read()
    return written, came


@pytest.mark.parametrize("rate_hz", [48_000, 44_100])
def test_the_device_sets_the_pace(start_jack, rate_hz):
    start_jack(rate_hz)
    with open_card(CardConfig(output=JACK, input=JACK, opening_seconds=60.0)) as card:
        assert card.rate_hz == rate_hz and JACK in card.status.name
        play(card, 0.3)
        began = time.monotonic()
        written, came = play(card, 1.2)
        taken = time.monotonic() - began
        assert written / taken == pytest.approx(48_000, rel=0.2)
        assert sum(len(one.samples) for one in came) / taken == pytest.approx(48_000, rel=0.2)
        position = came[0].device_start
        for one in came:  # a dummy driver loses nothing: the numbers go on
            assert one.device_start == position
            position += len(one.samples)
        status = card.status
        assert status.is_running and 0.0 < status.output_delay_seconds < 1.0
        assert status.block_seconds == pytest.approx(512 / 48_000, rel=0.01)
        assert status.callback_p999_seconds < 1.0


def test_a_server_that_ends_and_comes_back(start_jack):
    server = start_jack(48_000)
    with open_card(CardConfig(output=JACK, input=JACK, retry_seconds=0.3, opening_seconds=60.0)) as card:
        play(card, 0.5)
        server.stop()
        ends = time.monotonic() + PATIENCE_SECONDS
        while card.status.is_running and time.monotonic() < ends:
            play(card, 0.05)
        assert "is lost, the music goes on" in card.status.problem
        began = time.monotonic()
        written, came = play(card, 0.6)
        assert written / (time.monotonic() - began) == pytest.approx(48_000, rel=0.25)
        assert came == [] and card.opening == 0
        start_jack(48_000)
        while card.opening == 0 and time.monotonic() < ends:
            play(card, 0.05)
        assert card.opening == 1 and card.status.is_running and card.status.problem is None
        _, came = play(card, 0.5)
        assert came and came[-1].opening == 1 and came[-1].device_start < 96_000
