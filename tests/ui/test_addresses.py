"""Where the page is to be had: ports that are taken, words for people, and what is refused."""

import socket

import pytest

from magenta_rt_py.ui import addresses


def test_a_taken_port_is_told_and_the_default_goes_on_to_the_next(monkeypatch):
    with addresses.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ValueError, match=rf"port {port} of 127.0.0.1 cannot be had .*--port 8000"):
            addresses.listen("127.0.0.1", port)
        monkeypatch.setattr(addresses, "DEFAULT_PORT", port)
        with addresses.listen("127.0.0.1", None) as second:
            assert port < second.getsockname()[1] < port + addresses.TRIED_PORTS


def test_a_browser_that_comes_early_waits_instead_of_being_refused():
    with addresses.listen("127.0.0.1", 0) as bound, socket.create_connection(bound.getsockname(), timeout=5.0) as early:
        served, _ = bound.accept()
        served.sendall(b"late")
        assert early.recv(4) == b"late"
        served.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("192.0.2.7", False)]
    + [("::", False), ("studio", False)],
)
def test_loopback(host, expected):
    assert addresses.is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "is_secure", "root_path", "expected"),
    [
        ("127.0.0.1", False, "", "http://127.0.0.1:7860/"),
        ("0.0.0.0", True, "/mix", "https://127.0.0.1:7860/mix/"),
        ("::", False, "", "http://[::1]:7860/"),
        ("::1", False, "", "http://[::1]:7860/"),
    ],
)
def test_the_address_is_one_that_a_browser_can_open(host, is_secure, root_path, expected):
    assert addresses.url(host, 7860, is_secure=is_secure, root_path=root_path) == expected


@pytest.mark.parametrize("path", ["mix", "/a b", "/../etc", "/mix?x", "//evil", "/<script>", "http://x/"])
def test_prefixes_that_are_none(path):
    with pytest.raises(ValueError, match="--root-path"):
        addresses.check_root_path(path)


def test_prefixes():
    assert [addresses.check_root_path(path) for path in ("", "/", "/mix", "/a/b/")] == ["", "", "/mix", "/a/b"]


@pytest.mark.parametrize("origin", ["example.org", "https://", "ftp://a", "https://a/b", "https://a b", "*", "null"])
def test_origins_that_are_none(origin):
    with pytest.raises(ValueError, match="--allow-origin"):
        addresses.check_origin(origin)


def test_origins():
    assert addresses.check_origin("https://Studio.example:8443") == "https://studio.example:8443"


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "999.1.1.1", ""])
def test_hosts_that_are_not_this_machines(host):
    with pytest.raises(ValueError, match="--host"):
        addresses.check_host(host)


def test_the_address_in_the_network_is_none_of_this_machine_alone():
    found = addresses.network_address()
    assert found is None or not addresses.is_loopback(found)
