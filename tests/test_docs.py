"""The documents point at things that exist."""

import re

import pytest

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = ("magenta_rt_py", "codec", "style", "lm", "train", "ui", "docs", "benchmarks", "tests", "examples", "colab")
PARTS = tuple(f"{name}/" for name in FOLDERS)
SECTIONS = ("1 Int", "2.1", "2.2", "2.3", "2.4", "3 Exp", "4 Con", "5 Con", "Appendix C", "Appendix D", "Appendix E")


@pytest.fixture(scope="module")
def documents(root, project_files) -> dict:
    """Path -> text of every Markdown file."""
    found = {path: (root / path).read_text() for path in project_files if path.suffix == ".md"}
    assert len(found) >= 7
    return found


def test_links_lead_somewhere(root, documents):
    broken = []
    for path, text in documents.items():
        for target in LINK.findall(text):
            if "://" not in target and not (root / path.parent / target).exists():
                broken.append(f"{path}: {target}")
    assert not broken, broken


def test_named_files_exist(root, documents):
    missing = []
    for path, text in documents.items():
        if path.name == "CHANGELOG.md":  # tells of files that are no more
            continue
        for name in CODE.findall(text):
            if name.startswith(PARTS) and re.fullmatch(r"[\w./-]+", name) and not (root / name).exists():
                missing.append(f"{path}: {name}")
    assert not missing, "\n".join(missing)


def test_the_paper_map_covers_every_section(documents):
    text = next(text for path, text in documents.items() if path.name == "paper_map.md")
    for section in SECTIONS:
        assert f"\n## {section}" in text, section
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| claim"):
            assert line.count("|") == 4, line


def test_sources_name_what_ci_installs(root, documents):
    sources = next(text for path, text in documents.items() if path.name == "sources.md")
    packages = set(re.findall(r"[\w-]+soundfont[\w-]*", (root / ".ci" / "run").read_text()))
    assert packages and all(package in sources for package in packages)


def test_the_glossary_defines_each_word_once(documents):
    text = next(text for path, text in documents.items() if path.name == "glossary.md")
    words = [word.strip() for row in re.findall(r"^\| ([^|]+) \|", text, re.M) for word in row.split(",")]
    words = [word for word in words if word != "word"]
    assert len(words) > 50
    assert sorted({word for word in words if words.count(word) > 1}) == []
