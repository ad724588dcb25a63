"""The two modules beside the site's configuration, which are no part of the package."""

import importlib.util

import pytest


@pytest.fixture(scope="session")
def load_site_module(root):
    """Loads docs/site/NAME.py."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"site_{name}", root / "docs" / "site" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
