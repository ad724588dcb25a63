"""The style desk: prompts become styles beside the music, and nobody waits for them."""

import threading
import time

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.generators import styles
from magenta_rt_py.generators.style_desk import StyleDesk, prompts_of
from magenta_rt_py.generators.style_pool import StylePool
from magenta_rt_py.live import live_prompt
from magenta_rt_py.live.board import Board
from magenta_rt_py.live.live_prompt import LivePromptConfig

SECOND = 48_000


@pytest.fixture
def desk(model):
    made = StyleDesk(
        model, config=LivePromptConfig(least_seconds=0.5, refresh_seconds=0.5, memory_seconds=1.0, stale_seconds=2.0)
    )
    yield made
    made.close()


@pytest.fixture
def board():
    return Board({"prompt/1/text": "solo piano", "prompt/2/text": "techno", "prompt/2/weight": 0.5})


def codes_of(model, *pairs):
    """The style of a mix, made directly."""
    return tuple(int(code) for code in model.mix(list(pairs)).codes)


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.2, (round(seconds * SECOND), 2)).astype(np.float32)


def serve(desk, state):
    """Lets the desk have the state of a live prompt until it is done with it."""
    for _ in range(3):
        state = desk.hear(state)
        assert desk.wait(30.0)
    return desk.hear(state)


def test_the_style_is_that_of_the_mix(model, desk, board):
    assert desk.latest == (-1, None)
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.latest == (0, codes_of(model, ("solo piano", 1.0), ("techno", 0.5)))
    board.set_many({"prompt/1/weight": 0.0, "prompt/2/weight": 0.0})
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.latest == (1, None)
    assert desk.problem is None


def test_slots_without_text_or_weight_are_out(board):
    board.set_many({"prompt/3/weight": 1.0, "prompt/4/text": "drums"})
    assert prompts_of(board.settings.values) == (("solo piano", 1.0), ("techno", 0.5))


def test_a_new_text_is_ready_later_and_nobody_waits(model, desk, board, monkeypatch):
    desk.ask(board.settings)
    assert desk.wait(30.0)
    before, release, inner = desk.latest[1], threading.Event(), styles.embed

    def slow(style_model, prompt):
        assert release.wait(30.0)
        return inner(style_model, prompt)

    monkeypatch.setattr(styles, "embed", slow)
    board.set("prompt/1/text", "disco")
    began = time.monotonic()
    desk.ask(board.settings)
    board.set("temperature", 0.5)
    desk.ask(board.settings)
    assert time.monotonic() - began < 5.0  # not the thirty seconds that `slow` waits
    assert desk.latest == (0, before)
    release.set()
    assert desk.wait(30.0)
    assert desk.latest == (2, codes_of(model, ("disco", 1.0), ("techno", 0.5)))


def test_numbers_need_no_thread(desk, board):
    desk.ask(board.settings)
    assert desk.wait(30.0)
    desk.close()
    board.set("temperature", 0.5)
    desk.ask(board.settings)
    assert desk.latest[0] == 1


def test_an_unknown_file_is_said_once_and_left_out(model, desk, board, tmp_path):
    board.set("prompt/2/text", str(tmp_path / "gone.wav"))
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.latest == (1, codes_of(model, ("solo piano", 1.0)))
    assert "gone.wav" in desk.problem and "left out" in desk.problem
    said = desk.problem
    board.set("prompt/1/weight", 0.5)
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.problem == said  # the same line: who watches it says nothing new
    audio.write(tmp_path / "gone.wav", noise(2.0), SECOND)
    board.set("prompt/1/weight", 1.0)
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.problem is None
    assert desk.latest[1] == codes_of(model, ("solo piano", 1.0), (str(tmp_path / "gone.wav"), 0.5))


