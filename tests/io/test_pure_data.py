"""The musician's Pure Data patch, opened by a real Pure Data without a window, against a real server."""

import re
import socket
import subprocess
import threading
import time

import pytest

from magenta_rt_py.io.osc import OscServer, OscStatus
from magenta_rt_py.live.board import Board

PATIENCE_SECONDS = 15.0
STATUS = OscStatus(rtf=1.5, buffer_seconds=0.4, underruns=2, delay_seconds=0.25, peak=0.5, beat=1.25, bar=7)
# What the sliders and buttons of the patch are told, by their names, as if a hand had moved them.
HANDS = (
    "live-temperature 0.7",
    "live-weight1 0.25",
    "live-weight2 1.5",
    "live-guidance 3",
    "live-bpm 90",
    "live-text1 warm 80s piano",
    "live-text2 symbol deep\\ bass",
    "live-tap bang",
    "live-save 3",
    "live-slot 4",
    "live-recall-slot bang",
    "live-rewind 2",
    "live-rewind 99",
)


class PureData:
    """A running Pure Data and what it has printed."""

    def __init__(self, patch, messages):
        command = ["pd", "-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr", "-open", str(patch)]
        for message in messages:
            command += ["-send", message]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self._line, "")), daemon=True)
        self.reader.start()

    def _line(self):
        return self.process.stderr.readline()

    def waits_for(self, *lines):
        """Until all of these lines have been printed."""
        end = time.monotonic() + PATIENCE_SECONDS
        while missing := [line for line in lines if line not in [each.strip() for each in list(self.lines)]]:
            heard = "".join(line for line in list(self.lines) if "status" not in line and "bar" not in line)
            assert time.monotonic() < end and self.process.poll() is None, f"{missing} not in\n{heard}"
            time.sleep(0.005)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10.0)
        self.reader.join(10.0)
        self.process.stderr.close()


@pytest.fixture
def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
        unbound.bind(("127.0.0.1", 0))
        return unbound.getsockname()[1]


def eventually(holds) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_the_patch_steers_and_shows(root, free_port):
    board = Board()
    with OscServer(board, port=0, status=lambda: STATUS) as server:
        connect = f"live-connect 127.0.0.1 {server.port} {free_port}"
        pd = PureData(root / "clients" / "pd" / "headless_test.pd", (connect, *HANDS))
        try:
            eventually(lambda: server.counts.messages == len(HANDS))  # the slot sends nothing, the subscription does
            values = board.settings.values
            assert (values["prompt/1/text"], values["prompt/2/text"]) == ("warm 80s piano", "deep bass")
            names = ("prompt/1/weight", "prompt/2/weight", "temperature", "guidance", "bpm")
            assert [values[name] for name in names] == [0.25, 1.5, 0.7, 3.0, 90.0]
            actions = [(each.name, each.value) for each in board.take_actions()]
            assert actions == [("tap", None), ("snapshot/save", 3), ("snapshot/recall", 5), ("rewind", 2)]
            pd.waits_for(
                "feedback: temperature 0.7",
                "feedback: prompt 1 text warm\\ 80s\\ piano",
                "feedback: inject feedback 0.95",
                "feedback: status rtf 1.5",
                "shown-bar: 7",
                "error: /rewind: rewind is 99.0; give a whole number from 1 to 64",
            )
            before = board.settings.sequence
            board.set("bpm", 111.0)
            board.set("prompt/1/text", "Föö")
            pd.waits_for("shown-bpm: set 111", "shown-text: set Föö")
            time.sleep(0.05)
            assert board.settings.sequence == before + 2, "what is shown is not sent again"
            assert server.subscribers == (("127.0.0.1", free_port),)
        finally:
            pd.close()
    complaints = [
        line for line in pd.lines if re.search("couldn't create|connection failed|no such|no method|^error: [^/]", line)
    ]
    assert not complaints, complaints


def test_the_patch_needs_no_externals(root):
    """Only objects that come with Pure Data itself."""
    text = (root / "clients" / "pd" / "live.pd").read_text(encoding="utf-8")
    objects = set(re.findall(r"#X obj \d+ \d+ (\S+?);?(?:\s|$)", text))
    assert {"netsend", "netreceive", "oscformat", "oscparse", "hsl"} <= objects
    plain = {
        "+",
        "bng",
        "f",
        "hradio",
        "hsl",
        "list",
        "netreceive",
        "netsend",
        "oscformat",
        "oscparse",
        "pack",
        "r",
        "route",
        "s",
        "t",
        "unpack",
    }
    assert objects <= plain, objects - plain
