"""Certificates: one that was made here serves https and is kept; files that do not fit are refused in one line."""

import contextlib
import hashlib
import json
import socket
import ssl
import stat
import subprocess
import threading

import pytest

from magenta_rt_py.ui import addresses, certificates


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A certificate that was made here."""
    return certificates.self_signed(tmp_path_factory.mktemp("tls") / "folder", ("192.0.2.7", "studio.example"))


def talk(certificate, name):
    """The certificate's digest as a client sees it that asks for a name and trusts this certificate alone."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(*certificate)
    client_side = ssl.create_default_context(cafile=str(certificate.certificate))
    with addresses.listen("127.0.0.1", 0) as bound:

        def answer():
            plain, _ = bound.accept()
            with plain, contextlib.suppress(OSError):  # the client hung up; what it says of that is what counts
                server_side.wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            plain = socket.create_connection(bound.getsockname(), timeout=10.0)
            with plain, client_side.wrap_socket(plain, server_hostname=name) as secure:
                return secure.getpeercert(binary_form=True)
        finally:
            thread.join(10.0)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "192.0.2.7", "studio.example"])
def test_clients_find_the_names_they_ask_for(made, name):
    seen = hashlib.sha256(talk(made, name)).hexdigest()
    assert certificates.Certificate(*made).fingerprint.replace(":", "").lower() == seen


def test_other_names_are_not_vouched_for(made):
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(made, "bank.example")


def test_the_key_is_for_its_owner_alone(made):
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700


def test_it_is_kept_while_it_is_good(made):
    before = made.fingerprint
    assert certificates.self_signed(made.key.parent, ("studio.example",)).fingerprint == before


@pytest.mark.parametrize("spoil", ["hosts", "ends", "key", "note"])
def test_it_is_made_anew_when_it_is_not(tmp_path, spoil):
    kept = certificates.self_signed(tmp_path, ())
    before, note = kept.fingerprint, tmp_path / "certificate.json"
    content = json.loads(note.read_text())
    hosts = ("192.0.2.9",) if spoil == "hosts" else ()
    if spoil == "ends":
        note.write_text(json.dumps({**content, "ends": 0.0}))
    elif spoil == "key":
        kept.key.write_text("no key")
    elif spoil == "note":
        note.write_text("[]")
    assert certificates.self_signed(tmp_path, hosts).fingerprint != before


def test_without_openssl_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(certificates.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="no command openssl.*--ssl-cert"):
        certificates.self_signed(tmp_path, ())


def test_files_that_do_not_fit(made, tmp_path):
    other = certificates.self_signed(tmp_path, ())
    for bad in (
        certificates.Certificate(made.certificate, other.key),
        certificates.Certificate(made.key, made.key),
        certificates.Certificate(tmp_path / "none.pem", made.key),
    ):
        with pytest.raises(ValueError, match="PEM") as error:
            certificates.check(bad)
        assert "\n" not in str(error.value)
    assert certificates.check(made) == made


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(made, tmp_path, monkeypatch):
    passwords = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile, keyfile=None, password=None):
            passwords.append(password)  # without one, the library would ask on the terminal
            super().load_cert_chain(certfile, keyfile, password)

    monkeypatch.setattr(certificates.ssl, "SSLContext", Context)
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkcs8", "-topk8", "-in", made.key, "-out", locked, "-passout", "pass:secret"]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ValueError, match="without a password"):
        certificates.check(certificates.Certificate(made.certificate, locked))
    assert passwords[0]() == b""
