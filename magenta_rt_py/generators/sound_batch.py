"""Sound batch: the sound of several streams, made together.

    players' threads    a wants 4 frames   c wants 1   b wants 4         while something else is being made they gather here
    one of them         refinement and codec of a, b and c at once       and each goes on with its own sound

Nothing is waited for: what came while the device was at work goes together next. Every stream keeps its place as long as it
is open; the width, streams that the programs are made for, follows from the places that are taken, and a log notes it, since
another width may round otherwise.

`render` is pure; `SoundBatch` is its stateful shell.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.generators import codec_lm
from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.models import Models
from magenta_rt_py.generators.state import LiveState
from magenta_rt_py.lm import refinement

__all__ = ["SoundBatch", "Stream", "Streams", "render", "usual_sizes"]

PIECE_FRAMES = 4
"""Frames that are refined at once, if there are so many."""


class Stream(NamedTuple):
    """What one stream wants."""

    state: LiveState
    codes: Int[np.ndarray, "frames coarse_levels"]
    """Of at least one frame."""
    is_coarse: bool = False
    """Whether the finer levels are left out."""


Streams = Mapping[int, Stream]
"""By place."""
Sounds = dict[int, tuple[LiveState, Float[np.ndarray, "samples 2"]]]
"""Next state and sound, by place."""


def render(models: Models, streams: Streams, *, width: int) -> Sounds:
    """Sound of all streams, one frame late.

    Args:
      models: the loaded models.
      streams: at places 0 .. width - 1.
      width: streams that the programs are made for; 1 is a stream alone.
    """
    if width == 1:
        return {place: _render_alone(models, stream) for place, stream in streams.items()}
    refined = _refine(models, streams, width)
    inputs = {place: (state.codec_state, codes[None]) for place, (state, codes) in refined.items()}
    sounds = models.codec.decode_streams(inputs, width=width)
    return {
        place: (refined[place][0]._replace(codec_state=codec_state), samples[0])
        for place, (codec_state, samples) in sounds.items()
    }


def _render_alone(models: Models, stream: Stream) -> tuple[LiveState, Float[np.ndarray, "samples 2"]]:
    state, pieces = stream.state, []
    for piece in _pieces(stream.codes):
        if not stream.is_coarse:
            refined, piece = codec_lm.refine(models, state, piece, Controls())
            state = state._replace(refinement_state=refined)
        pieces.append(piece)
    return codec_lm.decode_audio(models, state, np.concatenate(pieces))


def _pieces(codes: Int[np.ndarray, "frames coarse_levels"]) -> list[Int[np.ndarray, "some coarse_levels"]]:
    """Of two lengths only: each one is a program of its own, and none must be compiled while it plays."""
    whole = len(codes) // PIECE_FRAMES * PIECE_FRAMES
    return [*codes[:whole].reshape(-1, PIECE_FRAMES, codes.shape[1]), *codes[whole:, None]]


def _refine(models: Models, streams: Streams, width: int) -> dict[int, tuple[LiveState, np.ndarray]]:
    """States, and codes with the finer levels where they are wanted."""
    states = {place: stream.state for place, stream in streams.items()}
    done: dict[int, list[np.ndarray]] = {place: [] for place in streams}
    rest = {place: _pieces(stream.codes) for place, stream in streams.items()}
    for place, stream in streams.items():
        if stream.is_coarse or models.refinement_params is None:
            done[place], rest[place] = rest[place], []
    while any(rest.values()):
        for length in (PIECE_FRAMES, 1):
            here = {place: pieces.pop(0) for place, pieces in rest.items() if pieces and len(pieces[0]) == length}
            if here:
                _refine_pieces(models, states, here, done, width)
    return {place: (states[place], np.concatenate(done[place])) for place in streams}


def _refine_pieces(
    models: Models,
    states: dict[int, LiveState],
    pieces: Mapping[int, np.ndarray],
    done: dict[int, list[np.ndarray]],
    width: int,
) -> None:
    """Refines pieces of one length; puts next states and codes where they belong."""
    first = next(iter(pieces))
    places = [place if place in pieces else first for place in range(width)]
    after, codes = refinement.refine_batch(
        models.refinement_params,
        models.refinement_config,
        models.refinement_vectors,
        tuple(states[place].refinement_state for place in places),
        np.stack([pieces[place][None] for place in places]),
        _keys(np.array([states[place].seed for place in places], np.uint32)),
        np.full(width, min(Controls().temperature, 1.0), np.float32),
    )
    codes = np.asarray(codes)
    for place in pieces:
        states[place] = states[place]._replace(refinement_state=after[place])
        done[place].append(codes[place, 0])


_keys = jax.jit(jax.vmap(functools.partial(codec_lm.key_of, purpose="refinement")))


class _Wish:
    """A stream that waits, and in the end its answer."""

    def __init__(self, place: int, stream: Stream) -> None:
        self.place, self.stream = place, stream
        self.answer: tuple[LiveState, np.ndarray, int] | None = None
        self.error: Exception | None = None


class SoundBatch:
    """Where players' threads meet; any thread.

    Attributes:
      sizes: widths that there are programs for, ascending from 1.
    """

    def __init__(self, models: Models, *, sizes: Sequence[int] = (1,)) -> None:
        """Nobody is there, and nothing is compiled, see `warm_up`."""
        self.sizes = tuple(sizes)
        self._models = models
        self._places: set[int] = set()
        self._waiting: list[_Wish] = []
        self._lock, self._device = threading.Lock(), threading.Lock()

    @property
    def width(self) -> int:
        """The smallest size that all open places are in."""
        with self._lock:
            highest = max(self._places, default=0)
        return next(size for size in self.sizes if size > highest)

    def open(self) -> int | None:
        """A place for a stream, until `close`; None if all are taken: it has to be made alone."""
        with self._lock:
            place = next((place for place in range(self.sizes[-1]) if place not in self._places), None)
            if place is not None:
                self._places.add(place)
            return place

    def close(self, place: int) -> None:
        """The place is free."""
        with self._lock:
            self._places.discard(place)

    def render(self, place: int, stream: Stream) -> tuple[LiveState, Float[np.ndarray, "samples 2"], int]:
        """Next state and sound of a stream, and the width that it was made with. Waits for the others' sound, too.

        What fails is raised where it belongs: the others' sound is made.
        """
        if self.width == 1:
            return (*_render_alone(self._models, stream), 1)
        wish = _Wish(place, stream)
        with self._lock:
            self._waiting.append(wish)
        with self._device:  # whoever is first serves all who came meanwhile
            if wish.answer is None and wish.error is None:
                self._serve()
        if wish.error is not None:
            raise wish.error
        assert wish.answer is not None
        return wish.answer

    def warm_up(self) -> None:
        """Compiles the programs of all sizes, or reads them from the compilation cache."""
        config, models = self._models.lm_config, self._models
        for size in self.sizes:
            state = codec_lm.init_state(models, seed=0)
            codes = np.zeros((PIECE_FRAMES + 1, config.num_levels), np.int32)
            render(models, {0: Stream(state, codes)}, width=size)

    def _serve(self) -> None:
        with self._lock:
            wishes, self._waiting = self._waiting, []
        width = self.width
        fitting = {wish.place: wish for wish in wishes if wish.place < width}
        with contextlib.suppress(Exception):  # where one does not fit, each for itself shows which, below
            streams = {place: wish.stream for place, wish in fitting.items()}
            for place, answer in render(self._models, streams, width=width).items():
                fitting[place].answer = (*answer, width)
        for wish in wishes:
            if wish.answer is None:
                try:
                    wish.answer = (*_render_alone(self._models, wish.stream), 1)
                except Exception as error:
                    wish.error = error


def usual_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Widths to make sound with where requests are served in batches of these sizes.

    On a CPU each player's thread makes its own: nothing is gained by making it together, and a core more is used.
    """
    return (1,) if jax.default_backend() == "cpu" else tuple(sizes)
