"""The page in a real browser, on the real server with the stand-in model: what is turned there reaches the engine, and the
page shows what the engine says.

`live` is the server with Gradio's page; `live.open()` gives a page that is ready, `live.seat()` its seat.
"""

import json
import re

import numpy as np
import soundfile

from magenta_rt_py.live.knobs import KNOBS, Kind
from magenta_rt_py.ui import presets
from tests.ui.page_stage import STUB_MIDI, as_file, is_shown, shown, tab, turn, wave

pytest_plugins = ["tests.ui.page_stage"]  # live

KNOB_MOVES = {  # knob -> what a hand sets it to
    **{f"prompt/{slot}/text": f"words {slot}" for slot in range(1, 9)},
    **{f"prompt/{slot}/weight": 0.1 + 0.2 * slot for slot in range(1, 9)},
    **{f"prompt/{slot}/{switch}": True for slot in range(1, 9) for switch in ("mute", "solo")},
    "temperature": 1.37, "top_k": 40, "guidance": 2.5, "input_guidance": 1.5, "seed": 4242, "bpm": 93.7, "beats_per_bar": 3,
    "midi_clock": True, "keep_time": False, "volume": 0.62, "metronome": 0.4, "inject/on": True,
    "inject/gain": 1.4, "inject/feedback": 0.6, "inject/gap": 0.35, "inject/loop_beats": 16, "inject/live_prompt": 0.8,
    "adapter_strength": 0.35,
}  # fmt: skip
ACTION_MOVES = [  # button -> what is asked for
    ("[data-action=panic]", "panic", None),
    (".time [data-action=tap]", "tap", None),
    ("#mrt-sound [data-action=reset]", "reset", None),
    ("[data-action='snapshot/save'][data-value='2']", "snapshot/save", 2),
    ("[data-action='snapshot/recall'][data-value='2']", "snapshot/recall", 2),
    ("[data-action=rewind][data-value='4']", "rewind", 4),
    ("[data-action=downbeat]", "downbeat", None),
    ("[data-action=nudge][data-value='0.05']", "nudge", 0.05),
]
NOT_OF_THE_PAGE = {"record", "record/stop", "calibrate", "quit"}  # they have messages of their own, or none


def panel_of(page, selector: str) -> None:
    """Opens the panel in which something is."""
    panel = page.locator(selector).first.evaluate("(node) => node.closest('.mrt-panel')?.id ?? ''")
    if panel:
        tab(page, panel.removeprefix("panel-"))


def test_every_control_reaches_the_engine_and_shows_what_it_acknowledged(live):
    page = live.open(script=STUB_MIDI)
    for _ in range(4):
        page.click("[data-page=add]")
    settable = {name for name, knob in KNOBS.items() if knob.kind is not Kind.ACTION}
    assert set(KNOB_MOVES) == settable, "a knob is new: the page needs a control for it, and this test a move"
    board = live.seat().board
    for name, value in KNOB_MOVES.items():
        assert board.settings.values[name] != value or name == "inject/on", name
        turn(page, name, value)
        live.stands(name, value)
        live.wait_until(lambda name=name: page.evaluate("(name) => !mrtLive.knobs.isPending(name)", name))
        live.wait_until(lambda name=name, value=value: is_shown(page, name, value))
    page.wait_for_timeout(400)  # a slider that was just moved is left alone so long
    live.wait_until(lambda: page.locator("#mrt .is-pending").count() == 0)
    wrong = {name: shown(page, name) for name, value in KNOB_MOVES.items() if not is_shown(page, name, value)}
    assert not wrong
    # Somebody else turns all of them back, and the page follows.
    back = {name: KNOBS[name].default for name in KNOB_MOVES if name != "inject/on"}
    board.set_many({**back, "inject/on": False}, source="osc")
    for name, value in {**back, "inject/on": False}.items():
        live.wait_until(lambda name=name, value=value: is_shown(page, name, value))
    # ... which turned nothing by itself.
    page.wait_for_timeout(400)
    assert {name: board.settings.values[name] for name in back} == back


def test_every_action_reaches_the_engine(live):
    page = live.open()
    seat, asked = live.seat(), []
    act = seat.board.act
    seat.board.act = lambda name, value=None, **more: (asked.append((name, value)), act(name, value, **more))[1]
    actions = {name for name, knob in KNOBS.items() if knob.kind is Kind.ACTION}
    assert {name for _, name, _ in ACTION_MOVES} == actions - NOT_OF_THE_PAGE
    for selector, name, value in ACTION_MOVES:
        panel_of(page, selector)
        page.click(selector)
        live.wait_until(lambda name=name, value=value: (name, value) in asked)


