"""Plays the live-mix page in a real browser, with what can go wrong on purpose, and prints JSON.

    python benchmarks/page.py [--minutes 5] [--bundle DIR] [--lead 0.5] [--chromium FILE] [--out FILE]

`mrtpy ui` runs in a process of its own, as a person would start it; Chromium, without a window, opens the page and presses
play. The microphone is on (the browser's own, which beeps) and is injected. Sliders of the page move every two to three
seconds, by hand as far as the page can tell. On the way the page's main thread stands still for four seconds, and its socket
is cut three times: between browser and server is a forwarder that can do so.

underruns: times the page's AudioWorklet had nothing to render, and when. The first ten seconds are told apart, and so is
    what falls into the ten seconds after each disturbance.
knob to ear: from a slider's own input event until the worklet renders the first sample that was made with it, plus the
    output's delay as the browser reports it. Sound carries the number of the knobs it was made with; nothing is estimated.

The figures are the machine's and its load's; run it with nothing else going on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import stream

SETTLED_SECONDS = 10.0
LOAD_SECONDS = 1200.0
BLOCKED_SECONDS = 4.0
AFTER_SECONDS = 10.0
"""Underruns within so long of a disturbance are counted as its own."""
PAUSE_SECONDS = (2.0, 3.0)
"""Between two moves, drawn evenly."""
END_SECONDS = 10.0
FLAGS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
)
SLIDERS = {
    "temperature": (0.9, 1.2),
    "guidance": (0.2, 2.0),
    "input_guidance": (0.0, 1.5),
    "inject/gain": (0.2, 1.0),
    "inject/feedback": (0.7, 1.0),
}
"""Sliders that are moved, and how far; they change what the model makes, so that their delay is the whole one."""
NOTE = """(() => {
  // Keeps what the page's player says, wherever the page keeps its player.
  const seen = (window.benchmark = { heard: [], underruns: [], links: [], statuses: [], troubles: [], ended: [] });
  const kinds = { heard: "heard", underrun: "underruns", link: "links", status: "statuses" };
  Object.assign(kinds, { trouble: "troubles", ended: "ended" });
  const dispatch = EventTarget.prototype.dispatchEvent;
  EventTarget.prototype.dispatchEvent = function (event) {
    if (event instanceof CustomEvent && kinds[event.type] && this.stats) {
      window.benchmark.player = this;
      const list = seen[kinds[event.type]];
      list.push([performance.now() / 1000, event.detail]);
      if (list.length > 5000) list.shift();
    }
    return dispatch.call(this, event);
  };
})();"""
MOVE = """([id, value]) => {
  const range = document.querySelector(`#${id} input[type=range]`);
  if (!range) return false;
  range.value = value;
  range.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}"""
BLOCK = """(milliseconds) => {
  const ends = performance.now() + milliseconds;
  while (performance.now() < ends);
}"""
SEEN = """() => {
  const { player, ...rest } = window.benchmark;
  return { ...rest, stats: player.stats() };
}"""


class Forwarder:
    """Passes a local port's connections on to another one, and can cut those that carry a WebSocket.

    Attributes:
      port: to connect to.
    """

    def __init__(self, target: int) -> None:
        """Listens from now on.

        Args:
          target: port on this machine.
        """
        self._target, self._listening = target, socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Resets the WebSockets, as a network that is gone does; how many there were."""
        with self._lock:
            cut, self._sockets = self._sockets, []
        for each in cut:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                each.close()
        return len(cut) // 2

    def close(self) -> None:
        """Takes no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if is_request and data.startswith(b"GET ") and b"/live/ws" in data.partition(b"\r\n")[0]:
                    with self._lock:
                        self._sockets += [source, target]
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serving(bundle: Path | None, state: Path) -> Iterator[tuple[str, float]]:
    """`mrtpy ui` in a process of its own: its address, and how long it took to get there."""
    command = [sys.executable, "-m", "magenta_rt_py", "ui", "--no-browser", "--port", "0"]
    command += [] if bundle is None else ["--bundle", str(bundle)]
    began = time.monotonic()
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        lines.extend(process.stdout)

    threading.Thread(target=read, daemon=True).start()
    try:
        while not lines:
            if process.poll() is not None or time.monotonic() - began > LOAD_SECONDS:
                raise SystemExit(f"mrtpy ui did not start; its exit code is {process.poll()}")
            time.sleep(0.05)
        yield lines[0].split()[-1], time.monotonic() - began
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def perform(page: Any, forwarder: Forwarder, seconds: float, seed: int) -> dict[str, Any]:
    """Plays the page for so long.

    Args:
      page: of playwright, playing.
      forwarder: between page and server.
      seconds: of playing.
      seed: of the moves.
    Returns:
      what happened, and when, in seconds since the beginning.
    """
    rng, began = random.Random(seed), time.monotonic()
    page_began = page.evaluate("performance.now() / 1000")
    shares = {"blocked": (0.3,), "cut": (0.45, 0.6, 0.75)}
    planned = sorted((share * seconds, what) for what, all_shares in shares.items() for share in all_shares)
    disturbed, moved, missing, next_move = [], 0, set(), 2.0
    while (now := time.monotonic() - began) < seconds:
        if planned and now >= planned[0][0]:
            _, what = planned.pop(0)
            disturbed.append({"what": what, "at_seconds": now})
            if what == "blocked":
                page.evaluate(BLOCK, 1000 * BLOCKED_SECONDS)
            else:
                disturbed[-1]["sockets"] = forwarder.cut()
            next_move = time.monotonic() - began + 1.0
        elif now >= next_move:
            name = rng.choice(sorted(SLIDERS))
            value = round(rng.uniform(*SLIDERS[name]), 2)
            if page.evaluate(MOVE, [f"knob-{name.replace('/', '-')}", value]):
                moved += 1
            else:
                missing.add(name)
            next_move = now + rng.uniform(*PAUSE_SECONDS)
        page.wait_for_timeout(50)
    seen = page.evaluate(SEEN)
    seen["underruns"] = [at - page_began for at, _ in seen["underruns"]]
    seen["heard"] = [(at - page_began, detail["seconds"]) for at, detail in seen["heard"]]
    return {**seen, "seconds": seconds, "moved": moved, "missing_sliders": sorted(missing), "disturbed": disturbed}


def report(seen: dict[str, Any]) -> dict[str, Any]:
    """The figures of what `perform` saw."""
    late = [at for at in seen["underruns"] if at >= SETTLED_SECONDS]
    for each in seen["disturbed"]:
        each["underruns"] = sum(each["at_seconds"] <= at < each["at_seconds"] + AFTER_SECONDS for at in late)
    delays = sorted(seconds for at, seconds in seen["heard"] if at >= SETTLED_SECONDS)
    last = seen["statuses"][-1][1] if seen["statuses"] else {}
    stats = seen["stats"]
    return {
        "seconds": seen["seconds"],
        "moves": seen["moved"],
        "missing_sliders": seen["missing_sliders"],
        "underruns": len(seen["underruns"]),
        "underruns_after_10_s": len(late),
        "underruns_of_disturbances": sum(each["underruns"] for each in seen["disturbed"]),
        "underruns_at_seconds": seen["underruns"],
        "disturbances": seen["disturbed"],
        "reconnections": sum(detail.get("state") == "open" for _, detail in seen["links"]),
        "knob_to_ear_seconds": {
            "median": statistics.median(delays) if delays else None,
            "p95": delays[min(len(delays) - 1, int(0.95 * len(delays)))] if delays else None,
            "max": delays[-1] if delays else None,
            "count": len(delays),
        },
        "server_status": {
            name: last.get(name) for name in ("rtf", "hop_seconds", "delay_seconds", "underruns", "lead_seconds")
        },
        "page": {
            name: stats.get(name)
            for name in ("underruns", "missingSamples", "lostSamples", "queuedSeconds", "outputSeconds", "networkSeconds")
        },
        "microphone": stats.get("microphone"),
        "troubles": [detail.get("code") for _, detail in seen["troubles"]],
        "ended": [detail.get("reason") for _, detail in seen["ended"]],
        "page_errors": seen["page_errors"],
        "foreign_requests": seen["foreign_requests"],
    }


def play(url: str, chromium: str | None, forwarder: Forwarder, *, seconds: float, seed: int, lead: float) -> dict[str, Any]:
    """Opens the page, presses play, and performs."""
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    foreign: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        page = browser.new_context(permissions=["microphone"], viewport={"width": 1280, "height": 800}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if _is_here(request.url) else foreign.append(request.url))
        page.add_init_script(NOTE)
        page.goto(url)
        page.wait_for_function("window.benchmark.player && window.benchmark.player.knobs.length", timeout=60_000)
        page.keyboard.press("Space")
        page.wait_for_function("window.benchmark.player.stats().isFlowing", timeout=60_000)
        page.evaluate(
            """async (lead) => {
              const { player } = window.benchmark;
              player.lead(lead);
              player.set({ "inject/on": true, "prompt/1/text": "lofi hip hop" });
              await player.microphone({ on: true });
            }""",
            lead,
        )
        seen = perform(page, forwarder, seconds, seed)
        browser.close()
    return {**seen, "page_errors": errors, "foreign_requests": foreign}


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "about") or parts.hostname in ("127.0.0.1", "localhost")


def main(argv: list[str] | None = None) -> int:
    """Runs it and prints the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0], allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=5.0, help="of playing (default 5)")
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the starter)")
    parser.add_argument("--lead", type=float, default=0.5, help="seconds in front of the page (default 0.5: balanced)")
    parser.add_argument("--seed", type=int, default=0, help="of the moves (default 0)")
    parser.add_argument("--chromium", help="program (default: the system's)")
    parser.add_argument("--out", type=Path, help="write the report here, too")
    arguments = parser.parse_args(argv)
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    chromium = arguments.chromium or next(found, None)
    with tempfile.TemporaryDirectory() as state, serving(arguments.bundle, Path(state)) as (url, load_seconds):
        forwarder = Forwarder(urlsplit(url).port or 80)
        address = f"http://127.0.0.1:{forwarder.port}/"
        seen = play(
            address, chromium, forwarder, seconds=60.0 * arguments.minutes, seed=arguments.seed, lead=arguments.lead
        )
        forwarder.close()
    result = {"machine": stream.describe_machine(), "load_seconds": load_seconds, **report(seen)}
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
