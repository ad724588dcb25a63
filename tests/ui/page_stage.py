"""What the tests of the page share: a server with the page on it, and how to turn and read what is there.

PYTEST_DONT_REWRITE: the tests import it before pytest takes its fixtures.
"""

import io
import socket
import threading

import numpy as np
import pytest
import soundfile

from magenta_rt_py.live.knobs import KNOBS, Kind

STUB_MIDI = """
const input = { name: "Stub", onmidimessage: null };
window.midiSend = (...bytes) => input.onmidimessage({ data: new Uint8Array(bytes), timeStamp: performance.now() });
window.midiClock = (bpm, beats) => {
  for (let clock = 0; clock <= 24 * beats; clock += 1) {
    input.onmidimessage({ data: new Uint8Array([0xf8]), timeStamp: 1000 + clock * 60000 / bpm / 24 });
  }
};
navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", input]]), onstatechange: null });
"""


class Live:
    """A server with its page.

    Attributes:
      hall: of the server.
      address: of the page.
    """

    def __init__(self, hall, address, new_page, wait_until) -> None:
        self.hall, self.address, self._new_page, self.wait_until = hall, address, new_page, wait_until

    def open(self, *, is_seated: bool = True, **options):
        """A page that has its seat."""
        page = self._new_page(self.address, **options)
        if is_seated:
            page.wait_for_selector("body[data-live=ready]")
            page.wait_for_selector("#knob-temperature[data-knob]")
        return page

    def seat(self, page=None):
        """The only seat, or that of a page."""
        seats = self.hall.seats
        if page is None:
            assert len(seats) == 1
            return seats[0]
        session = page.evaluate("() => mrtLive.session")
        return next(seat for seat in seats if seat.id == session)

    def stands(self, name: str, value, page=None) -> None:
        """Waits until a knob stands there."""
        board = self.seat(page).board

        def is_there() -> bool:
            now = board.settings.values[name]
            return abs(now - value) < 1e-9 if isinstance(value, float) else now == value

        try:
            self.wait_until(is_there)
        except AssertionError:
            raise AssertionError(f"{name} is {board.settings.values[name]!r}, not {value!r}") from None


@pytest.fixture(scope="session")
def server_of_page():
    """Hall and address of a server with the page and room for two; one for all tests, since its parts take long to load."""
    import gradio as gr
    import uvicorn

    from magenta_rt_py.serve.app import ServeConfig, create_app
    from magenta_rt_py.serve.fair_protocol import FairProtocol
    from magenta_rt_py.serve.hall import Hall, HallConfig
    from magenta_rt_py.serve.stand_in import StandInFactory
    from magenta_rt_py.serve.tokens import Tokens
    from magenta_rt_py.ui import page

    hall = Hall(StandInFactory(kind="tone"), HallConfig(most_sessions=2, idle_seconds=600.0))
    tokens = Tokens()
    blocks = page.build(page.PageConfig(make_token=lambda request: tokens.mint()))
    app = create_app(hall, ServeConfig(tokens=tokens, static_folder=page.STATIC_FOLDER))
    looks = {"footer_links": [], "ssr_mode": False, "theme": page.theme(), "head": page.head()}
    app = gr.mount_gradio_app(app, blocks, path="/", **looks)
    listening = socket.create_server(("127.0.0.1", 0))
    options = {"ws_max_size": 65536, "ws_per_message_deflate": False, "log_level": "warning", "lifespan": "on"}
    server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", ws=FairProtocol, timeout_graceful_shutdown=1, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield hall, f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(20.0)
    listening.close()


@pytest.fixture
def live(server_of_page, new_page, wait_until):
    """The server, when nobody is left of the test before."""
    hall, address = server_of_page
    wait_until(lambda: not hall.seats)
    return Live(hall, address, new_page, wait_until)


def tab(page, name: str) -> None:
    page.click(f"#tab-{name}")


def range_of(name: str) -> str:
    return f"#knob-{name.replace('/', '-')} input[type=range]"


def turn(page, name: str, value) -> None:
    """Turns a knob by hand."""
    knob = KNOBS[name]
    if name == "inject/on":
        tab(page, "inject")
        page.click("[data-page=inject][data-value=free]")
    elif name in ("midi_clock", "keep_time"):
        tab(page, "time")
        page.click(f"[data-page=clock][data-value={'midi' if name == 'midi_clock' else 'free'}]")
    elif knob.kind is Kind.SWITCH:
        page.click(f"[data-knob='{name}']")
    elif knob.kind is Kind.TEXT:
        page.fill(f"[data-knob='{name}']", value)
        page.press(f"[data-knob='{name}']", "Enter")
    else:
        dial = page.locator(range_of(name))
        place = dial if dial.count() else page.locator(f"input[data-knob='{name}']")
        panel = place.evaluate("(node) => node.closest('.mrt-panel')?.id ?? ''")
        if panel:
            tab(page, panel.removeprefix("panel-"))
        place.fill(f"{value:.6g}")
        if name == "seed":
            place.press("Tab")


def shown(page, name: str):
    """What the page shows of a knob."""
    if name == "inject/on":
        return page.get_attribute("[data-page=inject][data-value=off]", "aria-pressed") == "false"
    if name == "keep_time":
        return page.get_attribute("[data-page=clock][data-value=free]", "aria-pressed") == "false"
    knob = KNOBS[name]
    if page.locator(range_of(name)).count():
        # Both in one look: between two looks the page may turn the knob.
        box, dial = page.evaluate(
            "(places) => places.map((place) => document.querySelector(place).value)",
            [f"#knob-{name.replace('/', '-')} input[type=number]", range_of(name)],
        )
        assert float(box) == float(dial), f"{name}: the number box says {box}, the dial {dial}"
        return float(dial)
    place = page.locator(f"[data-knob='{name}']").first
    if knob.kind is Kind.SWITCH:
        return place.get_attribute("aria-pressed") == "true"
    return place.input_value() if knob.kind is Kind.TEXT else float(place.input_value())


def is_shown(page, name: str, value) -> bool:
    if name == "midi_clock":
        return True  # the page's clock is its own: another front end that follows a clock does not change it
    now = shown(page, name)
    return abs(now - value) < 1e-6 if isinstance(value, float) else now == value


def as_file(name: str, text: str, kind: str = "application/json") -> dict:
    return {"name": name, "mimeType": kind, "buffer": text.encode() if isinstance(text, str) else text}


def wave(seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * np.sin(np.arange(int(48_000 * seconds)) / 20), 48_000, format="WAV")
    return buffer.getvalue()
