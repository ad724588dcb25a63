"""`mrtpy doctor`: what it finds and what it advises."""

import json
import re
import tomllib

from magenta_rt_py.cli import doctor


def test_whole_machine(run, tiny_bundle):
    code, text, err = run("doctor", "--bundle", tiny_bundle, "--requests", "2", "--json")
    assert (code, err) == (0, "")
    report = json.loads(text)
    assert report["versions"]["jax"]
    assert report["machine"]["cores"] >= 1
    assert report["bundle"]["ok"]
    assert report["speed"]["requests"] == 2
    assert report["speed"]["rtf"] > 0
    assert report["speed"]["first_sound_seconds"] > 0
    code, text, _ = run("doctor", "--bundle", tiny_bundle, "--requests", "2")
    assert code == 0
    assert "speed: RTF" in text


def test_missing_bundle_is_a_finding_with_exit_code_2(run, tmp_path):
    code, text, err = run("doctor", "--bundle", tmp_path, "--json")
    assert (code, err) == (2, "")
    report = json.loads(text)
    assert not report["bundle"]["ok"]
    assert any(str(tmp_path) in line for line in report["advice"])
    assert "speed" not in report


def test_extras_are_those_of_the_project(root):
    """Every extra that the doctor names can be installed under that name."""
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(doctor.EXTRAS) <= set(declared)
    for extra, state in doctor.extras().items():
        assert re.fullmatch(r"pip install 'magenta-rt-py\[\w+\]'", state["install"])
        assert extra in state["install"]


def test_advice_for_a_slow_machine():
    healthy = {"versions": {"jax": "1"}, "bundle": {"ok": True}, "machine": {"load_average": 0.1}}
    assert doctor.advice({**healthy, "speed": {"rtf": 3.0}}) == []
    assert "no reserve" in doctor.advice({**healthy, "speed": {"rtf": 0.8}})[0]
    assert "little reserve" in doctor.advice({**healthy, "speed": {"rtf": 1.2}})[0]
    assert "missing: jax" in doctor.advice({**healthy, "versions": {"jax": None}})[0]


def test_refuses(refuse, tiny_bundle):
    assert "give 2 or more" in refuse("doctor", "--requests", "1", "--bundle", tiny_bundle)
