"""What the site has beside the pages in docs/: the reference, and pages elsewhere in the checkout that docs/ points at.

MkDocs calls the functions `on_...` while it builds (see mkdocs.yml). A link out of docs/, which a forge follows, leads in
the site to a copy of its target; the copies are pages where they are Markdown.
"""

from __future__ import annotations

import ast
import posixpath
import re
import tomllib
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "elsewhere"
"""Folder of the site for what lies outside docs/."""
REFERENCE = "reference"
NOT_IN_REFERENCE = ("magenta_rt_py.cli", "magenta_rt_py.train.starter")
"""Packages that are used by command and not by name."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the reference's pages into the navigation."""
    pages = [f"{REFERENCE}/commands.md", *(f"{REFERENCE}/{package}.md" for package in packages())]
    config.nav = [*(config.nav or []), {"Reference": pages}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the reference, and what is linked from docs/ but lies elsewhere."""
    add_text(files, config, f"{REFERENCE}/commands.md", commands_page())
    for package in packages():
        add_text(files, config, f"{REFERENCE}/{package}.md", package_page(package))
    pages = [file for file in files.documentation_pages() if not file.src_uri.startswith(REFERENCE)]
    while pages:
        page = pages.pop()
        for target in LINK.findall(page.content_string):
            source = repository_path(page.src_uri, target)
            uri = site_path(source)
            if uri.startswith(ELSEWHERE) and not files.get_file_from_path(uri) and (ROOT / source).is_file():
                added = File.generated(config, uri, abs_src_path=str(ROOT / source), inclusion=InclusionLevel.NOT_IN_NAV)
                files.append(added)
                pages += [added] if added.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links within the repository into links within the site; broken ones stay, and MkDocs complains of them."""
    del config, files
    here = page.file.src_uri
    if here.startswith(REFERENCE):
        return markdown
    folder = posixpath.dirname(here)
    return LINK.sub(lambda found: posixpath.relpath(site_path(repository_path(here, found[1])), folder or "."), markdown)


def repository_path(page: str, target: str) -> str:
    """Where a page's link leads, from the checkout's root: ("live.md", "../README.md") -> "README.md"."""
    home = page.removeprefix(f"{ELSEWHERE}/") if page.startswith(f"{ELSEWHERE}/") else f"docs/{page}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(home), target))


def site_path(source: str) -> str:
    """Where a file of the checkout stands in the site."""
    return source.removeprefix("docs/") if source.startswith("docs/") else f"{ELSEWHERE}/{source}"


def add_text(files: Files, config: MkDocsConfig, uri: str, text: str) -> None:
    """Adds a page that is no file."""
    files.append(File.generated(config, uri, content=text))


def packages() -> list[str]:
    """Dotted names of the packages that the reference has a page of."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    return [name for name in listed if name not in NOT_IN_REFERENCE]


def package_page(package: str) -> str:
    """A package's own docstring, then its public names: those of `__all__`, or else those of all its modules."""
    folder = ROOT.joinpath(*package.split("."))
    tree = ast.parse((folder / "__init__.py").read_text())
    names = public_names(tree) or [path.stem for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]
    members = [f"::: {package}.{name}" for name in sorted(names, key=str.casefold)]
    return "\n\n".join([f"# {package}", ast.get_docstring(tree) or "", *members]) + "\n"


def public_names(tree: ast.Module) -> list[str]:
    """What a module's `__all__` lists."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return ast.literal_eval(node.value)
    return []


def commands_page() -> str:
    """What `--help` says of every command."""
    import argparse

    from magenta_rt_py.cli.program import build_parser

    def helps(parser: argparse.ArgumentParser) -> list[str]:
        parser.formatter_class = _Help
        found = [f"## {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```"]
        for action in parser._subparsers._group_actions if parser._subparsers else []:
            if isinstance(action.choices, dict):
                found += [text for command in action.choices.values() for text in helps(command)]
        return found

    class _Help(argparse.HelpFormatter):
        def __init__(self, prog: str) -> None:
            super().__init__(prog, max_help_position=32, width=100)

    return "\n\n".join(["# Commands", "What `mrtpy COMMAND --help` prints.", *helps(build_parser())]) + "\n"
