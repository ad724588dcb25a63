"""Board: what all knobs stand at, whoever turned them. Hands, OSC, MIDI, the browser and scores all meet here.

    set, set_many -> settings, an immutable snapshot with a sequence number -> read as late as possible by the session
    act           -> a queue of actions                                      -> taken by the session
                  -> listeners: what was changed goes back to all who show it

Stateful and thread-safe. The lock is held for microseconds; reading `settings` takes none.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from magenta_rt_py.live.knobs import KNOBS, Kind, Knob, find

__all__ = ["KNOBS", "Board", "Change", "Kind", "Knob", "Settings"]

MOST_ACTIONS = 1000
"""Actions that wait at most; if nobody takes them, the oldest are forgotten."""
MOST_UNTOLD = 10_000
"""Changes that wait at most while a listener hangs."""


class Settings(NamedTuple):
    """What every knob stood at, at one moment."""

    sequence: int
    """Rises by one with every change; audio carries the number it was made with."""
    values: Mapping[str, Any]
    """By name; float, int, bool or str as the knob's kind says. Never changes; actions are not in it."""


class Change(NamedTuple):
    """A knob that was turned, or an action that was asked for."""

    sequence: int
    """Of the settings with the change; of an action, of those it was asked for under."""
    name: str
    """Of the knob."""
    value: Any
    """What it stands at now; what came with the action."""
    source: str
    """Who did it, in a word or two: "osc 127.0.0.1:9001", "midi", "" if not said."""
    made_seconds: float = 0.0
    """When, by time.perf_counter: a tap counts from its moment, not from when it was taken."""


class Board:
    """The knobs of one performance. Any thread may call anything."""

    def __init__(self, initial: Mapping[str, Any] | None = None) -> None:
        """All knobs at their defaults, but for `initial`.

        Args:
          initial: values by name.
        Raises:
          ValueError: a name or a value that is not allowed.
        """
        values = {name: knob.default for name, knob in KNOBS.items() if knob.kind is not Kind.ACTION}
        values.update(_checked(initial or {}))
        self._settings = Settings(0, MappingProxyType(values))
        self._lock = threading.Lock()
        self._actions: deque[Change] = deque(maxlen=MOST_ACTIONS)
        self._listeners: tuple[Callable[[Change], None], ...] = ()
        self._untold: deque[Change] = deque(maxlen=MOST_UNTOLD)
        self._telling = threading.Lock()
        self._problem: str | None = None

    @property
    def settings(self) -> Settings:
        """The newest snapshot."""
        return self._settings

    @property
    def problem(self) -> str | None:
        """The last listener that failed and was dropped, in one line; None if all is well."""
        return self._problem

    def set(self, name: str, value: Any, *, source: str = "") -> int:
        """Turns a knob.

        Args:
          name: of the knob, not of an action.
          value: within its range.
          source: who does it.
        Returns:
          the new sequence number; the old one if the knob stood there already, which is no change.
        Raises:
          ValueError: says what is allowed; nothing has changed.
        """
        return self.set_many({name: value}, source=source)

    def set_many(self, values: Mapping[str, Any], *, source: str = "") -> int:
        """Turns several knobs at once: all of them or none, under one sequence number.

        Raises:
          ValueError: the first value that is not allowed; nothing has changed.
        """
        checked = _checked(values)
        now = time.perf_counter()
        with self._lock:
            sequence, current = self._settings
            changed = {name: value for name, value in checked.items() if value != current[name]}
            if not changed:
                return sequence
            sequence += 1
            self._settings = Settings(sequence, MappingProxyType({**current, **changed}))
            if self._listeners:
                self._untold += [Change(sequence, name, value, source, now) for name, value in changed.items()]
        self._tell()
        return sequence

    def act(self, name: str, value: Any = None, *, source: str = "") -> None:
        """Asks for an action; the session does it when it comes to it.

        Args:
          name: of the action.
          value: what it takes; None for its default, or if it takes nothing.
          source: who asks.
        Raises:
          ValueError: says what is allowed; nothing has been queued.
        """
        knob = find(name)
        if knob.kind is not Kind.ACTION:
            raise ValueError(f"{name} is no action; set it to a {knob.kind.value}")
        checked, now = knob.check(value), time.perf_counter()
        with self._lock:
            self._actions.append(Change(self._settings.sequence, name, checked, source, now))

    def take_actions(self) -> list[Change]:
        """The actions since the last call, oldest first. Each is handed out once."""
        with self._lock:
            taken = list(self._actions)
            self._actions.clear()
        return taken

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Tells of every change from now on; not of actions.

        Args:
          callback: called with one change after the other, in order, on a thread that turned a knob; must return soon. It
            may turn knobs itself. One that fails is dropped.
        Returns:
          a function that ends it; calling it again does nothing.
        """

        def told(change: Change) -> None:  # a function of its own, so that one callback may listen twice
            callback(change)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not told)

        with self._lock:
            self._listeners = (*self._listeners, told)
        return stop

    def _tell(self) -> None:
        """One thread at a time hands out what is waiting, so that changes arrive in order; the others need not wait."""
        while self._untold:
            if not self._telling.acquire(blocking=False):
                return
            try:
                while self._untold:
                    change = self._untold.popleft()
                    for told in self._listeners:
                        self._tell_one(told, change)
            finally:
                self._telling.release()

    def _tell_one(self, told: Callable[[Change], None], change: Change) -> None:
        try:
            told(change)
        except Exception as error:  # a broken display must not end the music
            self._problem = f"a listener was dropped: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not told)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are stored.

    Raises:
      ValueError: the first that is not allowed.
    """
    checked = {}
    for name, value in values.items():
        knob = find(name)
        if knob.kind is Kind.ACTION:
            raise ValueError(f"{name} is an action; it is asked for, not set")
        checked[name] = knob.check(value)
    return checked
