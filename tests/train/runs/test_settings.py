"""Settings as JSON, and their differences."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from magenta_rt_py.train.runs.settings import differences, flatten, plain


@dataclasses.dataclass(frozen=True)
class Inner:
    widths: tuple[int, ...] = (8, 16)
    rate: float = 1e-3


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    name: str = "x"
    limit: float | None = None


def test_everything_becomes_plain_json():
    given = {"config": Outer(), "path": Path("a") / "b", "count": np.int64(3), "nan": float("nan"), "kinds": {"b", "a"}}
    found = plain(given)
    assert found == {
        "config": {"inner": {"widths": [8, 16], "rate": 1e-3}, "name": "x", "limit": None},
        "path": str(Path("a") / "b"), "count": 3, "nan": None, "kinds": ["a", "b"],
    }  # fmt: skip
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert isinstance(plain({"call": print})["call"], str)


def test_nested_settings_become_one_level():
    assert flatten({"a": {"b": {"c": 1}}, "d": [1, 2], "e": {}}) == {"a.b.c": 1, "d": [1, 2], "e": {}}


def test_only_what_differs_is_a_difference():
    left = plain(Outer())
    right = plain(Outer(inner=Inner(rate=2e-3)))
    assert differences(left, left) == {}
    assert differences(left, right) == {"inner.rate": (1e-3, 2e-3)}
    # None that was chosen is not the same as nothing said.
    assert differences({"limit": None}, {}) == {"limit": (None, None)}
