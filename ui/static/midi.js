// MIDI in the browser: dials and keys learn what they turn, and a clock that comes in gives the tempo.
//
//   control -> [soft take-over] -> knob, or the page's own fader        note -> button        clock -> bpm, downbeat
//
// With soft take-over a dial does nothing until it passes where its knob stands, so that nothing jumps. What was learned is
// kept in this browser.

import { controls, make, place, press, show } from "./deck.js";

const STORE = "mrt-midi";
const HIGHEST = 127;
const NEAR = 3; // of 127: close enough to take over
const CLOCKS_A_BEAT = 24;
const GAP_MS = 500; // a clock that was silent for so long has stopped
const PRESSED = 64;
const LEAST_TEMPO = 20;
const MOST_TEMPO = 400;
const UNLEARNABLE = new Set(["learn", "midi", "midi-forget", "pickup", "input", "output"]);

/** A knob's value where a dial is at `position`, 0 .. 127. Tempi go by equal factors. */
export function valueAt(knob, position) {
  const share = position / HIGHEST;
  if (knob.kind === "switch") return position >= PRESSED;
  const value = knob.name === "bpm" ? knob.low * (knob.high / knob.low) ** share : knob.low + (knob.high - knob.low) * share;
  return knob.kind === "whole number" ? Math.round(value) : value;
}

/** Where a dial would be, 0 .. 127, for a value of a knob. */
export function positionOf(knob, value) {
  if (knob.kind === "switch") return value ? HIGHEST : 0;
  if (knob.name === "bpm") return (HIGHEST * Math.log(value / knob.low)) / Math.log(knob.high / knob.low);
  return (HIGHEST * (value - knob.low)) / (knob.high - knob.low);
}

/** Soft take-over of one dial: `take` says whether it may turn its knob now. */
export class Pickup {
  constructor() {
    this._last = null; // where the dial was
    this._set = null; // where it would be for what it turned the knob to; null: it waits
  }

  /**
   * @param {number} position of the dial.
   * @param {number} target where it would be for the knob's value now.
   * @param {number} settled where it would be for the value that it turns the knob to: whole numbers are rounded.
   */
  take(position, target, settled = position) {
    const isOurs = this._set !== null && Math.abs(target - this._set) <= 1;
    const isNear = Math.abs(position - target) <= NEAR;
    const hasPassed = this._last !== null && (this._last - target) * (position - target) <= 0;
    this._last = position;
    this._set = isOurs || isNear || hasPassed ? settled : null;
    return this._set !== null;
  }
}

/** Tempo from clock messages; stamps in milliseconds. */
export class ClockIn {
  constructor() {
    this._stamps = [];
  }

  /** @returns {number | null} bpm, once every beat; null otherwise. */
  tick(stamp) {
    if (this._stamps.length && stamp - this._stamps.at(-1) > GAP_MS) this._stamps = [];
    this._stamps.push(stamp);
    if (this._stamps.length > 2 * CLOCKS_A_BEAT + 1) this._stamps.shift();
    this._count = ((this._count ?? 0) + 1) % CLOCKS_A_BEAT;
    if (this._count !== 0 || this._stamps.length <= CLOCKS_A_BEAT) return null;
    const clocks = this._stamps.length - 1;
    const bpm = (60_000 * clocks) / CLOCKS_A_BEAT / (this._stamps.at(-1) - this._stamps[0]);
    return bpm >= LEAST_TEMPO && bpm <= MOST_TEMPO ? Math.round(bpm * 10) / 10 : null;
  }

  stop() {
    this._stamps = [];
    this._count = 0;
  }
}

export class Midi {
  /**
   * @param {object} desk knobs, act(name, value), press(page, value), move(page, share) for the page's own faders.
   * @param {{say, changed, clock, downbeat}} tell what it has to say.
   */
  constructor(desk, tell) {
    this._desk = desk;
    this._tell = tell;
    this._clock = new ClockIn();
    this._awaitsDownbeat = false;
    this.hasPickup = true;
    this.learning = null; // null: off; {} on; {target, label}: waits for a dial or a key
    this.bindings = load(); // {kind: "control" | "note", channel, number, target, label}
    this._pickups = new Map();
    this.inputs = [];
  }

  /** Asks the browser for MIDI, and listens to all that is or will be connected. */
  async connect() {
    if (!navigator.requestMIDIAccess) {
      this._tell.say(globalThis.isSecureContext ? "This browser has no MIDI. Chrome, Edge and Firefox have." : "MIDI needs a secure page: https, or localhost.");
      return false;
    }
    try {
      this._access = await navigator.requestMIDIAccess({ sysex: false });
    } catch (error) {
      this._tell.say(`The browser did not allow MIDI (${error.message}).`);
      return false;
    }
    this._access.onstatechange = () => this._listen();
    this._listen();
    return true;
  }

  _listen() {
    const inputs = [...this._access.inputs.values()];
    for (const input of inputs) input.onmidimessage = (event) => this.take(event.data, event.timeStamp);
    this.inputs = inputs.map(({ name }) => name ?? "a device");
    this._tell.changed();
  }

  /** Turns learning on or off. */
  learn(isOn) {
    this.learning = isOn ? {} : null;
    this._tell.changed();
  }

  /** While learning: this is what the next dial or key is to turn. */
  aim(target, label) {
    if (!this.learning) return;
    this.learning = { target, label };
    this._tell.changed();
  }

