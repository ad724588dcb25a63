"""Performance: a loaded bundle made ready to play live, and played again from its log.

    get_ready   compiles, measures this machine, makes ten seconds to begin from
    open        a session on a card, with the bundle as its model
    replay      the same music from a log

The first ten seconds are made before the music begins and are never heard: so that requests are short, and what is turned
is heard soon, from the first bar on. Stateful where it holds a session.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from magenta_rt_py import __version__, audio
from magenta_rt_py.generators import styles
from magenta_rt_py.generators.live_batch import LiveBatch
from magenta_rt_py.generators.live_lm import HeardMix, LiveLM, LiveSound, preroll
from magenta_rt_py.generators.style_desk import StyleDesk
from magenta_rt_py.generators.system import MusicModel
from magenta_rt_py.live import replay, transport
from magenta_rt_py.live.board import Board, Settings
from magenta_rt_py.live.card import Card
from magenta_rt_py.live.clock import Clock, VirtualClock, WallClock
from magenta_rt_py.live.frame import Conditioning, Frame
from magenta_rt_py.live.generator import Request
from magenta_rt_py.live.planner import PlannerConfig
from magenta_rt_py.live.session import Session
from magenta_rt_py.live.session_parts import Master, SessionConfig
from magenta_rt_py.live.worker import SimulatedWorker, ThreadWorker

__all__ = ["Performance", "Ready", "get_batch", "get_ready", "initial_knobs", "replay_log"]

HORIZONS = (10, 15, 20, 25)
"""Frames of a short request. Each is a program of its own: one is chosen and compiled, and the longest, for when the
machine has something else to do."""
SHORT_SECONDS = 0.2
"""A short request takes at most about so long: longer ones bring more backup, shorter ones a shorter delay."""
INPUT_COST = 1.35
"""With a performer three rows are compared instead of two: measured with the starter on two cores."""
STYLE_SECONDS = 30.0
OFFLINE_FRAMES = 20
OFFLINE_SECONDS = {OFFLINE_FRAMES: 0.2, 50: 0.5}
"""Round trips that are assumed where nothing is timed: a machine four times as fast as the music, the same every time."""
BATCH_SIZES = (1, 2, 4, 8, 16)
"""Requests that are served at once: a program for each size."""
LIVE_PROMPT_SAMPLES = 480_000
SWITCH_SECONDS = 0.001
CLOSING_SECONDS = 5.0
"""A request that has not come back so long after the end of the music is given up."""


class Ready(NamedTuple):
    """What a session begins with."""

    lm: LiveLM
    planner: PlannerConfig
    past: tuple[Frame | None, ...]


class Performance:
    """A session with all that belongs to it.

    Attributes:
      session: what plays.
      desk: what turns prompts into styles.
    """

    def __init__(
        self,
        model: MusicModel,
        card: Card,
        board: Board,
        ready: Ready,
        *,
        config: SessionConfig,
        clock: Clock | None = None,
        master: Master | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Ready to `session.run`.

        Args:
          model: the loaded bundle.
          card: where the music goes.
          board: what people turn.
          ready: from `get_ready`.
          config: how the performance is set up.
          clock: None is the wall clock; a virtual one renders offline, with the round trips that `ready` says.
          master: a clock to follow.
          now: seconds in which it is asked; with a virtual clock, that clock's `now_seconds`.
        """
        # Threads that compute in Python hand over five times as often as usual: the player must not wait for them.
        sys.setswitchinterval(SWITCH_SECONDS)
        time_source = clock or WallClock()
        costs = ready.planner.cost_seconds
        worker = (
            SimulatedWorker(time_source, lambda request: _cost(costs, request.length))
            if isinstance(time_source, VirtualClock)
            else ThreadWorker(time_source, name="model")
        )
        self.desk = StyleDesk(model, is_waited_for=isinstance(time_source, VirtualClock))
        self._worker = worker
        self.session = Session(
            ready.lm,
            LiveSound(model.models, seed=config.seed, past=ready.past),
            card,
            board,
            self.desk,
            worker=worker,
            clock=time_source,
            planner_config=ready.planner,
            past=ready.past,
            make_mix=HeardMix,
            config=config,
            header={"bundle": bundle_name(model), "version": __version__, "lengths": list(ready.lm.lengths)},
            master=master,
            now=now,
        )
        self.desk.wait(STYLE_SECONDS)

    def close(self) -> bool:
        """Completes log and recording, and lets the device go.

        Returns:
          whether the model's thread has ended; it has not if the model hangs.
        """
        self.session.close()
        self.desk.close()
        if isinstance(self._worker, ThreadWorker):
            return self._worker.close(timeout_seconds=CLOSING_SECONDS)
        self._worker.close()
        return True


