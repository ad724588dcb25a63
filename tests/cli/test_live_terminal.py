"""Keys and lines do what they say, the line at the bottom fits, and the terminal is given back as it was."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.cli.live_keys import HELP, Answer, Typing, enter, press, split_keys
from magenta_rt_py.cli.live_terminal import Terminal, draw
from magenta_rt_py.live.board import KNOBS, Board, Kind
from magenta_rt_py.live.card import CardStatus
from magenta_rt_py.live.session_parts import SessionStatus

PATIENCE_SECONDS = 20.0
CARD = CardStatus("card", True, 0, 0, None, float("nan"), 0.01, 0.0)
STATUS = SessionStatus(
    seconds=83.4,
    bar=16,
    beat=2.2,
    bpm=125.0,
    rtf=2.13,
    buffer_seconds=0.1,
    backup_seconds=0.84,
    underruns=3,
    missing_samples=480,
    delay_seconds=0.62,
    peak=0.5,
    step=1,
    hop_seconds=0.4,
    message="snapshot 1 saved",
    recording=None,
    card=CARD,
)


def type_all(text, board=None, is_recording=False):
    """Types on a board: its values, the actions, the notes, and what is still typed."""
    board = board or Board()
    typing, notes = Typing(), []
    keys, rest = split_keys(text)
    assert not rest
    for key in keys:
        typing, answer = press(typing, key, board.settings.values, is_recording=is_recording)
        board.set_many({turn.name: turn.value for turn in answer.turns if KNOBS[turn.name].kind is not Kind.ACTION})
        for turn in answer.turns:
            if KNOBS[turn.name].kind is Kind.ACTION:
                board.act(*turn)
        notes += [answer.note] * bool(answer.note)
    return board.settings.values, [(each.name, each.value) for each in board.take_actions()], notes, typing


def changed(text, before=None, **options):
    """What typing it changes."""
    board = Board(before)
    was = board.settings.values
    values, actions, notes, typing = type_all(text, board, **options)
    return {name: value for name, value in values.items() if value != was[name]}, actions


def test_keys_are_told_apart_however_they_come_in():
    text = "aä\x1b[A\x1bOB\x1b[C\x1b[1;5D\x1b[3~\n\r\x7f\t\x15\x01x🎹\x1b[D"
    expected = ["a", "ä", "up", "down", "right", "enter", "enter", "backspace", "tab", "escape", "x", "🎹", "left"]
    assert split_keys(text) == (expected, "")
    for cut in range(len(text)):
        first, rest = split_keys(text[:cut])
        second, left = split_keys(rest + text[cut:])
        assert (first + second, left) == (expected, "")
    assert split_keys("a\x1b") == (["a"], "\x1b")
    assert split_keys("\x1b\x1b[A") == (["escape", "up"], "")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("\x1b[A\x1b[A", {"temperature": 1.2}),
        ("\x1b[B", {"temperature": 1.05}),
        ("]]]", {"guidance": 0.8}),
        ("[" * 9, {"guidance": 0.0}),
        ("=+", {"bpm": 127.0}),
        ("-", {"bpm": 124.0}),
        (".", {"volume": 1.05}),
        ("," * 30, {"volume": 0.0}),
        ("\x1b[C\x1b[C\x1b[C", {"prompt/1/weight": 0.7, "prompt/2/weight": 0.3}),
        ("\x1b[C" * 12, {"prompt/1/weight": 0.0, "prompt/2/weight": 1.0}),
        ("\x1b[C" * 12 + "\x1b[D" * 4, {"prompt/1/weight": 0.4, "prompt/2/weight": 0.6}),
        ("m\n", {"metronome": 0.5}),
        ("d\n", {"seed": 1}),
        ("d\nd\n", {"seed": 2}),
        (":seed 4294967295\n", {"seed": 4294967295}),
        (":seed 4294967295\nd\n", {}),
        (":prompt/2/solo on\n", {"prompt/2/solo": True}),
        (":inject/on off\n", {"inject/on": False}),
        ("quiet piano\n", {"prompt/1/text": "quiet piano"}),
        ("80s disco\n", {"prompt/1/text": "80s disco"}),
        ("\ttechno\n", {"prompt/2/text": "techno", "prompt/2/weight": 1.0}),
        ("3\ndub\n", {"prompt/3/text": "dub", "prompt/3/weight": 1.0}),
        ("\t" * 8 + "dub\n", {"prompt/1/text": "dub"}),
        ("dub\x7f\x7f\x7f\x7f-", {"bpm": 124.0}),
        ("dub\x15-", {"bpm": 124.0}),
        ("dub [x] = 1.5, m?\n", {"prompt/1/text": "dub [x] = 1.5, m?"}),
        (":bpm 140\n", {"bpm": 140.0}),
        (":/bpm=140\n", {"bpm": 140.0}),
        (":top_k 40\n", {"top_k": 40}),
        (":midi_clock on\n", {"midi_clock": True}),
        (":prompt/2/text a = b\n", {"prompt/2/text": "a = b"}),
        ("dub\n:prompt/1/text \"\"\n", {}),
        ("  \n\n", {}),
    ],
)
def test_what_turns_knobs(text, values):
    after, actions = changed(text)
    assert after == values
    assert actions == [("tap", None)] * (text.startswith("  ") * 2)


def test_turns_are_made_from_where_the_knobs_stand():
    assert changed("m\n", {"metronome": 0.3})[0] == {"metronome": 0.0}
    assert changed("\x1b[D", {"prompt/1/weight": 2.0, "prompt/2/weight": 2.0})[0] == {
        "prompt/1/weight": 0.6,
        "prompt/2/weight": 0.4,
    }
    assert changed("dub\n", {"prompt/1/weight": 0.2})[0] == {"prompt/1/text": "dub"}
    assert changed("=", {"bpm": 399.5})[0] == {"bpm": 400.0}


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        (" ", [("tap", None)]),
        ("s\nb\nw\n", [("snapshot/save", 1), ("snapshot/recall", 1), ("rewind", 1)]),
        ("r\n", [("record", "")]),
        ("f\n:reset\n", [("reset", None), ("reset", None)]),
        ("q\n", [("quit", None)]),
        (":snapshot/recall 3\n", [("snapshot/recall", 3)]),
        (":rewind\n:rewind 2\n", [("rewind", 1), ("rewind", 2)]),
        (":record my take.flac\n", [("record", "my take.flac")]),
        (":nudge -0.5\n", [("nudge", -0.5)]),
        (":panic\n", [("panic", None)]),
    ],
)
def test_what_asks_for_actions(text, actions):
    assert changed(text) == ({}, actions)


def test_r_stops_a_recording():
    assert changed("r\n", is_recording=True) == ({}, [("record/stop", None)])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":bmp 140", "did you mean bpm?"),
        (":bpm fast", "bpm is 'fast'; give a number from 20 to 400"),
        (":bpm nan", "give a number from 20 to 400"),
        (":top_k 1.5", "give a whole number from 0 to 1024"),
        (":midi_clock maybe", "give 0 (off) or 1 (on)"),
        (":tap 3", "it takes no value"),
        (":nudge", "give a number from -4 to 4"),
        (":snapshot/recall 9", "give a whole number from 1 to 8"),
        ("x" * 501, "has 501 characters; give at most 500"),
        (":bpm", "bpm is 125"),
        (":help bpm", "bpm (number, 20 .. 400 beats a minute): tempo"),
        (":help tap", "tap: one tap of the tempo"),
        (":help seed", "seed (whole number, 0 .. 4294967295): another seed"),
        (":help bmp", "did you mean bpm?"),
    ],
)
def test_errors_and_questions_are_notes_and_change_nothing(line, said):
    typing, answer = enter(Typing(line, 2), Board().settings.values)
    assert answer.turns == () and said in answer.note
    assert typing == Typing("", 2)


def test_help_fits_a_terminal_and_names_what_is_there():
    for line in ("?", ":help", ":", ":?"):
        assert enter(Typing(line), Board().settings.values)[1] == Answer(lines=HELP)
    assert press(Typing(), "?", Board().settings.values)[1].lines == HELP
    assert max(map(len, HELP)) <= 79


@settings(max_examples=200, deadline=None)
@given(st.text(), st.booleans())
def test_whatever_is_typed_is_taken(text, is_recording):
    """No text raises, and whatever is asked for is allowed."""
    board = Board()
    keys, _ = split_keys(text)
    typing = Typing()
    for key in [*keys, "enter"]:
        typing, answer = press(typing, key, board.settings.values, is_recording=is_recording)
        for turn in answer.turns:
            KNOBS[turn.name].check(turn.value)
    assert typing.line == ""


def test_the_line_says_how_it_goes():
    line = draw(STATUS)
    figures = "125 bpm RTF 2.1 buf 0.1+0.8 hop 0.40 underruns 3 delay 0.6"
    assert line == f"1:23 17.3 |█████ |  {figures}  snapshot 1 saved"
    assert " ● 125" in draw(STATUS._replace(recording="take.flac"))
    assert draw(STATUS._replace(seconds=3723.0)).startswith("1:02:03 ")
    unknown = draw(STATUS._replace(rtf=float("nan"), delay_seconds=float("nan")))
    assert "RTF - " in unknown and "delay - " in unknown
    assert draw(STATUS, note="bpm 126").endswith("|  bpm 126")
    assert draw(STATUS, Typing("warm pi", 2)).endswith("|  prompt 2> warm pi")
    assert draw(STATUS, Typing(":bpm")).endswith("|  :bpm")
    draw(STATUS._replace(recording="x"), is_plain=True).encode("ascii")


@pytest.mark.parametrize(
    ("peak", "meter"),
    [
        (0.0, "|      | "),
        (0.01, "|      | "),
        (10 ** (-18 / 20), "|███   | "),
        (10 ** (-3 / 20), "|█████▌| "),
        (0.966, "|██████|!"),
        (1.0, "|██████|!"),
    ],
)
def test_the_meter(peak, meter):
    assert meter in draw(STATUS._replace(peak=peak))


@pytest.mark.parametrize("columns", [1, 10, 40, 79, 200])
def test_the_line_fits_and_obeys_nobody(columns):
    wide = STATUS._replace(message="音楽\x1b[2J\n" * 30)
    for line in (
        draw(wide, columns=columns),
        draw(wide, note="音" * 300, columns=columns),
        draw(wide, Typing("é音" * 200 + "end"), columns=max(columns, 10)),
    ):
        assert line.isprintable()
        assert sum(2 if letter in "音楽" else 1 for letter in line) <= max(columns, 10)
    assert draw(wide, Typing("x" * 500 + "end"), columns=40).endswith("xend")


class Screen:
    """A pseudo terminal: what a person sees and types."""

    def __init__(self):
        self.person, self.program = pty.openpty()
        self.seen = ""

    def see_until(self, text):
        ends = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen:
            left = ends - time.monotonic()
            assert left > 0, self.seen[-500:]
            if select.select([self.person], [], [], left)[0]:
                self.seen += os.read(self.person, 65_536).decode("utf-8", "replace")

    def type(self, text):
        os.write(self.person, text.encode())

    def settings(self):
        return termios.tcgetattr(self.program)


@pytest.fixture
def screen():
    made = Screen()
    yield made
    os.close(made.person)
    os.close(made.program)


def wait_for(condition):
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_on_a_terminal(screen):
    """Keys steer at once and unseen, the line is drawn, and the terminal is as before, also after an error."""
    before, board, statuses = screen.settings(), Board(), [STATUS]

    def status():
        if statuses[0] is None:
            raise RuntimeError("deque mutated during iteration")
        return statuses[0]

    with (
        open(screen.program, closefd=False) as stdin,
        open(screen.program, "w", encoding="utf-8", closefd=False) as stderr,
        pytest.raises(ZeroDivisionError),
        Terminal(board, status, stdin=stdin, stderr=stderr),
    ):
        screen.see_until("1:23 17.3 |█████ |")
        assert not screen.settings()[3] & (termios.ECHO | termios.ICANON)
        screen.type("=\ttech")
        screen.see_until("prompt 2> tech")
        screen.type("no\n")
        wait_for(lambda: board.settings.values["prompt/2/text"] == "techno")
        assert board.settings.values["bpm"] == 126.0
        screen.see_until("prompt 2: techno")
        statuses[0] = None  # it may fail beside the thread that plays
        screen.type(":tap 7\n")
        screen.see_until("takes no value")
        screen.type("üb\x1b-")
        wait_for(lambda: board.settings.values["bpm"] == 125.0)
        statuses[0] = STATUS._replace(message="the disk is full")
        screen.see_until("\r\033[Kthe disk is full\r\n")
        raise ZeroDivisionError
    assert screen.settings() == before
    screen.type("after")
    assert select.select([screen.program], [], [], 0.0)[0] == []  # lines again, and this one is not yet entered


KILLED = """
import signal, threading
from magenta_rt_py.cli.live_terminal import Terminal
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.session_parts import SessionStatus
status = SessionStatus(83.4, 16, 2.2, 125.0, 2.1, 0.1, 0.8, 3, 480, 0.6, 0.5, 1, 0.4, "", None, None)
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
with Terminal(Board(), lambda: status):
    stopped.wait()