def test_a_value_that_is_refused_is_taken_back_and_said(live):
    page = live.open()
    page.evaluate("() => { mrtLive.knobs.table.get('temperature').high = 99; mrtLive.knobs.turn('temperature', 50); }")
    live.wait_until(lambda: "temperature" in page.text_content("[data-show=message]"))
    live.wait_until(lambda: abs(shown(page, "temperature") - KNOBS["temperature"].default) < 1e-9)


def test_new_words_are_heard_at_once_and_prompts_are_muted_soloed_and_removed(live):
    page = live.open()
    page.fill("[data-knob='prompt/1/text']", "lofi")
    page.press("[data-knob='prompt/1/text']", "Enter")
    page.fill("[data-knob='prompt/2/text']", "techno")
    page.press("[data-knob='prompt/2/text']", "Enter")
    live.stands("prompt/2/weight", 1.0)

    def shares() -> list[str]:
        return page.locator(".strip-share").all_text_contents()[:3]

    live.wait_until(lambda: shares() == ["50 %", "50 %", ""])
    page.click("[data-knob='prompt/2/mute']")
    live.wait_until(lambda: shares() == ["100 %", "0 %", ""])
    page.click("[data-knob='prompt/2/mute']")
    page.click("[data-knob='prompt/2/solo']")
    live.wait_until(lambda: shares() == ["0 %", "100 %", ""])
    page.click("[aria-label='Remove prompt 2']")
    live.stands("prompt/2/text", "")
    live.stands("prompt/2/solo", False)
    assert not page.locator(".strip[data-slot='2']").is_visible()
    page.click("[data-page=add]")
    assert page.evaluate("() => document.activeElement.dataset.knob") == "prompt/2/text"
    page.click(".chip-row .chip >> nth=1")
    live.stands("prompt/2/text", "solo piano")


def test_words_are_taken_without_enter_and_given_back_with_escape(live):
    page = live.open()
    page.fill("[data-knob='prompt/1/text']", "slow strings")
    live.stands("prompt/1/text", "slow strings")
    page.fill("[data-knob='prompt/1/text']", "no")
    page.press("[data-knob='prompt/1/text']", "Escape")
    assert page.input_value("[data-knob='prompt/1/text']") == "slow strings"


def test_what_people_write_is_never_run(live):
    page = live.open()
    evil = "<img src=x onerror='window.owned=1'>${window.owned=2}{{owned}}`"
    live.seat().board.set("prompt/3/text", evil, source="osc")
    live.wait_until(lambda: page.input_value("[data-knob='prompt/3/text']") == evil)
    tab(page, "scenes")
    preset = {"format": presets.FORMAT, "version": 1, "name": evil[:60], "about": evil, "knobs": {"prompt/1/text": evil}}
    page.set_input_files("#panel-scenes input[type=file]", [as_file("evil.json", json.dumps(preset))])
    live.wait_until(lambda: page.locator(".preset-list .chip").last.text_content() == evil[:60])
    wrong = {**preset, "knobs": {f"{evil}": 1}}
    page.set_input_files("#panel-scenes input[type=file]", [as_file("wrong.json", json.dumps(wrong))])
    live.wait_until(lambda: "there is no knob" in page.text_content("[data-show=preset-note]"))
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.owned") is None
    assert page.locator("#mrt img").count() == 0


def test_a_sound_is_a_prompt_from_a_file_and_from_the_microphone(live):
    page = live.open()
    page.set_input_files(".strip[data-slot='2'] input[type=file]", [as_file("my <b>loop.wav", wave(), "audio/wav")])
    board = live.seat().board
    live.wait_until(lambda: re.fullmatch("@[0-9a-f]{32}", board.settings.values["prompt/2/text"]))
    live.stands("prompt/2/weight", 1.0)
    sound = page.locator(".strip[data-slot='2'] .strip-sound")
    assert "1.0 s" in sound.text_content() and sound.is_visible()
    page.click("[aria-label='Prompt 3: the last seconds of the microphone']")
    live.wait_until(lambda: "microphone on" in page.text_content("[data-show=message]"))
    page.click(".bar [data-page=play]")
    page.click(".bar [data-page=microphone]")
    live.wait_until(lambda: page.evaluate("() => mrtLive.player.stats().microphone.on"))
    page.wait_for_timeout(1200)
    page.click("[aria-label='Prompt 3: the last seconds of the microphone']")
    live.wait_until(lambda: board.settings.values["prompt/3/text"].startswith("@"))
    page.set_input_files(".strip[data-slot='4'] input[type=file]", [as_file("words.wav", "this is no sound", "audio/wav")])
    live.wait_until(lambda: "words.wav" in page.text_content("[data-show=message]"))
    assert board.settings.values["prompt/4/text"] == ""
    page.errors.clear()  # the browser reports the refused upload


