"""Tokens: who may sit down, and which seat is whose. A page gets one when it is built; every own route asks for it.

    <payload>.<HMAC-SHA256 of it>        both base64url without padding
    payload: JSON [seat, expiry in Unix seconds, user]

A token says nothing that is secret; the signature is what cannot be made up. Stateful only in its secret, which is
forgotten when the process ends: pages then ask for a new token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["TokenClaim", "Tokens"]

LONGEST_TOKEN = 1000
"""Characters; a longer one is not even looked at."""
LONGEST_USER = 100
LEAST_SECRET_BYTES = 16
SEAT = re.compile(r"[0-9a-f]{32}")


class TokenClaim(NamedTuple):
    """What a good token says."""

    seat_id: str
    """32 hexadecimal digits; a new one for every token."""
    user: str
    """Who logged in; empty where nobody has to."""
    expires_seconds: float
    """Unix time."""


class Tokens:
    """Makes tokens and checks them. Any thread."""

    def __init__(
        self,
        secret: bytes | None = None,
        *,
        lifetime_seconds: float = 12 * 3600.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Ready.

        Args:
          secret: 16 bytes or more; None makes one up.
          lifetime_seconds: how long a token is good.
          now: Unix time.
        Raises:
          ValueError: the secret is too short, or the lifetime is none.
        """
        if secret is not None and len(secret) < LEAST_SECRET_BYTES:
            raise ValueError(f"a secret of {len(secret)} bytes; give {LEAST_SECRET_BYTES} or more, or None")
        if not 0.0 < lifetime_seconds < math.inf:
            raise ValueError(f"a lifetime of {lifetime_seconds!r} seconds; give more than 0")
        self._secret = secrets.token_bytes(32) if secret is None else secret
        self._lifetime_seconds, self._now = lifetime_seconds, now

    def mint(self, user: str = "") -> str:
        """A token for a new seat.

        Args:
          user: who it is for; cut to 100 characters.
        """
        claim = [secrets.token_hex(16), self._now() + self._lifetime_seconds, user[:LONGEST_USER]]
        payload = _encode(json.dumps(claim, ensure_ascii=False).encode(errors="replace"))
        return f"{payload}.{self._sign(payload)}"

    def check(self, token: str) -> TokenClaim:
        """What a token says.

        Raises:
          ValueError: it is malformed, forged or expired; says no more than that.
        """
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise ValueError("the token is malformed; load the page again")
        payload, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            raise ValueError("the token is not one of this server's; load the page again")
        claim = _claim(payload)
        if not self._now() < claim.expires_seconds:
            raise ValueError("the token has expired; load the page again")
        return claim

    def _sign(self, payload: str) -> str:
        return _encode(hmac.new(self._secret, payload.encode(), hashlib.sha256).digest())


def _claim(payload: str) -> TokenClaim:
    """Of a payload that was signed with our secret: perhaps by another version of this program."""
    try:
        seat_id, expires, user = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if not (SEAT.fullmatch(seat_id) and isinstance(user, str) and math.isfinite(expires)):
            raise ValueError("another form")
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise ValueError("the token is malformed; load the page again") from error
    return TokenClaim(seat_id, user, float(expires))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
