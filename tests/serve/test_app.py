"""The routes, against a real server: who may have what, and that it is what was played."""

import io
import json

import httpx
import numpy as np
import pytest
import soundfile

from magenta_rt_py.serve import wire
from magenta_rt_py.serve.app import ServeConfig, create_app
from magenta_rt_py.serve.hall import Hall
from magenta_rt_py.serve.stand_in import StandInFactory
from magenta_rt_py.serve.tokens import Tokens


@pytest.fixture(scope="module")
def server(start, tmp_path_factory):
    """With some files of the page."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "player.js").write_text("export const a = 1;\n")
    (folder / "live.css").write_text("body { color: red }\n")
    (folder / ".hidden.js").write_text("hidden")
    (folder / "notes.txt").write_text("not for pages")
    (folder / "below").mkdir()
    (folder / "below" / "more.js").write_text("more")
    outside = folder.parent / "outside.js"
    outside.write_text("outside")
    (folder / "link.js").symlink_to(outside)
    return start(static_folder=folder)


def bearer(token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def flac(seconds=1.0, rate=48_000) -> bytes:
    file = io.BytesIO()
    wave = 0.2 * np.sin(2.0 * np.pi * 300.0 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(file, wave, rate, format="FLAC")
    return file.getvalue()


def get(server, path, **options) -> httpx.Response:
    return httpx.get(f"{server.address}/{path}", timeout=60.0, **options)


def post(server, path, **options) -> httpx.Response:
    return httpx.post(f"{server.address}/{path}", timeout=60.0, **options)


def test_the_pages_own_files_come_from_one_list(server):
    script = get(server, "live/static/player.js")
    assert (script.status_code, script.text) == (200, "export const a = 1;\n")
    assert script.headers["content-type"].startswith("text/javascript")
    assert get(server, "live/static/live.css").headers["content-type"].startswith("text/css")
    for name in (".hidden.js", "notes.txt", "more.js", "below/more.js", "link.js", "nothing.js", "below"):
        assert get(server, f"live/static/{name}").status_code == 404, name


def test_health_needs_no_token_and_tells_nothing_personal(server, listen):
    listener = listen(server)
    listener.wait("welcome")
    health = get(server, "live/health").json()
    assert set(health) == {"sessions", "most", "waiting", "rtf"}
    assert health["sessions"] >= 1
    assert health["most"] == 16


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "live/prompts"),
        ("POST", "live/context"),
        ("POST", "live/leave"),
        ("GET", f"live/recordings/{'0' * 32}"),
        ("GET", "live/last"),
        ("GET", "live/log"),
    ],
)
def test_everything_else_needs_one(server, listen, method, path):
    listener = listen(server)
    listener.wait("welcome")
    forged = listener.token[:-1] + ("A" if listener.token[-1] != "A" else "B")
    expired = Tokens(secret=b"x" * 32, lifetime_seconds=1e-9).mint()
    for headers in ({}, bearer("x"), bearer(forged), bearer(expired), {"Authorization": f"Basic {listener.token}"}):
        answer = httpx.request(method, f"{server.address}/{path}", headers=headers, timeout=60.0)
        assert answer.status_code == 401, headers
        assert "load the page again" in answer.json()["detail"]


def test_a_foreign_page_gets_nothing_even_with_a_token(server, listen):
    listener = listen(server)
    listener.wait("welcome")
    for origin, status in (("http://evil.example", 403), (server.address, 404)):
        headers = {**bearer(listener.token), "Origin": origin}
        assert get(server, f"live/recordings/{'0' * 32}", headers=headers).status_code == status


def test_a_sound_becomes_a_prompt_of_its_seat(server, listen):
    listener, other = listen(server), listen(server)
    listener.wait("welcome"), other.wait("welcome")
    raw = post(server, "live/prompts?name=my%20drums.flac", content=flac(), headers=bearer(listener.token))
    form = post(server, "live/prompts", files={"file": ("../bass.flac", flac(2.0))}, headers=bearer(listener.token))
    assert (raw.status_code, raw.json()["name"], raw.json()["seconds"]) == (200, "my drums.flac", 1.0)
    assert (form.status_code, form.json()["name"], form.json()["seconds"]) == (200, "bass.flac", 2.0)
    prompt = raw.json()["prompt"]
    assert listener.wait("changed", id=listener.set(prompt__1__text=prompt))["values"] == {"prompt/1/text": prompt}
    assert "not here" in other.wait("refused", id=other.set(prompt__1__text=prompt))["reason"]
    listener.say(type="forget", prompt=form.json()["prompt"])
    number = listener.set(prompt__2__text=form.json()["prompt"])
    assert "upload it again" in listener.wait("refused", id=number)["reason"]


def test_uploads_that_cannot_be_used_say_why(server, listen):
    listener = listen(server)
    listener.wait("welcome")
    headers = bearer(listener.token)
    text = post(server, "live/prompts?name=song.wav", content=b"la la la", headers=headers)
    assert text.status_code == 422
    assert text.json()["detail"] == "song.wav: this is no sound file; give WAV, FLAC, Ogg, AIFF or MP3"
    assert post(server, "live/prompts", data={"file": "words"}, files={}, headers=headers).status_code == 422
    nothing = {"Content-Type": "multipart/form-data; boundary=x"}
    empty = post(server, "live/prompts", content=b"--x--\r\n", headers={**headers, **nothing})
    assert (empty.status_code, "no file" in empty.json()["detail"]) == (400, True)
    broken = post(server, "live/prompts", content=b"no form at all", headers={**headers, **nothing})
    assert broken.status_code == 400
    packed = post(server, "live/prompts", content=flac(), headers={**headers, "Content-Encoding": "gzip"})
    assert packed.status_code == 415


def test_without_a_seat_nothing_is_taken(server):
    token = server.tokens.mint()
    for path in ("live/prompts", "live/context"):
        assert post(server, path, content=flac(), headers=bearer(token)).status_code == 409
    assert get(server, "live/last", headers=bearer(token)).status_code == 409
    assert get(server, "live/log", headers=bearer(token)).status_code == 404


def test_the_shelf_ends_at_sixteen(server, listen):
    listener = listen(server)
    listener.wait("welcome")
    short = flac(0.2)
    answers = [post(server, "live/prompts", content=short, headers=bearer(listener.token)).status_code for _ in range(17)]
    assert answers == [200] * 16 + [409]


def test_the_music_goes_on_from_a_sound(server, listen):
    listener = listen(server)
    listener.wait_for_sound(0.5)
    answer = post(server, "live/context?name=song.flac", content=flac(12.0), headers=bearer(listener.token))
    assert (answer.status_code, answer.json()) == (200, {"name": "song.flac", "seconds": 12.0})
    listener.wait_for_sound(0.5)


def test_a_recording_is_what_was_sent(server, listen, until):
    listener, other = listen(server), listen(server)
    listener.wait_for_sound(0.5)
    other.wait("welcome")
    listener.say(type="record", state="start", has_microphone=True)
    listener.wait("recording", state="recording")
    listener.wait_for_sound(1.0)
    listener.say(type="record", state="stop")
    done = listener.wait("recording", state="done")
    assert len(done["files"]) == 2
    listener.wait_for_sound(0.2)
    main, microphone = (get(server, file["url"], headers=bearer(listener.token)) for file in done["files"])
    assert main.headers["content-disposition"].startswith('attachment; filename="take-')
    assert main.headers["x-content-type-options"] == "nosniff"
    recorded, _ = soundfile.read(io.BytesIO(main.content), dtype="float32", always_2d=True)
    beside, _ = soundfile.read(io.BytesIO(microphone.content), dtype="float32", always_2d=True)
    assert len(recorded) == len(beside) == round(done["seconds"] * 48_000)
    whole = np.concatenate([wire.samples_of(packet)[:, :2] for packet in listener.packets])
    frames = [start for start in range(0, len(whole) - len(recorded) + 1, 1920)]
    differences = [np.abs(whole[start : start + len(recorded)] - recorded).max() for start in frames]
    assert min(differences) <= 1.0 / 32_768
    # Nobody else gets it, with or without a token of their own; a link may carry the token.
    url = done["files"][0]["url"]
    assert get(server, url, headers=bearer(other.token)).status_code == 404
    assert get(server, url).status_code == 401
    assert get(server, url, params={"token": listener.token}).status_code == 200
    # It is there even when its seat is gone.
    listener.leave()
    until(lambda: server.hall.find(server.tokens.check(listener.token)) is None)
    assert get(server, url, headers=bearer(listener.token)).content == main.content


def test_a_page_that_is_closed_gives_its_seat_back_by_a_request(server, listen):
    listener, other = listen(server), listen(server)
    listener.wait("welcome"), other.wait("welcome")
    seat_of = lambda one: server.hall.find(server.tokens.check(one.token))  # noqa: E731
    assert post(server, "live/leave", headers={**bearer(listener.token), "Origin": "http://evil.example"}).status_code == 403
    assert seat_of(listener) is not None
    assert post(server, "live/leave", headers=bearer(listener.token)).status_code == 204
    assert seat_of(listener) is None and seat_of(other) is not None
    assert post(server, "live/leave", headers=bearer(listener.token)).status_code == 204  # there is nothing left to give


def test_the_last_seconds_are_what_was_sent(server, listen):
    listener = listen(server)
    listener.wait_for_sound(2.0)
    answer = get(server, "live/last", params={"seconds": 1}, headers=bearer(listener.token))
    last, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16", always_2d=True)
    assert (answer.status_code, rate, len(last)) == (200, 48_000, 48_000)
    listener.wait_for_sound(0.5)
    pieces = [np.frombuffer(packet.payload, "<i2").reshape(-1, packet.channels)[:, :2] for packet in listener.packets]
    sent = np.concatenate(pieces)
    assert any((sent[end - 48_000 : end] == last).all() for end in range(48_000, len(sent) + 1, 1920))
    for seconds in ("0", "61", "nan", "-1", "1e400", "many"):
        wrong = get(server, "live/last", params={"seconds": seconds}, headers=bearer(listener.token))
        assert wrong.status_code == 422, seconds


def test_the_log_is_whole_lines_of_this_seat(server, listen):
    listener = listen(server)
    listener.wait_for_sound(0.5)
    listener.wait("changed", id=listener.set(temperature=1.7))
    listener.wait_for_sound(1.0)
    answer = get(server, "live/log", headers=bearer(listener.token))
    lines = answer.text.splitlines()
    assert answer.status_code == 200
    assert all(json.loads(line) for line in lines)
    assert "seed" in lines[0]


def test_a_foreign_host_is_turned_away(start):
    server = start(hosts=("127.0.0.1",))
    assert get(server, "live/health").status_code == 200
    assert get(server, "live/health", headers={"Host": f"rebound.example:{server.port}"}).status_code == 421


def test_an_origin_that_is_none_is_refused_at_the_start():
    hall = Hall(StandInFactory())
    try:
        with pytest.raises(ValueError, match="is no origin"):
            create_app(hall, ServeConfig(tokens=Tokens(), allowed_origins=("studio.example",)))
    finally:
        hall.close()
