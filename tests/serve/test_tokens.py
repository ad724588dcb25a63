"""Tokens: good ones, and all that are not."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenta_rt_py.serve.tokens import TokenClaim, Tokens

SECRET = b"0123456789abcdef"


def test_a_token_says_whose_seat_it_is():
    tokens = Tokens(now=lambda: 1000.0, lifetime_seconds=60.0)
    first, second = tokens.check(tokens.mint("Ada")), tokens.check(tokens.mint())
    assert first.user == "Ada" and first.expires_seconds == 1060.0 and len(first.seat_id) == 32
    assert second.user == "" and second.seat_id != first.seat_id


def test_a_token_expires():
    now = [1000.0]
    tokens = Tokens(now=lambda: now[0], lifetime_seconds=60.0)
    token = tokens.mint()
    now[0] = 1059.9
    tokens.check(token)
    now[0] = 1060.0
    with pytest.raises(ValueError, match="expired"):
        tokens.check(token)


def test_another_servers_token_is_none():
    token = Tokens().mint()
    with pytest.raises(ValueError, match="not one of this server's"):
        Tokens().check(token)
    assert Tokens(SECRET).check(Tokens(SECRET).mint("x")).user == "x"


def test_a_changed_token_is_none():
    tokens = Tokens()
    token = tokens.mint("Ada")
    payload, signature = token.split(".")
    claim = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claim[1] += 1e6
    longer = base64.urlsafe_b64encode(json.dumps(claim).encode()).rstrip(b"=").decode()
    for other in (f"{longer}.{signature}", f"{payload}.", f".{signature}", payload, "", ".", f"{payload}.{signature}x"):
        with pytest.raises(ValueError):
            tokens.check(other)


@given(st.one_of(st.text(max_size=40), st.just("a" * 100_000), st.just(".." * 9)))
def test_whatever_comes_only_a_value_error_goes(token):
    with pytest.raises(ValueError):
        Tokens(SECRET).check(token)


@given(st.text(max_size=300))
def test_any_user_comes_back_and_fits_a_message(user):
    tokens = Tokens(SECRET)
    token = tokens.mint(user)
    assert len(token) <= 1000
    claim = tokens.check(token)
    assert isinstance(claim, TokenClaim) and claim.user == user[:100]


def test_a_lone_surrogate_does_no_harm():
    tokens = Tokens(SECRET)
    assert tokens.check(tokens.mint("a\ud800")).user == "a?"


def test_a_signed_payload_of_another_version_is_malformed():
    tokens = Tokens(SECRET)
    for claim in ([1, 2], {"a": 1}, ["x" * 32, 9e9, ""], ["0" * 32, "soon", ""], ["0" * 32, 9e9, 5], "text", [[], 1, 1]):
        payload = base64.urlsafe_b64encode(json.dumps(claim).encode()).rstrip(b"=").decode()
        with pytest.raises(ValueError, match="malformed"):
            tokens.check(f"{payload}.{tokens._sign(payload)}")


def test_weak_settings_are_refused():
    for bad in ({"secret": b"short"}, {"lifetime_seconds": 0.0}, {"lifetime_seconds": float("nan")}):
        with pytest.raises(ValueError):
            Tokens(**bad)
