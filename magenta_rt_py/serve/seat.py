"""Seat: one person's performance: knobs, card, session, and the thread that plays it.

    page -> set, act, record, ...  -> board, card, tape      (any thread; nothing here waits for the model)
    page <- one callback <- events: changed, said, status, recording, calibrated, ended
    thread: opens the performance -> session.run -> closes it

`end` returns at once: the thread ends by itself after the frame it is at, and completes recording and log. Whatever breaks
in one seat is said to its page, and ends that seat alone.

Stateful shell.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py import audio
from magenta_rt_py.live.board import Board, Change
from magenta_rt_py.live.session_parts import SessionConfig
from magenta_rt_py.serve import events
from magenta_rt_py.serve.device import Device
from magenta_rt_py.serve.page_card import PageCard
from magenta_rt_py.serve.playing import Playing, SeatFactory
from magenta_rt_py.serve.recordings import Recordings
from magenta_rt_py.serve.tape import Tape, TapedCard
from magenta_rt_py.serve.uploads import Shelf

__all__ = ["ACTIONS", "Seat", "SeatConfig"]

ACTIONS = frozenset(
    {"tap", "nudge", "downbeat", "snapshot/save", "snapshot/recall", "rewind", "reset", "panic"}
)
"""What a page may ask for. Recording and calibration have messages of their own; nobody quits the server from a page."""
PAGE = "page"
"""Source of a page's changes."""
SOUND = re.compile(r"@[0-9a-f]{32}")
"""A prompt that stands for an uploaded sound."""
PROMPT = re.compile(r"prompt/[0-9]+/text")
STATUS_SECONDS = 0.2
PROGRESS_SECONDS = 1.0
"""A recording's length is told so often."""
LAG_SECONDS = 3.0
"""A recording that was stopped waits so long for the microphone's last sound."""
SHORTEST_LEAD_SECONDS, LONGEST_LEAD_SECONDS = 0.1, 4.0
LONGEST_ROUND_TRIP_SAMPLES = 96_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeatConfig:
    """How seats are set up."""

    lead_seconds: float = 0.5
    """Sound that is made ahead of the page, until the page says otherwise."""
    kept_seconds: float = 60.0
    """What was played last is kept so long: to resume from, and to be saved."""
    longest_recording_seconds: float = 2 * 3600.0
    """A recording is completed then."""


@dataclasses.dataclass
class _Take:
    """A recording in progress."""

    tape: Tape
    files: tuple[events.File, ...]
    told_seconds: float = -math.inf
    ending: threading.Thread | None = None


