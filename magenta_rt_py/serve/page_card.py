"""Page card: a browser page as a `live.card.Card`. What the session writes is sent, and played when the page comes to it.

    session's thread                     kept sound, 60 s                     network, any thread
    wait_for_room <- written - played    |.....|=====queued=====|             report (played), starved, pause, play
    write         ->                           ^ played         ^ written     take, wait_for_sound, on_sound
    read          <- microphone blocks, 5 s                                   hear

The page's own clock paces the music: room is made by its reports of what it plays, and by nothing else. Between two
reports the time that has passed is added, at most 150 ms of it. A page that is slow, gone or paused makes no room, so
nothing is made for it; when it is back it asks for the sound from where it was.

A device sample is a sample written since the opening. A microphone's block carries the number of the sample that the page
rendered while it recorded its first one, so it needs no other alignment than the page's own round trip.

Stateful and thread-safe: one lock; nobody waits without a condition.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live.card import Captured, CardStatus
from magenta_rt_py.live.clock import Clock, VirtualClock, WallClock
from magenta_rt_py.serve import wire
from magenta_rt_py.serve.kept_sound import KeptSound, cut_packets
from magenta_rt_py.serve.limits import TokenBucket
from magenta_rt_py.serve.trial import Calibration, Trial

__all__ = ["PageCard"]

SAMPLES_A_SECOND = 48_000
BLOCK_SAMPLES = 1920
EXTRAPOLATED_SECONDS = 0.15
"""Reports come every 100 ms; one that is later than this has been lost, or the page stands still."""
LOST_SECONDS = 2.0
"""A playing page that has not reported for so long is lost."""
LOST = "the page does not answer; the music waits for it, reload the page if it stays so"
MICROPHONE_SAMPLES = 5 * SAMPLES_A_SECOND
"""Blocks of the microphone that wait for the session."""
FASTEST = 1.02
"""A page's clock may be so much faster than ours. Who reports more does not play: it makes the model work for nothing."""
MOST_AT_ONCE_SAMPLES = 6 * SAMPLES_A_SECOND
"""What a page may have played when it reports again: more than the longest lead."""
MOST_QUEUED_SAMPLES = 8 * SAMPLES_A_SECOND
FEWEST_KEPT_SECONDS = 5.0
RUNNING: Literal["running"] = "running"


