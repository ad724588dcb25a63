"""What each replica opens, and what the one address is told to be; Ray itself: tests/serve/test_replicas.py."""

import contextlib
import socket

import httpx
import pytest
from ray import cloudpickle

from magenta_rt_py.serve import replicas, stand_in
from magenta_rt_py.serve.tokens import Tokens
from magenta_rt_py.ui import launch, launch_replicas
from magenta_rt_py.ui.launch_config import LaunchConfig

PATIENCE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch, unchecked):
    """Recordings and certificates go here, and types are not checked: a real server runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def here(monkeypatch):
    """Keeps the test's own process as it is; a list of what the replicas would be started with."""
    monkeypatch.setattr(launch_replicas, "raise_priority", lambda: None)
    monkeypatch.setattr(launch_replicas.spent_memory, "keep_few_pools", lambda: True)
    monkeypatch.setattr(launch_replicas.spent_memory, "freeze", lambda: None)
    started = []

    @contextlib.contextmanager
    def running(config):
        started.append(config)
        yield

    @contextlib.contextmanager
    def ended_at_once():
        yield type("Ended", (), {"wait": lambda self, seconds: True})()

    monkeypatch.setattr(replicas, "running", running)
    monkeypatch.setattr(launch, "until_interrupted", ended_at_once)
    return started


def make_factory(bundle, say):
    return stand_in.StandInFactory(cost_seconds=0.002)


def test_a_replica_serves_the_page_at_its_port_with_the_shared_secret(here):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config, tokens = LaunchConfig(port=1, opens_browser=False), Tokens()
        elsewhere = launch_replicas.open_live_server(port, tokens, config=config, make_factory=make_factory)
        elsewhere.close()
    assert elsewhere.port not in (port, 1)
    server = launch_replicas.open_live_server(port, tokens, config=config, make_factory=make_factory)
    try:
        assert server.url == f"http://127.0.0.1:{port}/" and server.is_serving
        asked = httpx.get(f"{server.url}live/log", params={"token": tokens.mint()}, timeout=PATIENCE_SECONDS)
        assert asked.status_code == 404  # it knows the token, which has no log yet
        assert httpx.get(server.url, timeout=PATIENCE_SECONDS).status_code == 200
    finally:
        server.close()


def test_what_is_started_and_said(here):
    told = []
    config = LaunchConfig(port=0, opens_browser=False, users=(("ann", "secret"),), max_sessions=3)
    launch_replicas.serve_replicas(config, count=2, cluster="auto", tell=told.append)
    (started,) = here
    assert (started.count, started.cluster, started.users) == (2, "auto", config.users)
    assert told[0] == f"The live-mix page, from 2 replicas: http://127.0.0.1:{started.port}/" and told[-1] == "ending ..."
    assert "localhost" in started.hosts and started.certificate is None
    travelled = cloudpickle.loads(cloudpickle.dumps(started.open_server))  # to the replicas' processes
    assert travelled.keywords["config"] == config and travelled.keywords["make_factory"].keywords == {"most": 3}


def test_https_for_the_one_address_too(here):
    config = LaunchConfig(port=0, opens_browser=False, is_self_signed=True)
    launch_replicas.serve_replicas(config, count=1, tell=lambda line: None)
    certificate, key = here[0].certificate
    assert b"BEGIN CERTIFICATE" in certificate.read_bytes() and b"PRIVATE KEY" in key.read_bytes()


@pytest.mark.parametrize("options", [{"is_shared": True}, {"root_path": "/mix"}])
def test_what_leads_to_one_server_is_refused(here, options):
    with pytest.raises(ValueError, match="--share and --root-path"):
        launch_replicas.serve_replicas(LaunchConfig(port=0, opens_browser=False, **options), count=2)
    assert not here
