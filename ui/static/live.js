// Live: the page. It joins the player (sound, socket) with knobs, prompts, scenes, keys and MIDI, and shows how it goes.
//
//   controls -> knobs -> player -> server          "changed" -> knobs -> controls
//
// deck.py has the HTML, deck.js the elements, player.js the performance. `start` is called once by Gradio, when the deck is
// there; window.mrtLive is what Gradio's sliders talk to.

import { Dials, Status, Tabs, bindInput, choose, controls, fillSelect, make, place, press, show } from "./deck.js";
import { Keys } from "./keys.js";
import { Knobs } from "./knobs.js";
import { Level, Scope } from "./meters.js";
import { Midi, aim, showMidi } from "./midi.js";
import { Player } from "./player.js";
import { isSound, presetOf, save, valuesOf } from "./presets.js";
import { Prompts } from "./prompts.js";
import { Scenes, sceneOf } from "./scenes.js";
import { Takes } from "./takes.js";

const PIECES = ["mrt-top", "mrt-mix", "mrt-tabs", "mrt-sound", "mrt-time", "mrt-inject", "mrt-takes", "mrt-scenes", "mrt-setup", "mrt-foot"];
const LEAD_SECONDS = 0.5;
const LOOP_BEATS = 8;
const DRAW_MS = 66; // 15 pictures a second: the machine has music to make
const STILL_MS = 400;
const STATUS_MS = 100;
const SNAPSHOTS = ["A", "B", "C", "D"];
const UNPLAYABLE = new Set(["no-websocket", "insecure", "no-worklet", "sample-rate", "no-socket"]);
const CLOCKS = {
  free: "The music keeps its own time; there is no click.",
  internal: "The music keeps the tempo below.",
  tapped: "The music keeps the tempo of your taps: T, or the pad.",
  midi: "The music follows the MIDI clock that comes into this browser.",
};

/** Builds the page when all its pieces are there, and takes a seat when the token is. */
export async function start({ props, watch, base }) {
  if (!document.getElementById("mrt-style")) {
    document.head.append(make("link", { rel: "stylesheet", href: new URL("live.css", import.meta.url).href }));
  }
  while (!PIECES.every((name) => document.querySelector(`#${name} > *`))) await new Promise(requestAnimationFrame);
  const live = new Live(props, base);
  window.mrtLive = live;
  watch("token", () => live.join(props.token));
  watch("preset", () => live.receive(props.preset));
  if (props.token) live.join(props.token);
  return live;
}

class Live {
  constructor(props, base) {
    this.base = base;
    this.player = null;
    this.status = new Status();
    this.knobs = new Knobs((values) => this.player?.set(values));
    this.tabs = new Tabs();
    this.dials = new Dials(this.knobs);
    this.prompts = new Prompts(this, {
      strips: place("strips"), shares: place("shares"), chips: place("chips"), add: controls("add")[0], dice: controls("dice")[0],
    });
    this.takes = new Takes(this, () => this.player);
    this.scenes = new Scenes((values) => this.knobs.turnMany(values), () => this._showScenes());
    this.midi = new Midi(this, {
      say: (text) => this.status.say(text), changed: () => showMidi(this.midi), clock: (bpm) => this._followClock(bpm),
      downbeat: () => this.clock === "midi" && this.act("downbeat"),
    });
    this.presets = props.presets ?? [];
    this.presetIndex = -1;
    this.leadSeconds = LEAD_SECONDS;
    this.clock = "internal";
    this.micOn = false;
    this.last = null; // newest status of the server
    this._isCut = false; // no WebSocket has come through so far
    this._isPlain = false; // the plain player plays
    this._scope = new Scope(place("scope"));
    this._level = new Level(place("level"), "Level of the music");
    this._inputLevel = new Level(place("input-level"), "Level of the microphone");
    this._still = matchMedia("(prefers-reduced-motion: reduce)");
    this._bind();
    this._bindKnobs();
    this._showPresets();
    this._showSnapshots();
    this.prompts.suggest(props.suggestions ?? []);
    this.keys = new Keys(this._acts());
    const lacking = Player.lacks();
    if (lacking) this._trouble(lacking);
    requestAnimationFrame(() => this._draw());
  }

  // The session.

