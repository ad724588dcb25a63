"""Generator: all that the engine knows of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable


class Request(NamedTuple):
    """What a generator is asked for. Everything it may depend on is here, so that a request can be made again."""

    number: int
    """Counts from 0 in the order of asking."""
    asked_at: int
    """Unit at which it was asked; the history ends before it."""
    start: int
    """First unit that is wanted."""
    length: int
    """Units that are wanted."""
    history: tuple[Any, ...] = ()
    """What was played in the units before `asked_at`, oldest first; None for a unit that had nothing. In a chained plan:
    what was and surely will be played in the units before `start`."""
    controls: Any = None
    """What the performer had set when the device took the request: as late as possible."""
    sequence: int = 0
    """Counts changes of the controls; handed through to what is played."""
    seed: int = 0
    """Seed of the stream; a generator derives a request's randomness from it and `start`."""
    heard: Any = None
    """What else the generator is to believe it has heard (a performer's sound, mixed in); None for nothing."""


@runtime_checkable
class Generator(Protocol):
    """A model as the engine sees it. Pure: the same request gives the same payload."""

    def generate(self, request: Request) -> Sequence[Any]:
        """The payload of units start, start + 1, ...: at most `length` of them."""
        ...
