"""The page's ring and its packets, in a real browser: sound in order, fades, counts; and the same bytes as Python's."""

import base64
import io

import numpy as np
import pytest
import soundfile

from magenta_rt_py.serve import wire

# Sound that tells its place, and a stage to play it on: render(n) gives the sound of n quanta and what was taken of each.
STAGE = """async () => {
  Object.assign(window, await import("/live/static/ring.js"), await import("/live/static/wire.js"));
  window.value = (place) => ((place * 7919) % 40009) - 20004;
  window.packet = (position, samples, more = {}) => {
    const { channels = 2, opening = 0, controls = 0, flags = 0, sound = value } = more;
    const buffer = new ArrayBuffer(HEADER_BYTES + 2 * channels * samples);
    const header = { kind: SOUND, flags, channels, opening, samples, controls, position };
    writeHeader(buffer, header);
    const values = payload(buffer);
    for (let each = 0; each < samples; each += 1)
      for (let lane = 0; lane < channels; lane += 1) values[each * channels + lane] =
          lane === 2 ? 8192 : sound(position + each);
    return [header, buffer];
  };
  window.render = (ring, quanta = 1) => {
    const heard = [], taken = [], clicks = [];
    for (let each = 0; each < quanta; each += 1) {
      const lanes = [0, 1, 2].map(() => new Float32Array(128).fill(9));
      taken.push(ring.render(lanes));
      heard.push(...lanes[0]);
      clicks.push(...lanes[2]);
    }
    return { heard, taken, clicks };
  };
  window.started = (refill = 0) => {
    const ring = new Ring();
    ring.refillSamples = refill;
    ring.isWanted = true;
    return ring;
  };
}"""


@pytest.fixture(scope="module")
def page(browser, static_address):
    """A page with the ring's modules at hand, one for all: they keep nothing."""
    page = browser.new_page()
    page.goto(static_address)
    page.evaluate(STAGE)
    yield page
    page.close()


def test_whatever_comes_when_the_sound_is_played_once_and_in_order(page):
    # Packets of any length, twice, overlapping, late; the ring is small, so that it wraps and overflows.
    wrong = page.evaluate("""() => {
      const wrong = [];
      for (let seed = 1; seed <= 60; seed += 1) {
        let state = seed;
        const random = (below) => (state = (state * 48271) % 2147483647) % below;
        const ring = new Ring(2000);
        ring.refillSamples = 300;
        ring.isWanted = true;
        let sent = 0, played = 0, since = 0;
        for (let step = 0; step < 400; step += 1) {
          if (random(3)) {
            const back = random(4) ? 0 : random(700);
            const start = Math.max(0, sent - back);
            const outcome = ring.push(...packet(start, 1 + random(500)));
            if (outcome === "gap") wrong.push([seed, step, "gap"]);
            sent = ring.end;
          }
          const flowed = ring.isFlowing;
          const { heard, taken: [taken] } = render(ring);
          if (!flowed) since = 0;
          for (let each = 0; each < taken; each += 1) {
            const level = Math.min(1, (since + each + 1) / FADE_SAMPLES);
            const expected = level * value(played + each) / 32768;
            if (Math.abs(heard[each] - expected) > 1e-5) wrong.push([seed, step, each, heard[each], expected]);
          }
          played += taken;
          since += taken;
          if (played !== ring.position || ring.queued < 0 || ring.queued > 2000) wrong.push([seed, step, "count"]);
        }
        if (played < 10000) wrong.push([seed, "hardly anything was played", played]);
      }
      return wrong.slice(0, 5);
    }""")
    assert wrong == []


def test_what_is_not_faded_is_exact(page):
    heard = page.evaluate("() => { const ring = started(); ring.push(...packet(0, 4800)); return render(ring, 30).heard; }")
    places = np.arange(240, 3840)
    assert np.array_equal(np.array(heard)[240:] * 32768, (places * 7919) % 40009 - 20004)


def test_it_does_not_flow_before_enough_is_there_or_nobody_listens(page):
    taken = page.evaluate("""() => {
      const ring = started(3000);
      ring.push(...packet(0, 2999));
      const few = render(ring).taken[0];
      ring.push(...packet(2999, 1));
      ring.isWanted = false;
      const unwanted = render(ring).taken[0];
      ring.isWanted = true;
      return [few, unwanted, render(ring).taken[0]];
    }""")
    assert taken == [0, 0, 128]


