"""The page under many hands: keys, MIDI, the crossfader between two scenes, and a performer who plays along."""

import time

from magenta_rt_py.live.knobs import KNOBS
from tests.ui.page_stage import STUB_MIDI, range_of, shown, tab

pytest_plugins = ["tests.ui.page_stage"]  # live


def test_a_and_b_are_mixed(live):
    page = live.open()
    board = live.seat().board
    board.set_many({"prompt/1/text": "one", "prompt/1/weight": 1.0, "temperature": 1.0})
    live.wait_until(lambda: shown(page, "prompt/1/text") == "one")
    tab(page, "scenes")
    page.click("[data-page=store][data-value=a]")
    board.set_many({"prompt/1/text": "two", "prompt/1/weight": 0.5, "temperature": 2.0, "volume": 0.4})
    live.wait_until(lambda: shown(page, "prompt/1/text") == "two" and shown(page, "volume") == 0.4)
    page.click("[data-page=store][data-value=b]")
    page.locator("[data-page=blend]").fill("0.25")
    live.stands("temperature", 1.25)
    live.stands("prompt/1/text", "one")
    live.stands("prompt/1/weight", 0.75)
    live.stands("prompt/2/text", "two")
    live.stands("prompt/2/weight", 0.125)
    live.stands("volume", 0.4)
    page.locator("[data-page=blend]").fill("1")
    live.stands("prompt/1/text", "two")
    live.stands("prompt/2/text", "")


def test_a_glide_goes_to_the_other_end_in_so_many_bars_and_a_hand_on_the_fader_stops_it(live):
    page = live.open()
    board = live.seat().board
    board.set_many({"temperature": 1.0, "bpm": 60.0, "beats_per_bar": 1})
    live.wait_until(lambda: shown(page, "temperature") == 1.0 and shown(page, "bpm") == 60.0)
    tab(page, "scenes")
    page.click("[data-page=store][data-value=a]")
    board.set("temperature", 3.0)
    live.wait_until(lambda: shown(page, "temperature") == 3.0)
    page.click("[data-page=store][data-value=b]")
    passed = []
    board.listen(lambda change: passed.append((time.monotonic(), change.value)) if change.name == "temperature" else None)
    page.click("[data-page=glide][data-value='4']")  # four bars of one beat a second
    live.stands("temperature", 1.0)
    # A board holds a value before its listeners hear of it.
    live.wait_until(lambda: passed[-1][1] == 1.0)
    values = [value for _, value in passed]
    assert values == sorted(values, reverse=True) and len(values) > 8
    assert passed[-1][0] - passed[0][0] > 3.0
    page.click("[data-page=glide][data-value='16']")
    live.wait_until(lambda: board.settings.values["temperature"] > 1.05)
    page.locator("[data-page=blend]").fill("0.5")
    live.stands("temperature", 2.0)
    page.wait_for_timeout(500)
    assert board.settings.values["temperature"] == 2.0


BLEND = """async () => {
  const { blend, heardPrompts } = await import("./live/static/scenes.js");
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const scene = () => {
    const values = { temperature: 4 * random(), top_k: Math.floor(100 * random()) };
    const first = Math.floor(12 * random());
    for (let slot = 1; slot <= 8; slot += 1) {
      values[`prompt/${slot}/text`] = random() < 0.25 ? "" : `words ${(first + 5 * slot) % 12}`;
      values[`prompt/${slot}/weight`] = 2 * random();
      values[`prompt/${slot}/mute`] = random() < 0.15;
      values[`prompt/${slot}/solo`] = random() < 0.05;
    }
    return values;
  };
  const mix = (values) => {
    const sum = {};
    for (const { text, weight } of heardPrompts(values)) sum[text] = (sum[text] ?? 0) + weight;
    return sum;
  };
  const far = (one, other) => {
    const texts = [...Object.keys(one), ...Object.keys(other)];
    return Math.max(0, ...texts.map((text) => Math.abs((one[text] ?? 0) - (other[text] ?? 0))));
  };
  const wrong = [];
  for (let round = 0; round < 300; round += 1) {
    const [a, b] = [scene(), scene()];
    const kept = JSON.stringify([a, b]);
    if (JSON.stringify([blend(a, b, 0), blend(a, b, 1)]) !== kept) wrong.push("ends");
    let before = a;
    for (let step = 1; step <= 50; step += 1) {
      const now = blend(a, b, step / 50);
      if (far(mix(before), mix(now)) > 4 / 50 + 1e-9) wrong.push(`jump at ${step}`);
      if (now.top_k !== (step < 25 ? a.top_k : b.top_k)) wrong.push("count");
      const wanted = a.temperature + ((b.temperature - a.temperature) * step) / 50;
      if (Math.abs(now.temperature - wanted) > 1e-9) wrong.push("number");
      if (Object.keys(now).length !== Object.keys(a).length) wrong.push("names");
      before = now;
    }
    if (JSON.stringify([a, b]) !== kept) wrong.push("not pure");
  }
  return wrong.slice(0, 5);
}"""


def test_between_two_scenes_nothing_jumps_and_the_ends_are_exact(live):
    assert live.open().evaluate(BLEND) == []


