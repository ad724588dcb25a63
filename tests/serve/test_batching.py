"""What goes to the device together, and when: the rule alone, and what becomes of jobs that fail among others."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenta_rt_py.live.generator import BatchGenerator, Kind, Request
from magenta_rt_py.live.worker import BatchJob, job_of
from magenta_rt_py.serve import batching
from magenta_rt_py.serve.batching import ALONE, Choice, Waiting, choose

SIZES, COSTS = (1, 2, 4, 8), (0.10, 0.12, 0.16, 0.24)
KIND = Kind("a", SIZES, COSTS)
SLOW = Kind("slow", SIZES, (0.1, 0.2, 0.4, 0.8))
OTHER = Kind("b", SIZES, COSTS)


def waiting(*leads, kind=KIND, came=0.0):
    return [Waiting(kind, lead, came, age) for age, lead in enumerate(leads)]


def test_all_of_a_kind_go_together_the_most_urgent_first():
    assert choose(waiting(0.9, 0.4, 2.0), 0.0, sessions=3).chosen == (1, 0, 2)


def test_of_equals_the_eldest_comes_first_and_no_lead_is_no_hurry():
    assert choose(waiting(0.5, math.inf, 0.5), 0.0, sessions=3).chosen == (0, 2, 1)


def test_other_kinds_wait():
    mixed = [*waiting(0.9, 0.4), *waiting(0.5, 0.3, kind=OTHER)]
    assert choose(mixed, 0.0, sessions=4).chosen == (3, 2)


def test_what_cannot_be_batched_goes_alone_and_at_once():
    assert choose(waiting(0.9, 0.4, kind=ALONE), 0.0, sessions=9).chosen == (1,)
    assert choose(waiting(0.9, 0.4, kind=Kind("a")), 0.0, sessions=9).chosen == (1,)


def test_a_request_waits_a_moment_for_company():
    found = choose(waiting(1.0, 1.0, came=5.0), 5.01, sessions=3, window_seconds=0.03)
    assert found.chosen == () and found.until_seconds == pytest.approx(5.03)
    assert choose(waiting(1.0, 1.0, came=5.0), 5.03, sessions=3, window_seconds=0.03).chosen == (0, 1)


def test_nobody_waits_whose_sound_would_run_out():
    """0.2 s are left: 0.12 for the two of them, 0.04 to make it sound."""
    found = choose(waiting(0.2), 0.0, sessions=3, window_seconds=1.0)
    assert found.until_seconds == pytest.approx(0.2 - 0.12 - batching.SPARE_SECONDS)
    assert choose(waiting(0.15), 0.0, sessions=3, window_seconds=1.0).chosen == (0,)


def test_a_full_batch_does_not_wait():
    assert len(choose(waiting(*[1.0] * 9), 0.0, sessions=20).chosen) == 8


def test_the_batch_is_as_large_as_serves_the_most_urgent_in_time():
    leads = [0.13, *[1.0] * 7]
    assert choose(waiting(*leads), 0.0, sessions=8).chosen == (0, 1)
    assert len(choose(waiting(0.3, *leads[1:]), 0.0, sessions=8).chosen) == 8


def test_who_is_late_already_takes_all_along():
    assert len(choose(waiting(0.05, *[0.3] * 7), 0.0, sessions=8).chosen) == 8


def test_a_program_that_is_mostly_filled_up_is_run_only_if_it_pays():
    assert len(choose(waiting(*[1.0] * 5), 0.0, sessions=5).chosen) == 5  # 8 in 0.24 s, or 4 and 1 in 0.26 s
    assert len(choose(waiting(*[1.0] * 5, kind=SLOW), 0.0, sessions=5).chosen) == 4  # 0.5 instead of 0.8 s


@given(
    leads=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=20),
    now=st.floats(0.0, 0.1),
    sessions=st.integers(1, 20),
)
def test_somebody_is_served_in_the_window_and_nobody_twice(leads, now, sessions):
    found = choose(waiting(*leads), now, sessions=max(sessions, len(leads)), window_seconds=0.05)
    assert len(set(found.chosen)) == len(found.chosen) <= 8
    if not found.chosen:
        assert now < found.until_seconds <= 0.05
        assert found.until_seconds + KIND.batch_seconds(2) <= now + min(leads) + 1e-9
    else:
        assert min(leads[place] for place in found.chosen) == min(leads)


def test_kinds_know_their_sizes_and_costs():
    assert [KIND.size(count) for count in (1, 2, 3, 5, 8, 30)] == [1, 2, 4, 8, 8, 8]
    assert KIND.batch_seconds(3) == 0.16 and KIND.work_seconds(0) == 0.0
    assert KIND.work_seconds(11) == pytest.approx(0.24 + 0.16)
    assert [SLOW.count(count) for count in (1, 3, 5, 8, 9)] == [1, 2, 4, 8, 8] and SLOW.work_seconds(7) == pytest.approx(0.7)


# Jobs.


class Doubling:
    """A model that doubles numbers; a request's `heard` is its number, or how it fails."""

    def __init__(self):
        self.runs = []

    def kind(self, request):
        if request.heard == "no kind":
            raise KeyError("kind")
        return KIND

    def begin(self, request):
        if request.heard == "begin":
            raise SystemExit("no\nbeginning")
        return request.heard

    def run(self, parts):
        self.runs.append(len(parts))
        return [2 * int(part) for part in parts if part != "missing"]

    def end(self, request, made):
        if request.heard == 13:
            raise ValueError("unlucky")
        return [made]

    def generate(self, request):
        return self.end(request, self.run([self.begin(request)])[0])


def together(model, *given_all):
    jobs = [job_of(model, Request(0, 0, 0, 1, heard=given_one)) for given_one in given_all]
    return batching.run_together(jobs)


def test_a_generator_that_can_is_asked_together_and_others_are_not():
    model = Doubling()
    assert isinstance(model, BatchGenerator) and isinstance(job_of(model, Request(0, 0, 0, 1)), BatchJob)
    assert together(model, 1, 2, 3) == [((2,), ""), ((4,), ""), ((6,), "")]
    assert model.runs == [3]
    assert together(model, 5) == [((10,), "")] and model.runs == [3, 1]
    plain = [lambda: "a", lambda: "b"]
    assert batching.kind_of(plain[0]) is ALONE and batching.run_together(plain) == [(("a",), ""), (("b",), "")]


def test_one_that_fails_fails_alone():
    assert together(Doubling(), 1, "begin", 13, 4) == [
        ((2,), ""),
        ((), "SystemExit: no beginning"),
        ((), "ValueError: unlucky"),
        ((8,), ""),
    ]


@pytest.mark.parametrize("bad", ["no number", "missing"])
def test_one_that_spoils_the_run_is_found_by_running_each_alone(bad):
    model = Doubling()
    answers = together(model, 1, bad, 4)
    assert answers[0] == ((2,), "") and answers[2] == ((8,), "")
    assert answers[1][0] == () and answers[1][1]
    assert model.runs == [3, 1, 1, 1]


def test_if_all_fail_nothing_is_run():
    model = Doubling()
    assert [error for _, error in together(model, "begin", "begin")] == ["SystemExit: no beginning"] * 2
    assert model.runs == []


def test_a_job_whose_kind_cannot_be_told_goes_alone():
    assert batching.kind_of(job_of(Doubling(), Request(0, 0, 0, 1, heard="no kind"))) is ALONE
    assert Choice((0,)) == choose(waiting(1.0, kind=ALONE), 0.0, sessions=1)
