"""Sliders of the page: only those that do something with the model that is loaded."""

import pytest

from magenta_rt_py.ui import page


@pytest.mark.parametrize("has_adapters", [True, False])
def test_there_is_a_slider_for_adapters_where_there_are_some(has_adapters):
    made = page.build(page.PageConfig(make_token=lambda request: "", has_adapters=has_adapters))
    sliders = {block.elem_id for block in made.blocks.values() if (block.elem_id or "").startswith("knob-")}
    wanted = {f"knob-{dial.knob.replace('/', '-')}" for dial in page.DIALS}
    assert "knob-adapter_strength" in wanted
    assert sliders == (wanted if has_adapters else wanted - {"knob-adapter_strength"})