  /** Takes a seat with a token; sound begins with the first press of play. */
  join(token) {
    if (!token || this.player) return;
    this.player = new Player({ url: new URL("live/ws", this.base).href, token, lead: this.leadSeconds });
    const hear = (type, take) => this.player.addEventListener(type, (event) => take(event.detail));
    hear("welcome", (message) => this._welcome(message));
    hear("changed", ({ values }) => this.knobs.take(values));
    hear("refused", ({ reason }) => {
      this.knobs.refuse();
      this.status.say(reason);
    });
    hear("status", (message) => this._takeStatus(message));
    hear("said", ({ text }) => this.status.say(text));
    hear("recording", (message) => this.takes.take(message) && this.tabs.open("takes"));
    hear("calibrated", ({ samples, reason }) => this.status.say(samples === null ? reason : `The microphone comes back after ${(samples / 48).toFixed(1)} ms; that is allowed for now.`));
    hear("waiting", ({ place: number, waiting }) => this.status.veil("All places are taken", `You are number ${number} of ${waiting} in line. This page begins by itself.`));
    hear("reopened", () => this.status.say("The connection was away for too long; the music goes on from here."));
    hear("ended", ({ reason }) => this._end(reason));
    hear("link", (message) => this._followLink(message));
    hear("state", ({ isPlaying }) => this._showPlay(isPlaying));
    hear("underrun", () => this._takeStats());
    hear("devices", () => this._listDevices());
    hear("alignment", ({ state }) => state === "unsure" && this.status.say("Something about the sound has changed: check the alignment (K)."));
    hear("trouble", (detail) => this._trouble(detail));
    this.player.connect();
  }

  _welcome(message) {
    const before = this.knobs.all();
    const isAnother = message.isNew && message.hadSession;
    this.session = message.session;
    this.knobs.welcome(message.knobs, message.values);
    this.dials.bind();
    this.status.veil(null);
    this.status.wellAgain();
    if (this._isCut) this._offerPlain(false);
    this._isCut = false;
    document.body.dataset.live = "ready";
    if (message.suggestions.length) this.prompts.suggest(message.suggestions);
    this._showFacts(message);
    if (!message.isNew) return;
    this.player.lead(this.leadSeconds);
    if (isAnother) this.knobs.turnMany(withoutSounds(sceneOf(before)));
    this.knobs.turn("inject/on", false);
    this.status.say(isAnother ? "A new place, with your settings. Press play." : "Ready.");
  }

  _end(reason) {
    this.knobs.refuse();
    this.takes.end();
    document.body.dataset.live = "ended";
    if (this._isPlain) return;
    this.status.veil("The session has ended", reason || "", "Begin again", () => this.play());
  }

  _followLink({ state, seconds }) {
    document.body.dataset.link = state;
    if (state === "lost") this.status.say(`The connection is lost; the next attempt is in ${seconds.toFixed(1)} s.`);
    if (state === "open") this.status.say("Connected.");
  }

  _trouble(detail) {
    this.status.trouble(detail);
    if (UNPLAYABLE.has(detail.code)) this._offerPlain(true);
    this._isCut ||= detail.code === "no-socket";
    if (detail.code.startsWith("microphone")) this._showMicrophone(false);
  }

  /** The plain player, which Gradio has made, is seen only where it is needed. */
  _offerPlain(isNeeded) {
    document.getElementById("mrt-fallback")?.classList.toggle("is-needed", isNeeded);
  }

  /** The plain player takes a seat of its own: this page's is given back, and no other asked for. */
  _yield() {
    this._isPlain = true;
    this.player?.leave();
  }

  /** Play, or pause. */
  async play() {
    const { player } = this;
    if (!player) return;
    this._isPlain = false;
    if (player.stats().isPlaying) {
      player.pause();
      return;
    }
    this.status.veil(null);
    if (await player.start()) {
      this.status.wellAgain({ isPlaying: true });
      place("invitation").hidden = true;
      this._listDevices();
    }
  }

  _showPlay(isPlaying) {
    press("play", isPlaying);
    show("play", isPlaying ? "Pause" : "Play");
    if (document.body.dataset.live !== "ended") document.body.dataset.live = isPlaying ? "playing" : "ready";
  }

