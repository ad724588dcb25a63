"""Generator: all that the engine knows of a model."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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
    batch: tuple[int, int] | None = None
    """Size of the batch that it is to be served in, and its place there: as a replay asks, since another size may round
    otherwise. None: as it comes."""


@runtime_checkable
class Generator(Protocol):
    """A model as the engine sees it. Pure: the same request gives the same payload."""

    def generate(self, request: Request) -> Sequence[Any]:
        """The payload of units start, start + 1, ...: at most `length` of them."""
        ...


class Kind(NamedTuple):
    """What a request is to be served with: requests of equal kinds may go together."""

    program: Hashable
    """Of which model, and which of its programs."""
    sizes: tuple[int, ...] = (1,)
    """Sizes of batches that there are programs for, ascending from 1."""
    costs_seconds: tuple[float, ...] = (0.0,)
    """What a batch of each size takes; 0 where nobody knows."""

    def size(self, count: int) -> int:
        """Of the smallest batch that so many requests fit in; the largest one if there is none."""
        return next((size for size in self.sizes if size >= count), self.sizes[-1])

    def batch_seconds(self, count: int) -> float:
        """What a batch takes that so many requests fit in."""
        return self.costs_seconds[self.sizes.index(self.size(count))]

    def work_seconds(self, count: int) -> float:
        """What so many requests take, one batch after another, as quickly as can be."""
        spent = 0.0
        while count > 0:
            now = self.count(count)
            spent, count = spent + self.batch_seconds(now), count - now
        return spent

    def count(self, count: int) -> int:
        """How many of so many requests to serve first: all, or as many as fill a smaller program up, if that one and the
        rest after it are quicker than one that is mostly empty."""
        count = min(count, self.sizes[-1])
        split = max((size for size in self.sizes if size < count), default=count)
        if split == count or self.batch_seconds(count) <= self.batch_seconds(split) + self.work_seconds(count - split):
            return count
        return split


@runtime_checkable
class BatchGenerator(Generator, Protocol):
    """A generator that can serve requests of several streams at once: `generate` in three parts.

        begin (each) -> parts -> run (all together) -> end (each)
    """

    def kind(self, request: Request) -> Kind:
        """What the request can be served together with. Takes no time."""
        ...

    def begin(self, request: Request) -> Any:
        """All that comes before the model: the request as `run` takes it."""
        ...

    def run(self, parts: Sequence[Any]) -> Sequence[Any]:
        """The model's answers to parts of one kind, in order; they may be other generators' parts."""
        ...

    def end(self, request: Request, made: Any) -> Sequence[Any]:
        """The payload, of what `run` made of the request's part."""
        ...
