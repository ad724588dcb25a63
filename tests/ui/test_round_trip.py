"""The whole way round, in a real browser and with the real server: out of the page, in through its microphone, into the mix.

The microphone is the page's own output, 1280 samples later, as loudspeaker, room and microphone would be.
"""

import numpy as np
import pytest

from magenta_rt_py.serve.stand_in import StandInFactory

FRAME_SAMPLES = 1920
LOOP_SAMPLES = 1280
START = """async ([token, loop]) => {
  window.player = new Player({ token, lead: 1.0 });
  await player.start();
  const delay = new DelayNode(player.context, { delayTime: loop / 48000 });
  player.node.connect(delay, 1);
  return await player.microphone({ on: true, source: delay });
}"""
KNOBS = {"inject/on": True, "inject/loop_beats": 0, "inject/feedback": 0.0, "inject/gain": 1.0, "input_guidance": 1.0}


@pytest.fixture
def mixes():
    """What the model was given to hear, as it was asked."""
    return []


@pytest.fixture
def page(mixes, make_server, new_page, wait_until):
    """A page that plays clicks, hears them, and has measured how late it does."""
    factory = StandInFactory(kind="click", before=lambda request: mixes.append(request.heard))
    server = make_server(factory)
    opened = new_page(server.address)
    assert opened.evaluate(START, [server.token, LOOP_SAMPLES])
    wait_until(lambda: opened.evaluate("() => player.stats().position") > 24_000)
    opened.evaluate("(knobs) => player.set(knobs)", KNOBS)
    return opened


def clicks_in(mixes) -> dict[int, float]:
    """Stream sample -> height of every click in what is final of the mixes; what is not comes again."""
    found: dict[int, float] = {}
    for mix in mixes:
        if mix is not None:
            left = mix.samples[: mix.settled_frames * FRAME_SAMPLES, 0]
            found |= {mix.start_frame * FRAME_SAMPLES + int(at): float(left[at]) for at in np.flatnonzero(left > 0.05)}
    return found


def test_a_calibration_finds_the_way_round_and_clicks_land_on_the_sample_they_were_heard_at(page, mixes, wait_until):
    answer = page.evaluate("() => player.calibrate()")
    # The loop has its delay and, in some browsers, a quantum more; a correlation's peak is a sample wide.
    assert min(abs(answer["samples"] - LOOP_SAMPLES), abs(answer["samples"] - LOOP_SAMPLES - 128)) <= 1, answer
    assert page.evaluate("() => player.stats().roundTrip") == answer["samples"]
    wait_until(lambda: page.evaluate("() => player.stats().alignment") == "measured")
    asked = len(mixes)
    wait_until(lambda: len(mixes) > asked + 8)  # what was heard before it was measured is settled, and the sweep gone
    first = len(mixes)
    wait_until(lambda: len(clicks_in(mixes[first:])) >= 25)
    clicks = clicks_in(mixes[first:])
    assert {place % FRAME_SAMPLES for place in clicks} == {0}, "frames begin with their click, as heard and as mixed"
    for place, height in clicks.items():
        assert round((height - 0.1) / 0.05) % 8 == place // FRAME_SAMPLES % 8, f"the click at {place} is another frame's"
