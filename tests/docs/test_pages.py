"""What the site adds to docs/."""

import ast

import pytest


@pytest.fixture(scope="module")
def pages(load_site_module):
    return load_site_module("pages")


def test_links_are_followed_through_the_checkout(pages):
    assert pages.repository_path("live.md", "controls.md") == "docs/controls.md"
    assert pages.repository_path("live.md", "../clients/pd/README.md") == "clients/pd/README.md"
    assert pages.repository_path("elsewhere/clients/pd/README.md", "../../docs/live.md") == "docs/live.md"
    assert pages.site_path("docs/live.md") == "live.md"
    assert pages.site_path("clients/pd/live.pd") == "elsewhere/clients/pd/live.pd"


def test_only_links_within_the_checkout_are_links(pages):
    text = "[a](x.md) [b](https://example.org/x.md) [c](#here) [d](../y.md#there) ![e](z.png) [f](mailto:a)"
    assert pages.LINK.findall(text) == ["x.md", "../y.md", "z.png"]


def test_pages_are_of_all_packages_but_those_used_by_command(pages):
    packages = pages.packages()
    assert {"magenta_rt_py", "magenta_rt_py.live", "magenta_rt_py.train.runs"} <= set(packages)
    assert not {"magenta_rt_py.cli", "magenta_rt_py.train.starter"} & set(packages)


def test_a_package_with_public_names_shows_these_and_others_their_modules(pages):
    assert "::: magenta_rt_py.style.StyleModel\n" in pages.package_page("magenta_rt_py.style")
    assert "embedder" not in pages.package_page("magenta_rt_py.style")
    text = pages.package_page("magenta_rt_py.live")
    assert "::: magenta_rt_py.live.engine\n" in text and "It knows neither JAX nor any model." in text
    assert pages.public_names(ast.parse("__all__ = ['b', 'a']")) == ["b", "a"]
    assert pages.public_names(ast.parse("x = 1")) == []
