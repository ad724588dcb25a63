"""The stand-in model: frames count, clicks tell their number, tones tell the mix, and silence never comes of muting."""

import sys

import jaxtyping
import numpy as np
import pytest

from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.generator import Generator
from magenta_rt_py.live.planner import PlannerConfig
from magenta_rt_py.live.session import Session
from magenta_rt_py.live.session_parts import Sound, Styles
from magenta_rt_py.live.worker import SimulatedWorker
from magenta_rt_py.serve.playing import SeatFactory
from magenta_rt_py.serve.stand_in import (
    StandIn,
    StandInFactory,
    StandInSound,
    StandInStyles,
    clicks_of,
    past_until,
)

FRAME = 1920


@pytest.fixture(scope="module", autouse=True)
def unchecked():
    """Types are checked in the tests of the parts; here they would take most of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


class Stand:
    """A session with the stand-in on a virtual clock."""

    def __init__(self, kind="click", resolve=lambda text: text, **knobs):
        self.clock, self.out, past = VirtualClock(), [], past_until(0)
        card = NullCard(clock=self.clock, on_play=lambda main, cue: self.out.append(main.copy()))
        self.board, self.styles = Board(knobs), StandInStyles(resolve)
        self.session = Session(
            StandIn(), StandInSound(kind, past[-1]), card, self.board, self.styles,
            worker=SimulatedWorker(self.clock, lambda request: 0.1), clock=self.clock, past=past,
            planner_config=PlannerConfig(short_frames=20, cost_seconds={20: 0.1, 50: 0.2}),
        )  # fmt: skip

    def run(self, seconds):
        first = sum(map(len, self.out))
        self.session.run(seconds)
        return np.concatenate(self.out)[first:]

    def style(self):
        return self.session.engine.timeline.played(self.session.engine.timeline.playhead - 1,
                                                   self.session.engine.timeline.playhead)[0].codes[1]  # fmt: skip


def test_its_parts_are_what_a_session_wants():
    assert isinstance(StandIn(), Generator) and isinstance(StandInSound(), Sound) and isinstance(StandInStyles(), Styles)
    assert isinstance(StandInFactory(), SeatFactory)
    with pytest.raises(ValueError, match="click or tone"):
        StandInSound("noise")


def test_every_frame_clicks_once_and_in_order():
    places, numbers = clicks_of(Stand().run(5.0))
    assert len(places) > 90
    assert np.all(np.diff(places) == FRAME) and np.all(np.diff(numbers) % 8 == 1)


def test_a_tone_has_no_jump_and_its_pitch_tells_the_mix():
    stand = Stand("tone", **{"prompt/1/text": "a", "prompt/2/text": "b", "prompt/2/weight": 1.0})
    sound = stand.run(6.0)[48_000:]
    assert np.abs(np.diff(sound[:, 0])).max() < 0.06
    piece = sound[-48_000:, 0] * np.hanning(48_000)
    assert np.argmax(np.abs(np.fft.rfft(piece))) == 200 + 25 * 50


@pytest.mark.parametrize(
    "moves",
    [
        {"prompt/1/weight": 0.0, "prompt/2/weight": 0.0},
        {"prompt/1/mute": True, "prompt/2/mute": True},
        {"prompt/1/text": "", "prompt/2/text": "  "},
        {"prompt/1/solo": True, "prompt/1/mute": True},
    ],
)
def test_no_prompt_at_all_never_stops_the_music(moves):
    stand = Stand(**{"prompt/1/text": "a", "prompt/2/text": "b", "prompt/2/weight": 1.0})
    stand.run(2.0)
    assert stand.style() == 50
    stand.board.set_many(moves)
    places, numbers = clicks_of(stand.run(4.0))
    assert stand.style() == -1
    assert len(places) > 90 and np.all(np.diff(places) == FRAME) and np.all(np.diff(numbers) % 8 == 1)
    assert stand.session.status.underruns == 0
    stand.board.set_many({"prompt/1/mute": False, "prompt/1/solo": False, "prompt/1/weight": 1.0, "prompt/1/text": "a",
                          "prompt/2/weight": 0.0})  # fmt: skip
    stand.run(2.0)
    assert stand.style() == 100


def test_solo_leaves_the_others_out():
    stand = Stand(**{"prompt/1/text": "a", "prompt/2/text": "b", "prompt/2/weight": 1.0, "prompt/2/solo": True})
    stand.run(2.0)
    assert stand.style() == 0
    stand.board.set("prompt/3/solo", True)  # an empty slot: means nothing
    stand.run(2.0)
    assert stand.style() == 0


def test_a_prompt_that_stands_for_nothing_is_said_and_left_out():
    def resolve(text):
        if text.startswith("@"):
            raise ValueError("gone")
        return text

    stand = Stand(resolve=resolve, **{"prompt/1/text": "@x", "prompt/2/text": "b", "prompt/2/weight": 1.0})
    stand.run(2.0)
    assert stand.styles.states[:3] == ("failed", "ready", "empty")
    assert "gone" in stand.session.status.message and stand.style() == 0


def test_it_takes_its_time_and_asks_first():
    seen = []
    generator = StandIn(0.001, seen.append)
    from magenta_rt_py.live import transport
    from magenta_rt_py.live.frame import Conditioning
    from magenta_rt_py.live.generator import Request

    conditioning = Conditioning(1.0, 0, 0.0, 0.0, (7,), transport.start(120.0))
    frames = generator.generate(Request(0, 0, 0, 3, past_until(10), conditioning))
    assert [tuple(frame.codes) for frame in frames] == [(10, 7), (11, 7), (12, 7)]
    assert len(seen) == 1
    # Requests of 20 frames take 0.4 s; the longest hop that leaves a reserve is 16 frames, the rest is backup.
    assert StandInFactory(cost_seconds=0.02).about.rtf == pytest.approx(16 * 0.04 / 0.4)


def test_it_needs_no_jax():
    import subprocess

    program = "import sys, magenta_rt_py.serve.stand_in; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