def test_a_preset_goes_out_and_comes_back(live, tmp_path):
    page = live.open()
    tab(page, "scenes")
    page.click(".preset-list .chip >> text=Jungle")
    bundled = next(each for each in presets.bundled() if each.name == "Jungle")
    for name, value in bundled.knobs.items():
        live.stands(name, value)
    page.locator(".strip[data-slot='2'] .strip-fader").fill("1.25")
    live.stands("prompt/2/weight", 1.25)
    page.fill("[data-page=preset-name]", "Jungle, louder")
    with page.expect_download() as download:
        page.click("[data-page=export]")
    download.value.save_as(tmp_path / "mine.json")
    read = presets.read((tmp_path / "mine.json").read_bytes())
    assert read.name == "Jungle, louder" and read.knobs["prompt/2/weight"] == 1.25
    page.click(".preset-list .chip >> text=Drift")
    live.stands("prompt/1/text", "beatless ambient")
    page.set_input_files("#panel-scenes input[type=file]", [tmp_path / "mine.json"])
    live.stands("prompt/1/text", "jungle drum breaks")
    board = live.seat().board
    live.wait_until(lambda: {name: board.settings.values[name] for name in read.knobs} == dict(read.knobs))
    # The same file once more is a change as well.
    board.set("prompt/1/text", "else")
    page.set_input_files("#panel-scenes input[type=file]", [tmp_path / "mine.json"])
    live.stands("prompt/1/text", "jungle drum breaks")


def test_lead_alignment_and_microphone_gain(live):
    page = live.open()
    page.click("[data-page=lead][data-value='1.5']")
    live.wait_until(lambda: live.seat().card.lead_seconds == 1.5)
    assert page.text_content("[data-show=align]") == "not measured"
    page.evaluate("() => mrtLive.player.align(4800)")
    live.wait_until(lambda: page.text_content("[data-show=align]") == "100.0 ms")
    tab(page, "inject")
    page.locator("[data-page=microphone-gain]").fill("2.5")
    page.locator("[data-page=monitor]").fill("0.3")
    page.click(".bar [data-page=microphone]")
    wanted = "() => { const { gain, monitor, on } = mrtLive.player._microphone; return [on, gain, monitor]; }"
    live.wait_until(lambda: page.evaluate(wanted) == [True, 2.5, 0.3])
    assert page.text_content("[data-show=microphone-gain]") == "2.50"


def test_a_take_is_recorded_and_comes_down_as_it_was_played(live, tmp_path):
    page = live.open()
    page.click(".bar [data-page=play]")
    live.wait_until(lambda: page.evaluate("() => mrtLive.player.stats().isFlowing"))
    tab(page, "takes")
    page.check("[data-page=stem]")
    page.click(".bar [data-page=microphone]")
    page.click("#mrt-takes [data-page=record]")
    stop = re.compile(r"Stop 0:(0[2-9]|[1-5]\d)")  # whichever second a busy machine looks at it
    live.wait_until(lambda: stop.search(page.text_content(".bar [data-page=record]")))
    page.click("#mrt-takes [data-page=record]")
    live.wait_until(lambda: page.locator(".takes a").count() == 2)  # the microphone has its own file
    with page.expect_download() as download:
        page.click(".takes a >> nth=0")
    download.value.save_as(tmp_path / "take.flac")
    with page.expect_download() as download:
        page.click("[data-page=last]")
    download.value.save_as(tmp_path / "last.flac")
    take, rate = soundfile.read(tmp_path / "take.flac", dtype="int32")
    last, _ = soundfile.read(tmp_path / "last.flac", dtype="int32")
    assert rate == 48_000 and len(take) > 48_000 and np.abs(take).max() > 2**26
    piece = take[24_000:28_800, 0] >> 16
    played = last[:, 0] >> 16
    starts = np.flatnonzero(played[: len(played) - 4800] == piece[0])
    is_there = any(np.abs(played[start : start + 4800] - piece).max() <= 1 for start in starts)
    assert is_there, "the take is not what was played"
    with page.expect_download() as download:
        page.click("[data-page=log]")
    download.value.save_as(tmp_path / "log.jsonl")
    assert all(json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())


def test_the_music_goes_on_from_a_file(live):
    page = live.open()
    tab(page, "takes")
    page.set_input_files("[data-page=context]", [as_file("mine.wav", wave(2.0), "audio/wav")])
    live.wait_until(lambda: "goes on from it" in page.text_content("[data-show=message]"))


