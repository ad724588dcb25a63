"""The style desk: prompts become styles beside the music, and nobody waits for them."""

import threading
import time

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.generators import styles
from magenta_rt_py.generators.style_desk import StyleDesk, prompts_of
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
