"""`mrtpy ui`: what it refuses before anything is loaded, what it says first, and how it ends."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from magenta_rt_py.cli import program
from magenta_rt_py.generators import system
from magenta_rt_py.ui import addresses, certificates, launch

PATIENCE_SECONDS = 200.0
END_SECONDS = 20.0


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Folder of recordings, logs and certificate."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "magenta_rt_py"


@pytest.fixture
def no_model(monkeypatch):
    """Fails the test if a model is loaded: the input must have been refused before."""

    def load(*arguments):
        raise AssertionError("a model was loaded before the input was checked")

    monkeypatch.setattr(system, "load", load)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A certificate and its key."""
    return certificates.self_signed(tmp_path_factory.mktemp("tls"), ())


@pytest.fixture
def files(made, tmp_path, monkeypatch):
    """A folder to work in, with these two."""
    (tmp_path / "cert.pem").write_bytes(made.certificate.read_bytes())
    (tmp_path / "key.pem").write_bytes(made.key.read_bytes())
    (tmp_path / "text.pem").write_text("no certificate")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("no_model", "files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "--port is 70000"),
        (["--replicas", "0"], "--replicas is 0"),
        (["--cluster", "auto"], "--replicas is None"),
        (["--port", "-1"], "--port is -1"),
        (["--port", "web"], "invalid int value"),
        (["--host", "192.0.2.1"], "--host is '192.0.2.1'"),
        (["--max-sessions", "0"], "--max-sessions is 0"),
        (["--auth", "ann"], "--auth wants a name and a password"),
        (["--auth", ":secret"], "--auth wants a name and a password"),
        (["--auth", "ann:"], "--auth wants a name and a password"),
        (["--auth", "ann:a", "--auth", "ann:b"], "names somebody twice"),
        (["--ssl-cert", "cert.pem"], "--ssl-cert and --ssl-key belong together"),
        (["--ssl-key", "key.pem"], "--ssl-cert and --ssl-key belong together"),
        (["--ssl-cert", "text.pem", "--ssl-key", "key.pem"], "cannot be used"),
        (["--ssl-cert", "none.pem", "--ssl-key", "key.pem"], "no file none.pem"),
        (["--ssl-cert", "cert.pem", "--ssl-key", "key.pem", "--self-signed"], "give one of them"),
        (["--share", "--self-signed"], "--share brings its own https"),
        (["--share", "--root-path", "/mix"], "leave --root-path out"),
        (["--root-path", "mix"], "--root-path is 'mix'"),
        (["--allow-origin", "example.org"], "--allow-origin is 'example.org'"),
        (["--stand-in"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_line_before_any_work(refuse, state, arguments, message):
    assert message in refuse("ui", "--no-browser", *arguments)
    assert not state.exists()


@pytest.mark.usefixtures("no_model")
def test_a_password_is_not_repeated(refuse):
    assert "hunter2" not in refuse("ui", "--auth", ":hunter2")


@pytest.mark.usefixtures("no_model")
def test_a_taken_port_is_told_before_the_model_is_loaded(refuse):
    with addresses.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 cannot be had" in refuse("ui", "--port", port)


@pytest.mark.usefixtures("files")
def test_all_that_is_asked_for_arrives(run, monkeypatch, tiny_bundle):
    asked = []
    monkeypatch.setattr(launch, "serve", lambda config, **more: asked.append(config))
    options = ["--bundle", tiny_bundle, "--port", "0", "--host", "0.0.0.0", "--max-sessions", "3", "--no-browser"]
    options += ["--auth", "ann:a:b", "--auth", "bob:c", "--ssl-cert", "cert.pem", "--ssl-key", "key.pem"]
    options += ["--root-path", "/mix/", "--allow-origin", "https://A.example", "--allow-origin", "http://b:1"]
    assert run("ui", *options)[0] == 0
    (config,) = asked
    assert (config.bundle, config.port, config.host, config.max_sessions) == (tiny_bundle, 0, "0.0.0.0", 3)
    assert config.users == (("ann", "a:b"), ("bob", "c")) and not config.opens_browser and config.is_secure
    assert config.root_path == "/mix" and config.allowed_origins == ("https://a.example", "http://b:1")
    assert run("ui")[0] == 0
    plain = asked[1]
    assert (plain.bundle, plain.port, plain.host, plain.max_sessions) == (None, None, "127.0.0.1", None)
    assert plain.opens_browser and not plain.is_secure and not plain.is_shared and not plain.users


def test_a_missing_extra_is_named(refuse, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "gradio" else found(name, *more))
    assert "pip install 'magenta-rt-py[ui]'" in refuse("ui")


def test_the_command_is_in_the_help(run):
    assert "ui" in program.COMMANDS and " ui " in run("--help")[1]


def test_it_prints_the_address_first_and_ends_with_a_polite_kill(tiny_bundle, root, state):
    command = [sys.executable, "-m", "magenta_rt_py", "ui", "--bundle", str(tiny_bundle), "--port", "0", "--no-browser"]
    command += ["--max-sessions", "1"]  # nothing is compiled for more
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    guard = threading.Timer(PATIENCE_SECONDS, process.kill)
    guard.start()
    try:
        first = process.stdout.readline()
        assert first.startswith("The live-mix page: http://127.0.0.1:"), (first, process.poll())
        address = first.split()[-1]
        with urllib.request.urlopen(f"{address}live/health", timeout=30.0) as answer:
            health = json.load(answer)
        assert health["most"] >= 1 and health["sessions"] == 0
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60.0)
        assert process.returncode == 0, err
        assert time.monotonic() - began < END_SECONDS
        assert "Traceback" not in err and "ending" in out
        assert not list((state / "recordings").iterdir())  # nothing was recorded, nothing is left
    finally:
        guard.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()