def test_what_is_heard_is_drawn(live):
    page = live.open()
    assert page.locator("[data-show=invitation]").is_visible()
    page.click(".bar [data-page=play]")
    live.wait_until(lambda: page.evaluate("() => mrtLive._scope.columns") > 60)
    drawn = """() => {
      const canvas = document.querySelector("[data-show=scope]");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(Array.from({ length: data.length / 4 }, (_, at) => data[4 * at] * 65536 + data[4 * at + 1] * 256)).size;
    }"""
    live.wait_until(lambda: page.evaluate(drawn) > 20)
    live.wait_until(lambda: "dB" in page.get_attribute("[data-show=level]", "aria-label"))
    live.wait_until(lambda: page.text_content("[data-show=buffer]") != "0.00 s")
    assert not page.locator("[data-show=invitation]").is_visible()


def test_a_drop_out_is_counted_and_spoken(live):
    page = live.open()
    page.evaluate("""() => {
      const stats = mrtLive.player.stats.bind(mrtLive.player);
      mrtLive.player.stats = () => ({ ...stats(), underruns: 2 });
      mrtLive.player.dispatchEvent(new CustomEvent("underrun", { detail: { underruns: 2, position: 0 } }));
    }""")
    live.wait_until(lambda: page.text_content("[data-show=underruns]") == "2")
    live.wait_until(lambda: "2 so far" in page.text_content("[aria-live=polite][data-show=spoken]"))
    live.wait_until(lambda: page.locator(".fact.is-warning").count() == 1)


def test_what_the_browser_lacks_is_said_with_what_to_do(live):
    page = live.open(is_seated=False, script="delete window.AudioWorkletNode;")
    page.wait_for_selector("body[data-live=ready]")
    page.wait_for_selector("[role=alert]:not([hidden])")  # it has a seat all the same, and goes on saying so
    assert "AudioWorklet" in page.text_content("[role=alert]") and "Use a current" in page.text_content("[role=alert]")


def test_the_third_page_waits_and_a_closed_one_makes_room(live):
    first, second = live.open(), live.open()
    third = live.open(is_seated=False)
    third.wait_for_selector(".veil:not([hidden])")
    assert "number 1 of 1" in third.text_content(".veil")
    first.evaluate("() => mrtLive.knobs.turn('temperature', 2)")
    first.wait_for_timeout(200)
    assert shown(second, "temperature") == KNOBS["temperature"].default
    first.close()
    third.wait_for_selector("body[data-live=ready]")
    assert not third.locator(".veil").is_visible()


def test_leaving_ends_and_play_begins_again(live):
    page = live.open()
    tab(page, "setup")
    page.click("[data-page=leave]")
    page.wait_for_selector(".veil button")
    live.wait_until(lambda: not live.hall.seats)
    page.click(".veil button")
    live.wait_until(lambda: page.evaluate("() => document.body.dataset.live") == "playing")


def test_everything_has_a_name_and_fits_a_phone(live):
    page = live.open(width=390, height=844)
    nameless = """() => [...document.querySelectorAll("#mrt :is(button, input, select, a)")].filter((node) => {
      const named = node.getAttribute("aria-label") || node.textContent.trim() || node.title;
      return !named && !node.labels?.[0]?.textContent.trim();
    }).map((node) => node.outerHTML.slice(0, 120))"""
    assert page.evaluate(nameless) == []
    for name in ("sound", "time", "inject", "takes", "scenes", "setup"):
        tab(page, name)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, name
        outside = """() => [...document.querySelectorAll("#mrt :is(button, input, select, a)")].filter((node) => {
          const { left, right, width } = node.getBoundingClientRect();
          const scrolls = node.closest(".tabs, .hidden-text");
          return width > 1 && !scrolls && (left < -1 || right > 391);
        }).map((node) => node.outerHTML.slice(0, 120))"""
        assert page.evaluate(outside) == [], name
    page.click(".bar [data-page=play]")
    live.wait_until(lambda: page.evaluate("() => document.body.dataset.live") == "playing")


def test_a_laptop_shows_it_all_on_one_screen(live):
    page = live.open()
    for _ in range(4):
        page.click("[data-page=add]")
    for name in ("sound", "time", "inject", "takes", "scenes", "setup"):
        tab(page, name)
        assert page.evaluate("() => document.documentElement.scrollHeight") <= 801, name


def test_the_focus_is_seen_and_nothing_moves_for_those_who_asked(live):
    page = live.open()
    page.emulate_media(reduced_motion="reduce")
    page.keyboard.press("Tab")
    outline = "() => getComputedStyle(document.activeElement).outlineWidth"
    assert page.evaluate("() => document.activeElement.closest('#mrt') !== null") and page.evaluate(outline) == "3px"
    page.click(".bar [data-page=play]")
    page.wait_for_timeout(600)
    assert page.evaluate("() => getComputedStyle(document.querySelector('.share')).transitionDuration") in ("0s", "")
