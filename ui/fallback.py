"""Fallback: the music as an ordinary stream, where there is no WebSocket or no AudioWorklet. It reacts seconds later.

    hall -> seat -> page card -> Listener: pieces of two seconds -> gr.Audio (streaming) -> the browser's own player
              ^------ reports: what has been played, by the wall clock

A browser's player does not say where it is, so the seat is paced by the wall clock from the first piece on. Pieces are
handed out as soon as they are made, at most `LEAD_SECONDS` before their time: that much the player has in front of it, and
so late a knob is heard. No microphone, no recording. Stateful.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import Int16

from magenta_rt_py.live.clock import Clock, WallClock
from magenta_rt_py.live.knobs import KNOBS, LONGEST_TEXT
from magenta_rt_py.serve import events, wire
from magenta_rt_py.serve.hall import Hall, Refused
from magenta_rt_py.serve.seat import Seat
from magenta_rt_py.serve.tokens import TokenClaim

__all__ = ["Listener", "PlainPlayer"]

SAMPLES_A_SECOND = 48_000
PIECE_SECONDS = 2.0
"""Browsers want some pieces before they begin; shorter ones cost a program's start each."""
LEAD_SECONDS = 3.0
"""A piece and half of the next."""
REPORT_SECONDS = 0.1
LONGEST_SECONDS = 3600.0
"""Gradio keeps every piece of a stream, about 60 MB an hour; then it has to be started again."""
PROMPTS = 2
DIALS = (("temperature", "Temperature", 0.01), ("guidance", "Guidance: pull of the prompts", 0.05))
NOTICE = (
    "**Plain player.** This browser, or this connection, lacks what the live page needs (a WebSocket, and an AudioWorklet, "
    "which needs https off this machine). The music comes as an ordinary stream: what you change is heard after four to six "
    "seconds, and there is no microphone. https or another browser brings the whole page."
)
NO_FFMPEG = "The plain player needs the program ffmpeg on the server: install it there, and load the page again."


class Listener:
    """One person's stream. `pieces` belongs to one thread at a time; the rest to any.

    Attributes:
      problem: why it ended, in one line; empty while it plays.
    """

    def __init__(self, hall: Hall, claim: TokenClaim, *, clock: Clock | None = None) -> None:
        """Comes in; seated or waiting.

        Args:
          hall: where.
          claim: of a token.
          clock: paces it; None is the wall clock.
        Raises:
          Refused: see `Hall.enter`.
        """
        self.problem = ""
        self._hall, self._clock = hall, clock or WallClock()
        self._told: queue.SimpleQueue[events.Event] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._ticket = hall.enter(claim, self._told.put)

    @property
    def seat(self) -> Seat | None:
        """None while waiting."""
        return self._ticket.seat

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._is_over.is_set()

    def leave(self) -> None:
        """Frees the seat; the second time does nothing."""
        if not self._is_over.is_set():
            self.problem = self.problem or "Stopped."
            self._is_over.set()
            self._hall.leave(self._ticket)

    def wait(self, patience_seconds: float) -> str | None:
        """Waits for the seat.

        Returns:
          None once there is one; else where one stands in the line.
        """
        ends = self._clock.now_seconds() + patience_seconds
        while self.seat is None and not self._look() and self._clock.now_seconds() < ends:
            self._is_over.wait(REPORT_SECONDS)
        return None if self.seat is not None else f"All seats are taken; you are number {self._ticket.place} in the line."

    def pieces(self) -> Iterator[Int16[np.ndarray, "samples 2"]]:
        """The music, two seconds at a time, at the pace of the clock. Ends when the seat does, or the listener leaves."""
        seat = self.seat
        if seat is None:
            raise ValueError("there is no seat yet; wait for it")
        seat.lead(LEAD_SECONDS)
        seat.play()
        try:
            yield from self._pieces(seat)
        finally:
            self.leave()

    def _pieces(self, seat: Seat) -> Iterator[Int16[np.ndarray, "samples 2"]]:
        card, length = seat.card, round(PIECE_SECONDS * SAMPLES_A_SECOND)
        opening, fetched, given = card.page_opening, 0, 0
        kept: list[np.ndarray] = []
        began: float | None = None
        while not self._look():
            if card.page_opening != opening:  # it lost its place, and so do we
                opening, fetched, given, kept, began = card.page_opening, 0, 0, [], None
            now = self._clock.now_seconds()
            played = 0 if began is None else min(given, int((now - began) * SAMPLES_A_SECOND))
            card.report(opening, played, fetched - played)
            if played >= LONGEST_SECONDS * SAMPLES_A_SECOND:
                self.problem = "An hour is over; press Play again."
                return
            try:
                packets = [wire.unpack(data) for data in card.take(fetched, given + length - fetched)]
            except ValueError:
                card.reopen()
                continue
            for packet in packets:
                kept.append(np.frombuffer(packet.payload, "<i2").reshape(-1, packet.channels)[:, :2])
                fetched += packet.samples
            if fetched < given + length:
                card.wait_for_sound(fetched, REPORT_SECONDS)
                continue
            piece, kept, given = np.concatenate(kept), [], fetched
            began = now if began is None else began
            yield piece

    def _look(self) -> bool:
        """Takes what has been told; whether it is over."""
        while not self._told.empty():
            event = self._told.get()
            if isinstance(event, events.Ended):
                self.problem = self.problem or event.reason
                self._is_over.set()
        return self._is_over.is_set()