  /** Asks for an action. */
  act(name, value = null) {
    if (name === "tap" && this.clock !== "tapped" && this.clock !== "midi") this.setClock("tapped");
    this.player?.act(name, value);
    if (name === "snapshot/save") this._markSnapshot(value);
  }

  // What the deck calls.

  say(text) {
    this.status.say(text);
  }

  /** Gradio's sliders say that they were moved. */
  slide(name, value) {
    this.dials.slide(name, value);
  }

  /** Sends a file to one of the server's routes; gives its answer. */
  async upload(path, blob, name) {
    if (!this.player) throw new Error("there is no connection");
    const body = new FormData();
    body.append("file", blob, name);
    const answer = await this.player.request(path, { method: "POST", body });
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(content.detail ?? content.reason ?? content.error ?? `the server refused it (${answer.status})`);
    return content;
  }

  /** The last seconds of the microphone, as a WAV file. */
  async grab(seconds) {
    if (!this.micOn) throw new Error("Switch the microphone on first (M), play something, then grab it.");
    const wave = await this.player.grab(seconds);
    if (!wave) throw new Error("The microphone has heard nothing yet.");
    return wave;
  }

  /** A sound is no longer a prompt; one that a scene still holds is kept. */
  forget(prompt) {
    const kept = [this.scenes.a, this.scenes.b, this.knobs.all()].some((values) => values && Object.values(values).includes(prompt));
    if (!kept) this.player?.forget?.(prompt);
  }

  // Microphone and injection.

  async setMicrophone(isOn) {
    if (!this.player) return;
    this._showMicrophone(isOn);
    const done = await this.player.microphone({ on: isOn, ...this._microphone() });
    if (isOn && !done) this._showMicrophone(false);
    if (done) this._listDevices();
  }

  _microphone() {
    const deviceId = controls("input")[0].value || null;
    const [gain, monitor] = ["microphone-gain", "monitor"].map((name) => controls(name)[0].valueAsNumber);
    return { deviceId, gain, monitor };
  }

  _showMicrophone(isOn) {
    this.micOn = isOn;
    press("microphone", isOn);
    show("microphone", isOn ? "Mic on" : "Mic off");
  }

  get injectMode() {
    if (!this.knobs.value("inject/on")) return "off";
    return this.knobs.value("inject/loop_beats") > 0 ? "looper" : "free";
  }

  setInject(mode) {
    this._stopCountIn();
    if (mode !== "off" && !this.micOn) this.setMicrophone(true);
    const beats = this.knobs.value("inject/loop_beats") || this._loopBeats || LOOP_BEATS;
    if (beats > 0) this._loopBeats = beats;
    if (mode === "off") this.knobs.turn("inject/on", false);
    else this.knobs.turnMany({ "inject/on": true, "inject/loop_beats": mode === "looper" ? beats : 0 });
  }

  /** A bar of clicks in this page, on the beat; then the model hears the performer. */
  countIn() {
    const context = this.player?.context;
    if (!context || context.state !== "running") {
      this.status.say("Press play first; the count-in is heard with the music.");
      return;
    }
    this._stopCountIn();
    const mode = this.injectMode === "off" ? (this._loopBeats ? "looper" : "free") : this.injectMode;
    this.knobs.turn("inject/on", false);
    if (!this.micOn) this.setMicrophone(true);
    const bpm = this.knobs.value("bpm");
    const bar = this.knobs.value("beats_per_bar");
    const now = this.status.beats();
    const wait = now === null ? 0.1 : ((Math.ceil(now + 0.2) - now) * 60) / bpm;
    const clicks = Array.from({ length: bar }, (_, beat) => click(context, context.currentTime + wait + (beat * 60) / bpm, beat === 0));
    press("count-in", true);
    const timer = setTimeout(() => {
      this._countIn = null;
      press("count-in", false);
      this.setInject(mode);
    }, 1000 * (wait + (bar * 60) / bpm));
    this._countIn = { timer, clicks };
  }

  _stopCountIn() {
    if (!this._countIn) return;
    clearTimeout(this._countIn.timer);
    this._countIn.clicks.forEach((node) => node.disconnect());
    this._countIn = null;
    press("count-in", false);
  }

  async _listDevices() {
    const { player } = this;
    if (!player) return;
    fillSelect(controls("input")[0], await player.inputs(), "Default");
    fillSelect(controls("output")[0], await player.outputs(), "Default");
  }

