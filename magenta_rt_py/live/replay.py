"""Replay: makes a performance again from its log, sample for sample.

Nothing is timed here: the log says what was asked, with everything that the answer depends on, and which answer was
played when. Sound that was late then is late again; on the same backend every sample is the same.

Pure but for the model's and the sound's own state. Source: ours (design decision: every session is a seeded event log).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.live import event_log, output
from magenta_rt_py.live.frame import Conditioning, Frame, frames_from_json
from magenta_rt_py.live.generator import Generator, Request
from magenta_rt_py.live.journal import unpack_codes
from magenta_rt_py.live.knobs import HIGHEST_SEED
from magenta_rt_py.live.session_parts import Sound
from magenta_rt_py.live.stage import FRAME_SAMPLES, is_playable, sound_of
from magenta_rt_py.live.timeline import Origin

__all__ = ["Script", "Verdict", "play", "read_script", "verify"]

CONTEXT_FRAMES = 250
MOST_TOGETHER = 1024
"""Streams in a batch; a log that names more is damaged."""
KEPT_ANSWERS = 300
"""Answers that are remembered: more than ten seconds can be made of."""


class Take(NamedTuple):
    """From a unit on, an answer is played."""

    unit: int
    request: int
    index: int


class Script(NamedTuple):
    """A log, put in order."""

    header: dict[str, Any]
    requests: dict[int, dict[str, Any]]
    """By number."""
    takes: list[Take]
    origins: list[Origin]
    """The beginning, and every other past."""
    outputs: list[tuple[int, float, int]]
    """(output sample, volume, samples that were missing)."""
    coarse: list[tuple[int, bool]]
    """(unit, whether the finer levels were left out from there on)."""
    checks: list[tuple[int, int]]
    """(output sample, checksum up to there)."""
    knob_changes: int = 0
    """Knobs that were turned."""
    widths: tuple[tuple[int, int], ...] = ()
    """(unit, streams that the sound was made together with from there on, itself among them)."""


class Verdict(NamedTuple):
    """How a replay compares with what was heard."""

    samples: int
    """Samples made again."""
    checked_samples: int
    """Samples that a checksum covers."""
    is_identical: bool
    """Whether all checksums up to there agree."""


def read_script(path: str | os.PathLike) -> Script:
    """Reads a log; one that a crash cut short gives what it has.

    Raises:
      ValueError: the file is no log of a session, or an event in it is damaged.
    """
    header = event_log.read_header(path)
    if "past" not in header:
        raise ValueError(f"{path}: an event log, but not of a session; give one that `mrtpy live --log` wrote")
    try:
        return _order(header, event_log.read_events(path))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: damaged, an event lacks what a replay needs ({what}); give another log") from error


def _order(header: dict[str, Any], events: Iterator[event_log.Event]) -> Script:
    script = Script(header, {}, [], [Origin(0, frames_from_json(header["past"]))], [], [], [])
    turned, widths = 0, []
    for sample, kind, data in events:
        if kind == "request":
            Conditioning.from_json(data["conditioning"])
            if not (data["length"] > 0 and data["sequence"] >= 0 and data["start"] >= 0):
                raise KeyError("length")
            if not 0 <= data.get("seed", 0) <= HIGHEST_SEED:
                raise KeyError("seed")
            if data["heard"] is not None:
                unpack_codes(data["heard"])
            size, place = data.get("batch", (1, 0))
            if not 0 <= place < size <= MOST_TOGETHER:
                raise KeyError("batch")
            script.requests[data["number"]] = data
        elif kind == "play":
            script.takes.append(Take(data["unit"], data["request"], data["index"]))
        elif kind == "turn":
            unit = data["unit"]  # a turn that is overtaken before it is reached never was
            script.origins[:] = [each for each in script.origins if each.unit < unit]
            script.origins.append(Origin(unit, frames_from_json(data["past"])))
        elif kind == "output":
            script.outputs.append((sample, data["volume"], data["missing"]))
        elif kind == "coarse":
            script.coarse.append((data["unit"], data["is_coarse"]))
        elif kind == "width":
            if not 1 <= data["width"] <= MOST_TOGETHER:
                raise KeyError("width")
            widths.append((data["unit"], data["width"]))
        elif kind == "check":
            script.checks.append((sample, data["crc"]))
        elif kind == "end":
            script.header["end"] = data["unit"]
        turned += kind == "knob"
    return script._replace(knob_changes=turned, widths=tuple(widths))


def play(
    script: Script,
    generator: Generator,
    sound: Sound,
    *,
    make_heard: Callable[[Int[np.ndarray, "context levels"]], Any] = lambda codes: codes,
) -> Iterator[Float[np.ndarray, "samples 2"]]:
    """Makes the sound again, frame by frame.

    Args:
      script: from `read_script`.
      generator: the same model.
      sound: as at the beginning: after the header's past.
      make_heard: what the generator wants in `Request.heard`, from the context that the performer's sound came to.
    """
    config = output.OutputConfig()
    state = output.init_state(config, volume=0.0)
    answers: dict[int, list[Frame]] = {}
    written, outputs, volume = 0, list(script.outputs), 1.0

    def bridges() -> Iterator[Float[np.ndarray, "samples 2"]]:
        nonlocal state, written, volume
        while outputs and outputs[0][0] <= written:
            _, volume, missing = outputs.pop(0)
            if missing:
                hole = np.zeros((missing, 2), np.float32)
                state, bridged = output.step(config, state, hole, np.zeros(missing, bool), volume=volume)
                written += missing
                yield bridged

    for unit, take in _units(script):
        _answer(script, generator, answers, take, unit, make_heard)
        for at_unit, is_coarse in script.coarse:
            if at_unit == unit:
                sound.is_coarse = is_coarse
        for at_unit, width in script.widths:
            if at_unit == unit:
                sound.width = width
        if take.index >= len(answers[take.request]):
            raise ValueError(f"frame {take.index} of request {take.request} was played, but it has none; the log is damaged")
        samples, _ = sound_of(sound.render, [answers[take.request][take.index]])
        yield from bridges()
        state, heard = output.step(config, state, samples, is_playable(samples), volume=volume)
        written += len(heard)
        yield heard
    yield from bridges()


def verify(script: Script, pieces: Iterator[Float[np.ndarray, "samples 2"]]) -> Verdict:
    """Compares a replay with the checksums in its log."""
    wanted, crc, written, checked, is_same = dict(script.checks), 0, 0, 0, True
    for piece in pieces:
        crc = zlib.crc32(np.ascontiguousarray(piece, np.float32).tobytes(), crc)
        written += len(piece)
        if written in wanted:
            is_same, checked = is_same and wanted[written] == crc, written
    is_same = is_same and checked == max((sample for sample in wanted if sample <= written), default=0)
    return Verdict(written, checked, is_same)


def _units(script: Script) -> Iterator[tuple[int, Take]]:
    """Every unit that was played, with its place in an answer; the last one is as far as the log is sure."""
    for number, take in enumerate(script.takes):
        known = script.requests.get(take.request)
        if known is None:
            return
        is_last = number + 1 == len(script.takes)
        end = _last_sure(script, take) if is_last else script.takes[number + 1].unit
        for unit in range(take.unit, end):
            yield unit, take._replace(unit=unit, index=take.index + unit - take.unit)


def _last_sure(script: Script, take: Take) -> int:
    """Units of the last take that were surely played: up to the last event that names an output sample."""
    known = script.requests[take.request]
    end = known["start"] + known["length"]
    if "end" in script.header:
        return min(end, script.header["end"])
    marks = [sample for sample, *_ in script.outputs] + [sample for sample, _ in script.checks]
    missing = sum(missing for _, _, missing in script.outputs)
    return min(end, max(take.unit + 1, max(0, max(marks, default=0) - missing) // FRAME_SAMPLES))


def _answer(
    script: Script,
    generator: Generator,
    answers: dict[int, list[Frame]],
    take: Take,
    unit: int,
    make_heard: Callable[[Int[np.ndarray, "context levels"]], Any],
) -> None:
    """Asks again whatever was asked up to this request, in order; answers that are over are forgotten."""
    if take.request in answers:
        return
    data = script.requests[take.request]
    start = data["start"]
    past, heard = _history(script, answers, start, take.request), data["heard"]
    request = Request(
        number=take.request,
        asked_at=start,
        start=start,
        length=data["length"],
        history=past,
        controls=Conditioning.from_json(data["conditioning"]),
        sequence=data["sequence"],
        seed=data.get("seed", script.header["seed"]),  # older logs have one seed for all
        heard=None if heard is None else make_heard(unpack_codes(heard)),
        batch=tuple(data["batch"]) if "batch" in data else None,
    )
    answers[take.request] = list(generator.generate(request))
    # By count, not by number: a model that failed for a while leaves thousands of numbers without an answer.
    while len(answers) > KEPT_ANSWERS:
        del answers[next(iter(answers))]


def _history(script: Script, answers: dict[int, list[Frame]], start: int, number: int) -> tuple[Frame | None, ...]:
    """What was played, or surely to be, before a unit; before the last other past that the request knew, that past."""
    origin = max((each for each in script.origins if each.unit <= start), key=lambda each: each.unit)
    first = start - CONTEXT_FRAMES
    wanted = max(0, origin.unit - first)
    past = origin.past[max(0, len(origin.past) - wanted) :][:CONTEXT_FRAMES]
    try:
        played = [answers[take.request][take.index] for take in _span(script, max(first, origin.unit), start)]
    except (KeyError, IndexError) as error:
        raise ValueError(f"request {number} goes on from frames that are not in the log; it is damaged") from error
    return (*(None,) * (CONTEXT_FRAMES - len(past) - len(played)), *past, *played)


def _span(script: Script, first: int, end: int) -> Iterator[Take]:
    """Places in answers of units first .. end - 1."""
    for number, take in enumerate(script.takes):
        upto = script.takes[number + 1].unit if number + 1 < len(script.takes) else end
        for unit in range(max(first, take.unit), min(end, upto)):
            yield take._replace(unit=unit, index=take.index + unit - take.unit)
