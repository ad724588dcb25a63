"""MIDI controls: what messages of other devices do to the board and to the clock's follower.

    messages and their times -> MidiControls -> Board
                                             -> MidiClockFollower

Stateful. Messages come from anywhere, so that it needs no device; `midi.py` has the ports.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from magenta_rt_py.io.midi_map import ControlBinding, MidiMap
from magenta_rt_py.live.board import Board, Kind
from magenta_rt_py.live.knobs import find
from magenta_rt_py.live.midi_clock import MidiClockFollower

__all__ = ["MidiClockState", "MidiControls"]

FIRST_MODE_CONTROL = 120
"""Control changes from here on are channel modes ("all notes off"), no dials. Source: MIDI 1.0."""


class MidiClockState(NamedTuple):
    """What the followed clock says at one moment."""

    is_locked: bool
    """Whether tempo and position are known."""
    is_running: bool
    """Whether the master plays."""
    is_lost: bool
    """Whether its pulses have stayed out for half a second."""
    bpm: float | None
    """Its tempo; None before it is known."""
    beat: float | None
    """Its position in beats since its start; None before it is known."""


class MidiControls:
    """Turns knobs by MIDI messages. Any thread may call anything."""

    def __init__(
        self,
        board: Board,
        midi_map: MidiMap | None = None,
        *,
        pickup: bool = False,
        now_seconds: Callable[[], float] = time.perf_counter,
        on_learned: Callable[[MidiMap], None] | None = None,
    ) -> None:
        """Waits for messages.

        Args:
          board: what is steered.
          midi_map: which control turns what; None: nothing yet.
          pickup: a control does nothing until it passes where its knob stands, so that no knob jumps.
          now_seconds: the clock for messages that come without a time, and for `clock_state`.
          on_learned: told the new map when a control was learned, on the thread that brought the message.
        """
        self._board, self._now_seconds, self._on_learned = board, now_seconds, on_learned
        self.pickup = pickup
        self._lock = threading.Lock()
        self._map = midi_map or MidiMap()
        self._follower = MidiClockFollower()
        self._learning: tuple[str, float | int | str | None] | None = None
        self._positions: dict[ControlBinding, int] = {}  # where each control was last
        self._turned: dict[ControlBinding, Any] = {}  # what each control has set its knob to; missing: not picked up
        self._problem: str | None = None

    @property
    def midi_map(self) -> MidiMap:
        """The bindings as they are now."""
        return self._map

    @midi_map.setter
    def midi_map(self, midi_map: MidiMap) -> None:
        with self._lock:
            self._map = midi_map
            self._positions, self._turned = {}, {}

    @property
    def learning(self) -> str | None:
        """The knob or action that waits for its control; None if none does."""
        return self._learning[0] if self._learning else None

    @property
    def problem(self) -> str | None:
        """The last message that could not be followed, in one line; None if there was none."""
        return self._problem

    def learn(self, name: str, value: float | int | str | None = None) -> None:
        """The next dial that is moved turns this knob; for an action, the next note asks for it.

        Args:
          name: of a knob that is no text, or of an action.
          value: what goes with the action; None for its default.
        Raises:
          ValueError: there is no such knob, it is a text, or the action does not take the value.
        """
        knob = find(name)
        if knob.kind is Kind.TEXT:
            raise ValueError(f"{name} is a text; MIDI turns numbers and switches")
        if knob.kind is Kind.ACTION:
            knob.check(value)
        elif value is not None:
            raise ValueError(f"{name} is no action; learn it without a value")
        with self._lock:
            self._learning = (name, value)

    def stop_learning(self) -> None:
        """What is moved next is not learned. Without `learn` it does nothing."""
        with self._lock:
            self._learning = None

    def clock_state(self, seconds: float | None = None) -> MidiClockState:
        """What the followed clock says.

        Args:
          seconds: at which time, by the same clock as the messages' times; None is now. The near future may be asked.
        """
        at = self._now_seconds() if seconds is None else seconds
        with self._lock:
            clock = self._follower
            return MidiClockState(clock.locked, clock.running, clock.is_lost(at), clock.bpm, clock.beat_at(at))

    def handle(self, message: Any, seconds: float | None = None) -> None:
        """Takes a message; never fails.

        Args:
          message: a mido.Message.
          seconds: when it came; None is now.
        """
        at = self._now_seconds() if seconds is None else seconds  # before anything that takes time
        try:
            self._handle(message, at)
        except Exception as error:  # a strange message must not end the port's thread
            self._problem = f"MIDI: {' '.join(str(error).split())[:200] or type(error).__name__}"

    def _handle(self, message: Any, seconds: float) -> None:
        kind = message.type
        if kind == "clock":
            with self._lock:
                self._follower.pulse(seconds)
        elif kind in ("start", "stop", "continue", "songpos"):
            with self._lock:
                self._follow(message)
        elif kind == "control_change" and message.control < FIRST_MODE_CONTROL:
            self._turn(message.channel + 1, message.control, message.value)
        elif kind == "note_on" and message.velocity > 0:
            self._strike(message.channel + 1, message.note)

    def _follow(self, message: Any) -> None:
        if message.type == "start":
            self._follower.start()
        elif message.type == "stop":
            self._follower.stop()
        elif message.type == "continue":
            self._follower.resume()
        else:
            self._follower.song_position(message.pos)

    def _turn(self, channel: int, control: int, position: int) -> None:
        learning = self._learned(is_note=False)
        if learning is not None:
            self._bind(lambda midi_map: midi_map.with_control(find(learning[0]), channel, control))
            return  # it turns the knob from its next movement on
        for binding in self._map.controls:
            if binding.hears(channel, control) and self._picks_up(binding, position):
                value = binding.value_at(position)
                with self._lock:
                    self._turned[binding] = value
                self._board.set(binding.knob, value, source="midi")

    def _picks_up(self, binding: ControlBinding, position: int) -> bool:
        """Whether the control holds its knob, or has just passed it."""
        current = self._board.settings.values[binding.knob]
        with self._lock:
            before = self._positions.get(binding, position)
            self._positions[binding] = position
            holds = binding in self._turned and self._turned[binding] == current
        knob_position = binding.position_of(current)
        passes = min(before, position) - 1.0 <= knob_position <= max(before, position) + 1.0
        return not self.pickup or holds or passes

    def _strike(self, channel: int, note: int) -> None:
        learning = self._learned(is_note=True)
        if learning is not None:
            name, value = learning
            self._bind(lambda midi_map: midi_map.with_note(find(name), channel, note, value))
            return
        for binding in self._map.notes:
            if binding.hears(channel, note):
                self._board.act(binding.action, binding.value, source="midi")

    def _learned(self, *, is_note: bool) -> tuple[str, float | int | str | None] | None:
        """What was waiting for such a message, and waits no more."""
        with self._lock:
            learning = self._learning
            if learning is None or (find(learning[0]).kind is Kind.ACTION) is not is_note:
                return None
            self._learning = None
            return learning

    def _bind(self, bound: Callable[[MidiMap], MidiMap]) -> None:
        with self._lock:
            self._map = bound(self._map)
        if self._on_learned is not None:
            self._on_learned(self._map)