  async calibrate() {
    if (!this.player) return;
    if (!this.micOn) await this.setMicrophone(true);
    if (!this.player.stats().isPlaying) {
      this.status.say("Press play first: the sweep is played over the music.");
      return;
    }
    this.status.say("Listening for the sweep …");
    this.player.calibrate();
  }

  // Time.

  _showClock(clock) {
    this.clock = clock;
    choose("clock", clock);
    document.getElementById("panel-time").dataset.clock = clock;
    show("clock-note", CLOCKS[clock]);
  }

  /** Somebody else may have told the model the time again, or no longer. */
  _watchTime(keepsTime) {
    if (keepsTime === (this.clock === "free")) this._showClock(keepsTime ? "internal" : "free");
  }

  setClock(clock) {
    this._showClock(clock);
    const values = { midi_clock: clock === "midi", keep_time: clock !== "free" };
    if (clock === "free") values.metronome = 0;
    if (this.knobs.table.size) this.knobs.turnMany(values);
    if (clock === "midi" && !this.midi.inputs.length) this.midi.connect();
  }

  _followClock(bpm) {
    if (this.clock === "midi" && Math.abs(bpm - this.knobs.value("bpm")) > 0.15) this.knobs.turn("bpm", bpm);
  }

  // Scenes and presets.

  usePreset(index) {
    const preset = this.presets[index];
    if (!preset) return;
    this.scenes.halt();
    this.presetIndex = index;
    this.knobs.turnMany(valuesOf(preset, this.knobs.table));
    this._showPresets();
    show("preset-note", preset.about);
  }

  /** A preset from a file, as the server has read it; or why it could not. */
  receive(message) {
    if (!message) return;
    this._importer.value = ""; // or the same file, chosen once more, would be no change
    if (message.error) {
      show("preset-note", message.error);
      return;
    }
    const same = this.presets.findIndex(({ name }) => name === message.preset.name);
    const index = same < 0 ? this.presets.length : same;
    this.presets = Object.assign([...this.presets], { [index]: message.preset });
    this.usePreset(index);
    show("preset-note", `Imported: ${message.preset.name}`);
  }

  exportPreset() {
    const { preset, sounds } = presetOf(controls("preset-name")[0].value, this.knobs.all());
    save(preset);
    show("preset-note", sounds ? `Exported without ${sounds} prompt${sounds > 1 ? "s" : ""} made of sound.` : "Exported.");
  }

  _showPresets() {
    const buttons = this.presets.map((preset, index) => {
      const button = make("button", { type: "button", class: "chip", "aria-pressed": String(index === this.presetIndex), title: preset.about || null });
      button.textContent = preset.name;
      button.addEventListener("click", () => this.usePreset(index));
      return button;
    });
    place("presets").replaceChildren(...buttons);
  }

  _showScenes() {
    const { scenes } = this;
    for (const button of controls("store")) {
      const isKept = scenes[button.dataset.value] !== null;
      button.setAttribute("aria-pressed", String(isKept));
      button.textContent = `${isKept ? "Replace" : "Keep as"} ${button.dataset.value.toUpperCase()}`;
    }
    const [fader] = controls("blend");
    fader.disabled = !scenes.isReady;
    fader.value = scenes.share;
    for (const button of controls("glide")) button.disabled = !scenes.isReady;
    const percent = Math.round(100 * scenes.share);
    show("blend", scenes.isReady ? `${100 - percent} % A, ${percent} % B` : scenes.a || scenes.b ? `${scenes.a ? "A" : "B"} is kept. Change something and keep the other.` : "Keep a setting as A and another as B.");
  }

  /** Of the page's own faders: where it is, 0 .. 1, and moving it. For MIDI. */
  at(fader) {
    const [input] = controls(fader);
    return (input.valueAsNumber - Number(input.min)) / (Number(input.max) - Number(input.min));
  }

