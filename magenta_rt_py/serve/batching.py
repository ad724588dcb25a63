"""Batching: which of the requests that wait go to the device together, and when. Pure.

    waiting   a: lead 0.9   b: lead 0.4   c: lead 2.0        the smallest lead decides, the others of its kind come along
    a short window for company, unless b's sound would run out, or everybody is there
    batch     b a c         as many as serve b in time; the largest program that pays

A request that is late already takes all others along: none of them must become late as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from magenta_rt_py.live.generator import Kind
from magenta_rt_py.live.worker import BatchJob, Job, run_job

__all__ = ["ALONE", "Choice", "Waiting", "attempt", "choose", "kind_of", "run_together"]

WINDOW_SECONDS = 0.02
"""A request waits so long for company at most (ours): half a frame, which nobody hears."""
SPARE_SECONDS = 0.04
"""Of the smallest lead, so much is not counted on: the answer has to be taken and made to sound."""
ALONE = Kind(None)
"""Of a job that can be served with no other."""


class Waiting(NamedTuple):
    """A request that waits."""

    kind: Kind
    lead_seconds: float
    """Sound until its session has none."""
    came_seconds: float
    """When it came."""
    age: int
    """Counts requests in the order of coming."""


class Choice(NamedTuple):
    """What to do now."""

    chosen: tuple[int, ...]
    """Places of the requests to serve together, the most urgent first; empty: wait."""
    until_seconds: float = 0.0
    """When to look again, at the latest, if nothing was chosen; another request is a reason, too."""


def choose(
    waiting: Sequence[Waiting], now_seconds: float, *, sessions: int, window_seconds: float = WINDOW_SECONDS
) -> Choice:
    """What a free device does.

    Args:
      waiting: all requests that wait, at least one.
      now_seconds: the time.
      sessions: how many might send one.
      window_seconds: a request waits so long for company at most.
    """
    order = sorted(range(len(waiting)), key=lambda place: (waiting[place].lead_seconds, waiting[place].age))
    first = waiting[order[0]]
    kind = first.kind
    if kind.program is None or kind.sizes[-1] == 1:
        return Choice((order[0],))
    company = [place for place in order if waiting[place].kind == kind][: kind.sizes[-1]]
    if len(company) < kind.sizes[-1] and len(waiting) < sessions:
        spare = first.lead_seconds - kind.batch_seconds(len(company) + 1) - SPARE_SECONDS
        until = min(min(waiting[place].came_seconds for place in company) + window_seconds, now_seconds + spare)
        if until > now_seconds:
            return Choice((), until)
    return Choice(tuple(company[: _count(kind, len(company), first.lead_seconds)]))


def _count(kind: Kind, count: int, lead_seconds: float) -> int:
    """How many of `count` requests to serve at once, the most urgent of which has this lead."""
    count = kind.count(count)
    if kind.batch_seconds(1) > lead_seconds:
        return count
    while count > 1 and kind.batch_seconds(count) > lead_seconds:
        count = max(size for size in kind.sizes if size < count)
    return count


def kind_of(job: Job) -> Kind:
    """What a job can be served together with; a job that fails to say goes alone."""
    if not isinstance(job, BatchJob):
        return ALONE
    try:
        return job.generator.kind(job.request)
    except Exception:  # it will fail again where that is its own session's answer
        return ALONE


def run_together(jobs: Sequence[Job]) -> list[tuple[tuple, str]]:
    """Payloads and error of each job, in order: see `run_job`. One that fails is its own session's; no other notices.

    Args:
      jobs: of one kind, or a single one.
    """
    able = [job for job in jobs if isinstance(job, BatchJob)]
    if len(jobs) == 1 or len(able) < len(jobs):
        return [attempt(job) for job in jobs]
    begun = [attempt(lambda job=job: (job.generator.begin(job.request),)) for job in able]
    good = [place for place, (_, error) in enumerate(begun) if not error]
    answers: list[tuple[tuple, str]] = [((), error) for _, error in begun]
    made = _run_parts([able[place] for place in good], [begun[place][0][0] for place in good])
    for place, (own, error) in zip(good, made, strict=True):
        job = able[place]
        answers[place] = ((), error) if error else attempt(lambda job=job, own=own: job.generator.end(job.request, own[0]))
    return answers


def attempt(job: Job) -> tuple[tuple, str]:
    """As `run_job`, but nothing at all gets through: the thread is everybody's."""
    try:
        return run_job(job)
    except BaseException as error:
        return (), f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _run_parts(jobs: Sequence[BatchJob], parts: Sequence[Any]) -> list[tuple[tuple, str]]:
    """What the model made of each part, in a tuple of one; and what went wrong."""
    if not parts:
        return []
    whole, error = attempt(lambda: jobs[0].generator.run(parts))
    if not error and len(whole) == len(parts):
        return [((made,), "") for made in whole]
    # One of them does not fit: each for itself shows which.
    return [attempt(lambda job=job, part=part: job.generator.run([part])) for job, part in zip(jobs, parts, strict=True)]
