"""A run's settings as JSON holds them, and in which of them two runs differ."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """What JSON can hold of a setting: dataclasses as objects, tuples as lists, anything unknown as its text.

    NaN and infinity, which JSON does not know, become None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: {"model": {"dim": 8}} becomes {"model.dim": 8}. Lists stay whole."""
    if not isinstance(settings, Mapping):
        return {prefix or "value": settings}
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        flat |= flatten(value, path) if isinstance(value, Mapping) and value else {path: value}
    return flat


def differences(left: Any, right: Any) -> dict[str, tuple[Any, Any]]:
    """Settings by their flat names whose values differ: (left, right), None where a side has no such setting."""
    one, two = flatten(left), flatten(right)
    absent = object()
    changed = [name for name in one | two if one.get(name, absent) != two.get(name, absent)]
    return {name: (one.get(name), two.get(name)) for name in changed}
