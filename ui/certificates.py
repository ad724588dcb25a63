"""Certificates: https for the page, because browsers give no microphone and no AudioWorklet to plain http off this machine.

A certificate of one's own is checked before anything is loaded. A self-signed one is made by the `openssl` command, and
kept, so that a browser has to be told once to trust it. Stateful: files.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["Certificate", "check", "self_signed"]

VALID_DAYS = 365
RENEW_SECONDS = 7 * 86_400.0
"""A kept certificate that ends sooner is made anew."""
OPENSSL_SECONDS = 30.0
"""The command is given up after so long."""


class Certificate(NamedTuple):
    """Two files, PEM."""

    certificate: Path
    """The certificate, with those that vouch for it after it."""
    key: Path
    """Its private key, without a password."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as browsers show it: pairs of hexadecimal digits, with colons between them."""
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first_of(self.certificate))).hexdigest().upper()
        return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))


def check(certificate: Certificate) -> Certificate:
    """The certificate, if a server can use it.

    Raises:
      ValueError: a file is missing or is no PEM, the key has a password, or the two do not belong together.
    """
    for path in certificate:
        if not path.is_file():
            raise ValueError(f"there is no file {path}; give a certificate and its key, PEM files")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, or the library would ask for one on the terminal.
        context.load_cert_chain(certificate.certificate, certificate.key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ValueError(
            f"{certificate.certificate} and {certificate.key} cannot be used ({' '.join(str(error).split())}); give a "
            "certificate and its own key, PEM files without a password"
        ) from error
    return certificate


def self_signed(folder: Path, hosts: tuple[str, ...]) -> Certificate:
    """A self-signed certificate: the one in the folder if it is good for these hosts and not about to end, else a new one.

    Args:
      folder: where it is kept; made, for the user alone, if it is not there.
      hosts: names and addresses that browsers will ask for; localhost is always among them.
    Raises:
      ValueError: it cannot be made here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made, note = Certificate(folder / "certificate.pem", folder / "key.pem"), folder / "certificate.json"
    names = tuple(sorted({"localhost", "127.0.0.1", "::1", *hosts}))
    if _is_kept(note, names):
        with contextlib.suppress(ValueError):
            return check(made)
    _make(made, names)
    made.key.chmod(0o600)
    note.write_text(json.dumps({"hosts": names, "ends": time.time() + VALID_DAYS * 86_400.0}), encoding="utf-8")
    return check(made)


def _is_kept(note: Path, names: tuple[str, ...]) -> bool:
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        return set(names) <= set(kept["hosts"]) and kept["ends"] - time.time() > RENEW_SECONDS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(made: Certificate, names: tuple[str, ...]) -> None:
    """Writes the two files."""
    shown = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
    command = ["req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", str(VALID_DAYS)]
    command += ["-subj", "/CN=magenta_rt_py", "-keyout", str(made.key), "-out", str(made.certificate)]
    command += ["-addext", f"subjectAltName={shown}", "-addext", "extendedKeyUsage=serverAuth"]
    made.key.unlink(missing_ok=True)
    made.key.touch(mode=0o600)
    problem = _run_openssl(command)
    if problem is not None:
        raise ValueError(
            f"no self-signed certificate could be made ({problem}); install openssl, or give --ssl-cert and --ssl-key"
        )


def _run_openssl(arguments: list[str]) -> str | None:
    """Why it failed, in one line; None if it did not."""
    program = shutil.which("openssl")
    if program is None:
        return "there is no command openssl"
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=OPENSSL_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())[:200]
    return f"openssl: {' '.join(done.stderr.split())[-200:]}" if done.returncode else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _first_of(path: Path) -> str:
    """The first certificate of a file that may hold more."""
    end = "-----END CERTIFICATE-----"
    return path.read_text(encoding="ascii").split(end)[0] + end + "\n"