def test_running_dry_is_counted_faded_and_made_good(page):
    told = page.evaluate("""() => {
      const sound = (place) => Math.round(16384 * Math.sin(place * 0.05));
      const ring = started(1000);
      ring.push(...packet(0, 2000, { sound }));
      const before = render(ring, 25);
      const counts = [ring.underruns, ring.position, ring.isDry];
      ring.push(...packet(2000, 900, { sound }));
      const waiting = render(ring, 2);
      ring.push(...packet(2900, 2000, { sound }));
      const after = render(ring, 8);
      return { before, counts, waiting, after, end: [ring.underruns, ring.position, ring.missingSamples] };
    }""")
    heard = np.array(told["before"]["heard"])
    assert told["counts"] == [1, 2000, True]
    # No step is larger than the sine's own steepest and the fade's.
    assert np.abs(np.diff(heard)).max() < 0.5 * 0.05 + 0.5 / 240 + 1e-3
    assert np.abs(heard[2000:2100]).max() > 0.2 and np.all(heard[2240:] == 0.0)
    assert set(told["waiting"]["taken"]) == {0} and not np.any(told["waiting"]["heard"])
    back = np.array(told["after"]["heard"])
    expected = np.round(16384 * np.sin(np.arange(2000, 3024) * 0.05)) / 32768
    assert np.abs(back - expected * np.minimum(1.0, np.arange(1, 1025) / 240)).max() < 1e-5
    assert told["end"] == [1, 3024, 25 * 128 - 2000 + 256]


def test_a_pause_fades_and_goes_on_from_the_same_sample(page):
    told = page.evaluate("""() => {
      const sound = () => 16384;
      const ring = started();
      ring.push(...packet(0, 9600, { sound }));
      render(ring, 10);
      ring.isWanted = false;
      const fading = render(ring, 4);
      const stood = ring.position;
      ring.isWanted = true;
      return { fading, stood, on: render(ring, 3), underruns: ring.underruns, position: ring.position };
    }""")
    heard = np.array(told["fading"]["heard"])
    assert 1280 + 238 <= told["stood"] <= 1280 + 241
    assert np.all(np.diff(heard) <= 1e-6) and heard[0] > 0.49 and np.all(heard[242:] == 0.0)
    assert told["on"]["taken"] == [128] * 3 and told["position"] == told["stood"] + 384
    assert told["underruns"] == 0 and np.array(told["on"]["heard"])[0] < 0.01


def test_gaps_old_packets_and_too_many_are_told(page):
    told = page.evaluate("""() => {
      const ring = started();
      const small = new Ring(1000);
      return [
        ring.push(...packet(0, 100)), ring.push(...packet(0, 100)), ring.push(...packet(50, 100)), ring.end,
        ring.push(...packet(151, 10)), ring.end, ring.push(...packet(150, 10, { opening: 7 })), ring.end,
        ring.push(...packet(5000, 10, { flags: DISCONTINUOUS })), ring.position, ring.end,
        small.push(...packet(0, 1500)), small.end, small.lostSamples, small.push(...packet(1000, 10)),
      ];
    }""")
    assert told == ["queued", "old", "queued", 150, "gap", 150, "old", 150, "queued", 5000, 5010, "full", 1000, 500, "full"]


def test_a_new_place_fades_what_sounds_and_plays_what_comes(page):
    told = page.evaluate("""() => {
      const ring = started();
      ring.push(...packet(0, 4800, { sound: () => 16384 }));
      render(ring, 4);
      ring.reset(3, 70);
      const tail = render(ring, 3).heard;
      ring.push(...packet(70, 4800, { opening: 3 }));
      return { tail, taken: render(ring).taken[0], position: ring.position, underruns: ring.underruns };
    }""")
    tail = np.array(told["tail"])
    assert tail[0] > 0.49 and np.all(np.diff(tail) <= 0) and np.all(tail[240:] == 0)
    assert told["taken"] == 128 and told["position"] == 198 and told["underruns"] == 0


