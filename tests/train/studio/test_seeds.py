"""Seeded generators: stable numbers, independent purposes."""

from magenta_rt_py.train.studio.seeds import choose, generator, sound_generator


def test_numbers_are_stable_across_versions_and_processes():
    assert generator(1, "melody").integers(0, 1000, 4).tolist() == generator(1, "melody").integers(0, 1000, 4).tolist()
    assert generator(1, "melody").random() != generator(1, "sections").random()
    assert generator(1, "melody").random() != generator(2, "melody").random()
    assert sound_generator("kit", "snare").random() != sound_generator("kit", "kick").random()


def test_choices_are_even():
    rng = generator(0, "test")
    drawn = [choose(rng, ("a", "b", "c")) for _ in range(600)]
    assert all(150 < drawn.count(name) < 250 for name in "abc")
