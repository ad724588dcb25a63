"""The error tree: one base class, one line each, and the missing extra says how to get it."""

import pytest

from magenta_rt_py import errors


def test_every_named_error_is_public_and_has_the_base_class():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.MrtError), name


def test_the_docstring_draws_every_error():
    for name in errors.__all__:
        assert name in (errors.__doc__ or ""), name


def test_a_missing_extra_gives_the_pip_line_and_is_an_import_error():
    error = errors.MissingExtraError("the browser page", "gradio", "ui")
    assert isinstance(error, ImportError)
    assert "pip install 'magenta-rt-py[ui]'" in str(error)
    assert "gradio" in str(error) and "the browser page" in str(error)
    assert "\n" not in str(error)
    with pytest.raises(errors.MrtError):
        raise error
