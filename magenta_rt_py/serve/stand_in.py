"""Stand-in: a model that needs no JAX and no weights, for tests, load tests and work on the page.

    click   at the first sample of each frame, 0.1 + 0.05 * (number modulo 8) high: which frame it is can be heard
    tone    200 Hz + 25 Hz * (share of prompt 1 in per cent), whole cycles a frame: a gap is a jump, the mix is the pitch

A frame's codes are its number, counted on from the last frame of the past, and the style: the share of prompt 1 in the mix
in per cent, or -1 where the style is masked. The past ends with frame -1; of a sound that is brought, with frame 9999. A
request takes `cost_seconds` for each of its frames.

`StandIn` and `StandInSound` are pure but for the time they take and the last frame they sounded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py import audio
from magenta_rt_py.live.board import Board, Settings
from magenta_rt_py.live.card import Card
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.knobs import PROMPT_SLOTS
from magenta_rt_py.live.planner import PlannerConfig
from magenta_rt_py.live.session import Session
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.live.worker import Worker
from magenta_rt_py.serve.device import Device
from magenta_rt_py.serve.playing import About, Resolve, lead_seconds

__all__ = ["StandIn", "StandInFactory", "StandInSound", "StandInStyles", "clicks_of"]

FRAME_SAMPLES = 1920
CONTEXT_FRAMES = 250
SHORT_FRAMES, CHUNK_FRAMES = 20, 50
MASKED = -1
LOW_HZ, STEP_HZ = 200.0, 25.0
TONE_LEVEL = 0.2
BROUGHT_END = 10_000
LEAST_COST_SECONDS = 0.005
"""The planner is told no less: a round trip takes that long even where the model takes no time."""


class StandIn:
    """A `live.generator.Generator`."""

    def __init__(self, cost_seconds: float = 0.0, before: Callable[[Request], None] | None = None) -> None:
        """Ready.

        Args:
          cost_seconds: a frame.
          before: called with each request, on the device's thread: what it raises is the model's failure.
        """
        self._cost_seconds, self._before = cost_seconds, before

    def generate(self, request: Request) -> list[Frame]:
        """See Generator."""
        if self._before is not None:
            self._before(request)
        if self._cost_seconds:
            time.sleep(self._cost_seconds * request.length)
        conditioning = request.controls
        style = MASKED if conditioning.style is None else conditioning.style[0]
        last = next((int(frame.codes[0]) for frame in reversed(request.history) if frame is not None), -1)
        frames = []
        for place in range(request.length):
            beat = conditioning.transport.beat_at(request.start + place)
            bpm = conditioning.transport.bpm_at(request.start + place)
            frames.append(Frame(np.array([last + 1 + place, style], np.int32), beat, bpm))
        return frames


class StandInSound:
    """A `live.session_parts.Sound`, one frame late like the real one."""

    is_coarse, width = False, 1

    def __init__(self, kind: str = "click", last: Frame | None = None) -> None:
        """Begins after a frame.

        Args:
          kind: "click" or "tone".
          last: the frame before the first; None is silence.
        Raises:
          ValueError: another kind.
        """
        if kind not in ("click", "tone"):
            raise ValueError(f"a sound of kind {kind!r}; give click or tone")
        self._kind, self._last = kind, last

    def render(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """See Sound."""
        sound = self.peek(frames)
        if frames:
            self._last = frames[-1]
        return sound

    def peek(self, frames: Sequence[Frame]) -> Float[np.ndarray, "samples 2"]:
        """See Sound."""
        samples = np.zeros((len(frames), FRAME_SAMPLES, 2), np.float32)
        for place, frame in enumerate([self._last, *frames][: len(frames)]):
            if frame is not None:
                samples[place] = self._frame(frame)[:, None]
        return samples.reshape(-1, 2)

    def _frame(self, frame: Frame) -> Float[np.ndarray, "samples"]:
        sound = np.zeros(FRAME_SAMPLES, np.float32)
        if self._kind == "click":
            sound[0] = 0.1 + 0.05 * (int(frame.codes[0]) % 8)
            return sound
        share = max(0, int(frame.codes[1]))
        angle = 2.0 * np.pi * (LOW_HZ + STEP_HZ * share) * np.arange(FRAME_SAMPLES) / audio.SAMPLE_RATE_HZ
        return (TONE_LEVEL * np.sin(angle)).astype(np.float32)


class StandInStyles:
    """A `live.session_parts.Styles` that is ready at once, or after a while."""

    def __init__(self, resolve: Resolve = lambda text: text, *, read_seconds: float = 0.0) -> None:
        """Nothing asked for.

        Args:
          resolve: what a prompt's text stands for.
          read_seconds: how long a new mix of texts takes; another thread reads meanwhile.
        """
        self.latest: tuple[int, tuple[int, ...] | None] = (-1, None)
        self.problem: str | None = None
        self.states: tuple[str, ...] = ("empty",) * PROMPT_SLOTS
        self._resolve, self._read_seconds = resolve, read_seconds
        self._known: set[str] = {""}

    def ask(self, settings: Settings) -> None:
        """See Styles."""
        texts = {settings.values[f"prompt/{slot}/text"] for slot in range(1, PROMPT_SLOTS + 1)}
        if self._read_seconds and texts - self._known:
            self.states = tuple(
                "reading" if text and text not in self._known else state
                for state, text in zip(self.states, (settings.values[f"prompt/{n + 1}/text"] for n in range(PROMPT_SLOTS)))
            )
            self._known |= texts
            threading.Timer(self._read_seconds, self._read, (settings,)).start()
            return
        self._read(settings)

    def hear(self, prompt: Any) -> Any:
        """See Styles; a live prompt changes nothing."""
        return prompt

    def _read(self, settings: Settings) -> None:
        values, states, problem = settings.values, [], None
        for slot in range(1, PROMPT_SLOTS + 1):
            text = values[f"prompt/{slot}/text"]
            try:
                states.append("ready" if text.strip() and self._resolve(text) else "empty")
            except ValueError as error:
                states.append("failed")
                problem = f"prompt {text[:60]!r} is left out: {error}"
        ready = [state == "ready" for state in states]
        if settings.sequence >= self.latest[0]:
            self.states, self.problem = tuple(states), problem
            self.latest = settings.sequence, _style_of(values, ready)


class StandInPlaying:
    """A `playing.Playing`."""

    def __init__(self, session: Session, styles: StandInStyles, worker: Worker) -> None:
        """Of its parts."""
        self.session = session
        self._styles, self._worker = styles, worker

    def prompt_states(self) -> Sequence[str]:
        """See Playing."""
        return self._styles.states

    def live_prompt_age_seconds(self) -> float | None:
        """See Playing."""
        return None

    def past_of(self, sound: audio.Audio) -> tuple[Frame | None, ...]:
        """See Playing; which sound it is makes no difference."""
        return past_until(BROUGHT_END)

    def forget(self, prompt: str) -> None:
        """See Playing; nothing is kept of a prompt."""

    def close(self) -> None:
        """See Playing."""
        self._worker.close()
        self.session.close()


class StandInFactory:
    """A `playing.SeatFactory`."""

    def __init__(
        self,
        *,
        cost_seconds: float = 0.0,
        kind: str = "click",
        read_seconds: float = 0.0,
        before: Callable[[Request], None] | None = None,
        knobs: Mapping[str, Any] | None = None,
    ) -> None:
        """Ready.

        Args:
          cost_seconds: what a frame takes; 0.04 is the speed of music.
          kind: "click" or "tone", see the module's head.
          read_seconds: how long a new prompt takes.
          before: called with each request, on the device's thread; may wait, or fail.
          knobs: what the board begins with.
        """
        self._cost_seconds, self._kind, self._read_seconds, self._before = cost_seconds, kind, read_seconds, before
        costs = {length: max(length * cost_seconds, LEAST_COST_SECONDS) for length in (SHORT_FRAMES, CHUNK_FRAMES)}
        self._planner = PlannerConfig(short_frames=SHORT_FRAMES, chunk_frames=CHUNK_FRAMES, cost_seconds=costs)
        self._about = About(
            bundle="stand-in",
            knobs={"seed": 0, **(knobs or {})},
            suggestions=("lofi hip hop", "solo piano", "techno", "rock", "chiptune", "cinematic"),
            capabilities={"injection": True, "tempo": True, "live_prompt": True, "adapters": True},
            rtf=self._planner.rtf,
        )

    @property
    def about(self) -> About:
        """See SeatFactory."""
        return self._about

    def __call__(
        self, seat_id: str, board: Board, card: Card, device: Device, *, config: SessionConfig, resolve: Resolve
    ) -> StandInPlaying:
        """See SeatFactory."""
        past, styles = past_until(0), StandInStyles(resolve, read_seconds=self._read_seconds)
        worker = device.worker(lambda: lead_seconds(session, card))
        session = Session(
            StandIn(self._cost_seconds, self._before),
            StandInSound(self._kind, past[-1]),
            card,
            board,
            styles,
            worker=worker,
            clock=device.clock,
            planner_config=self._planner,
            past=past,
            config=config,
            header={"bundle": "stand-in"},
        )
        return StandInPlaying(session, styles, worker)


def past_until(end: int) -> tuple[Frame | None, ...]:
    """Ten seconds of frames, the last of which is number `end` - 1."""
    numbers = range(end - CONTEXT_FRAMES, end)
    return tuple(Frame(np.array([number, MASKED], np.int32), 0.0, 120.0) for number in numbers)


def clicks_of(sound: Float[np.ndarray, "samples 2"]) -> tuple[Int[np.ndarray, "clicks"], Int[np.ndarray, "clicks"]]:
    """Where the clicks of a "click" sound are, at volume 1, and their frames' numbers modulo 8."""
    places = np.flatnonzero(sound[:, 0] > 0.05)
    return places, np.round((sound[places, 0] - 0.1) / 0.05).astype(int) % 8


def _style_of(values: Mapping[str, Any], is_ready: Sequence[bool]) -> tuple[int, ...] | None:
    """The share of prompt 1 in per cent; None if no prompt counts. Muted ones do not; if any is soloed, only those do."""
    slots = range(1, PROMPT_SLOTS + 1)
    is_solo = any(values[f"prompt/{slot}/solo"] and values[f"prompt/{slot}/text"].strip() for slot in slots)
    weights = [
        values[f"prompt/{slot}/weight"]
        if ready and not values[f"prompt/{slot}/mute"] and (values[f"prompt/{slot}/solo"] or not is_solo)
        else 0.0
        for slot, ready in zip(slots, is_ready)
    ]
    return (round(100 * weights[0] / sum(weights)),) if sum(weights) else None
