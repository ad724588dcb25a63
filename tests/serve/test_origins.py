"""Origins: a page of this server and programs may talk; every other page may not, whatever it writes."""

import pytest

from magenta_rt_py.serve import origins


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:7860", "127.0.0.1:7860"),
        ("https://studio.example", "studio.example"),
        ("https://studio.example:443", "studio.example"),
        ("http://Studio.Example", "studio.example:80"),
        ("http://[::1]:7860", "[::1]:7860"),
    ],
)
def test_the_servers_own_pages_may(origin, host):
    assert origins.is_allowed([origin], host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "127.0.0.1:7860"),
        ("http://127.0.0.1:7861", "127.0.0.1:7860"),
        ("http://127.0.0.1", "127.0.0.1:7860"),
        ("null", "127.0.0.1:7860"),
        ("", "127.0.0.1:7860"),
        ("file://", "127.0.0.1:7860"),
        ("http://127.0.0.1:7860.evil.example", "127.0.0.1:7860"),
        ("http://127.0.0.1:7860@evil.example", "127.0.0.1:7860"),
        ("http://evil.example/127.0.0.1:7860", "127.0.0.1:7860"),
        ("http://127.0.0.1:99999", "127.0.0.1:99999"),
        ("http://studio.example", None),
    ],
)
def test_other_pages_may_not(origin, host):
    assert not origins.is_allowed([origin], host)
    assert not origins.is_allowed([origin], host, is_program=True)


def test_pages_on_the_list_may():
    allowed = ("https://studio.example",)
    assert origins.is_allowed(["https://studio.example"], "127.0.0.1:7860", allowed=allowed)
    assert not origins.is_allowed(["http://studio.example"], "127.0.0.1:7860", allowed=allowed)
    assert not origins.is_allowed(["https://other.example"], "127.0.0.1:7860", allowed=allowed)


def test_without_an_origin_only_programs_may():
    assert origins.is_allowed([], "127.0.0.1:7860", is_program=True)
    assert not origins.is_allowed([], "127.0.0.1:7860")


def test_two_origins_are_none():
    assert not origins.is_allowed(["http://a.example", "http://a.example"], "a.example", is_program=True)


def test_a_forwarded_host_counts_only_with_a_proxy_of_ours():
    told = (["127.0.0.1:7860"], ["studio.example"])
    assert origins.host_of(*told, is_proxy_trusted=False) == "127.0.0.1:7860"
    assert origins.host_of(*told, is_proxy_trusted=True) == "studio.example"
    assert origins.host_of(["a.example", "b.example"], [], is_proxy_trusted=False) is None
    assert origins.host_of([], [], is_proxy_trusted=True) is None


def test_names_that_are_not_ours():
    ours = ("127.0.0.1", "localhost", "::1")
    assert origins.is_known_host("localhost:7860", ours)
    assert origins.is_known_host("[::1]:7860", ours)
    assert origins.is_known_host("LOCALHOST", ours)
    assert not origins.is_known_host("rebound.example:7860", ours)
    assert not origins.is_known_host(None, ours)
    assert origins.is_known_host("anything", ())