  move(fader, share) {
    const [input] = controls(fader);
    if (input.disabled) return;
    input.value = Number(input.min) + (Number(input.max) - Number(input.min)) * share;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  press(name, value) {
    const buttons = [...controls(name)];
    (buttons.find((button) => value === undefined || button.dataset.value === value) ?? buttons[0])?.click();
  }

  // What happens, and what is shown of it.

  _bind() {
    const on = (name, run, type = "click") => controls(name).forEach((node) => node.addEventListener(type, () => run(node)));
    on("play", () => this.play());
    on("record", () => this.takes.toggle());
    on("microphone", () => this.setMicrophone(!this.micOn));
    on("help", () => this.keys.help());
    on("seed", () => this.knobs.turn("seed", Math.floor(Math.random() * 2 ** 32)));
    on("lead", (node) => this.setLead(Number(node.dataset.value)));
    on("clock", (node) => this.setClock(node.dataset.value));
    on("inject", (node) => this.setInject(node.dataset.value));
    on("count-in", () => this.countIn());
    on("calibrate", () => this.calibrate());
    on("last", () => this.takes.last());
    on("log", () => this.takes.log());
    on("context", (node) => this.takes.bring(node), "change");
    on("store", (node) => this.scenes.keep(node.dataset.value, this.knobs.all()));
    on("blend", (node) => {
      this.scenes.halt();
      this.scenes.fade(node.valueAsNumber);
    }, "input");
    on("glide", (node) => this.scenes.glide((Number(node.dataset.value) * this.knobs.value("beats_per_bar") * 60) / this.knobs.value("bpm")));
    on("export", () => this.exportPreset());
    on("input", (node) => this.micOn && this.player.microphone({ deviceId: node.value || null }), "change");
    on("output", (node) => this.player?.chooseOutput(node.value), "change");
    for (const name of ["microphone-gain", "monitor"]) {
      on(name, (node) => {
        show(name, node.valueAsNumber.toFixed(2));
        this.player?.microphone({ [name === "monitor" ? "monitor" : "gain"]: node.valueAsNumber });
      }, "input");
    }
    on("midi", () => this.midi.connect());
    on("learn", () => this.midi.learn(!this.midi.learning));
    on("midi-forget", () => this.midi.forget());
    on("pickup", (node) => (this.midi.hasPickup = node.checked), "change");
    on("leave", () => this.player?.leave().then(() => this._end("You have left; somebody else may play.")));
    for (const node of document.querySelectorAll("#mrt [data-action]")) {
      node.addEventListener("click", () => this.act(node.dataset.action, node.dataset.value === undefined ? null : Number(node.dataset.value)));
    }
    for (const type of ["pointerdown", "mousedown", "click"]) document.addEventListener(type, (event) => aim(this.midi, event), true);
    document.getElementById("mrt-fallback")?.addEventListener("click", (event) => event.target.closest("#plain-play") && this._yield());
    this._importer = document.querySelector("#panel-scenes input[type=file]");
    this._importer.setAttribute("aria-label", "Import a preset");
    this.setClock("internal");
  }

  _bindKnobs() {
    for (const node of document.querySelectorAll("#mrt input[data-knob]:not(.strip *)")) bindInput(this.knobs, node);
    this.knobs.listen("keep_time", (value) => this._watchTime(value));
    for (const name of ["inject/on", "inject/loop_beats"]) this.knobs.listen(name, () => choose("inject", this.injectMode));
  }

  _acts() {
    const { prompts, knobs } = this;
    return {
      play: () => this.play(), record: () => this.takes.toggle(), microphone: () => this.setMicrophone(!this.micOn),
      inject: () => this.setInject({ off: "free", free: "looper", looper: "off" }[this.injectMode]),
      countIn: () => this.countIn(), tap: () => this.act("tap"), metronome: () => knobs.turn("metronome", knobs.value("metronome") > 0 ? 0 : 0.5),
      mute: () => prompts.toggle("mute"), solo: () => prompts.toggle("solo"), edit: () => prompts.edit(), dice: () => prompts.dice(),
      select: (slot) => prompts.select(slot), weight: (step) => prompts.nudge(step), knob: (name, step) => knobs.turn(name, round(knobs.value(name) + step)),
      blend: (step) => this.scenes.fade(this.scenes.share + step), snapshot: (slot, isKept) => this._snapshot(slot, isKept),
      rewind: () => this.act("rewind", 1), panel: () => this.tabs.next(), preset: () => this.usePreset((this.presetIndex + 1) % Math.max(1, this.presets.length)),
      calibrate: () => this.calibrate(), last: () => this.takes.last(), panic: () => this.act("panic"), help: () => this.keys.help(),
    };
  }

  setLead(seconds) {
    this.leadSeconds = seconds;
    choose("lead", seconds);
    this.player?.lead(seconds);
  }

  _showSnapshots() {
    this._saved = new Set();
    const pads = SNAPSHOTS.map((letter, index) => {
      const slot = index + 1;
      const recall = make("button", { type: "button", class: "recall", "data-action": "snapshot/recall", "data-value": slot, disabled: "", "aria-label": `Back to snapshot ${letter}`, title: `Back to it (F${slot})` }, letter);
      const keep = make("button", { type: "button", class: "small", "data-action": "snapshot/save", "data-value": slot, "aria-label": `Keep this moment as snapshot ${letter}`, title: `Keep this moment (Shift F${slot})` }, "Keep");
      recall.addEventListener("click", () => this.act("snapshot/recall", slot));
      keep.addEventListener("click", () => this.act("snapshot/save", slot));
      return make("div", { class: "snapshot" }, recall, keep);
    });
    place("snapshots").replaceChildren(...pads);
  }

  _markSnapshot(slot) {
    this._saved.add(slot);
    const pad = place("snapshots").children[slot - 1];
    if (pad) pad.querySelector(".recall").disabled = false;
  }

  _snapshot(slot, isKept) {
    if (isKept) this.act("snapshot/save", slot);
    else if (this._saved.has(slot)) this.act("snapshot/recall", slot);
    else this.status.say(`Snapshot ${SNAPSHOTS[slot - 1]} is empty; Shift F${slot} keeps this moment.`);
  }

  _takeStatus(message) {
    if (message.message && message.message !== this.last?.message) this.status.say(message.message);
    this.last = message;
    this.status.time(message, this.knobs.value("beats_per_bar") ?? 4);
    this.prompts.states(message.prompts ?? []);
    this.prompts.stale(message.live_prompt_age_seconds ?? null);
  }

  _takeStats() {
    if (!this.player) return;
    this.status.take(this.last, this.player.stats(), this.leadSeconds);
  }

  _draw() {
    // Asked for only when it is time: a browser that is asked for every frame draws the page sixty times a second.
    setTimeout(() => requestAnimationFrame(() => this._draw()), DRAW_MS);
    const now = performance.now();
    if (document.hidden) return;
    const analysers = this.player?.analysers ?? null;
    const isPlaying = this.player?.stats().isPlaying ?? false;
    if (!this._still.matches || now - (this._drawnStill ?? 0) > STILL_MS) {
      this._drawnStill = now;
      this._scope.draw(isPlaying ? analysers?.output : null, this._still.matches);
    }
    this._level.draw(analysers ? [analysers.left, analysers.right] : [null, null]);
    this._inputLevel.draw([this.micOn ? (analysers?.microphone ?? null) : null]);
    this.status.tick(isPlaying);
    if (now - (this._counted ?? 0) < STATUS_MS) return;
    this._counted = now;
    this._takeStats();
  }

  _showFacts({ session, bundle, sample_rate: rate, limits }) {
    const rows = { Model: bundle, Sound: `${rate / 1000} kHz, 16 bit, stereo`, Session: String(session).slice(0, 12) };
    if (limits?.upload_bytes) rows.Uploads = `up to ${limits.upload_bytes / 1e6} MB, ${limits.upload_seconds} s`;
    const nodes = Object.entries(rows).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]);
    place("facts").replaceChildren(...nodes);
  }

}

/** A click of the count-in: a short tone; gives its last node. */
function click(context, at, isFirst) {
  const tone = new OscillatorNode(context, { frequency: isFirst ? 1600 : 1100 });
  const level = new GainNode(context, { gain: 0 });
  level.gain.setValueAtTime(0.35, at);
  level.gain.exponentialRampToValueAtTime(0.001, at + 0.06);
  tone.connect(level).connect(context.destination);
  tone.start(at);
  tone.stop(at + 0.07);
  return level;
}

/** Sounds were the lost session's; their prompts are empty in the next. */
function withoutSounds(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof value === "string" && isSound(value) ? "" : value]));
}

function round(value) {
  return Math.round(value * 1000) / 1000;
}