def test_the_knobs_number_is_told_with_its_first_sample(page):
    told = page.evaluate("""() => {
      const ring = started();
      for (const [start, controls] of [[0, 5], [100, 5], [200, 6], [300, 8]]) ring.push(...packet(start, 100, { controls }));
      const lanes = [0, 1, 2].map(() => new Float32Array(128));
      return [0, 1, 2].map(() => { ring.render(lanes); return [ring.heardControls, ring.controls]; });
    }""")
    assert told == [[[5, 0], 5], [[6, 200 - 128], 6], [[8, 300 - 256], 8]]


def test_the_click_has_a_lane_of_its_own(page):
    told = page.evaluate("""() => {
      const ring = started();
      ring.push(...packet(0, 640, { channels: 3 }));
      ring.push(...packet(640, 640));
      return render(ring, 10).clicks;
    }""")
    clicks = np.array(told)
    assert np.all(clicks[240:640] == 0.25) and np.all(clicks[640:1280] == 0.0)


def test_headers_are_pythons(page):
    payload = wire.payload_of(np.linspace(-1, 1, 30).reshape(10, 3))
    packet = wire.Packet(wire.SOUND, wire.DISCONTINUITY, 3, 0, 4_000_000_000, 10, 77, 2**52 + 1, payload)
    read = page.evaluate(
        "(text) => readHeader(Uint8Array.from(atob(text), (each) => each.charCodeAt(0)).buffer)",
        base64.b64encode(wire.pack(packet)).decode(),
    )
    assert read == {name: getattr(packet, name) for name in wire.Packet._fields if name != "payload"}
    written = page.evaluate("""() => {
      const buffer = new ArrayBuffer(HEADER_BYTES + 4 * 3);
      writeHeader(buffer, { kind: MICROPHONE, flags: STARVED, channels: 2, opening: 9, samples: 3, position: 2 ** 40 });
      payload(buffer).set([1, 2, 3, -4, -5, -6]);
      return [...new Uint8Array(buffer)];
    }""")
    back = wire.unpack(bytes(written))
    assert back[:8] == (wire.MICROPHONE, wire.STARVED, 2, 0, 9, 3, 0, 2**40)
    assert np.frombuffer(back.payload, "<i2").tolist() == [1, 2, 3, -4, -5, -6]


def test_what_is_no_packet_is_refused(page):
    told = page.evaluate("""() => {
      const made = (change) => {
        const [, buffer] = packet(0, 10);
        change(new DataView(buffer));
        return readHeader(buffer);
      };
      return [
        readHeader("text"), readHeader(new ArrayBuffer(31)), readHeader(packet(0, 10)[1].slice(0, -1)),
        made((view) => view.setUint8(0, 9)), made((view) => view.setUint8(2, 4)), made((view) => view.setUint8(3, 1)),
        made((view) => view.setFloat64(16, NaN, true)), made((view) => view.setFloat64(16, 1.5, true)),
        made((view) => view.setFloat64(16, -1, true)), made(() => null) === null,
      ];
    }""")
    assert told == [None] * 9 + [False]


def test_samples_are_rounded_and_kept_in_range(page):
    told = page.evaluate("() => [0.5, -1, 1, 7, -7, NaN, Infinity, 0.4 / 32768, 0.6 / 32768].map(toInt16)")
    assert told == [16384, -32768, 32767, 32767, -32768, 0, 32767, 0, 1]


def test_grabbed_packets_become_a_file_of_the_last_seconds(page):
    told = page.evaluate("""() => {
      const packets = [packet(0, 1920)[1], packet(1920, 1920, { channels: 1 })[1], packet(3840, 1920)[1]];
      const file = waveFile(packets, 0.1);
      return [btoa(String.fromCharCode(...new Uint8Array(file))), waveFile([], 1), waveFile(packets, 60).byteLength];
    }""")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(told[0])), dtype="int16")
    places = np.arange(960, 5760)
    assert rate == 48000 and samples.shape == (4800, 2)
    assert np.array_equal(samples[:, 1], (places * 7919) % 40009 - 20004)
    assert told[1] is None and told[2] == 44 + 4 * 5760