@pytest.mark.parametrize("error", [RuntimeError("no memory"), MemoryError(), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")])
def test_whatever_a_tower_raises_the_desk_lives_on(model, desk, board, monkeypatch, error):
    inner = styles.embed

    def fail(style_model, prompt):
        if prompt == "techno":
            raise error
        return inner(style_model, prompt)

    monkeypatch.setattr(styles, "embed", fail)
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.latest == (0, codes_of(model, ("solo piano", 1.0)))
    assert "'techno' is left out" in desk.problem
    board.set("prompt/2/text", "disco")
    desk.ask(board.settings)
    assert desk.wait(30.0)
    assert desk.latest == (1, codes_of(model, ("solo piano", 1.0), ("disco", 0.5)))
    assert desk.problem is None


def test_the_performer_joins_the_mix_and_leaves_it_when_silent(model, desk, board):
    board.set("inject/live_prompt", 1.0)
    desk.ask(board.settings)
    assert desk.wait(30.0)
    alone = desk.latest[1]
    config = desk._config
    state = live_prompt.hear(config, live_prompt.init_state(), 0, noise(1.0))
    state = serve(desk, state)
    assert state.embedding is not None
    style = model.style_from([(model.embed("solo piano"), 1.0), (model.embed("techno"), 0.5), (state.embedding, 1.0)])
    assert desk.latest == (1, tuple(int(code) for code in style.codes))
    state = live_prompt.hear(config, state, SECOND, np.zeros((3 * SECOND, 2), np.float32))
    assert state.embedding is None
    serve(desk, state)
    assert desk.latest == (1, alone)


def test_sound_that_cannot_be_embedded_leaves_the_mix_as_it_was(model, desk, board, monkeypatch):
    board.set("inject/live_prompt", 1.0)
    desk.ask(board.settings)
    assert desk.wait(30.0)
    before, inner = desk.latest, styles.embed

    def fail(style_model, prompt):
        if isinstance(prompt, audio.Audio):
            raise RuntimeError("no memory")
        return inner(style_model, prompt)

    monkeypatch.setattr(styles, "embed", fail)
    state = serve(desk, live_prompt.hear(desk._config, live_prompt.init_state(), 0, noise(1.0)))
    assert state.embedding is None and desk.latest == before and "the live prompt" in desk.problem


def test_a_desk_that_is_waited_for_is_ready_at_once(model, board):
    desk = StyleDesk(model, is_waited_for=True)
    desk.ask(board.settings)
    assert desk.latest == (0, codes_of(model, ("solo piano", 1.0), ("techno", 0.5)))
    desk.close()


@pytest.mark.parametrize(
    ("switches", "kept"),
    [
        ({}, "ab"),
        ({"prompt/1/mute": True}, "b"),
        ({"prompt/1/mute": True, "prompt/2/mute": True}, ""),
        ({"prompt/2/solo": True}, "b"),
        ({"prompt/1/solo": True, "prompt/2/solo": True}, "ab"),
        ({"prompt/2/solo": True, "prompt/2/mute": True}, ""),
        ({"prompt/2/solo": True, "prompt/2/weight": 0.0}, ""),
        ({"prompt/3/solo": True}, ""),  # it has a text and no weight
        ({"prompt/4/solo": True}, "ab"),  # it has no text
        ({"prompt/4/solo": True, "prompt/4/text": " \t"}, "ab"),
    ],
)
def test_mute_and_solo(switches, kept):
    knobs = {"prompt/1/text": "a", "prompt/2/text": "b", "prompt/2/weight": 0.5, "prompt/3/text": "c"}
    prompts = prompts_of(Board({**knobs, **switches}).settings.values)
    assert prompts == tuple(pair for pair in (("a", 1.0), ("b", 0.5)) if pair[0] in kept)


def test_all_muted_the_style_is_masked_and_comes_back(model, desk, board):
    desk.ask(board.settings)
    assert desk.wait(30.0)
    before = desk.latest[1]
    board.set_many({"prompt/1/mute": True, "prompt/2/mute": True})
    desk.ask(board.settings)
    assert desk.wait(30.0) and desk.latest == (1, None) and desk.problem is None
    board.set_many({"prompt/1/mute": False, "prompt/2/mute": False})
    desk.ask(board.settings)
    assert desk.wait(30.0) and desk.latest == (2, before)


def wait_for(is_so):
    ends = time.monotonic() + 30.0
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_each_slot_says_how_it_is_doing(model, desk, board, monkeypatch, tmp_path):
    release, inner = threading.Event(), styles.embed

    def slow(style_model, prompt):
        assert release.wait(30.0)
        return inner(style_model, prompt)

    assert desk.states == ("empty",) * 8
    monkeypatch.setattr(styles, "embed", slow)
    board.set_many({"prompt/3/text": "disco", "prompt/4/text": str(tmp_path / "gone.wav"), "prompt/5/text": "  "})
    desk.ask(board.settings)
    assert desk.states == ("reading",) * 4 + ("empty",) * 4
    release.set()
    assert desk.wait(30.0) and desk.states[:2] == ("ready", "ready")
    wait_for(lambda: desk.states == ("ready", "ready", "ready", "failed") + ("empty",) * 4)
    assert desk.problem is None, "what is out of the mix is no problem of it"
    monkeypatch.setattr(styles, "embed", None)  # what is turned up is known already
    board.set("prompt/3/weight", 1.0)
    desk.ask(board.settings)
    assert desk.wait(30.0) and desk.problem is None
    board.set("prompt/4/weight", 1.0)
    desk.ask(board.settings)
    assert desk.wait(30.0) and "gone.wav" in desk.problem and desk.states[3] == "failed"
    monkeypatch.setattr(styles, "embed", inner)
    audio.write(tmp_path / "gone.wav", noise(2.0), SECOND)
    board.set("prompt/4/weight", 0.5)
    desk.ask(board.settings)
    assert desk.wait(30.0) and desk.problem is None and desk.states[3] == "ready"


def test_a_text_stands_for_what_the_desk_is_told(model, board):
    sounds = {"@one": audio.Audio(noise(2.0, seed=1), SECOND)}

    def resolve(text):
        if not text.startswith("@"):
            return text
        if text not in sounds:
            raise ValueError("there is no such sound; upload it again")
        return sounds[text]

    desk = StyleDesk(model, resolve=resolve)
    board.set_many({"prompt/1/text": "@one", "prompt/2/text": "song.wav"})
    desk.ask(board.settings)
    assert desk.wait(30.0)
    style = model.style_from([(model.embed(sounds["@one"]), 1.0), (model.style_model.embed_text(["song.wav"])[0], 0.5)])
    assert desk.latest == (1, tuple(int(code) for code in style.codes)), "a file's name is just words here"
    tone = 0.8 * np.sin(2 * np.pi * 220 * np.arange(2 * SECOND) / SECOND)[:, None]
    sounds["@one"] = audio.Audio(tone.astype(np.float32), SECOND)
    desk.forget("@one")
    assert desk.wait(30.0)
    other = model.style_from([(model.embed(sounds["@one"]), 1.0), (model.style_model.embed_text(["song.wav"])[0], 0.5)])
    assert desk.latest == (1, tuple(int(code) for code in other.codes)) and desk.latest[1] != tuple(map(int, style.codes))
    del sounds["@one"]
    desk.forget("@one")
    assert desk.wait(30.0)
    assert desk.states[:2] == ("failed", "ready") and "upload it again" in desk.problem
    desk.close()


def test_desks_of_a_pool_share_threads_and_words_and_no_sounds(model, monkeypatch):
    embedded, threads, inner = [], set(), styles.embed

    def count(style_model, prompt):
        embedded.append(prompt)
        threads.add(threading.current_thread().name)
        return inner(style_model, prompt)

    monkeypatch.setattr(styles, "embed", count)
    pool, others = StylePool(threads=1), set(threading.enumerate())
    mine = audio.Audio(noise(1.0), SECOND)

    def own(text):
        return mine if text == "@mine" else text

    def foreign(text):
        if text.startswith("@"):
            raise ValueError("there is no such sound here")
        return text

    desks = [StyleDesk(model, pool=pool, resolve=own), *(StyleDesk(model, pool=pool, resolve=foreign) for _ in range(8))]
    board = Board({"prompt/1/text": "solo piano", "prompt/2/text": "@mine", "prompt/2/weight": 0.5})
    for desk in desks:
        desk.ask(board.settings)
    assert all(desk.wait(30.0) for desk in desks)
    assert set(threading.enumerate()) == others and len(threads) == 1
    assert embedded.count("solo piano") == 1 and sum(prompt is mine for prompt in embedded) == 1
    assert [desk.states[1] for desk in desks] == ["ready"] + ["failed"] * 8
    assert {desk.latest for desk in desks[1:]} == {(0, codes_of(model, ("solo piano", 1.0)))}
    desks[0].close()
    board.set("prompt/1/text", "techno")
    desks[1].ask(board.settings)
    assert desks[1].wait(30.0), "a desk that is closed takes nothing with it"
    assert pool.close()


def test_a_direction_of_the_bundle_is_a_prompt_like_any_other(adapted_model):
    desk = StyleDesk(adapted_model, is_waited_for=True)
    board = Board({"prompt/1/text": "[style 1]", "prompt/2/text": "techno", "prompt/2/weight": 0.5})
    desk.ask(board.settings)
    assert desk.latest == (0, codes_of(adapted_model, ("[style 1]", 1.0), ("techno", 0.5)))
    board.set("prompt/1/text", "[style 9]")
    desk.ask(board.settings)
    assert "no [style 9]; it has [mean style]" in desk.problem
    assert desk.latest[1] == codes_of(adapted_model, ("techno", 1.0))
    desk.close()


def test_a_slow_desk_holds_up_the_others_by_one_piece_only(model, monkeypatch):
    order, first, inner = [], threading.Event(), styles.embed

    def slow(style_model, prompt):
        order.append(prompt)
        assert first.wait(30.0)
        return inner(style_model, prompt)

    monkeypatch.setattr(styles, "embed", slow)
    pool = StylePool(threads=1)
    greedy, modest = (StyleDesk(model, pool=pool) for _ in range(2))
    texts = {f"prompt/{slot}/text": f"words {slot}" for slot in range(1, 9)}
    greedy.ask(Board({**texts, **{f"prompt/{slot}/weight": 1.0 for slot in range(1, 9)}}).settings)
    wait_for(lambda: order == ["words 1"])
    modest.ask(Board({"prompt/1/text": "techno"}).settings)
    first.set()
    assert modest.wait(30.0) and greedy.wait(30.0)
    assert order.index("techno") <= 2 and len(order) == 9
    pool.close()


def test_the_age_of_the_live_prompt(model, board):
    at = [100.0]
    config = LivePromptConfig(least_seconds=0.5, refresh_seconds=0.5, memory_seconds=1.0, stale_seconds=2.0)
    desk = StyleDesk(model, config=config, now=lambda: at[0])
    board.set("inject/live_prompt", 1.0)
    desk.ask(board.settings)
    assert desk.wait(30.0) and desk.live_age_seconds is None
    state = live_prompt.hear(config, live_prompt.init_state(), 0, noise(1.0))
    state = desk.hear(state)  # asked at 100 s
    assert desk.wait(30.0) and desk.live_age_seconds is None
    at[0] = 103.0
    state = desk.hear(state)
    assert desk.live_age_seconds == 3.0
    at[0] = 104.0
    state = live_prompt.hear(config, state, SECOND, noise(1.0))
    state = desk.hear(state)  # asked again
    assert desk.wait(30.0) and desk.live_age_seconds == 4.0
    at[0] = 105.0
    state = live_prompt.hear(config, state, 2 * SECOND, noise(1.0))
    state = desk.hear(state)  # stored, and asked once more in the same breath
    assert desk.live_age_seconds == 1.0
    state = live_prompt.hear(config, state, 3 * SECOND, np.zeros((5 * SECOND, 2), np.float32))
    assert desk.wait(30.0)
    serve(desk, state)
    assert desk.live_age_seconds is None
    desk.close()
