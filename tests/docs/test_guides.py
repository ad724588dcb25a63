"""Every command that a guide names exists, with these options."""

import ast
import re
import shlex
import subprocess

import pytest

from magenta_rt_py.cli.program import build_parser

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
PAGES = ("guide-musician", "guide-performer", "guide-researcher", "preparing", "finetuning", "runs")


@pytest.fixture(params=PAGES)
def page(request, root):
    """Text of a page."""
    return (root / "docs" / f"{request.param}.md").read_text()


def lines_of(text, program):
    """Shell lines that call a program, without comments, and what stands as code in the text."""
    blocks = [block for language, block in BLOCK.findall(text) if language == "sh"]
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    spoken = [line for line in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)) if line.startswith(f"{program} ")]
    return [line for line in lines if line.split()[:1] == [program]], spoken


def test_commands_parse(page):
    lines, spoken = lines_of(page, "mrtpy")
    assert lines
    for line in lines:
        parsed = build_parser().parse_args(shlex.split(line)[1:])
        assert callable(parsed.run), line
    for line in spoken:
        words = [word for word in shlex.split(line)[1:3] if not word.startswith("-")]
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args([*words[:2], "--help"])
        assert stop.value.code == 0, line


def test_a_command_that_does_not_exist_would_be_found():
    for line in ("mrtpy dance", "mrtpy live --no-such-option"):
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args(shlex.split(line)[1:])
        assert stop.value.code == 2


def test_make_targets_exist(page, root):
    lines, spoken = lines_of(page, "make")
    for line in [*lines, *spoken]:
        done = subprocess.run([*shlex.split(line), "-n"], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)


def test_python_examples_are_python(page):
    for language, block in BLOCK.findall(page):
        if language == "python":
            ast.parse(block)


def test_each_person_has_a_guide_that_is_linked_from_the_front_page(root):
    front = (root / "docs" / "index.md").read_text()
    assert not [name for name in PAGES if f"({name}.md)" not in front]
