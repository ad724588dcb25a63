"""Units: made once, never stale, never half written."""

import numpy as np
import pytest

from magenta_rt_py.train.evaluation.units import Units, source_hash


def _record():
    return {"name": "take", "bpm": 120.0, "empty": None, "list": [1, 2], "rows": np.arange(6.0).reshape(2, 3)}


def test_a_unit_is_made_once_and_comes_back_as_it_was(tmp_path):
    first = Units(tmp_path / "units", key="a")
    made = first.get("take", {"seed": 1}, _record)
    again = Units(tmp_path / "units", key="a")
    found = again.get("take", {"seed": 1}, lambda: pytest.fail("made again"))
    assert (first.made, again.made, again.read) == (1, 0, 1)
    np.testing.assert_array_equal(found.pop("rows"), made.pop("rows"))
    assert found == made


def test_a_unit_that_is_made_anew_takes_the_place_of_the_old(tmp_path):
    units = Units(tmp_path, key="a")
    units.get("take", {}, lambda: {"value": 1})
    assert units.get("take", {}, lambda: {"value": 2}, anew=True) == {"value": 2}
    assert units.get("take", {}, lambda: pytest.fail("made again")) == {"value": 2}
    assert (units.made, units.read) == (2, 1)


@pytest.mark.parametrize(("key", "name", "settings"), [("b", "take", 1), ("a", "render", 1), ("a", "take", 2)])
def test_another_key_name_or_setting_is_another_unit(tmp_path, key, name, settings):
    Units(tmp_path, key="a").get("take", {"seed": 1}, _record)
    other = Units(tmp_path, key=key)
    other.get(name, {"seed": settings}, _record)
    assert other.made == 1


def test_a_damaged_unit_is_made_again(tmp_path):
    Units(tmp_path, key="a").get("take", {}, _record)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    again = Units(tmp_path, key="a")
    again.get("take", {}, _record)
    assert again.made == 1


def test_a_failed_unit_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        Units(tmp_path, key="a").get("take", {}, lambda: (_ for _ in ()).throw(RuntimeError("cut off")))
    with pytest.raises(TypeError):
        Units(tmp_path, key="a").get("take", {}, lambda: {"what": object()})
    assert list(tmp_path.iterdir()) == []


def test_sources_are_told_by_content_and_name(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a")
    two.write_text("b")
    first = source_hash([one, two])
    assert first == source_hash([two, one])
    two.write_text("c")
    assert first != source_hash([one, two])
