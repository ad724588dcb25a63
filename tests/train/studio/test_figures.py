"""Figures: starts, lengths, loops of other lengths than a bar, and levels by place."""

from magenta_rt_py.train.studio.figures import Step, bar_of, place_velocity, read_figure, repeat_figure


def test_a_figure_is_read_with_its_holds():
    assert read_figure("R--.F...", span_beats=4, start_beat=8.0) == [Step(8.0, 1.5, "R"), Step(10.0, 0.5, "F")]


def test_a_figure_repeats_and_stops_at_the_end():
    assert [step.beat for step in repeat_figure("x.x.", span_beats=4, total_beats=6)] == [0.0, 2.0, 4.0]


def test_a_bar_of_a_long_a_plain_and_a_short_loop():
    assert [bar_of("abcdefgh", loop_beats=8, bar=bar) for bar in range(3)] == ["abcd", "efgh", "abcd"]
    assert bar_of("abcd", loop_beats=4, bar=5) == "abcd"
    assert bar_of("abcd", loop_beats=2, bar=5) == "abcdabcd"


def test_the_first_beat_is_the_strongest_and_halves_of_a_bar_differ():
    levels = [place_velocity(4 + step / 4) for step in range(16)]
    assert levels[0] == max(levels) and levels.count(levels[0]) == 1
    assert levels[:8] != levels[8:]
    assert levels[4] > levels[2] > levels[1]
