"""Requests of many sessions at once: each session plays what it plays alone, whoever comes and goes."""

import itertools

import numpy as np
import pytest

from magenta_rt_py.generators.live_batch import LiveBatch
from magenta_rt_py.generators.live_lm import HeardMix, LiveLM, preroll
from magenta_rt_py.live import transport
from magenta_rt_py.live.frame import Conditioning
from magenta_rt_py.live.generator import BatchGenerator, Request
from magenta_rt_py.lm import decode

LENGTH, SESSIONS = 10, 16


@pytest.fixture(scope="module")
def batch(models):
    return LiveBatch(models, sizes=(1, 4, 16), costs={(2, LENGTH): (0.1, 0.2, 0.3)})


@pytest.fixture(scope="module")
def past(models):
    return preroll(LiveLM(models), conditioning(0), seed=7)


def conditioning(number, **changes):
    style = tuple((number * 37 + level) % 1024 for level in range(6)) if number % 5 else None
    knobs = Conditioning(0.0, 20 + number, 0.5 + 0.1 * number, 1.0, style, transport.start(90.0 + number))
    return knobs._replace(has_clock=number % 3 > 0, **changes)


class Player:
    """One session: what it asks for follows from what it was given before."""

    def __init__(self, models, batch, number, past, **changes):
        self.lm = LiveLM(models, lengths=(LENGTH,), together=batch)
        # A context of its own; number 1 has not had ten seconds yet.
        self.frames = [*past[-250 + number :], *past[:number]] if number != 1 else list(past[:100])
        self.number, self.changes = number, changes
        self.heard = HeardMix(None, np.roll(np.stack([frame.codes for frame in past])[:, :4], number, axis=1))

    def request(self, length=LENGTH, **fields):
        knobs = conditioning(self.number, **self.changes)
        start = len(self.frames)
        return Request(0, start, start, length, tuple(self.frames[-250:]), knobs, seed=self.number, **fields)

    def take(self, frames):
        self.frames += frames
        return np.stack([frame.codes for frame in frames])


def play_together(players, **fields):
    """One run for all; what each was given."""
    requests = [player.request(**fields) for player in players]
    parts = [player.lm.begin(request) for player, request in zip(players, requests)]
    made = players[0].lm.run(parts)
    return [player.take(player.lm.end(request, each)) for player, request, each in zip(players, requests, made)]


def play_alone(player, **fields):
    return player.take(player.lm.generate(player.request(**fields)))


def numbers_of(kind):
    """Sessions whose context is full, but the one that is."""
    return [number for number in range(SESSIONS + 1) if number != 1][:kind]


def test_sixteen_sessions_play_what_each_plays_alone(models, batch, past):
    """Greedily, through two requests, the second of which goes on from the first."""
    assert isinstance(LiveLM(models), BatchGenerator)
    many = [Player(models, batch, number, past) for number in numbers_of(SESSIONS)]
    each = [Player(models, None, number, past) for number in numbers_of(SESSIONS)]
    for _ in range(2):
        for found, player in zip(play_together(many), each, strict=True):
            np.testing.assert_array_equal(found, play_alone(player))
    assert [player.lm.batch for player in many] == [(16, place) for place in range(16)]
    assert all(player.lm.batch == (1, 0) for player in each)
    assert len({player.frames[-1].codes.tobytes() for player in many}) > 4, "the sessions must differ"
    for one, other in zip(many, each):
        assert one.frames[-1].bpm == other.frames[-1].bpm or one.number % 3 == 0
        assert np.array_equal(one.frames[-1].beat, other.frames[-1].beat, equal_nan=True)


def test_with_performers_three_rows_go_together(models, batch, past):
    many = [Player(models, batch, number, past) for number in numbers_of(4)]
    each = [Player(models, None, number, past) for number in numbers_of(4)]
    found = play_together([*many[:3]], heard=many[0].heard)
    for codes, player in zip(found, each):
        np.testing.assert_array_equal(codes, play_alone(player, heard=each[0].heard))
    kinds = [many[3].lm.kind(many[3].request(heard=heard)) for heard in (None, many[3].heard)]
    assert kinds[0] != kinds[1], "sessions with and without a performer go in different batches"
    with pytest.raises(ValueError, match="different shapes"):
        batch.run([many[0].lm.begin(many[0].request(heard=heard)) for heard in (None, many[0].heard)])


