"""The public names: exact, lazy, light."""

import re
import subprocess
import sys

import pytest

import magenta_rt_py as mrt

EXPECTED = {
    "Audio",
    "AudioFormatError",
    "BundleError",
    "Controls",
    "LiveState",
    "MrtError",
    "MusicModel",
    "SAMPLE_RATE",
    "Stream",
    "Style",
    "load",
    "read",
    "write",
}


def test_public_names_are_exactly_these_and_all_load():
    assert set(mrt.__all__) == EXPECTED
    for name in mrt.__all__:
        assert getattr(mrt, name) is not None
    assert set(mrt.__all__) <= set(dir(mrt))


def test_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="public names: .*Audio"):
        _ = mrt.play  # pyright: ignore


def test_version_has_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", mrt.__version__)


def test_import_is_light():
    program = (
        "import sys, magenta_rt_py, magenta_rt_py.live, magenta_rt_py.cli.program as m; m.build_parser();"
        "heavy = {'jax', 'flax', 'numba', 'matplotlib', 'gradio', 'sounddevice', 'tensorflow', 'librosa', 'optax'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
