"""Actions: what people ask for while the music plays.

    at once                            snapshot/save, record, panic, quit
    with the next request's frames     tap, nudge, downbeat, a tempo that was set        `lead`
    at the next bar line               snapshot/recall, rewind, reset, `bring`

What cannot be done is said, and the music goes on. Stateful; the player's thread uses it, and any may call `bring`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from magenta_rt_py.live import memory
from magenta_rt_py.live.board import Board, Change
from magenta_rt_py.live.conductor import Conductor
from magenta_rt_py.live.engine import Engine
from magenta_rt_py.live.frame import Frame, frames_to_json
from magenta_rt_py.live.journal import Journal
from magenta_rt_py.live.stage import SAMPLES_A_SECOND, Stage

__all__ = ["Actions"]

LONGEST_WAIT_SECONDS = 10.0
"""An action that was asked for longer ago counts from then."""
LONGEST_NAME = 60
"""Characters of a past's name in a message."""


class Actions:
    """What is asked for, and what of it is still to be done.

    Attributes:
      turning_unit: from which on the music has the newest other past.
    """

    def __init__(
        self,
        board: Board,
        engine: Engine,
        conductor: Conductor,
        played: memory.Memory,
        stage: Stage,
        journal: Journal,
        *,
        past: tuple[Frame | None, ...],
        say: Callable[[str], None],
        stop: Callable[[], None],
        set_tempo: Callable[[float], None],
    ) -> None:
        """Nothing was asked for.

        Args:
          board: where actions come from.
          engine: what turns to another past.
          conductor: what follows taps and nudges.
          played: what snapshots and rewinds go back to.
          stage: what records, and knows what is heard now.
          journal: told what was asked for.
          past: ten seconds that a fresh start goes on from.
          say: told what is done, or why it is not.
          stop: ends the performance.
          set_tempo: told the tempo of taps, once the music goes by it.
        """
        self.turning_unit = 0
        self._board, self._engine, self._conductor, self._memory = board, engine, conductor, played
        self._stage, self._journal, self._past = stage, journal, past
        self._say, self._stop, self._set_tempo = say, stop, set_tempo
        self._snapshots: dict[int, tuple[Frame | None, ...]] = {}
        self._later: list[Callable[[int], None]] = []
        self._brought: deque[tuple[tuple[Frame | None, ...], str]] = deque()
        self._acts: dict[str, Callable[[Change], None]] = {
            "tap": self._tap,
            "nudge": lambda action: self.do_later(lambda frame: self._conductor.nudge(action.value, frame)),
            "downbeat": self._downbeat,
            "snapshot/save": lambda action: self._save(action.value),
            "snapshot/recall": lambda action: self._recall(action.value),
            "rewind": lambda action: self._rewind(action.value),
            "record": lambda action: self._stage.record(action.value),
            "record/stop": lambda action: self._stage.stop_recording(),
            "calibrate": lambda action: self._say("calibrate before playing: mrtpy live --calibrate"),
            "reset": lambda action: self._turn(self._past, "starting afresh"),
            "panic": lambda action: self._panic(),
            "quit": lambda action: self._stop(),
        }

    def take(self) -> None:
        """Does what was asked for since the last call."""
        for action in self._board.take_actions():
            self._act(action)
        while self._brought:
            past, name = self._brought.popleft()
            try:
                self._turn(past, name)
            except ValueError as error:
                self._say(f"{name}: {error}")

    def lead(self, frame: int) -> None:
        """Does what waits for a request's first frame, so that no frame that was made the old way is played the new."""
        for change in self._later:
            change(frame)
        self._later.clear()

    def do_later(self, change: Callable[[int], None]) -> None:
        """Keeps a change for the next request's first frame."""
        self._later.append(change)

    def bring(self, past: Sequence[Frame | None], name: str) -> None:
        """Goes on from another past at the next bar line that can still change. Any thread.

        Args:
          past: frames, newest last; the last ten seconds count. None where there is nothing.
          name: for the message.
        Raises:
          ValueError: there is no frame in it, or one with another number of codes than the music has.
        """
        kept = tuple(past[-memory.CONTEXT_FRAMES :])
        levels = {len(frame.codes) for frame in kept if frame is not None}
        if not levels:
            raise ValueError(f"{_short(name)} holds no frame to go on from; give sound of at least 40 ms")
        wanted = next(({len(frame.codes)} for frame in self._past if frame is not None), levels)
        if levels != wanted:
            raise ValueError(f"{_short(name)} has frames of {sorted(levels)} codes, the music has {min(wanted)}; cut them")
        self._brought.append((kept, _short(name)))

    def _act(self, action: Change) -> None:
        try:
            self._journal.event(self._stage.written, "action", {"name": action.name, "value": action.value})
            self._acts[action.name](action)
        except KeyError:
            self._say(f"{action.name}: nothing here does that")
        except (ValueError, OSError) as error:
            self._say(f"{action.name}: {error}")

    def _tap(self, action: Change) -> None:
        sample = self._heard_at(action)

        def tap(frame: int) -> None:
            bpm = self._conductor.tap(sample, frame)
            if bpm is not None:
                self._set_tempo(bpm)

        self.do_later(tap)

    def _downbeat(self, action: Change) -> None:
        sample = self._heard_at(action)
        self.do_later(lambda frame: self._conductor.downbeat(sample, frame))

    def _save(self, slot: int) -> None:
        frame = memory.bar_line_before(self._conductor.transport, self._memory.end)
        self._snapshots[slot] = self._memory.before(frame)
        self._say(f"snapshot {slot} saved")

    def _recall(self, slot: int) -> None:
        if slot not in self._snapshots:
            kept = ", ".join(map(str, sorted(self._snapshots))) or "none"
            raise ValueError(f"there is no snapshot {slot}; saved: {kept}")
        self._turn(self._snapshots[slot], f"snapshot {slot}")

    def _rewind(self, bars: int) -> None:
        frame = memory.bar_line_before(self._conductor.transport, self._memory.end, bars=bars)
        self._turn(self._memory.before(frame), f"{bars} bars back")

    def _turn(self, past: tuple[Frame | None, ...], what: str) -> None:
        """Goes on from another past at the next bar line that can still change."""
        # The device may have to finish a request for the old past first, and then needs as long for the new one.
        timeline, transport = self._engine.timeline, self._conductor.transport
        soonest = max(timeline.frozen_until + 1, timeline.playhead + 2 * self._engine.plan.look_ahead)
        unit = memory.bar_line_after(transport, soonest)
        self._turn_at(unit, past)
        self._say(f"{what}: at bar {transport.bar_position(unit + 0.5).bar}")

    def _panic(self) -> None:
        """Starts afresh at once: what was planned is dropped, the sound is faded by a hold."""
        self._engine.clear()
        self._turn_at(self._engine.timeline.frozen_until, self._past)
        self._say("starting afresh")

    def _turn_at(self, unit: int, past: tuple[Frame | None, ...]) -> None:
        self._engine.turn(unit, past)
        self.turning_unit = unit
        self._journal.event(self._stage.written, "turn", {"unit": unit, "past": frames_to_json(past)})

    def _heard_at(self, action: Change) -> int:
        """Stream sample that was heard when it was asked for."""
        since = max(0.0, time.perf_counter() - action.made_seconds)
        return self._stage.heard_sample() - round(min(since, LONGEST_WAIT_SECONDS) * SAMPLES_A_SECOND)


def _short(name: str) -> str:
    """A name in one line."""
    return " ".join(name.split())[:LONGEST_NAME] or "another past"