def test_keys(live):
    page = live.open()
    seat, asked = live.seat(), []
    act = seat.board.act
    seat.board.act = lambda name, value=None, **more: (asked.append((name, value)), act(name, value, **more))[1]
    press = page.keyboard.press
    press("3")
    press("Enter")
    page.keyboard.type("strings r t 0")
    assert page.input_value("[data-knob='prompt/3/text']") == "strings r t 0", "keys must not act while somebody writes"
    press("Enter")
    live.stands("prompt/3/weight", 1.0)
    page.evaluate("() => document.activeElement.blur()")
    press("ArrowDown")
    live.stands("prompt/3/weight", 0.9)
    press("Shift+ArrowUp")
    live.stands("prompt/3/weight", 0.91)
    press("0")
    live.stands("prompt/3/mute", True)
    press("s")
    live.stands("prompt/3/solo", True)
    press("]")
    live.stands("temperature", 1.15)
    press("n")
    live.stands("metronome", 0.5)
    press(" ")
    live.wait_until(lambda: page.evaluate("() => document.body.dataset.live") == "playing")
    press("i")
    live.stands("inject/on", True)
    live.wait_until(lambda: page.get_attribute(".bar [data-page=microphone]", "aria-pressed") == "true")
    press("m")
    live.wait_until(lambda: page.get_attribute(".bar [data-page=microphone]", "aria-pressed") == "false")
    press("t")
    press("Escape")
    press("Shift+F2")
    press("F2")
    press("Backspace")
    wanted = [("tap", None), ("panic", None), ("snapshot/save", 2), ("snapshot/recall", 2), ("rewind", 1)]
    live.wait_until(lambda: asked == wanted)
    press("r")
    live.wait_until(lambda: page.get_attribute(".bar [data-page=record]", "aria-pressed") == "true")
    press("r")
    live.wait_until(lambda: page.get_attribute(".bar [data-page=record]", "aria-pressed") == "false")
    press("?")
    assert page.locator("dialog.keys").is_visible()
    press("Escape")
    assert not page.locator("dialog.keys").is_visible()
    page.wait_for_timeout(200)
    assert asked == wanted, "Escape on the list of keys is no panic"
    press(" ")
    live.wait_until(lambda: page.evaluate("() => document.body.dataset.live") == "ready")


def test_space_on_a_button_that_was_reached_by_keyboard_presses_it(live):
    page = live.open()
    page.fill("[data-knob='prompt/1/text']", "words")
    page.press("[data-knob='prompt/1/text']", "Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.dataset.knob") == "prompt/1/mute"
    page.keyboard.press(" ")
    live.stands("prompt/1/mute", True)
    assert page.evaluate("() => document.body.dataset.live") == "ready"


def test_midi_learns_waits_for_its_knob_and_gives_the_tempo(live):
    page = live.open(script=STUB_MIDI)
    tab(page, "setup")
    page.click("[data-page=midi]")
    page.click("[data-page=learn]")
    tab(page, "sound")
    page.click(f"{range_of('temperature')}", position={"x": 3, "y": 8})
    live.stands("temperature", KNOBS["temperature"].default)
    page.evaluate("() => midiSend(0xb0, 21, 5)")
    page.click("[data-action=reset]")
    page.evaluate("() => midiSend(0x90, 36, 100)")
    tab(page, "setup")
    page.click("[data-page=learn]")
    live.wait_until(lambda: page.locator(".bindings li").count() == 2)
    page.evaluate("() => midiSend(0xb0, 21, 120)")  # the knob stands at 1.1 of 4: the dial is far from it
    page.wait_for_timeout(150)
    live.stands("temperature", KNOBS["temperature"].default)
    page.evaluate("() => { midiSend(0xb0, 21, 30); midiSend(0xb0, 21, 64); }")  # passes it
    live.stands("temperature", 64 / 127 * 4)
    asked = []
    seat = live.seat()
    act = seat.board.act
    seat.board.act = lambda name, value=None, **more: (asked.append(name), act(name, value, **more))[1]
    page.evaluate("() => midiSend(0x90, 36, 90)")
    live.wait_until(lambda: asked == ["reset"])
    page.evaluate("() => midiClock(140, 4)")
    page.wait_for_timeout(150)
    assert seat.board.settings.values["bpm"] != 140.0, "the clock counts only where it was chosen"
    tab(page, "time")
    page.click("[data-page=clock][data-value=midi]")
    live.stands("midi_clock", True)
    page.evaluate("() => midiClock(140, 4)")
    live.stands("bpm", 140.0)
    page.reload()
    page.wait_for_function("() => document.body.dataset.live === 'ready' && mrtLive.midi.bindings.length === 2")


def test_injection_goes_off_at_the_start_and_its_modes_are_knobs(live):
    assert KNOBS["inject/on"].default is True
    page = live.open()
    live.stands("inject/on", False)
    tab(page, "inject")
    page.click("[data-page=inject][data-value=looper]")
    live.stands("inject/loop_beats", 8)
    live.stands("inject/on", True)
    live.wait_until(lambda: page.get_attribute("[data-page=inject][data-value=looper]", "aria-pressed") == "true")
    page.click("[data-page=inject][data-value=free]")
    live.stands("inject/loop_beats", 0)
    page.click("[data-page=inject][data-value=off]")
    live.stands("inject/on", False)
    page.locator(range_of("bpm")).evaluate("(node) => mrtLive.knobs.turn('bpm', 400)")
    page.click(".bar [data-page=play]")
    live.wait_until(lambda: page.evaluate("() => mrtLive.last?.bar >= 0 && document.body.dataset.live === 'playing'"))
    page.click("[data-page=count-in]")
    assert page.get_attribute("[data-page=count-in]", "aria-pressed") == "true"
    live.stands("inject/on", True)
