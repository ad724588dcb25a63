"""Shards depend on the manifest alone, and little on any one file of it."""

import dataclasses

from magenta_rt_py.train.prepare.config import PrepareConfig
from magenta_rt_py.train.prepare.manifest import ManifestEntry
from magenta_rt_py.train.prepare.shards import plan_shards

CONFIG = PrepareConfig(shard_minutes=10.0)


def entries(count):
    return [
        ManifestEntry(
            path=f"{number:04}.wav", bytes=number, mtime=0, hash=str(number), frames=100 * 48_000, rate=48_000, channels=2,
            tags={}, sidecar="",
        )
        for number in range(count)
    ]  # fmt: skip


def names(plans):
    return {plan.name for plan in plans}


def test_every_file_is_in_one_shard_and_none_is_too_long():
    plans = plan_shards(entries(200), CONFIG, made_by="x")
    paths = [entry.path for plan in plans for entry in plan.entries]
    assert sorted(paths) == [entry.path for entry in entries(200)]
    assert all(plan.seconds <= 600 for plan in plans)
    apart = sum(plan.seconds for plan in plans if plan.held_out)
    assert 0.05 < apart / 20_000 < 0.15
    assert names(plan_shards(entries(200), CONFIG, made_by="x")) == names(plans)


def test_one_file_more_or_changed_moves_few_shards():
    before = names(plan_shards(entries(200), CONFIG, made_by="x"))
    removed = names(plan_shards(entries(200)[:90] + entries(200)[91:], CONFIG, made_by="x"))
    assert len(removed - before) <= 0.3 * len(before)
    changed = [*entries(200)]
    changed[50] = dataclasses.replace(changed[50], hash="other")
    assert len(names(plan_shards(changed, CONFIG, made_by="x")) - before) == 1


def test_other_settings_or_another_bundle_are_other_shards():
    before = names(plan_shards(entries(20), CONFIG, made_by="x"))
    assert not before & names(plan_shards(entries(20), CONFIG, made_by="y"))
    assert not before & names(plan_shards(entries(20), dataclasses.replace(CONFIG, clock=False), made_by="x"))


def test_a_file_longer_than_a_shard_is_one_of_its_own():
    long = dataclasses.replace(entries(3)[1], frames=3600 * 48_000)
    plans = plan_shards([entries(3)[0], long, entries(3)[2]], dataclasses.replace(CONFIG, held_out_share=0.0), made_by="x")
    assert [len(plan.entries) for plan in plans] == [1, 1, 1]


def test_little_music_is_heard_at_other_speeds_too_but_what_is_held_out_is_not():
    files = entries(20)
    total = sum(entry.seconds for entry in files) / 60
    copied = plan_shards(files, dataclasses.replace(CONFIG, copies_below_minutes=total + 1), made_by="x")
    alone = plan_shards(files, dataclasses.replace(CONFIG, copies_below_minutes=total - 1), made_by="x")
    assert {plan.speeds for plan in copied if not plan.held_out} == {(1.0, 0.96, 1.04)}
    assert {plan.speeds for plan in (*alone, *(plan for plan in copied if plan.held_out))} == {(1.0,)}
    for held_out in (False, True):
        same = names(plan for plan in copied if plan.held_out == held_out)
        assert (same == names(plan for plan in alone if plan.held_out == held_out)) == held_out
    # One file: its pieces are held out in training, and none of their copies may be trained on.
    (only,) = plan_shards(files[:1], dataclasses.replace(CONFIG, copies_below_minutes=total - 1), made_by="x")
    assert only.speeds == (1.0,)
