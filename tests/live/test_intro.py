"""The intro: count-in, loops alone, then everybody, by beat."""

import pytest

from magenta_rt_py.live.intro import Intro, Levels, Phase, levels_at, phase_at

CHOSEN = Levels(input_gain=0.8, feedback=0.95, model_volume=0.6, metronome=0.0)


def test_phases_change_on_their_beats():
    intro = Intro(start_beat=8.0, count_in_beats=4, loops=2, beats_per_loop=8)
    phases = [phase_at(intro, beat) for beat in (0.0, 8.0, 11.999, 12.0, 27.999, 28.0, 1000.0)]
    assert phases == [Phase.COUNT_IN] * 3 + [Phase.INTRO] * 2 + [Phase.PLAYING] * 2
    assert phase_at(intro, 12.0 - 1e-12) is Phase.INTRO  # sums of floats


def test_levels_of_each_phase():
    intro = Intro(count_in_beats=4, loops=1, beats_per_loop=4)
    assert levels_at(intro, 0.0, CHOSEN) == Levels(0.0, 0.0, 0.0, 0.25)
    assert levels_at(intro, 5.0, CHOSEN) == Levels(0.8, 0.0, 0.0, 0.25)
    assert levels_at(intro, 8.0, CHOSEN) == CHOSEN
    assert levels_at(intro, 0.0, CHOSEN._replace(metronome=0.5)).metronome == 0.5


def test_no_intro_is_playing_at_once():
    assert phase_at(Intro(count_in_beats=0, loops=0), 0.0) is Phase.PLAYING


@pytest.mark.parametrize("field", [{"count_in_beats": -1}, {"loops": 65}, {"beats_per_loop": 0}, {"beats_per_loop": 65}])
def test_refuses_intros_without_end(field):
    with pytest.raises(ValueError, match="give"):
        Intro(**field)