  forget(index) {
    this.bindings = index === undefined ? [] : this.bindings.filter((_, place) => place !== index);
    this._pickups.clear();
    this._keep();
  }

  /** Takes one message of a device. */
  take(data, stamp) {
    const [status, number, value] = data;
    if (status === 0xf8) this._tick(stamp);
    else if (status === 0xfa) {
      this._clock.stop();
      this._awaitsDownbeat = true;
    } else if (status === 0xfc) this._clock.stop();
    else if (status >= 0x80 && status < 0xf0) this._play(status & 0xf0, (status & 0x0f) + 1, number, value);
  }

  _tick(stamp) {
    if (this._awaitsDownbeat) this._tell.downbeat();
    this._awaitsDownbeat = false;
    const bpm = this._clock.tick(stamp);
    if (bpm !== null) this._tell.clock(bpm);
  }

  _play(status, channel, number, value) {
    const kind = status === 0xb0 ? "control" : status === 0x90 && value > 0 ? "note" : null;
    if (kind === null) return;
    if (this.learning?.target) {
      this._bind({ kind, channel, number, ...this.learning });
      return;
    }
    this.bindings.forEach((binding, index) => {
      if (binding.kind === kind && binding.channel === channel && binding.number === number) this._turn(binding, index, value);
    });
  }

  /** What was bound to the dial, or to the target, is forgotten. */
  _bind(fresh) {
    const isSame = (each) => each.kind === fresh.kind && each.channel === fresh.channel && each.number === fresh.number;
    const isAim = (each) => JSON.stringify(each.target) === JSON.stringify(fresh.target);
    this.bindings = [...this.bindings.filter((each) => !isSame(each) && !isAim(each)), fresh];
    this._pickups.clear();
    this.learning = {};
    this._keep();
  }

  _turn({ kind, target }, index, value) {
    const { knobs } = this._desk;
    const knob = target.knob && knobs.table.get(target.knob);
    if (knob && kind === "note") {
      knobs.turn(knob.name, knob.kind === "switch" ? !knobs.value(knob.name) : knob.default);
    } else if (knob) {
      const wanted = valueAt(knob, value);
      if (this._may(index, value, positionOf(knob, knobs.value(knob.name)), positionOf(knob, wanted))) knobs.turn(knob.name, wanted);
    } else if (target.fader) {
      const { at } = target;
      if (kind === "control" && this._may(index, value, HIGHEST * this._desk.at(target.fader), value)) this._desk.move(target.fader, value / HIGHEST);
      else if (kind === "note") this._desk.move(target.fader, at ?? 0);
    } else if (kind === "note" || this._isPress(index, value)) {
      if (target.action) this._desk.act(target.action, target.value);
      else this._desk.press(target.page, target.value);
    }
  }

  _may(index, position, target, settled) {
    if (!this._pickups.has(index)) this._pickups.set(index, new Pickup());
    return this._pickups.get(index).take(position, target, settled) || !this.hasPickup;
  }

  /** Whether a control used as a button went down just now. */
  _isPress(index, value) {
    const before = this._pickups.get(index) ?? 0;
    this._pickups.set(index, value);
    return value >= PRESSED && !(before >= PRESSED);
  }

  _keep() {
    try {
      localStorage.setItem(STORE, JSON.stringify(this.bindings));
    } catch {
      // no storage here: it is kept until the page is left
    }
    this._tell.changed();
  }
}

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    const isWhole = (each) => ["control", "note"].includes(each?.kind) && Number.isInteger(each.number) && each.target && typeof each.label === "string";
    return Array.isArray(kept) ? kept.filter(isWhole) : [];
  } catch {
    return [];
  }
}

/** Shows what is connected, what is being learned, and what was. */
export function showMidi(midi) {
  const isLearning = midi.learning !== null;
  document.body.classList.toggle("is-learning", isLearning);
  press("learn", isLearning);
  for (const name of ["learn", "midi-forget"]) controls(name).forEach((node) => (node.disabled = !midi.inputs.length));
  const label = midi.learning?.label;
  const connected = midi.inputs.length ? `Connected: ${midi.inputs.join(", ")}.` : "No MIDI device is connected.";
  show("midi", !isLearning ? connected : label ? `Now move a dial or press a key for: ${label}` : "Click what is to be turned.");
  const rows = midi.bindings.map((binding, index) => {
    const forget = make("button", { type: "button", class: "small", "aria-label": `Forget ${binding.label}` }, "×");
    forget.addEventListener("click", () => midi.forget(index));
    const kind = binding.kind === "note" ? "Key" : "Dial";
    return make("li", {}, make("span", {}, `${kind} ${binding.number} on channel ${binding.channel}: ${binding.label}`), forget);
  });
  place("bindings").replaceChildren(...rows);
}

/** While MIDI learns, a click says what is to be learned, and does nothing else; nor does the press before it. */
export function aim(midi, event) {
  if (!midi.learning) return;
  const node = event.target.closest("#mrt [data-knob], #mrt [data-action], #mrt [data-page]");
  if (!node || UNLEARNABLE.has(node.dataset.page)) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.type !== "click") return;
  const { knob, action, page, value } = node.dataset;
  const label = node.getAttribute("aria-label") ?? node.textContent.trim();
  let target = { page, value };
  if (knob) target = { knob };
  else if (action) target = { action, value: value === undefined ? null : Number(value) };
  else if (node.type === "range") target = { fader: page };
  midi.aim(target, (knob ?? (label || page)).slice(0, 60));
}