class PageCard:
    """A `live.card.Card`; see the module's head.

    Attributes:
      sequence_of: asked, as sound is written, for the number of the settings it was made with.
      on_sound: called after every write, on the session's thread; must return at once. One that fails is dropped.
      dropped_microphone_samples: samples of the microphone that were not used: of an old opening, recorded while there was
        nothing to play, repeated, from the future, or too many.
    """

    block_samples = BLOCK_SAMPLES
    input_channels = 2
    has_cue = True

    def __init__(self, *, lead_seconds: float = 0.4, kept_seconds: float = 60.0, clock: Clock | None = None) -> None:
        """Nothing is written, nobody plays.

        Args:
          lead_seconds: sound that may be written ahead of what the page plays, 0.1 .. 4.
          kept_seconds: of sound that can be asked for again, 5 or more; 192 kB a second.
          clock: None is the wall clock. On a virtual one, waiting moves it.
        Raises:
          ValueError: a number out of range.
        """
        if not FEWEST_KEPT_SECONDS <= kept_seconds <= 3600.0:
            raise ValueError(f"kept_seconds is {kept_seconds}; give {FEWEST_KEPT_SECONDS:g} to 3600")
        self.sequence_of: Callable[[], int] = _none
        self.on_sound: Callable[[], None] = _nothing
        self.dropped_microphone_samples = 0
        self._clock: Clock = clock or WallClock()
        self._is_virtual = isinstance(clock, VirtualClock)
        self._changed = threading.Condition()
        self._kept = KeptSound(kept_seconds)
        self._lead_samples = _lead_samples(lead_seconds)
        self._round_trip_samples = 0
        self._captured: deque[Captured] = deque()
        self._captured_samples = 0
        self._calibration: Calibration | Literal["running"] | None = None
        self._trial: Trial | None = None
        self._opening = self._underflows = 0
        self._is_reopening = self._is_closed = self._is_paused = False
        self._output_delay_seconds = 0.0
        self._start_opening()

    # For the session: `Card`.

    @property
    def opening(self) -> int:
        """See `Card`."""
        return self._opening

    @property
    def status(self) -> CardStatus:
        """See `Card`. The page is lost if it plays and has not reported for 2 s."""
        with self._changed:
            age = self._clock.now_seconds() - self._reported_seconds
            is_wanted = self._is_playing and not (self._is_paused or self._is_closed)
            is_lost = is_wanted and age > LOST_SECONDS
            return CardStatus(
                name="page",
                is_running=is_wanted and not is_lost,
                opening=self._opening,
                underflows=self._underflows,
                problem=LOST if is_lost else None,
                callback_p999_seconds=float("nan"),
                block_seconds=BLOCK_SAMPLES / SAMPLES_A_SECOND,
                output_delay_seconds=self._output_delay_seconds,
            )

    def wait_for_room(self, samples: int, timeout_seconds: float) -> bool:
        """See `Card`. A new opening begins in here."""
        with self._changed:
            ends = self._clock.now_seconds() + timeout_seconds
            while True:
                if self._is_reopening:
                    self._start_opening(self._opening + 1)
                if samples > self._lead_samples:
                    raise ValueError(f"room for {samples} samples in a lead of {self._lead_samples}; write less at a time")
                now = self._clock.now_seconds()
                missing = samples + self._written - self._lead_samples - self._played_at(now)
                if missing <= 0 and not self._is_closed:
                    return True
                if now >= ends:
                    return False
                self._wait_until(min(ends, self._room_seconds(now, missing)))

    def queued_samples(self) -> int:
        """See `Card`: on the way, in the page's ring, and not yet played."""
        with self._changed:
            return self._written - self._played_at(self._clock.now_seconds())

    def write(self, main: Float[np.ndarray, "samples 2"], cue: Float[np.ndarray, "samples"] | None = None) -> None:
        """See `Card`. Rounded to 16 bits."""
        controls = self.sequence_of() & wire.MOST_U32
        with self._changed:
            queued = self._written - self._played_at(self._clock.now_seconds())
            if queued + len(main) > MOST_QUEUED_SAMPLES:
                raise ValueError(f"{len(main)} samples more than the {queued} queued do not fit; ask wait_for_room first")
            if self._trial is not None:
                main, cue = self._trial.lay(self._written, main, cue)
            self._kept.add(self._opening, self._written, main, cue, controls)
            self._written += len(main)
            if self._trial is not None and self._trial.has_faded(self._written) and not self._is_calibrating():
                self._trial = None
            self._changed.notify_all()
        try:
            self.on_sound()
        except Exception:  # a connection that is gone must not end the music
            self.on_sound = _nothing

    def read(self) -> list[Captured]:
        """See `Card`. What comes in while a calibration runs is the test sound, and is left out."""
        with self._changed:
            captured = list(self._captured)
            self._captured.clear()
            self._captured_samples = 0
            return captured

    def close(self) -> None:
        """See `Card`. What was written can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def release(self) -> None:
        """Closes, and lets go of what was kept and of who was asked and told: nobody needs this card any more."""
        self.close()
        with self._changed:
            self._kept = KeptSound(0.0)
            self._captured.clear()
            self.sequence_of, self.on_sound = _none, _nothing

    # For the network: what the page says.

    @property
    def position(self) -> int:
        """Device sample that the page plays, as it has reported; 0 of an opening that is only asked for."""
        with self._changed:
            return 0 if self._is_reopening else self._played

    @property
    def written_samples(self) -> int:
        """Device samples written; 0 of an opening that is only asked for."""
        with self._changed:
            return 0 if self._is_reopening else self._written

    @property
    def page_opening(self) -> int:
        """The opening that the page must be in: the next one from `reopen` on, which the session comes to a little later."""
        with self._changed:
            return self._opening + self._is_reopening

    def report(
        self,
        opening: int,
        position: int,
        queued: int = 0,
        *,
        is_playing: bool = True,
        output_delay_seconds: float | None = None,
    ) -> None:
        """The page plays. This makes room.

        A report of another opening is ignored, one that goes back counts as standing still, and one beyond what was
        written, or faster than time goes by, is held there.

        Args:
          opening: that the page is in.
          position: device sample that is being rendered.
          queued: samples in the page's ring; it is part of what is counted here anyway.
          is_playing: False while the page stands still.
          output_delay_seconds: from rendering a sample until it sounds; None as reported before, or 0.
        """
        with self._changed:
            if self._is_reopening or opening != self._opening:
                return
            now = self._clock.now_seconds()
            moved = self._pace.take_some(max(min(position, self._written) - self._played, 0))
            self._is_moving = is_playing and moved >= 1.0
            self._played += int(moved)
            self._reported_seconds, self._is_playing = now, is_playing
            if output_delay_seconds is not None:
                self._output_delay_seconds = output_delay_seconds
            self._changed.notify_all()

    def starved(self, opening: int, position: int, samples: int = 0) -> None:
        """The page's ring ran dry at a device sample: an underflow. It stands still there, `samples` long so far."""
        with self._changed:
            if self._is_reopening or opening != self._opening:
                return
            self._underflows += 1
            self.report(opening, position)
            self._is_moving = False

    def pause(self) -> None:
        """The page was told to stand still: time that passes is no longer added to what it reports."""
        with self._changed:
            self._is_paused, self._is_moving = True, False

    def play(self) -> None:
        """The page goes on."""
        with self._changed:
            self._is_paused, self._reported_seconds = False, self._clock.now_seconds()

    def hear(self, packet: wire.Packet) -> None:
        """Takes a block of the microphone; it belongs where it is stamped, each sample once.

        Args:
          packet: of kind MICROPHONE.
        Raises:
          ValueError: of another kind.
        """
        if packet.kind != wire.MICROPHONE:
            raise ValueError(f"a packet of kind {packet.kind} from a page; send a microphone's, {wire.MICROPHONE}")
        samples = np.ascontiguousarray(np.broadcast_to(wire.samples_of(packet), (packet.samples, 2)))
        with self._changed:
            used = self._hear(packet, samples)
            self.dropped_microphone_samples += packet.samples - used

    # For the network: what the page gets.

    def take(self, position: int, limit: int) -> list[bytes]:
        """Packets of sound.

        Args:
          position: device sample to begin with, of the current opening.
          limit: samples at most, of all packets together.
        Returns:
          what is there of it, in order and without a gap; the first packet begins at `position`. Nothing if it is not yet
          written. The next position is the last packet's plus its samples (`wire.unpack`).
        Raises:
          ValueError: that sample is no longer kept; `reopen`.
        """
        with self._changed:
            if self._is_reopening:
                return []
            first = self._first_kept()
            if position < first:
                raise ValueError(f"sample {position} of the page is no longer kept, {first} is; reopen")
            kept = self._kept.since(self._opening, position, limit)
        return cut_packets(kept, position, limit)

    def can_resume(self, opening: int, position: int) -> bool:
        """Whether a page that was in this opening can go on with this sample; if not, `reopen`."""
        with self._changed:
            return (
                not self._is_reopening
                and opening == self._opening
                and self._first_kept() <= position <= self._written
            )

    def wait_for_sound(self, position: int, timeout_seconds: float) -> bool:
        """Waits until device sample `position` is written; whether it is."""
        with self._changed:
            ends = self._clock.now_seconds() + timeout_seconds
            while self._is_reopening or self._written <= position:
                if self._clock.now_seconds() >= ends:
                    return False
                self._wait_until(ends)
            return True

    def reopen(self) -> int:
        """Begins a new opening, with device sample 0, as soon as the session writes again.

        Until then there is nothing to take, and reports are ignored. Asked for again meanwhile, it is the same one.

        Returns:
          its number.
        """
        with self._changed:
            self._is_reopening = True
            if self._is_calibrating():
                self._calibration = Calibration(None, "the page lost its place; calibrate again")
            self._changed.notify_all()
            return self._opening + 1

    def last(self, seconds: float) -> Float[np.ndarray, "samples 2"]:
        """What was written last: so many seconds, or what there is; without the metronome."""
        with self._changed:
            kept = self._kept.last(seconds)
        pieces = [wire.samples_of(wire.unpack(one.data))[:, :2] for one in kept]
        whole = np.concatenate(pieces) if pieces else np.zeros((0, 2), np.float32)
        return whole[max(len(whole) - round(seconds * SAMPLES_A_SECOND), 0) :]

    # Settings.

    @property
    def lead_seconds(self) -> float:
        """Sound that may be written ahead of what the page plays, 0.1 .. 4; ValueError for another."""
        return self._lead_samples / SAMPLES_A_SECOND

    @lead_seconds.setter
    def lead_seconds(self, seconds: float) -> None:
        samples = _lead_samples(seconds)
        with self._changed:
            self._lead_samples = samples
            self._changed.notify_all()

    @property
    def round_trip_samples(self) -> int:
        """How much later what is played to a sample comes in, as the page counts, 0 .. 96000; ValueError for another."""
        return self._round_trip_samples

    @round_trip_samples.setter
    def round_trip_samples(self, samples: int) -> None:
        if not 0 <= samples <= wire.MOST_ROUND_TRIP_SAMPLES:
            raise ValueError(f"a round trip of {samples} samples; give 0 to {wire.MOST_ROUND_TRIP_SAMPLES}")
        with self._changed:
            self._round_trip_samples = samples

    def start_calibration(self) -> None:
        """Lays a sweep over what is written next, and looks for it in what comes in; `round_trip_samples` stays as it is.

        Raises:
          ValueError: one is still running, or the music has not come back from the last one.
        """
        with self._changed:
            self._give_up()
            if self._trial is not None:
                raise ValueError("a calibration is still running; wait until the music is back")
            self._trial = Trial(self._clock.now_seconds())
            self._calibration = RUNNING

    @property
    def calibration(self) -> Calibration | Literal["running"] | None:
        """What has become of the newest calibration; None if there was none."""
        with self._changed:
            self._give_up()
            return self._calibration

    # Under the lock.

    def _start_opening(self, opening: int = 0) -> None:
        self._opening, self._is_reopening = opening, False
        self._written = self._played = 0
        self._heard_end = -wire.MOST_WHOLE
        self._is_moving = self._is_playing = False
        self._reported_seconds = self._clock.now_seconds()
        self._pace = TokenBucket(FASTEST * SAMPLES_A_SECOND, MOST_AT_ONCE_SAMPLES, self._clock)
        self._trial = None

    def _first_kept(self) -> int:
        first = self._kept.first(self._opening)
        return self._written if first is None else first

    def _is_calibrating(self) -> bool:
        return self._calibration == RUNNING

    def _played_at(self, now: float) -> int:
        """What the page has played by now, as far as one can know."""
        if not self._is_moving:
            return self._played
        passed = min(max(now - self._reported_seconds, 0.0), EXTRAPOLATED_SECONDS)
        return min(self._played + int(passed * SAMPLES_A_SECOND), self._written)

    def _room_seconds(self, now: float, missing: int) -> float:
        """When the page will have played so many samples more, if it goes on like this; infinity if one cannot know."""
        wanted = self._played_at(now) + missing - self._played
        soon = self._reported_seconds + (wanted + 0.5) / SAMPLES_A_SECOND
        is_known = self._is_moving and not self._is_closed and soon < self._reported_seconds + EXTRAPOLATED_SECONDS
        return soon if is_known else float("inf")

    def _wait_until(self, seconds: float) -> None:
        if self._is_virtual:
            self._clock.wait_until(seconds)
        else:
            self._changed.wait(max(seconds - self._clock.now_seconds(), 0.0))

    def _hear(self, packet: wire.Packet, samples: Float[np.ndarray, "samples 2"]) -> int:
        """Takes what of a block can be used, and says how much that was."""
        if self._is_reopening or packet.opening != self._opening or packet.flags & wire.STARVED:
            return 0
        samples = samples[: max(self._written - packet.position, 0)]  # what was not written was not played
        if self._trial is not None and self._is_calibrating() and self._trial.hear(packet.position, samples):
            if not self._trial.is_listening:
                threading.Thread(target=self._measure, args=(self._trial,), name="calibration", daemon=True).start()
            return packet.samples
        start = packet.position - self._round_trip_samples
        samples = samples[max(self._heard_end - start, 0) :]  # it came twice, or too late
        if not len(samples):
            return 0
        start = max(start, self._heard_end)
        self._captured.append(Captured(self._opening, start, samples))
        self._heard_end = start + len(samples)
        self._captured_samples += len(samples)
        while self._captured_samples > MICROPHONE_SAMPLES:
            oldest = len(self._captured.popleft().samples)
            self._captured_samples -= oldest
            self.dropped_microphone_samples += oldest
        return len(samples)

    def _give_up(self) -> None:
        """Ends a calibration that has waited in vain; a sweep that is being written goes on to its end."""
        if self._trial is None or not self._is_calibrating():
            return
        reason = self._trial.why_not(self._clock.now_seconds())
        if reason is not None:
            self._calibration = Calibration(None, reason)
            self._trial = self._trial if self._trial.has_begun else None

    def _measure(self, trial: Trial) -> None:
        """On a thread of its own."""
        result = trial.measure()
        with self._changed:
            if self._trial is trial and self._is_calibrating():
                self._calibration = result


def _lead_samples(seconds: float) -> int:
    if not wire.LOWEST_LEAD_SECONDS <= seconds <= wire.HIGHEST_LEAD_SECONDS:
        raise ValueError(
            f"a lead of {seconds} s; give {wire.LOWEST_LEAD_SECONDS:g} to {wire.HIGHEST_LEAD_SECONDS:g} s"
        )
    return round(seconds * SAMPLES_A_SECOND)


def _none() -> int:
    return 0


def _nothing() -> None:
    pass
