"""Live terminal: the bottom line of `mrtpy live`, and its keys.

    keys -> live_keys.press -> board
    status of the session   -> draw -> one line, eight times a second

`draw` is pure; `Terminal` is a stateful shell with a thread of its own. Without a terminal (pipes, files) it takes whole
lines, which mean the same, and prints the status now and then.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import math
import os
import select
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from magenta_rt_py.cli.live_keys import LONGEST_LINE, NOTHING_TYPED, Answer, Typing, enter, press, split_keys
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.knobs import KNOBS, Kind
from magenta_rt_py.live.session_parts import SessionStatus

__all__ = ["Terminal", "draw"]

REDRAW_SECONDS = 0.125
LINE_SECONDS = 5.0
"""Without a terminal, from one line of status to the next."""
NOTE_SECONDS = 4.0
"""An answer to a key stands so long in place of the figures."""
CLIPPING = 0.96
"""The limiter keeps peaks below 0.966: this close, it is at work."""
METER_DB = 36.0
METER_CELLS = 6
ENDLESS = 10_000
"""Columns of what is no terminal."""
CLEAR_LINE = "\r\033[K"


def draw(
    status: SessionStatus,
    typing: Typing = NOTHING_TYPED,
    note: str = "",
    *,
    columns: int = ENDLESS,
    is_plain: bool = False,
) -> str:
    """The bottom line: time, bar, level and recording, and then what is being typed, a note, or the figures.

    Args:
      status: of the session.
      typing: what is being typed.
      note: what to say for now.
      columns: what fits.
      is_plain: without block characters.
    """
    head = f"{_clock(status.seconds)} {status.bar + 1}.{int(status.beat) + 1} {_meter(status.peak, is_plain=is_plain)}"
    if status.recording is not None:
        head += " *" if is_plain else " ●"
    if typing.line:
        head += " " + ("" if typing.line.startswith(":") else f"prompt {typing.slot}> ")
        head = head if _width(head) <= columns // 2 else "> "
        return head + _cut(typing.line[::-1], columns - _width(head) - 1)[::-1]
    return _cut(f"{head} {note or _figures(status)}", columns)


def _figures(status: SessionStatus) -> str:
    """Eighty columns hold them, even with three digits of bars; the message comes last."""

    def number(value: float, digits: int) -> str:
        return f"{value:.{digits}f}" if math.isfinite(value) else "-"

    parts = [
        f"{round(status.bpm, 1):g} bpm",
        f"RTF {number(status.rtf, 1)}",
        f"buf {number(status.buffer_seconds, 1)}+{number(status.backup_seconds, 1)}",
        f"hop {number(status.hop_seconds, 2)}",
        f"underruns {status.underruns}",
        f"delay {number(status.delay_seconds, 1)}",
    ]
    return "  ".join([" ".join(parts), *([status.message] if status.message else [])])


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours = f"{whole // 3600}:{whole // 60 % 60:02d}" if whole >= 3600 else str(whole // 60)
    return f"{hours}:{whole % 60:02d}"


def _meter(peak: float, *, is_plain: bool) -> str:
    """A bar of six cells for the top 36 dB, and a mark where the limiter is at work."""
    level_db = 20.0 * math.log10(peak) if peak > 0.0 else -math.inf
    eighths = round(8 * METER_CELLS * min(max(1.0 + level_db / METER_DB, 0.0), 1.0))
    if is_plain:
        bar = "#" * (eighths // 8)
    else:
        bar = "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")
    return f"|{bar:<{METER_CELLS}}|{'!' if peak >= CLIPPING else ' '}"


def _width(text: str) -> int:
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _cut(text: str, columns: int) -> str:
    """As much of a text as fits, in one line, with nothing in it that a terminal would obey."""
    kept, left = [], columns
    for letter in text:
        letter = letter if letter.isprintable() else " "
        left -= _columns(letter)
        if left < 0:
            break
        kept.append(letter)
    return "".join(kept)


class Terminal:
    """The keys and the bottom line of one performance; a context manager. What was set at the terminal is set again after.

    A terminal that goes away, or one of which this process is not in the foreground, changes nothing in the music.
    """

    def __init__(
        self,
        board: Board,
        status: Callable[[], SessionStatus],
        *,
        stdin: io.TextIOBase | None = None,
        stderr: io.TextIOBase | None = None,
    ) -> None:
        """Does nothing yet.

        Args:
          board: what is steered.
          status: of the session; asked on the terminal's thread.
          stdin: keys and lines; None is the process's.
          stderr: where the line is drawn, so that stdout stays for the report; None is the process's.
        """
        self._board, self._status = board, status
        self._stdin: io.TextIOBase | TextIO | None = stdin
        self._stderr: io.TextIOBase | TextIO | None = stderr
        self._typing, self._note, self._note_ends = Typing(), "", 0.0
        self._last: SessionStatus | None = None
        self._message, self._pending, self._line_at = "", "", 0.0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_terminal, self._is_plain = False, True
        self._input: int | None = None
        self._saved: list[Any] | None = None
        self._is_ending = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Terminal:
        """Takes the terminal, and begins to read and to draw."""
        self._stdin = sys.stdin if self._stdin is None else self._stdin
        self._stderr = sys.stderr if self._stderr is None else self._stderr
        self._is_plain = not _can_show(self._stderr, "█●")
        self._input = _descriptor(self._stdin)
        is_terminal = self._input is not None and os.isatty(self._input) and _is_tty(self._stderr)
        if is_terminal and _is_in_foreground(self._input):
            self._is_terminal = self._take_terminal()
        elif is_terminal:
            self._input = None  # reading would stop the process
        self._waker, self._alarm = os.pipe()
        self._thread = threading.Thread(target=self._work, name="terminal", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends, and gives the terminal back as it was."""
        self._is_ending = True
        os.write(self._alarm, b"\0")
        assert self._thread is not None
        self._thread.join(1.0)  # it may hang in a terminal that takes nothing
        self._restore()
        if not self._thread.is_alive():
            os.close(self._waker)
            os.close(self._alarm)

    # The terminal's settings.

    def _take_terminal(self) -> bool:
        """Keys one by one and unseen; Ctrl-C stays. Whether that worked."""
        try:
            import termios
        except ImportError:  # Windows: lines, as from a pipe
            return False
        assert self._input is not None
        try:
            settings = termios.tcgetattr(self._input)
            if self._saved is None:
                self._saved = [*settings[:6], list(settings[6])]
            settings[0] &= ~termios.IXON  # a Ctrl-S would hold up the line
            settings[3] &= ~(termios.ECHO | termios.ICANON)
            settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._input, termios.TCSANOW, settings)
        except termios.error:
            return False
        return True

    def _keep_terminal(self) -> None:
        """After Ctrl-Z and `fg` the shell has set the terminal its own way."""
        import termios

        assert self._input is not None
        with contextlib.suppress(termios.error):
            if termios.tcgetattr(self._input)[3] & termios.ICANON:
                self._take_terminal()

    def _restore(self) -> None:
        if self._saved is None or self._input is None or self._is_in_background():
            return
        import termios

        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._input, termios.TCSANOW, self._saved)

    def _is_in_background(self) -> bool:
        """After Ctrl-Z and `bg` the terminal is the shell's: touching it would stop the music."""
        return self._is_terminal and self._input is not None and not _is_in_foreground(self._input)

    # The thread.

    def _work(self) -> None:
        # Whatever happens to the terminal (a closed window, a full disk behind a pipe), the music plays on.
        with contextlib.suppress(OSError, ValueError):
            if self._is_terminal:
                self._write("type a prompt and press Enter; ? shows the keys\n")
            reads = self._input
            if reads is None:
                self._take_lines(_read_all(self._stdin), is_end=True)
            while not self._is_ending:
                reads = self._read(reads)
                if not self._is_terminal:
                    self._print_status()
                elif not self._is_in_background():
                    self._keep_terminal()
                    self._redraw()
        with contextlib.suppress(OSError, ValueError):
            if self._is_terminal:
                self._write(CLEAR_LINE)

    def _read(self, reads: int | None) -> int | None:
        """Waits for keys until it is time to draw again; what to read from next time, None after the end."""
        wanted = [] if reads is None or self._is_in_background() else [reads]
        ready, _, _ = select.select([self._waker, *wanted], [], [], REDRAW_SECONDS)
        if reads not in ready:
            if self._is_terminal and self._pending:  # nothing follows: it was the key Esc itself
                self._pending = ""
                self._press("escape")
            return reads
        assert reads is not None
        try:
            got = os.read(reads, 4096)
        except OSError:  # the terminal is gone
            got = b""
        text = self._decoder.decode(got, final=not got)
        if self._is_terminal:
            keys, self._pending = split_keys(self._pending + text)
            for key in keys:
                self._press(key)
        else:
            self._take_lines(text, is_end=not got)
        return reads if got else None

    def _press(self, key: str) -> None:
        self._typing, answer = press(self._typing, key, self._board.settings.values, is_recording=self._is_recording())
        self._answer(answer)

    def _take_lines(self, text: str, *, is_end: bool) -> None:
        *lines, self._pending = (self._pending + text).splitlines(keepends=True) or [""]
        if is_end or self._pending.endswith("\n"):
            lines, self._pending = [*lines, self._pending], ""
        self._pending = self._pending[: LONGEST_LINE + 1]
        for line in lines:
            typed = self._typing._replace(line=line[: LONGEST_LINE + 1])
            self._typing, answer = enter(typed, self._board.settings.values, is_recording=self._is_recording())
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        """Does what was asked for, and says so."""
        try:
            knobs = {turn.name: turn.value for turn in answer.turns if KNOBS[turn.name].kind is not Kind.ACTION}
            self._board.set_many(knobs, source="keys")
            for turn in answer.turns:
                if turn.name not in knobs:
                    self._board.act(turn.name, turn.value, source="keys")
        except ValueError as error:
            answer = Answer(note=str(error))
        for line in answer.lines:
            self._say(line)
        if answer.note and self._is_terminal:
            self._note, self._note_ends = answer.note, time.monotonic() + NOTE_SECONDS
        elif answer.note:
            self._say(answer.note)

    def _is_recording(self) -> bool:
        status = self._ask()
        return status is not None and status.recording is not None

    def _ask(self) -> SessionStatus | None:
        """The status now; the last one if the music was just being changed."""
        try:
            self._last = self._status()
        except Exception:  # it is read beside the thread that plays; the next one will do
            return self._last
        return self._last

    # Showing.

    def _redraw(self) -> None:
        status = self._ask()
        if status is None:
            return
        if status.message != self._message:
            self._message = status.message
            if status.message:
                self._say(status.message)
        note = self._note if time.monotonic() < self._note_ends else ""
        line = draw(status, self._typing, note, columns=self._columns() - 1, is_plain=self._is_plain)
        self._write(f"\r{line}\033[K")

    def _print_status(self) -> None:
        now = time.monotonic()
        self._line_at = self._line_at or now
        if now - self._line_at < LINE_SECONDS:
            return
        self._line_at, status = now, self._ask()
        if status is not None:
            self._say(draw(status, is_plain=self._is_plain))

    def _say(self, line: str) -> None:
        """A line that stays."""
        self._write(f"{CLEAR_LINE if self._is_terminal else ''}{_cut(line, ENDLESS)}\n")

    def _columns(self) -> int:
        try:
            assert self._stderr is not None
            return os.get_terminal_size(self._stderr.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        if self._stderr is not None:
            encoding = getattr(self._stderr, "encoding", None) or "utf-8"
            self._stderr.write(text.encode(encoding, "replace").decode(encoding))
            self._stderr.flush()


def _descriptor(stream: io.TextIOBase | TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError, AttributeError):  # a stream that is no file
        return None


def _read_all(stream: io.TextIOBase | TextIO | None) -> str:
    """What a stream that is no file holds."""
    if stream is None or _descriptor(stream) is not None:
        return ""
    try:
        return stream.read()
    except (OSError, ValueError):
        return ""


def _is_tty(stream: io.TextIOBase | TextIO | None) -> bool:
    descriptor = _descriptor(stream)
    return descriptor is not None and os.isatty(descriptor)


def _is_in_foreground(descriptor: int) -> bool:
    """Whether keys go to this process: a job in the background is stopped if it touches the terminal."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, AttributeError):  # a terminal without jobs
        return True


def _can_show(stream: io.TextIOBase | TextIO | None, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