def get_ready(
    model: MusicModel,
    board: Board,
    *,
    seed: int = 0,
    has_input: bool = False,
    past: tuple[Frame | None, ...] | None = None,
    is_offline: bool = False,
    short_seconds: float = SHORT_SECONDS,
    say: Callable[[str], None] = lambda line: None,
) -> Ready:
    """Compiles what a session needs, measures this machine, and makes the ten seconds to begin from.

    Args:
      model: the loaded bundle.
      board: prompts and knobs to begin with.
      seed: of the stream.
      has_input: whether a performer plays along: that needs a program more.
      past: what to begin from instead, of a checkpoint.
      is_offline: measures nothing, so that what is rendered does not depend on the machine's mood.
      short_seconds: a short request takes at most about so long.
      say: told what is being done.
    """
    say("reading the prompts")
    conditioning = conditioning_of(model, board.settings)
    lm = LiveLM(model.models)
    say("making ten seconds to begin from")
    lm.warm_up()
    chunk = lm.models.lm_config.chunk_frames
    began = time.perf_counter()
    made = preroll(lm, conditioning, seed=seed)
    chunk_seconds = (time.perf_counter() - began) / max(1, len(made) // chunk)
    past = made if past is None else past
    if is_offline:
        lm = LiveLM(model.models, lengths=(OFFLINE_FRAMES,))
        costs = {length: OFFLINE_SECONDS.get(length, 0.01 * length) for length in lm.lengths}
        return Ready(lm, PlannerConfig(short_frames=OFFLINE_FRAMES, chunk_frames=chunk, cost_seconds=costs), past)
    say("measuring this machine")
    short = short_frames(chunk_seconds / chunk * (INPUT_COST if has_input else 1.0), short_seconds)
    lm = LiveLM(model.models, lengths=(short, HORIZONS[-1]))
    lm.warm_up(with_input=has_input)
    if has_input:  # or the live prompt would compile the audio tower while the music plays
        noise = np.random.default_rng(0).normal(0.0, 0.1, (LIVE_PROMPT_SAMPLES, 2)).astype(np.float32)
        for samples in (noise, noise[: LIVE_PROMPT_SAMPLES // 4]):
            styles.embed(model.style_model, audio.Audio(samples=samples, sample_rate=audio.SAMPLE_RATE_HZ))
    costs = {length: measure(lm, conditioning, past, length, has_input=has_input) for length in lm.lengths}
    return Ready(lm, PlannerConfig(short_frames=short, chunk_frames=chunk, cost_seconds=costs), past)


def short_frames(seconds_per_frame: float, short_seconds: float = SHORT_SECONDS) -> int:
    """Frames of a short request of at most about `short_seconds` on a machine that takes so long for a frame."""
    fitting = [frames for frames in HORIZONS if frames * seconds_per_frame <= short_seconds * 1.001]
    return max(fitting, default=HORIZONS[0])


def measure(
    lm: LiveLM,
    conditioning: Conditioning,
    past: tuple[Frame | None, ...],
    length: int,
    *,
    has_input: bool,
    size: int = 1,
    repeats: int = 5,
) -> float:
    """Median seconds of a batch of requests of `length` frames; a batch of 1 is a request alone."""
    heard = None
    if has_input:
        context = np.full((lm.models.lm_config.context_frames, lm.models.num_levels), -1, np.int32)
        heard = HeardMix(None, context)
    request = Request(0, 0, 0, length, past, conditioning, heard=heard)
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        for made in lm.run([lm.begin(request) for _ in range(size)]):
            lm.end(request, made)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def get_batch(
    ready: Ready,
    conditioning: Conditioning,
    *,
    most: int,
    say: Callable[[str], None] = lambda line: None,
) -> LiveBatch:
    """Compiles and measures programs that serve several sessions at once, size by size, as far as this machine gets.

    A size that takes as long as two of half of it gains nothing, and one that is too slow for the longest hop is of no use:
    there it ends.

    Args:
      ready: from `get_ready` with input.
      conditioning: what requests are measured with.
      most: sessions at once.
      say: told what is being done.
    """
    models, planned = ready.lm.models, ready.planner
    first = (3, planned.longest_short_frames)  # what performances ask for; it decides
    programs = [first, *((rows, length) for length in ready.lm.lengths for rows in (2, 3) if (rows, length) != first)]
    alone = {length: _cost(planned.cost_seconds, length) for length in ready.lm.lengths}
    costs = {(rows, length): [alone[length] / (1.0 if rows == 3 else INPUT_COST)] for rows, length in programs}
    sizes = [1]
    for size in BATCH_SIZES[1:]:
        if sizes[-1] >= most or 2.0 * costs[first][-1] > planned.hop_seconds:
            break
        say(f"making ready for {size} at once")
        lm = LiveLM(models, lengths=ready.lm.lengths, together=LiveBatch(models, sizes=(*sizes, size)))
        spent: dict[tuple[int, int], float] = {}
        for rows, length in programs:
            time_it = functools.partial(measure, lm, conditioning, ready.past, length, has_input=rows == 3, size=size)
            time_it(repeats=1)  # compiles
            spent[rows, length] = time_it(repeats=5 if (rows, length) == first else 1)
            if spent[first] >= 2.0 * costs[first][-1]:
                return LiveBatch(models, sizes=sizes, costs=costs)
        sizes.append(size)
        for program in programs:
            costs[program].append(spent[program])
    return LiveBatch(models, sizes=sizes, costs=costs)


def conditioning_of(model: MusicModel, settings: Settings) -> Conditioning:
    """What the music begins with."""
    desk = StyleDesk(model)
    desk.ask(settings)
    desk.wait(STYLE_SECONDS)
    desk.close()
    values = settings.values
    return Conditioning(
        temperature=values["temperature"],
        top_k=values["top_k"],
        guidance_weight=values["guidance"],
        input_guidance_weight=0.0,
        style=desk.latest[1],
        transport=transport.start(values["bpm"]),
        has_clock=values["keep_time"],
        adapter_strength=values["adapter_strength"],
    )


def initial_knobs(model: MusicModel) -> dict[str, Any]:
    """Knobs as the bundle was tuned for."""
    defaults = model.defaults
    knobs = {"temperature": defaults.temperature, "top_k": defaults.top_k, "guidance": defaults.guidance_weight}
    if model.models.adapted is not None:
        knobs["adapter_strength"] = model.models.adapted.config.strength
    return {**knobs, "bpm": defaults.bpm} if defaults.bpm is not None else knobs


def bundle_name(model: MusicModel) -> str:
    """What a log says of the model, so that a replay with another one is noticed."""
    return model.bundle.fingerprint


def replay_log(
    model: MusicModel, path: str | os.PathLike
) -> tuple[replay.Script, Iterator[Float[np.ndarray, "samples 2"]]]:
    """A log and its music, made again piece by piece.

    Raises:
      ValueError: the log is none of a session, or was made with another bundle.
    """
    script = replay.read_script(path)
    made_with = script.header.get("bundle")
    if made_with != bundle_name(model):
        raise ValueError(f"{path}: made with bundle {made_with}, this is {bundle_name(model)}; load that one to replay it")
    lm = LiveLM(model.models, lengths=script.header["lengths"])
    header, past = script.header, script.origins[0].past
    sound = LiveSound(model.models, seed=header["seed"], past=past, place=header.get("sound_place", 0))
    return script, replay.play(script, lm, sound, make_heard=lambda codes: HeardMix(None, codes))


def _cost(costs: Any, length: int) -> float:
    return next((costs[known] for known in sorted(costs) if known >= length), max(costs.values()))


