"""Sound made together is the sound made alone, and who fails or leaves disturbs nobody."""

import threading

import numpy as np
import pytest

from magenta_rt_py.generators import codec_lm, sound_batch
from magenta_rt_py.generators.live_lm import LiveLM, LiveSound, preroll
from magenta_rt_py.generators.sound_batch import SoundBatch, Stream
from magenta_rt_py.live import transport
from magenta_rt_py.live.frame import Conditioning

STREAMS = 4


@pytest.fixture(scope="module")
def past(models):
    plain = Conditioning(1.0, 40, 1.0, 0.0, (1, 2, 3, 4, 5, 6), transport.start(120.0))
    return preroll(LiveLM(models), plain, seed=7)


def sound_of(models, number, past, **options):
    return LiveSound(models, seed=number, past=past[: 50 + number], **options)


def pieces_of(number, past, lengths=(4, 1, 9, 3)):
    first = 60 + 3 * number
    for length in lengths:
        yield past[first : first + length]
        first += length


def test_streams_at_points_of_their_own_sound_as_alone(models, past):
    together = SoundBatch(models, sizes=(1, 2, 4))
    places = [together.open() for _ in range(STREAMS)]
    assert places == [0, 1, 2, 3] and together.open() is None and together.width == 4
    sounds = [sound_of(models, number, past, together=together, place=number) for number in places]
    alone = [sound_of(models, number, past) for number in places]
    sounds[2].is_coarse = alone[2].is_coarse = True
    for number in places:
        for frames in pieces_of(number, past):
            found, expected = sounds[number].render(frames), alone[number].render(frames)
            assert sounds[number].width == 4 and alone[number].width == 1
            # The same codes, and so the same sound but for rounding, which now and then grows for a frame (to 2e-4 here);
            # which codes are drawn may hang on it, very seldom.
            assert np.abs(found - expected).mean() < 1e-3 * np.abs(expected).mean() and np.abs(expected).max() > 0.0


def test_all_at_once_each_gets_its_own(models, past, monkeypatch):
    """Threads meet while one is being served: they are served together next."""
    together, widths, gate = SoundBatch(models, sizes=(1, 4)), [], threading.Event()
    places = [together.open() for _ in range(STREAMS)]
    sounds = [sound_of(models, number, past, together=together, place=number) for number in places]
    inner = sound_batch.render

    def render(models, streams, *, width):
        assert gate.wait(30.0)
        widths.append(sorted(streams))
        return inner(models, streams, width=width)

    monkeypatch.setattr(sound_batch, "render", render)
    found = {}
    frames = [next(pieces_of(number, past)) for number in places]
    threads = [threading.Thread(target=lambda n=n: found.update({n: sounds[n].render(frames[n])})) for n in places]
    for thread in threads:
        thread.start()
    while len(together._waiting) < STREAMS - 1:
        threading.Event().wait(0.005)
    gate.set()
    for thread in threads:
        thread.join(60.0)
    assert len(widths) == 2 and len(widths[0]) == 1 and len(widths[1]) == 3
    monkeypatch.undo()
    for number in places:  # whoever was there, at the same place of the same width the samples are the same
        again = sound_of(models, number, past, place=number)
        again.width = 4
        np.testing.assert_array_equal(found[number], again.render(frames[number]))


def test_one_that_fails_fails_alone(models, past):
    together = SoundBatch(models, sizes=(1, 2))
    good, bad = (sound_of(models, number, past, together=together, place=together.open()) for number in range(2))
    frames = next(pieces_of(0, past))
    wrong = [frame._replace(codes=np.full_like(frame.codes, 5000)) for frame in frames]
    with pytest.raises(ValueError, match="5000"):
        bad.render(wrong)
    codes = [np.stack([frame.codes for frame in each]) for each in (frames, wrong)]
    wishes = [sound_batch._Wish(place, Stream(sound._state, codes[place])) for place, sound in enumerate((good, bad))]
    together._waiting += wishes
    together._serve()
    assert wishes[0].error is None and wishes[0].answer[2] == 1 and isinstance(wishes[1].error, ValueError)
    np.testing.assert_array_equal(wishes[0].answer[1], sound_of(models, 0, past).render(frames))
    assert len(bad.render(frames)) == len(frames) * 1920 and bad.width == 2  # and goes on where it was


def test_the_width_follows_who_is_there(models):
    together = SoundBatch(models, sizes=(1, 2, 4))
    assert together.width == 1
    first, second, third = (together.open() for _ in range(3))
    assert together.width == 4
    together.close(first)
    assert together.width == 4 and together.open() == first
    together.close(third)
    assert together.width == 2
    together.close(second)
    together.close(second)
    assert together.width == 1


def test_peeking_goes_together_too_and_changes_nothing(models, past):
    together = SoundBatch(models, sizes=(1, 2))
    sounds = [sound_of(models, number, past, together=together, place=together.open()) for number in range(2)]
    frames = list(pieces_of(1, past))
    seen = sounds[1].peek(frames[0])
    assert sounds[1].width == 1  # nothing of it was played
    np.testing.assert_array_equal(seen, sounds[1].render(frames[0]))
    assert sounds[1].width == 2 and sounds[1].peek([]).shape == (0, 2)


def test_nothing_is_compiled_once_it_plays(models, past):
    from magenta_rt_py.codec import compact
    from magenta_rt_py.lm import refinement

    together = SoundBatch(models, sizes=(1, 2))
    together.warm_up()
    sounds = [sound_of(models, number, past, together=together, place=together.open()) for number in range(2)]
    programs = refinement.refine_batch, compact._decode_blocks, sound_batch._keys
    before = [program._cache_size() for program in programs]
    for frames in pieces_of(0, past, (1, 2, 3, 5, 20)):
        sounds[1].render(frames)
        sounds[0].peek(frames)
    assert [program._cache_size() for program in programs] == before


def test_on_a_cpu_each_makes_its_own():
    assert sound_batch.usual_sizes((1, 2, 4)) == (1,)


def test_sound_without_a_refinement_model(models, past):
    """A language model of all levels: nothing is refined, and the codes go to the codec as they are."""
    import dataclasses

    plain = dataclasses.replace(models, refinement_params=None)
    codes = np.stack([frame.codes for frame in past[:5]])
    states = [codec_lm.init_state(plain, seed=number) for number in range(2)]
    found = sound_batch.render(plain, {0: Stream(states[0], codes), 1: Stream(states[1], codes[:2])}, width=2)
    for place, stream in enumerate((codes, codes[:2])):
        _, samples = plain.codec.decode_step(plain.codec.init_decode_state(1), stream[None])
        assert np.abs(found[place][1] - samples[0]).mean() < 1e-5
