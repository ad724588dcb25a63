"""The reported figures fit together."""

import pytest

from magenta_rt_py.live.streammuse import FITTED, TABLE_III


def test_24_rows_in_three_settings():
    assert len(TABLE_III) == 24
    assert {row.setting for row in TABLE_III} == set(FITTED)
    pairs = [(row.interval, row.generation_length) for row in TABLE_III]
    assert pairs[:8] == pairs[8:16] == pairs[16:]


@pytest.mark.parametrize("row", TABLE_III, ids=lambda row: f"{row.setting} {row.interval} {row.generation_length}")
def test_the_weighted_rate_follows_from_the_other_two(row):
    """ISR_w = ISR * (32 - staleness) / 32: a slip in copying a row would show here."""
    assert row.isr_w == pytest.approx(row.isr * (32 - row.staleness) / 32, abs=0.002)
