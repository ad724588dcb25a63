"""docs/reliability.md: its table of faults is held against the tests of these faults."""

import ast
import re


def test_the_date_may_change(root):
    """Nothing that plays asks what time of day it is."""
    asked = []
    for folder in ("live", "io"):
        for path in (root / "magenta_rt_py" / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr == "time" and ast.unparse(node) == "time.time":
                    asked.append(f"{path.name}:{node.lineno}")
    assert not asked, asked


def test_the_table_has_every_fault(root):
    text = (root / "docs" / "reliability.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`test_" in line]
    listed = [name for row in rows for name in re.findall(r"`(test_\w+)`", row)]
    assert all(row.count("|") == 6 for row in rows) and len(listed) == len(set(listed)) > 20
    here, elsewhere = _tests(root / "tests/live/test_faults.py"), set()
    for name in ("test_reliability.py", "cli/test_live.py", "cli/test_replay.py", "generators/test_style_desk.py"):
        elsewhere |= _tests(root / "tests" / name)
    assert here <= set(listed), sorted(here - set(listed))
    assert set(listed) <= here | elsewhere, sorted(set(listed) - here - elsewhere)


def _tests(path):
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)} & set(
        re.findall(r"test_\w+", path.read_text())
    )
