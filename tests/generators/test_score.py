"""Scores: interpolation, knobs that hold, and everything a score file can get wrong."""

import json

import pytest

from magenta_rt_py.generators.controls import Controls
from magenta_rt_py.generators.score import constant, parse_score, read_score

MOVE = [
    {"at_seconds": 0, "prompts": {"lofi": 1.0, "rain": 0.5}, "bpm": 75},
    {"at_seconds": 10, "ramp_seconds": 4, "prompts": {"techno": 2.0, "lofi": 0.5}, "guidance": 2.5},
    {"at_seconds": 20, "prompts": {"silence": 0}, "bpm": None},
]


def test_weights_move_linearly_and_then_hold():
    score = parse_score(MOVE, Controls())
    assert score.prompts == ("lofi", "rain", "techno", "silence")
    table = {
        0.0: (1.0, 0.5, 0.0),
        9.99: (1.0, 0.5, 0.0),
        10.0: (1.0, 0.5, 0.0),
        11.0: (0.875, 0.375, 0.5),
        13.0: (0.625, 0.125, 1.5),
        14.0: (0.5, 0.0, 2.0),
        19.0: (0.5, 0.0, 2.0),
        20.0: (0.0, 0.0, 0.0),
        99.0: (0.0, 0.0, 0.0),
    }
    for seconds, expected in table.items():
        weights = score.weights(seconds)
        assert [weights[name] for name in ("lofi", "rain", "techno")] == pytest.approx(expected), seconds
        assert weights["silence"] == 0.0


def test_knobs_hold_until_they_are_turned():
    score = parse_score(MOVE, Controls(guidance_weight=1.0, temperature=0.7))
    assert score.controls(5.0) == Controls(guidance_weight=1.0, temperature=0.7, bpm=75.0)
    assert score.controls(15.0) == Controls(guidance_weight=2.5, temperature=0.7, bpm=75.0)
    assert score.controls(25.0).bpm is None


def test_constant_score_is_the_same_at_all_times():
    score = constant([("a", 1.0), ("b", 0.25)], Controls())
    assert score.weights(0.0) == score.weights(1000.0) == {"a": 1.0, "b": 0.25}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "at least one entry"),
        ({"at_seconds": 0}, "JSON list"),
        ([{"at_seconds": 1, "prompts": {"a": 1}}], "must start at 0"),
        ([{"prompts": {"a": 1}}], "at_seconds is None"),
        ([{"at_seconds": 0}], 'needs "prompts"'),
        ([{"at_seconds": 0, "prompts": {}}], 'needs "prompts"'),
        ([{"at_seconds": 0, "prompts": {"a": "loud"}}], "weight 'loud'"),
        ([{"at_seconds": 0, "prompts": {"a": -1}}], "weight -1"),
        ([{"at_seconds": 0, "prompts": {"a": float("nan")}}], "weight nan"),
        ([{"at_seconds": 0, "prompts": {"a": True}}], "weight True"),
        ([{"at_seconds": 0, "prompts": {"a": 1}, "tempo": 100}], "unknown fields tempo"),
        ([{"at_seconds": 0, "prompts": {"a": 1}, "bpm": 1e9}], "bpm is 1000000000.0"),
        ([{"at_seconds": 0, "prompts": {"a": 1}, "bpm": "fast"}], "bpm is 'fast'"),
        ([{"at_seconds": 0, "prompts": {"a": 1}, "temperature": None}], "temperature is None"),
        ([{"at_seconds": 0, "prompts": {"a": 1}, "top_k": 1.5}], "top_k is 1.5; give a whole number"),
        ([{"at_seconds": 0, "prompts": {"a": 1}, "ramp_seconds": -1}], "ramp_seconds is -1"),
        ([{"at_seconds": 0, "prompts": {"a": 1}}, {"at_seconds": 0, "prompts": {"a": 1}}], "entry 2 starts at 0 s"),
        (
            [
                {"at_seconds": 0, "prompts": {"a": 1}},
                {"at_seconds": 5, "ramp_seconds": 9, "prompts": {"a": 1}},
                {"at_seconds": 8, "prompts": {"a": 1}},
            ],
            "before entry 2 is over",
        ),
        ([None], "entry 1 is None"),
    ],
)
def test_a_wrong_score_names_its_entry(entries, message):
    with pytest.raises(ValueError, match="score") as caught:
        parse_score(entries, Controls())
    assert message in str(caught.value)


def test_the_whole_score_is_checked_before_it_starts(tmp_path):
    path = tmp_path / "score.json"
    path.write_text(json.dumps([*MOVE, {"at_seconds": 30, "prompts": {"a": -2}}]))
    with pytest.raises(ValueError, match="weight -2"):
        read_score(path, Controls())
    path.write_text("{ not json")
    with pytest.raises(ValueError, match="not JSON"):
        read_score(path, Controls())
    path.write_bytes(b"\xff\xfe\x00[]")
    with pytest.raises(ValueError, match="not JSON"):
        read_score(path, Controls())
