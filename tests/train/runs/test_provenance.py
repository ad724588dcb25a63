"""Where a result comes from."""

import subprocess

import pytest

from magenta_rt_py import __version__
from magenta_rt_py.train.runs import provenance
from magenta_rt_py.train.runs.provenance import machine_state, source_state


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one commit, which the package is taken to lie in."""

    def git(*words):
        who = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "_CHECKOUT", tmp_path)
    return tmp_path


def test_a_checkout_has_a_commit_and_may_differ_from_it(checkout):
    clean = source_state()
    assert clean["version"] == __version__ and len(clean["commit"]) == 40 and clean["changed"] is False
    (checkout / "file").write_text("two")
    assert source_state() == clean | {"changed": True}


def test_an_installed_package_does_not_take_the_commit_of_a_checkout_around_it(checkout, monkeypatch):
    inside = checkout / "site-packages"
    inside.mkdir()
    monkeypatch.setattr(provenance, "_CHECKOUT", inside)
    assert source_state() == {"version": __version__}


def test_the_machine_is_described_without_names_of_hosts():
    found = machine_state()
    assert found["cores"] >= 1 and found["devices"] >= 1 and found["processor"]
    assert set(found) == {"processor", "cores", "device", "devices", "python", "jax", "numpy"}
