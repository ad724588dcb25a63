"""Model seats: performances with a loaded bundle: one set of weights and programs, any number of people.

    once        compiles, measures this machine, makes ten seconds to begin from         `performance.get_ready`
    each seat   a language model's shell, the codec's state, a style desk, a session     weights are shared
    shared      the device (serve/device.py), with programs that serve several at once; threads and texts of the style desks

Stateful shell.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from magenta_rt_py import __version__, audio
from magenta_rt_py.generators.live_batch import LiveBatch
from magenta_rt_py.generators.live_lm import HeardMix, LiveLM, LiveSound
from magenta_rt_py.generators.past_of import past_of
from magenta_rt_py.generators.performance import (
    Ready,
    bundle_name,
    conditioning_of,
    get_batch,
    get_ready,
    initial_knobs,
)
from magenta_rt_py.generators.sound_batch import SoundBatch, usual_sizes
from magenta_rt_py.generators.style_desk import StyleDesk
from magenta_rt_py.generators.style_pool import StylePool
from magenta_rt_py.generators.system import MusicModel
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.card import Card
from magenta_rt_py.live.frame import Frame
from magenta_rt_py.live.session import Session
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.live.worker import Worker
from magenta_rt_py.serve.capacity import Capacity
from magenta_rt_py.serve.device import Device
from magenta_rt_py.serve.hall import HallConfig
from magenta_rt_py.serve.playing import About, Resolve, lead_seconds

__all__ = ["ModelSeats"]

SWITCH_SECONDS = 0.001
RESERVE_FRAMES = 2
SHORT_SECONDS = 0.12
"""A page has sound in front of it, a quarter of a second at least, when the stream stands still for a late request; so a
shorter reserve will do than on a sound card, and shorter requests: what is turned is heard sooner."""
STYLE_SECONDS = 5.0
"""The first bar waits so long for its prompts; then it begins without."""
CAPABILITIES = {"injection": True, "live_prompt": True, "tempo": True, "context": True}


class ModelPlaying:
    """A `playing.Playing`."""

    def __init__(
        self, model: MusicModel, session: Session, desk: StyleDesk, worker: Worker, leave: Callable[[], None]
    ) -> None:
        """Of its parts; `leave` is called at the end."""
        self.session = session
        self._model, self._desk, self._worker, self._leave = model, desk, worker, leave

    def prompt_states(self) -> Sequence[str]:
        """See Playing."""
        return self._desk.states

    def live_prompt_age_seconds(self) -> float | None:
        """See Playing."""
        return self._desk.live_age_seconds

    def past_of(self, sound: audio.Audio) -> tuple[Frame | None, ...]:
        """See Playing."""
        return past_of(self._model.models, sound)

    def forget(self, prompt: str) -> None:
        """See Playing."""
        self._desk.forget(prompt)

    def close(self) -> None:
        """See Playing."""
        self._worker.close()
        self._leave()
        self._desk.close()
        self.session.close()


class ModelSeats:
    """A `playing.SeatFactory`."""

    def __init__(
        self,
        model: MusicModel,
        *,
        knobs: Mapping[str, Any] | None = None,
        suggestions: Sequence[str] = (),
        style_threads: int = 1,
        say: Callable[[str], None] = lambda line: None,
        ready: Ready | None = None,
        most: int | None = None,
        batch: LiveBatch | None = None,
        sounds: SoundBatch | None = None,
    ) -> None:
        """Compiles and measures: takes from seconds to minutes.

        Args:
          model: the loaded bundle.
          knobs: what boards begin with, over what the bundle was tuned for.
          suggestions: prompts that the bundle knows.
          style_threads: prompts that are embedded at once.
          say: told what is being done.
          ready: from `get_ready` with input, if that has been done; then batches are not measured here either.
          most: performances at once, for which batches are made ready as far as the machine gets; None: as many as a hall
            lets in.
          batch: what serves several requests at once, if it is not to be measured here.
          sounds: what makes several sounds at once; None follows from the batch and the backend.
        """
        # Threads that compute in Python hand over five times as often as usual: no player must wait for them.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._model, self._pool = model, StylePool(threads=style_threads)
        initial = {**initial_knobs(model), **(knobs or {})}
        made = ready or get_ready(model, Board(initial), has_input=True, short_seconds=SHORT_SECONDS, say=say)
        self._ready = made._replace(planner=dataclasses.replace(made.planner, reserve_frames=RESERVE_FRAMES))
        if batch is None and ready is not None:
            batch = LiveBatch(model.models)
        elif batch is None:
            conditioning = conditioning_of(model, Board(initial).settings)
            batch = get_batch(self._ready, conditioning, most=most or HallConfig.most_by_rtf, say=say)
        self._batch, self._sounds = batch, sounds or SoundBatch(model.models, sizes=usual_sizes(batch.sizes))
        if len(self._sounds.sizes) > 1:
            self._sounds.warm_up()
        capacity = self._capacity()
        self._about = About(
            bundle=str(model.bundle.record.get("name") or model.bundle.path.name),
            knobs=initial,
            suggestions=tuple(suggestions),
            capabilities={**CAPABILITIES, "adapters": model.models.adapted is not None},
            rtf=capacity.rtf(capacity.streams()),
            capacity=capacity,
        )

    def _capacity(self) -> Capacity:
        """Of the requests that performances make at the planner's first step, a performer's among them."""
        planner = self._ready.planner
        kind = self._batch.kind(3, planner.longest_short_frames)
        costs = dict(zip(kind.sizes, kind.costs_seconds, strict=True))
        if not all(costs.values()):  # nobody has measured batches: one at a time
            costs = {1: planner.cost_seconds[planner.longest_short_frames]}
        return Capacity(hop_seconds=planner.hop_seconds, costs_seconds=costs)

    @property
    def about(self) -> About:
        """See SeatFactory."""
        return self._about

    def __call__(
        self, seat_id: str, board: Board, card: Card, device: Device, *, config: SessionConfig, resolve: Resolve
    ) -> ModelPlaying:
        """See SeatFactory."""
        ready, models = self._ready, self._model.models
        desk = StyleDesk(self._model, resolve=resolve, pool=self._pool)
        worker = device.worker(lambda: lead_seconds(session, card))
        place = self._sounds.open()
        try:
            session = Session(
                LiveLM(models, lengths=ready.lm.lengths, together=self._batch),
                self._sound(place, config.seed),
                card,
                board,
                desk,
                worker=worker,
                clock=device.clock,
                planner_config=ready.planner,
                past=ready.past,
                make_mix=HeardMix,
                config=config,
                header={
                    "bundle": bundle_name(self._model),
                    "version": __version__,
                    "lengths": list(ready.lm.lengths),
                    "sound_place": place or 0,
                },
            )
        except BaseException:
            self._leave(place)
            raise
        desk.wait(STYLE_SECONDS)
        return ModelPlaying(self._model, session, desk, worker, lambda: self._leave(place))

    def _sound(self, place: int | None, seed: int) -> LiveSound:
        """Made together with others', or alone where there are more than that is done for."""
        models, past = self._model.models, self._ready.past
        if place is None:
            return LiveSound(models, seed=seed, past=past)
        return LiveSound(models, seed=seed, past=past, together=self._sounds, place=place)

    def _leave(self, place: int | None) -> None:
        if place is not None:
            self._sounds.close(place)

    def close(self) -> bool:
        """Lets the style threads go, once all seats have ended; whether they have."""
        return self._pool.close()