class Seat:
    """See the module's head. Any thread may call anything; all of it returns soon but `bring` and `close`.

    Attributes:
      id: of the seat, 32 hexadecimal digits.
      board: knobs.
      card: the page's sound card: reports, sound and microphone go straight to it.
      shelf: sounds that were uploaded as prompts.
      about: the model.
      is_playing: whether the page wants to hear.
      log_path: the event log so far.
    """

    def __init__(
        self,
        seat_id: str,
        factory: SeatFactory,
        device: Device,
        recordings: Recordings,
        on_event: Callable[[events.Event], None],
        *,
        config: SeatConfig | None = None,
    ) -> None:
        """Starts the thread.

        Args:
          seat_id: of the person's token.
          factory: makes the performance, on the thread.
          device: what computes.
          recordings: where files go.
          on_event: told everything, on any thread; must return at once, and not call back.
          config: how it is set up.
        """
        self.id, self.about, self.shelf = seat_id, factory.about, Shelf()
        # Everybody begins elsewhere, unless the model says where.
        self.board = Board({"seed": secrets.randbelow(2**31), **self.about.knobs})
        self._config = config or SeatConfig()
        self.card = PageCard(lead_seconds=self._config.lead_seconds, kept_seconds=self._config.kept_seconds)
        self.is_playing = False
        self._taped = TapedCard(self.card)
        self._factory, self._device, self._recordings = factory, device, recordings
        self._log_id, self.log_path = recordings.add(seat_id, "performance", suffix=".jsonl")
        self._on_event: Callable[[events.Event], None] | None = on_event
        self._lock, self._telling = threading.RLock(), threading.Lock()
        self._playing: Playing | None = None
        self._ended: events.Ended | None = None
        self._take: _Take | None = None
        self._completing: list[threading.Thread] = []
        self._is_calibrating = False
        self._told_message, self._status_seconds = "", -math.inf
        self._unlisten = self.board.listen(self._note_change)
        self._thread = threading.Thread(target=self._live, name=f"seat {seat_id[:6]}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """ "opening", "playing" or "ended"."""
        if self._ended is not None:
            return "ended"
        return "opening" if self._playing is None else "playing"

    @property
    def ended(self) -> events.Ended | None:
        """Why it is over; None while it is not."""
        return self._ended

    @property
    def seconds(self) -> float:
        """Music played so far: the card takes it as the page plays it."""
        playing = self._playing
        return 0.0 if playing is None else playing.session.seconds

    @property
    def has_finished(self) -> bool:
        """Whether its thread has ended and its recordings are complete."""
        return not any(thread.is_alive() for thread in (self._thread, *self._completing))

    def connect(self, on_event: Callable[[events.Event], None] | None) -> None:
        """Another connection is told everything from now on; None: nobody is."""
        self._on_event = on_event

    # What the page asks for.

    def set(self, values: Mapping[str, Any], *, id: int | str | None = None) -> int:
        """Turns knobs, all or none; answered by `Changed` with this id, even if they stood so already.

        Returns:
          the board's sequence number with these values.
        Raises:
          ValueError: the first value that is not allowed; nothing has changed.
        """
        for name, value in values.items():
            is_sound = PROMPT.fullmatch(name) and isinstance(value, str) and SOUND.fullmatch(value)
            if is_sound and self.shelf.find(value) is None:
                raise ValueError(f"{name}: this sound is not here (any more); upload it again")
        sequence = self.board.set_many(values, source=PAGE)
        self._tell_changed(values, PAGE, id)
        return sequence

    def act(self, name: str, value: Any = None) -> None:
        """Asks for one of `ACTIONS`.

        Raises:
          ValueError: it is none of them, or the value is not allowed.
        """
        if name not in ACTIONS:
            raise ValueError(f"{str(name)[:60]!r} cannot be asked for here; there are {', '.join(sorted(ACTIONS))}")
        self.board.act(name, value, source=PAGE)

    def play(self) -> None:
        """The page wants to hear."""
        self.is_playing = True
        self.card.play()

    def pause(self) -> None:
        """The page stands still; nothing is made beyond the lead."""
        self.is_playing = False
        self.card.pause()

    def lead(self, seconds: float) -> None:
        """How far ahead of the page sound is made.

        Raises:
          ValueError: it is out of range.
        """
        if not SHORTEST_LEAD_SECONDS <= seconds <= LONGEST_LEAD_SECONDS:
            allowed = f"{SHORTEST_LEAD_SECONDS:g} to {LONGEST_LEAD_SECONDS:g}"
            raise ValueError(f"a lead of {seconds!r} seconds; give {allowed}")
        self.card.lead_seconds = float(seconds)

    def round_trip(self, samples: int) -> None:
        """From playing a sample to its coming back through the microphone, as measured.

        Raises:
          ValueError: it is out of range.
        """
        if not 0 <= samples <= LONGEST_ROUND_TRIP_SAMPLES:
            raise ValueError(f"a round trip of {samples!r} samples; give 0 to {LONGEST_ROUND_TRIP_SAMPLES}")
        self.card.round_trip_samples = int(samples)

    def calibrate(self) -> None:
        """Measures the round trip with a sweep; the answer is `Calibrated`.

        Raises:
          ValueError: one is running already.
        """
        self.card.start_calibration()
        self._is_calibrating = True

    def forget(self, prompt: str) -> bool:
        """Lets an uploaded sound go; whether there was one."""
        playing, is_gone = self._playing, self.shelf.forget(prompt)
        if is_gone and playing is not None:
            playing.forget(prompt)
        return is_gone

    def bring(self, samples: Float[np.ndarray, "samples 2"], name: str) -> None:
        """The music goes on from the last ten seconds of this sound, at the next bar. May take seconds.

        Args:
          samples: 48 kHz.
          name: for people.
        Raises:
          ValueError: it is too short, or nothing plays yet.
        """
        playing = self._playing
        if playing is None or self._ended is not None:
            raise ValueError("nothing plays yet; press play first")
        past = playing.past_of(audio.Audio(samples=samples, sample_rate=audio.SAMPLE_RATE_HZ))
        playing.session.bring(past, name)

    def last(self, seconds: float) -> Float[np.ndarray, "samples 2"]:
        """What was played last, 48 kHz; less if no more is kept."""
        return self.card.last(min(max(seconds, 0.0), self._config.kept_seconds))

    # Recording.

    def record(self, state: str, *, has_microphone: bool = False) -> None:
        """Starts a recording, or stops it; told by `Recording`.

        Args:
          state: "start" or "stop".
          has_microphone: records the microphone too, in a file of its own.
        Raises:
          ValueError: another state; or one is being recorded already.
        """
        if state == "stop":
            self.stop_recording()
            return
        if state != "start":
            raise ValueError(f"record {state!r}; give start or stop")
        with self._lock:
            if self._ended is not None:
                raise ValueError("the performance is over")
            if self._take is not None:
                raise ValueError("a recording goes on already; stop it first")
            name = f"take-{time.strftime('%Y%m%d-%H%M%S')}"
            file_id, path = self._recordings.add(self.id, name, suffix=".flac")
            files, microphone = (events.File(name=f"{name}.flac", id=file_id),), None
            if has_microphone:
                beside = f"{name}-microphone"
                microphone_id, microphone = self._recordings.add(self.id, beside, suffix=".flac")
                files = (*files, events.File(name=f"{beside}.flac", id=microphone_id))
            self._take = _Take(Tape(path, microphone), files)
            self._taped.tape = self._take.tape
        self._tell_recording(self._take, "recording", 0.0)

    def stop_recording(self, problem: str | None = None) -> None:
        """Completes the recording, if there is one, on a thread of its own.

        Args:
          problem: why, in one line, if nobody asked for it.
        """
        with self._lock:
            take, self._take = self._take, None
            if take is None:
                return
            take.tape.end()
            thread = threading.Thread(target=self._complete, args=(take, problem), name="recording", daemon=True)
            self._completing = [each for each in self._completing if each.is_alive()] + [thread]
            thread.start()

    def _complete(self, take: _Take, problem: str | None) -> None:
        ends = time.monotonic() + LAG_SECONDS
        while not take.tape.is_caught_up and self._thread.is_alive() and self._ended is None and time.monotonic() < ends:
            time.sleep(0.02)
        result = take.tape.complete()
        with self._lock:
            if self._taped.tape is take.tape:
                self._taped.tape = None
        for file in take.files:
            self._recordings.complete(file.id)
        problem = result.problem or problem
        state = "failed" if result.problem and not result.seconds else "done"
        self._tell_recording(take, state, result.seconds, problem)

    def _tell_recording(self, take: _Take, state: str, seconds: float, problem: str | None = None) -> None:
        files = take.files
        self._emit(events.Recording(state=state, id=files[0].id, seconds=seconds, files=files, problem=problem))

    # Telling.

    def tick(self, now_seconds: float) -> None:
        """Tells how it is going; looks after the recording and the thread. About ten times a second, on one thread.

        Args:
          now_seconds: of the caller's clock.
        """
        if self._ended is not None:
            return
        if not self._thread.is_alive():
            self.end("the performance stopped; load the page again", events.BROKEN)
            return
        self._tell_calibration()
        self._look_at_recording(now_seconds)
        playing = self._playing
        if playing is None:
            return
        status = playing.session.status
        if status.message != self._told_message:
            self._told_message = status.message
            if status.message:
                self._emit(events.Said(text=status.message))
        if now_seconds - self._status_seconds >= STATUS_SECONDS - 1e-6:
            self._status_seconds = now_seconds
            self._emit(self._look(playing))

    def _look(self, playing: Playing) -> events.Status:
        opening, position = self._taped.position
        device = self._device.status
        return events.Status(
            session=playing.session.status,
            lead_seconds=self.card.lead_seconds,
            prompts=tuple(playing.prompt_states()),
            live_prompt_age_seconds=playing.live_prompt_age_seconds(),
            position=position,
            opening=opening,
            device_rtf=device.rtf,
            device_problem=device.problem,
        )

    def _look_at_recording(self, now_seconds: float) -> None:
        take = self._take
        if take is None:
            return
        if take.tape.problem is not None:
            self.stop_recording(take.tape.problem)
        elif take.tape.seconds >= self._config.longest_recording_seconds:
            hours = self._config.longest_recording_seconds / 3600.0
            self.stop_recording(f"a recording lasts {hours:g} hours at most; start another")
        elif now_seconds - take.told_seconds >= PROGRESS_SECONDS:
            take.told_seconds = now_seconds
            self._tell_recording(take, "recording", take.tape.seconds)

    def _tell_calibration(self) -> None:
        if not self._is_calibrating:
            return
        found = self.card.calibration
        if found is None or isinstance(found, str):  # it is running
            return
        self._is_calibrating = False
        if found.samples is not None:
            self.card.round_trip_samples = found.samples
        self._emit(events.Calibrated(samples=found.samples, reason=found.reason or ""))

    def _note_change(self, change: Change) -> None:
        """On whatever thread turned the knob; the page's own changes are told by `set`."""
        if change.source != PAGE:
            self._tell_changed((change.name,), change.source, None)

    def _tell_changed(self, names: Any, source: str, id: int | str | None) -> None:
        """What knobs stand at now: one teller at a time, so that the last word on a knob is the newest."""
        with self._telling:
            settings = self.board.settings
            values = {name: settings.values[name] for name in names}
            self._emit(events.Changed(sequence=settings.sequence, source=source, values=values, id=id))

    def _emit(self, event: events.Event) -> None:
        on_event = self._on_event
        if on_event is not None:
            with contextlib.suppress(Exception):  # a broken connection must not end the music; it will be found lost
                on_event(event)

    # Beginning and ending.

    def resolve(self, text: str) -> str | audio.Audio:
        """What a prompt's text stands for; what looks like a path is just words.

        Raises:
          ValueError: a sound that is not here.
        """
        if not SOUND.fullmatch(text):
            return text.strip()
        upload = self.shelf.find(text)
        if upload is None:
            raise ValueError("this sound is not here any more; upload it again")
        return audio.Audio(samples=upload.samples, sample_rate=audio.SAMPLE_RATE_HZ)

    def end(self, reason: str, code: int) -> None:
        """Ends it and says so; returns at once, the thread follows. The second time does nothing."""
        with self._lock:
            if self._ended is not None:
                return
            self._ended = events.Ended(reason=reason, code=code)
            playing = self._playing
        if playing is not None:
            playing.session.stop()
        self._emit(self._ended)
        self._on_event = None

    def close(self, *, timeout_seconds: float = 5.0) -> bool:
        """Ends it, if it has not ended, and waits until the thread has and the recordings are complete.

        Returns:
          whether they are in time.
        """
        self.end("the performance was closed", events.LEFT)
        ends = time.monotonic() + timeout_seconds
        threads = [self._thread]
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))
        self.stop_recording()  # the thread did so, unless it hangs
        with self._lock:
            threads += self._completing
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _live(self) -> None:
        try:
            self._play()
            self.end("the performance stopped by itself; load the page again", events.BROKEN)
        except BaseException as error:  # whatever it is, the page is told and nobody else is disturbed
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            self.end(f"the performance broke off ({reason}); load the page again", events.BROKEN)
        finally:
            self._unlisten()
            self.stop_recording()
            self.card.close()
            playing = self._playing
            if playing is not None:
                with contextlib.suppress(Exception):  # a disk that is full; the seat is over in any case
                    playing.close()
            self._recordings.complete(self._log_id)
            self.card.release()  # a minute of sound; the rest is waited for by Python's collector
            self._playing = None

    def _play(self) -> None:
        config = SessionConfig(log_path=self.log_path, has_input=True, seed=self.board.settings.values["seed"])
        playing = self._factory(
            self.id, self.board, self._taped, self._device, config=config, resolve=self.resolve
        )
        self.card.sequence_of = lambda: playing.session.playing_sequence
        with self._lock:
            self._playing = playing
        if self._ended is None:
            playing.session.run()
