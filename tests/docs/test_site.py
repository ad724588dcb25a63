"""The documentation builds without a warning, and what it shows is there."""

import html.parser
import os
import subprocess
import sys
import urllib.parse

import pytest

import magenta_rt_py
from magenta_rt_py.cli.program import COMMANDS


def build(config, site):
    """Runs the build as `make docs` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(site)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"})


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = build(root / "docs" / "site" / "mkdocs.yml", folder)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder


class Tags(html.parser.HTMLParser):
    """Ids of a page, what it links to, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        self.loads += [found[name] for name in ("src", "href") if tag in ("img", "script", "link") and found.get(name)]


@pytest.fixture(scope="module")
def pages(site):
    """Path -> Tags of every page."""
    return {path: Tags(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_docs_is_in_the_site(root, site):
    wanted = {path.stem for path in (root / "docs").glob("*.md")}
    assert len(wanted) > 15 and wanted <= {path.stem for path in site.glob("*.html")}


def test_all_links_within_the_site_lead_somewhere(site, pages):
    broken, checked = [], 0
    for path, tags in pages.items():
        for link in [*tags.links, *tags.loads]:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            checked += 1
            heading = urllib.parse.unquote(parts.fragment)
            if not target.is_file() or (heading and target in pages and heading not in pages[target].ids):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert checked > 500 and not broken, broken[:20]


def test_nothing_is_loaded_from_elsewhere(pages):
    assert not [link for tags in pages.values() for link in tags.loads if "//" in link.partition("?")[0]]


def test_the_reference_has_all_public_names(pages, site):
    ids = pages[site / "reference" / "magenta_rt_py.html"].ids
    assert not [name for name in magenta_rt_py.__all__ if f"magenta_rt_py.{name}" not in ids]
    ids = pages[site / "reference" / "magenta_rt_py.train.runs.html"].ids
    assert {"magenta_rt_py.train.runs.RunRecord.begin", "magenta_rt_py.train.runs.find_runs"} <= ids


def test_shapes_comments_of_fields_and_sections_are_read(site):
    runs = (site / "reference" / "magenta_rt_py.train.runs.html").read_text()
    assert "samples channels" in runs, "jaxtyping's axes"
    assert "Hash of the data, hexadecimal digits." in runs, "the comment above a field"
    assert "Returns:" in runs and "FileNotFoundError" in runs


def test_the_commands_are_all_there(site):
    text = (site / "reference" / "commands.html").read_text()
    for name in COMMANDS:
        command = {"evaluate": "eval"}.get(name, name)
        assert f"usage: mrtpy {command}" in text, command


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("live.md", "# Live\n\n[gone](nowhere.md)\n", "nowhere.md"),
        ("live.md", "# Live\n\n[gone](../nowhere/README.md)\n", "nowhere/README.md"),
        ("live.md", "# Live\n\n[gone](index.md#no-such-heading)\n", "no-such-heading"),
        ("forgotten.md", "# Forgotten\n", "forgotten.md"),
    ],
)
def test_a_broken_page_fails_the_build(root, tmp_path, name, text, said):
    """Without the reference, which takes half a minute."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# Front\n\n[live](live.md)\n")
    (docs / "live.md").write_text("# Live\n")
    config = tmp_path / "mkdocs.yml"
    own = root / "docs" / "site"
    changed = ["docs_dir: docs", "nav: [index.md, live.md]", "plugins: [search]", "hooks: [links.py]"]
    config.write_text("\n".join([f"INHERIT: {own / 'mkdocs.yml'}", *changed]))
    # The hook that makes links work, without the functions that add the reference.
    source = (own / "pages.py").read_text().replace("def on_config", "def _config").replace("def on_files", "def _files")
    (tmp_path / "links.py").write_text(source)
    assert build(config, tmp_path / "sound").returncode == 0
    (docs / name).write_text(text)
    done = build(config, tmp_path / "broken")
    assert done.returncode != 0 and said in done.stdout + done.stderr, done.stdout + done.stderr