class PlainPlayer:
    """The components, and the listeners behind them: one a page.

    Any thread.
    """

    def __init__(self, hall: Hall, claim: Callable[[gr.Request], TokenClaim], *, program: str = "ffmpeg") -> None:
        """Nobody listens yet.

        Args:
          hall: where the seats are.
          claim: of whoever Gradio let in; a new one each time.
          program: that Gradio encodes with.
        """
        self._hall, self._claim, self._program = hall, claim, program
        self._listeners: dict[str, Listener] = {}
        self._lock = threading.Lock()

    def place(self) -> None:
        """Puts it where Gradio is building; it is hidden there unless it is needed."""
        gr.Markdown(NOTICE)
        if shutil.which(self._program) is None:
            gr.Markdown(NO_FFMPEG)
            return
        slots = range(1, PROMPTS + 1)
        words = [gr.Textbox(label=f"Prompt {slot}", max_length=LONGEST_TEXT, elem_id=f"plain-{slot}") for slot in slots]
        blend = gr.Slider(0.0, 1.0, value=0.0, step=0.01, label="From prompt 1 to prompt 2", elem_id="plain-blend")
        dials = [
            gr.Slider(KNOBS[name].low, KNOBS[name].high, KNOBS[name].default, step=step, label=label)
            for name, label, step in DIALS
        ]
        with gr.Row():
            play, stop = gr.Button("Play", variant="primary", elem_id="plain-play"), gr.Button("Stop", elem_id="plain-stop")
        said = gr.Markdown("", elem_id="plain-said")
        sound = gr.Audio(streaming=True, autoplay=True, interactive=False, label="Music", elem_id="plain-sound")
        controls = [*words, blend, *dials]
        playing = play.click(
            self.play, controls, [sound, said], concurrency_limit=None, show_progress="hidden", api_visibility="private"
        )
        stop.click(
            self.stop, None, [sound, said], cancels=[playing], queue=False, show_progress="hidden", api_visibility="private"
        )
        for control in controls:
            change = control.submit if isinstance(control, gr.Textbox) else control.release
            change(self.turn, controls, said, queue=False, show_progress="hidden", api_visibility="private")

    def play(self, request: gr.Request, *values: Any) -> Iterator[tuple[Any, str]]:
        """Takes a seat and plays until somebody stops it; what was playing on this page before ends.

        Args:
          request: of the page; first, because Gradio gives it by place and never by name.
          values: of the components, in order.
        """
        self.forget(request)
        yield None, "Opening ..."
        try:
            listener = Listener(self._hall, self._claim(request))
        except Refused as error:
            yield None, str(error)
            return
        with self._lock:
            self._listeners[_page_of(request)] = listener
        try:
            while (place := listener.wait(2.0)) is not None and not listener.is_over:
                yield gr.skip(), place
            seat = listener.seat
            if seat is not None and not listener.is_over:
                seat.set(knobs_of(values))
                for piece in listener.pieces():
                    yield (SAMPLES_A_SECOND, piece), "Playing."
            yield gr.skip(), listener.problem
        finally:
            listener.leave()

    def turn(self, request: gr.Request, *values: Any) -> str:
        """Turns the knobs of the page's seat, if it has one.

        Args:
          request: of the page; first, as for `play`.
          values: of the components, in order.
        Returns:
          a line for people.
        """
        with self._lock:
            listener = self._listeners.get(_page_of(request))
        seat = None if listener is None or listener.is_over else listener.seat
        if seat is None:
            return "Press Play to hear it."
        try:
            seat.set(knobs_of(values))
        except ValueError as error:
            return str(error)
        return "Heard in four to six seconds."

    def stop(self, request: gr.Request) -> tuple[None, str]:
        """Ends what plays on the page."""
        self.forget(request)
        return None, "Stopped."

    def forget(self, request: gr.Request) -> None:
        """The page was closed, or wants no more: its seat is free."""
        with self._lock:
            listener = self._listeners.pop(_page_of(request), None)
        if listener is not None:
            listener.leave()


def knobs_of(values: tuple[Any, ...]) -> Mapping[str, Any]:
    """What the components stand for.

    Args:
      values: two texts, the blend 0 .. 1, and the dials.
    """
    words, blend, dials = values[:PROMPTS], values[PROMPTS], values[PROMPTS + 1 :]
    texts = {f"prompt/{slot}/text": str(text or "").strip() for slot, text in enumerate(words, 1)}
    weights = {"prompt/1/weight": 1.0 - float(blend), "prompt/2/weight": float(blend)}
    return {**texts, **weights, **{name: float(value) for (name, *_), value in zip(DIALS, dials)}}


def _page_of(request: gr.Request) -> str:
    """One load of the page in one browser."""
    return str(request.session_hash)
