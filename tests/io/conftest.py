"""Sound servers of the tests' own, and a sounddevice that is none. Each test ends what it has started."""

import contextlib
import json
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest

PATIENCE_SECONDS = 20.0


class Server:
    """A process in the background."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.environment = {**os.environ, **environment}
        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(command, env=self.environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)

    def wait_until(self, command: list[str]) -> None:
        """Until the command succeeds."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(command, env=self.environment, capture_output=True).returncode:
            assert self.process.poll() is None and time.monotonic() < ends, f"{command} never succeeded"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _forget_jack(name: str) -> None:
    """Removes the semaphores of a client whose server went away: JACK leaves them."""
    for left in Path("/dev/shm").glob(f"jack_sem.*_{name}_*"):
        left.unlink(missing_ok=True)


@pytest.fixture
def start_jack(monkeypatch):
    """Function that starts a JACK server without hardware: start_jack(rate_hz) -> Server. Its name stays the same."""
    name = f"test{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    with contextlib.ExitStack() as stack:
        stack.callback(_forget_jack, name)  # after the servers have ended

        def start(rate_hz: int) -> Server:
            command = ["jackd", "-n", name, "--no-realtime", "-d", "dummy", "-r", str(rate_hz), "-p", "480"]
            server = Server([*command, "-C", "2", "-P", "2"], {"JACK_NO_AUDIO_RESERVATION": "1"})
            stack.callback(server.stop)
            time.sleep(0.3)  # there is no telling when it is ready; whoever needs it tries again
            assert server.process.poll() is None
            return server

        yield start


@pytest.fixture
def pulse(tmp_path, monkeypatch):
    """A PulseAudio server with one device that goes nowhere, which can be listened to. Its Server."""
    folder = tmp_path / "xdg"
    folder.mkdir(mode=0o700)
    for name in ("XDG_RUNTIME_DIR", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PULSE_RUNTIME_PATH", str(folder / "pulse"))
    modules = (
        "module-native-protocol-unix auth-anonymous=1",
        "module-null-sink sink_name=ci rate=48000 channels=2 format=float32le",
    )
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--realtime=no", "--high-priority=no"]
    server = Server([*command, *(part for module in modules for part in ("-L", module))], {})
    try:
        server.wait_until(["pactl", "set-default-sink", "ci"])
        server.wait_until(["pactl", "set-default-source", "ci.monitor"])
        yield server
    finally:
        server.stop()


@pytest.fixture
def fake_card(monkeypatch):
    """Function that makes the card's process use fake/sounddevice.py with these options."""

    def use(**options) -> None:
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "fake"))
        monkeypatch.setenv("FAKE_CARD", json.dumps(options))

    return use
