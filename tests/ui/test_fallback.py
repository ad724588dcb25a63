"""The plain player: its stream is what was played, whole and at the clock's pace; its seat is freed; what lacks is said."""

import time
from types import SimpleNamespace

import gradio as gr
import jaxtyping
import numpy as np
import pytest
from gradio.helpers import special_args

from magenta_rt_py.serve.hall import Hall, HallConfig
from magenta_rt_py.serve.stand_in import StandInFactory
from magenta_rt_py.serve.tokens import Tokens
from magenta_rt_py.ui import fallback

PIECE = 96_000


@pytest.fixture(autouse=True)
def unchecked():
    """Types are checked in tests/serve; here the sound has to be in time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def hall(tmp_path):
    """One seat, taken by a model that counts its frames in clicks."""
    made = Hall(StandInFactory(), HallConfig(most_sessions=1, folder=tmp_path))
    made.start()
    yield made
    made.close()


def claim(request=None):
    tokens = Tokens()
    return tokens.check(tokens.mint())


def as_page(name):
    return SimpleNamespace(session_hash=name, username=None)


def test_pieces_are_the_music_without_a_gap_and_at_the_clocks_pace(hall, wait_until):
    listener = fallback.Listener(hall, claim())
    assert listener.wait(10.0) is None
    pieces, came, reported = [], [], []
    seat, report = listener.seat, listener.seat.card.report

    def note(opening, position, *more):
        reported.append((time.monotonic(), position))
        report(opening, position, *more)

    seat.card.report = note
    for piece in listener.pieces():
        pieces.append(piece)
        came.append(time.monotonic())
        if len(pieces) == 3:
            break
    assert all(piece.shape == (PIECE, 2) and piece.dtype == np.int16 for piece in pieces)
    whole = np.concatenate(pieces)[:, 0]
    places = np.flatnonzero(whole > 1600)  # a click begins each frame
    assert len(places) > 100 and set(np.diff(places)) == {1920}
    # The third piece is made when the clock has come to within the lead of its end: 6 s - 3 s after the first was given.
    assert came[2] - came[0] > 2.5
    ahead = [position / 48_000 - (at - came[0]) for at, position in reported if position]
    assert ahead and max(ahead) < 0.2  # what is reported as played follows the clock
    wait_until(lambda: not hall.seats)  # whoever stops listening has left


def test_the_lead_bounds_what_is_made_ahead(hall):
    listener = fallback.Listener(hall, claim())
    assert listener.wait(10.0) is None
    stream = listener.pieces()
    next(stream)
    seat = listener.seat
    time.sleep(0.5)
    assert seat.card.written_samples <= (fallback.LEAD_SECONDS + 1.5) * 48_000
    stream.close()
    assert listener.is_over


def test_who_comes_second_waits_and_is_told_its_place(hall, wait_until):
    first, second = fallback.Listener(hall, claim()), fallback.Listener(hall, claim())
    assert "number 1 in the line" in second.wait(0.2)
    first.leave()
    assert second.wait(10.0) is None
    second.leave()


def test_the_page_that_closes_frees_its_seat(hall, wait_until):
    player = fallback.PlainPlayer(hall, claim)
    stream = player.play(as_page("a"), "techno", "rock", 0.5, 1.0, 0.5)
    assert next(stream) == (None, "Opening ...")
    rate, piece = next(told for told, _ in stream if isinstance(told, tuple))
    assert rate == 48_000 and piece.shape == (PIECE, 2)
    (seat,) = hall.seats
    values = seat.board.settings.values
    assert (values["prompt/1/text"], values["prompt/2/weight"], values["temperature"]) == ("techno", 0.5, 1.0)
    assert "four to six seconds" in player.turn(as_page("a"), "jazz", "rock", 1.0, 1.5, 0.5)
    assert seat.board.settings.values["prompt/1/text"] == "jazz" and seat.board.settings.values["prompt/1/weight"] == 0.0
    assert "temperature is 9" in player.turn(as_page("a"), "jazz", "rock", 1.0, 9.0, 0.5)
    assert "Press Play" in player.turn(as_page("b"), "jazz", "rock", 1.0, 1.5, 0.5)
    player.forget(as_page("a"))
    wait_until(lambda: not hall.seats)
    assert [said for _, said in stream][-1] == "Stopped."


def test_when_the_hall_ends_it_says_why(hall):
    player = fallback.PlainPlayer(hall, claim)
    stream = player.play(as_page("a"), "", "", 0.0, 1.0, 0.5)
    next(told for told, _ in stream if isinstance(told, tuple))
    hall.close()
    assert "restarted" in [said for _, said in stream][-1]
    stream = player.play(as_page("a"), "", "", 0.0, 1.0, 0.5)
    assert "restarted" in [said for _, said in stream][-1]


def test_without_ffmpeg_the_page_says_so_and_offers_no_player(hall):
    with gr.Blocks() as blocks:
        fallback.PlainPlayer(hall, claim, program="no-such-program").place()
    shown = [block.value for block in blocks.blocks.values() if isinstance(block, gr.Markdown)]
    assert any("ffmpeg" in text for text in shown) and not any(isinstance(each, gr.Audio) for each in blocks.blocks.values())


def test_the_player_is_a_streaming_one_and_none_of_it_is_an_api(hall):
    with gr.Blocks() as blocks:
        fallback.PlainPlayer(hall, claim, program="sh").place()
    (sound,) = [each for each in blocks.blocks.values() if isinstance(each, gr.Audio)]
    assert sound.streaming and sound.autoplay
    assert {each.api_visibility for each in blocks.fns.values()} == {"private"}


def test_gradio_gives_the_request_and_the_values_where_they_belong(hall):
    """Gradio looks at a function's signature: a request that is asked for by name only never comes."""
    player = fallback.PlainPlayer(hall, claim)
    values = ["techno", "rock", 0.5, 1.0, 0.5]
    for function in (player.play, player.turn):
        given, *_ = special_args(function, list(values), request="the request")
        assert given == ["the request", *values]
    for function in (player.stop, player.forget):
        assert special_args(function, [], request="the request")[0] == ["the request"]
