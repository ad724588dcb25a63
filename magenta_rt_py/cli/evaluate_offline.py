"""Offline: live sessions on a virtual clock, for measurements of the music. The same everywhere, whatever the machine.

    knobs, moves, a performer's loop, a clock to follow -> Session -> the sound, and the transport it was made by

A request takes as long as the config says, not as long as it took: delays are the config's, the music is the model's.
Stateful: it holds a loaded model, and the ten seconds that sessions begin with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num

from magenta_rt_py.generators import performance, system
from magenta_rt_py.generators.live_lm import LiveLM, preroll
from magenta_rt_py.io.null_card import NullCard
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.clock import VirtualClock
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.output import OutputConfig
from magenta_rt_py.live.planner import PlannerConfig
from magenta_rt_py.live.session_parts import Master, SessionConfig
from magenta_rt_py.live.transport import Transport

SAMPLES_A_SECOND = 48_000
FRAME_SAMPLES = 1920
STREAM_START = -FRAME_SAMPLES - OutputConfig().delay_samples
"""Stream sample of the first one that is heard: sound is a frame late, and the limiter looks ahead."""

Move = tuple[float, str, Any]
"""Seconds of music, knob, value."""
MakeMaster = Callable[[VirtualClock], Master]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfflineConfig:
    """How a measured session is set up."""

    short_frames: int = 25
    """Frames of a request."""
    round_trip_seconds: float = 0.6
    """That a request takes. Gives hops of 19 frames: few frames are made in vain, which is what makes this quick."""


class Played(NamedTuple):
    """A session's sound."""

    samples: Float[np.ndarray, "samples 2"]
    """As heard; the first is stream sample `STREAM_START`."""
    transport: Transport
    """Which beat each stream frame is on."""
    first_heard_seconds: float
    """By the virtual clock."""
    moved_at: tuple[int, ...]
    """Stream sample that was heard when each move was made."""

    def beats(self, places: Num[np.ndarray, "places"]) -> Float[np.ndarray, "places"]:
        """The transport's position at samples of the sound."""
        return self.transport.beats((np.asarray(places) + STREAM_START) / FRAME_SAMPLES)

    def seconds(self, places: Num[np.ndarray, "places"]) -> Float[np.ndarray, "places"]:
        """When samples of the sound are heard, by the virtual clock."""
        return self.first_heard_seconds + np.asarray(places) / SAMPLES_A_SECOND


class OfflineBand:
    """A model that plays sessions."""

    def __init__(
        self, bundle: Path | None, config: OfflineConfig | None = None, *, model: system.MusicModel | None = None
    ) -> None:
        """Loads; compiling waits for the first session.

        Args:
          bundle: a directory; None is the starter.
          config: of the sessions.
          model: a loaded bundle, used instead.
        """
        self.config = config or OfflineConfig()
        self.model = model or system.load(bundle)
        self.lm = LiveLM(self.model.models, lengths=(self.config.short_frames,))
        self._pasts: dict[tuple[Any, ...], tuple[Frame | None, ...]] = {}

    def play(
        self,
        knobs: Mapping[str, Any],
        *,
        seed: int,
        seconds: float,
        moves: Sequence[Move] = (),
        loop: Float[np.ndarray, "samples 2"] | None = None,
        make_master: MakeMaster | None = None,
    ) -> Played:
        """One session.

        Args:
          knobs: at the start, others than the bundle's.
          seed: of the music.
          seconds: of music.
          moves: knobs that are turned later on, in order.
          loop: what a performer plays, again and again; its first sample falls on stream sample 0. None is no performer.
          make_master: makes the clock to follow, on the session's time; None for none.
        Raises:
          RuntimeError: there was an underrun, so that samples are no longer where they should be.
        """
        board = Board({**performance.initial_knobs(self.model), **knobs})
        ready = self._get_ready(board, seed)
        clock, pieces, times = VirtualClock(), [], []

        def hear(main: np.ndarray, cue: np.ndarray) -> None:
            pieces.append(main.copy())
            times.append(clock.now_seconds())

        performer = None if loop is None else np.roll(loop, -STREAM_START, axis=0)
        card = NullCard(clock=clock, performance=performer, is_looped=True, on_play=hear)
        playing = performance.Performance(
            self.model,
            card,
            board,
            ready,
            config=SessionConfig(seed=seed, has_input=loop is not None),
            clock=clock,
            master=None if make_master is None else make_master(clock),
            now=clock.now_seconds,
        )
        session, moved_at = playing.session, []
        try:
            for at_seconds, name, value in moves:
                session.run(max(at_seconds - session.seconds, 0.0))
                moved_at.append(sum(map(len, pieces)) + STREAM_START)
                board.set(name, value)
            session.run(max(seconds - session.seconds, 0.0))
            faults, underruns = list(session.engine.faults), session.status.underruns
        finally:
            playing.close()
        if underruns or faults:
            raise RuntimeError(f"{underruns} underruns, faults {faults[:3]}; let requests take less time, or be longer")
        return Played(np.concatenate(pieces), session.transport, times[0], tuple(moved_at))

    def _get_ready(self, board: Board, seed: int) -> performance.Ready:
        """With the ten seconds before the first frame, which are the same for sessions that differ in what is played in."""
        values = board.settings.values
        steers = ("temperature", "top_k", "guidance", "bpm", "keep_time", "prompt/1/text", "prompt/1/weight")
        key = (seed, *(values[name] for name in steers))
        if key not in self._pasts:
            conditioning = performance.conditioning_of(self.model, board.settings)
            self._pasts[key] = preroll(self.lm, conditioning, seed=seed)
        config = self.config
        chunk = self.lm.models.lm_config.chunk_frames
        costs = {config.short_frames: config.round_trip_seconds, chunk: 2.0 * config.round_trip_seconds}
        planner = PlannerConfig(short_frames=config.short_frames, chunk_frames=chunk, cost_seconds=costs)
        return performance.Ready(self.lm, planner, self._pasts[key])