def test_kinds_go_by_program_and_model(models, batch, past):
    first, second, filling = (Player(models, batch, number, past) for number in (0, 2, 1))
    kind = first.lm.kind(first.request())
    assert kind == second.lm.kind(second.request(length=3))
    assert (kind.sizes, kind.costs_seconds) == ((1, 4, 16), (0.1, 0.2, 0.3))
    assert kind != first.lm.kind(first.request(length=11))  # the chunk's program
    assert filling.lm.kind(filling.request()) == first.lm.kind(first.request(length=50))  # not ten seconds yet
    assert kind != LiveLM(models, lengths=(LENGTH,)).kind(first.request())
    assert first.lm.kind(first.request(length=50)).costs_seconds == (0.0, 0.0, 0.0)  # not measured


def test_drawn_codes_do_not_depend_on_the_company_and_nothing_is_compiled(models, batch, past):
    """Sessions join, leave and turn knobs between requests."""
    Player(models, batch, 0, past).lm.warm_up(with_input=True)
    before, drawn = decode.compiled_programs(), {}
    for company in ((0, 2, 3), (3, 5), (0, 3, 7, 8), tuple(numbers_of(9)), (3,)):
        players = [Player(models, batch, number, past, temperature=1.0) for number in company]
        for number, codes in zip(company, play_together(players)):
            np.testing.assert_array_equal(codes, drawn.setdefault(number, codes))
    players = [Player(models, batch, number, past, temperature=0.4, top_k=0) for number in (2, 3)]
    play_together(players)
    assert decode.compiled_programs() == before


def test_a_replay_is_served_in_the_same_place_of_the_same_size(models, batch, past):
    many = [Player(models, batch, number, past, temperature=1.0) for number in numbers_of(5)]
    found = play_together(many)
    runs, inner = [], decode.generate_batch

    def generate_batch(*arguments, **options):
        runs.append((len(arguments[2]), np.flatnonzero(arguments[5]).tolist()))
        return inner(*arguments, **options)

    decode.generate_batch = generate_batch
    try:
        for player, codes, place in zip((Player(models, None, number, past, temperature=1.0) for number in numbers_of(5)),
                                        found, itertools.count()):
            np.testing.assert_array_equal(play_alone(player, batch=(16, place)), codes)
            assert player.lm.batch == (16, place)
    finally:
        decode.generate_batch = inner
    assert runs == [(16, [place]) for place in range(5)]


def test_sessions_with_other_strengths_of_the_adapters_go_in_other_batches(models, adapted_model, batch, past):
    adapted, strengths = adapted_model.models, (1.5, 0.0, 1.5)
    shared = LiveBatch(adapted, sizes=(1, 4))
    players = [Player(adapted, shared, number, past, adapter_strength=strengths[number]) for number in range(3)]
    kinds = [player.lm.kind(player.request()) for player in (players[0], players[2])]
    assert kinds[0] == kinds[1] == players[0].lm.kind(players[0].request(length=3))
    assert kinds[0] != players[0].lm.kind(players[0].request()._replace(controls=conditioning(0, adapter_strength=0.0)))
    parts = [player.lm.begin(player.request()) for player in (players[0], players[2])]
    together = [made.codes for made in shared.run(parts)]
    for part, codes in zip(parts, together):
        (alone,) = LiveBatch(adapted).run([part])
        np.testing.assert_array_equal(codes, alone.codes)
    (base,) = LiveBatch(adapted).run([parts[0]._replace(adapter_strength=0.0)])
    assert not np.array_equal(base.codes, together[0])
    with pytest.raises(ValueError, match="shapes or strengths"):
        shared.run([parts[0], parts[1]._replace(adapter_strength=0.0)])
    plain = Player(models, batch, 0, past, adapter_strength=0.5)
    assert plain.lm.kind(plain.request()) == batch.kind(2, LENGTH), "without adapters a strength means nothing"


def test_nonsense_is_refused(models, batch, past):
    player = Player(models, batch, 0, past)
    with pytest.raises(ValueError, match="17 requests at once; give at most 16"):
        batch.run([player.lm.begin(player.request())] * 17)
    for sizes in ((), (2, 4), (1, 4, 2), (1, 1)):
        with pytest.raises(ValueError, match="ascending"):
            LiveBatch(models, sizes=sizes)
