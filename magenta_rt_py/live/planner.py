"""Planner: picks hop and look-ahead from measured round trips, and degrades in declared steps when the machine slows.

    step          what is given up
    1 full        nothing: short requests, as short a hop as the device allows; longer ones among them on a slower device
    2 long        backup grows: requests of a chunk, a longer hop, controls are heard later
    3 coarse      the finer levels and the guidance towards the performer
    4 overloaded  the stream itself: it plays what there is, holds, and fades

Pure: `step(config, state, x) -> (state, y)`.
Source: the constraints of `feasibility.py`; percentile, margins and steps are ours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

from magenta_rt_py.live.plan import Plan, codec_frames

__all__ = ["Choice", "PlannerConfig", "PlannerState", "init_state", "step"]

UNIT_SECONDS = 0.04
"""A codec frame."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """What the planner may choose from. Ours."""

    short_frames: int
    """Shortest horizon, of the first step."""
    chunk_frames: int = 50
    """Horizon of the later ones: the longest the model makes at once."""
    cost_seconds: Mapping[int, float]
    """Round trip of a request of so many frames on this machine, undisturbed: for both horizons, and for those between
    them that the first step may choose, too."""
    shortest_hop: int = 5
    """Frames; a shorter hop is not heard as more direct."""
    margin: float = 1.25
    """The hop is so much longer than the round trip: the rest is for everything else the machine does."""
    slack_frames: int = 2
    """Look-ahead beyond the round trip: one frame for the sound's lag behind its codes, one for waking up."""
    reserve_frames: int = 6
    """A request may be later by so many frames before the sound stops."""
    window: int = 24
    """Round trips that are remembered; the 95th percentile of them counts."""
    least: int = 4
    """Round trips before anything is changed: the first ones come while much else begins."""
    calm: int = 40
    """Requests after which a faster machine is believed."""

    @property
    def horizons(self) -> tuple[tuple[int, int], ...]:
        """(step, frames of a request) in the order in which they are given up."""
        shorts = sorted(
            {self.short_frames, *(known for known in self.cost_seconds if self.short_frames < known < self.chunk_frames)}
        )
        return (*((1, frames) for frames in shorts), (2, self.chunk_frames), (3, self.chunk_frames))

    @property
    def longest_short_frames(self) -> int:
        """Longest horizon of the first step."""
        return max(frames for number, frames in self.horizons if number == 1)

    @property
    def hop_seconds(self) -> float:
        """Longest hop of the first step."""
        return self.longest_hop(self.longest_short_frames) * UNIT_SECONDS

    @property
    def rtf(self) -> float:
        """Seconds of music a second of work brings at the first step, backup not counted: at the longest hop that its
        longest request allows. So many performances, less the margin, one machine plays without giving anything up."""
        return self.hop_seconds / self.cost_seconds[self.longest_short_frames]

    def longest_hop(self, horizon: int) -> int:
        """Frames from one request of `horizon` frames to the next, at most, so that the reserve is left."""
        return min(horizon, horizon + self.slack_frames - self.reserve_frames)


class Choice(NamedTuple):
    """What to go on with."""

    plan: Plan
    step: int
    """1 .. 4, see the module's head."""
    message: str
    """One line for the performer; empty if nothing worth saying has changed."""

    @property
    def is_coarse(self) -> bool:
        """Whether finer levels and input guidance are left out."""
        return self.step >= 3


class PlannerState(NamedTuple):
    """What is remembered."""

    choice: Choice
    slowness: tuple[float, ...]
    """Round trips over what they cost undisturbed, newest last."""
    calm: int
    """Requests since the choice was last too small."""


STEP_NAMES = ("full", "long requests", "coarse", "overloaded")


def init_state(config: PlannerConfig) -> PlannerState:
    """The choice for an undisturbed machine."""
    return PlannerState(_choose(config, 1.0, None), (), 0)


def step(config: PlannerConfig, state: PlannerState, frames: int, seconds: float) -> tuple[PlannerState, Choice]:
    """Takes one measured round trip.

    Args:
      config: what may be chosen.
      state: what was remembered.
      frames: length of the request's program.
      seconds: its round trip.
    """
    expected = config.cost_seconds.get(frames) or max(config.cost_seconds.values())
    slowness = (*state.slowness, seconds / expected)[-config.window :]
    if len(slowness) < config.least:
        kept = state.choice._replace(message="")
        return PlannerState(kept, slowness, 0), kept
    wanted = _choose(config, max(1.0, _percentile(slowness)), state.choice)
    now = state.choice.plan
    if wanted.step > state.choice.step or wanted.plan.interval > now.interval or wanted.plan.look_ahead > now.look_ahead:
        return PlannerState(wanted, slowness, 0), wanted
    saved = now.interval + now.look_ahead - wanted.plan.interval - wanted.plan.look_ahead
    smaller = wanted.step < state.choice.step or saved >= 2
    calm = state.calm + 1
    if smaller and calm >= config.calm:
        return PlannerState(wanted, slowness, 0), wanted
    kept = state.choice._replace(message="")
    return PlannerState(kept, slowness, calm), kept


def _choose(config: PlannerConfig, slowness: float, before: Choice | None) -> Choice:
    """The first step that is feasible at this slowness."""
    for number, horizon in config.horizons:
        # Coarse requests are not longer, but leave more of the machine to the rest: half the margin is enough.
        margin = config.margin if number < 3 else 1.0 + (config.margin - 1.0) / 2.0
        plan = _plan(config, slowness * config.cost_seconds[horizon], horizon, margin)
        if plan is not None:
            return _say(Choice(plan, number, ""), before)
    longest = config.chunk_frames
    plan = codec_frames(hop=longest, look_ahead=longest, horizon=longest)
    return _say(Choice(plan, 4, ""), before)


def _plan(config: PlannerConfig, seconds: float, horizon: int, margin: float) -> Plan | None:
    units = seconds / UNIT_SECONDS
    whole = math.ceil(units)
    interval = max(config.shortest_hop, math.ceil(margin * units))
    look_ahead = whole + config.slack_frames
    if interval > config.longest_hop(horizon):
        return None
    return codec_frames(hop=interval, look_ahead=look_ahead, horizon=horizon)


def _say(choice: Choice, before: Choice | None) -> Choice:
    if before is not None and before.step == choice.step:
        return choice
    hop = choice.plan.interval * choice.plan.unit_seconds
    if choice.step == 4:
        return choice._replace(message="overloaded: this machine is slower than the music; it plays what it can and fades")
    name = STEP_NAMES[choice.step - 1]
    return choice._replace(message=f"{name}: hop {hop:.2f} s, requests of {choice.plan.horizon} frames")


def _percentile(values: tuple[float, ...]) -> float:
    """The 95th percentile, but one value may always be worse; of few values the median."""
    ordered = sorted(values)
    if len(ordered) < 8:
        return ordered[(len(ordered) - 1) // 2]
    return ordered[min(math.ceil(0.95 * len(ordered)), len(ordered) - 1) - 1]