"""


def test_a_kill_by_the_session_gives_the_terminal_back(screen):
    before = screen.settings()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=screen.program, stderr=screen.program, env={**os.environ, "PYTHONUTF8": "1"}
    )
    try:
        screen.see_until("17.3")
        assert screen.settings() != before
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert screen.settings() == before


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_terminal_that_goes_away_changes_nothing():
    screen, board = Screen(), Board()
    with (
        open(screen.program) as stdin,
        io.TextIOWrapper(io.FileIO(os.dup(screen.program), "w"), encoding="utf-8", write_through=True) as stderr,
        Terminal(board, lambda: STATUS, stdin=stdin, stderr=stderr) as terminal,
    ):
        screen.see_until("17.3")
        os.close(screen.person)
        wait_for(lambda: not terminal._thread.is_alive())
        with pytest.raises(termios.error):
            screen.settings()


def test_lines_from_a_pipe(monkeypatch):
    """As they come, with the same meaning; the end of the input ends nothing."""
    monkeypatch.setattr("magenta_rt_py.cli.live_terminal.LINE_SECONDS", 0.0)
    reads, writes = os.pipe()
    board, said = Board(), io.StringIO()
    with open(reads) as stdin, Terminal(board, lambda: STATUS, stdin=stdin, stderr=said):
        os.write(writes, b":bpm 140\n:bpm fast\r\nq\nwarm pi")
        wait_for(lambda: "bpm is 'fast'" in said.getvalue() and "ending" in said.getvalue())
        assert board.settings.values["bpm"] == 140.0
        assert [each.name for each in board.take_actions()] == ["quit"]
        assert board.settings.values["prompt/1/text"] == ""
        os.write(writes, "änö".encode())
        os.close(writes)
        wait_for(lambda: board.settings.values["prompt/1/text"] == "warm piänö")
        length = len(said.getvalue())
        wait_for(lambda: "1:23 17.3" in said.getvalue()[length:])  # still there
        length = len(said.getvalue())
        time.sleep(0.4)
        assert said.getvalue()[length:].count("1:23 17.3") < 12  # eight times a second
    assert "\033" not in said.getvalue() and "\r" not in said.getvalue()


@pytest.mark.parametrize("stdin", [None, io.StringIO("dub\n:bpm 99")])
def test_without_a_file_behind_it(stdin, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    board = Board()
    with Terminal(board, lambda: STATUS, stdin=stdin, stderr=io.StringIO()):
        if stdin is not None:
            wait_for(lambda: board.settings.values["bpm"] == 99.0)
            assert board.settings.values["prompt/1/text"] == "dub"


def test_status_lines_come_seldom():
    said = io.StringIO()
    with Terminal(Board(), lambda: STATUS, stdin=io.StringIO(), stderr=said):
        time.sleep(0.4)
    assert said.getvalue() == ""
