// Prompts: eight strips in colour, each with its words or its sound, a fader, mute and solo; and the bar of their shares.
// Everything that people wrote is put in with textContent or as an input's value.

import { make, icon } from "./deck.js";
import { isSound } from "./presets.js";
import { heardPrompts } from "./scenes.js";

const SLOTS = 8;
const SHOWN_AT_FIRST = 4;
const IDLE_MS = 1200; // words are taken over so long after the last key
const GRAB_SECONDS = 8;
const ICONS = {
  file: "M9 18.5a2.5 2.5 0 1 1-1.5-2.3V5l11-2v11.5a2.5 2.5 0 1 1-1.5-2.3V7.2l-8 1.5z",
  grab: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.5 11a6.5 6.5 0 0 0 5.5 6.4V21h2v-3.6a6.5 6.5 0 0 0 5.5-6.4h-2a4.5 4.5 0 0 1-9 0z",
  remove: "M7 5.6 12 10.6l5-5 1.4 1.4-5 5 5 5-1.4 1.4-5-5-5 5L5.6 17l5-5-5-5z",
};

export class Prompts {
  /**
   * @param {object} desk what the page is: knobs, say(text), upload(path, blob, name), grab(seconds), forget(prompt).
   * @param {{strips, shares, chips, add, dice}} places elements of the deck.
   */
  constructor(desk, places) {
    this._desk = desk;
    this._places = places;
    this._names = new Map(); // "@..." -> how the sound is called
    this._shown = new Set();
    this._suggestions = [];
    this._page = 0;
    this.selected = 1;
    this._strips = Array.from({ length: SLOTS }, (_, index) => this._strip(index + 1));
    places.strips.append(...this._strips.map(({ root }) => root));
    this._segments = Array.from({ length: SLOTS + 1 }, (_, index) => make("span", { class: "share", "data-slot": index + 1 }));
    places.shares.append(...this._segments);
    places.add.addEventListener("click", () => this.add());
    places.dice.addEventListener("click", () => this.dice());
    for (let slot = 1; slot <= SHOWN_AT_FIRST; slot += 1) this._shown.add(slot);
    for (const knob of ["text", "weight", "mute", "solo"]) {
      for (let slot = 1; slot <= SLOTS; slot += 1) {
        desk.knobs.listen(`prompt/${slot}/${knob}`, (value) => this._take(slot, knob, value));
      }
    }
    desk.knobs.listen("inject/live_prompt", () => this._share());
    desk.knobs.listen("inject/on", () => this._share());
    this.select(1);
    this._layOut();
  }

  /** Prompts to offer as buttons. */
  suggest(texts) {
    this._suggestions = texts.slice();
    this._page = 0;
    this._deal();
  }

  /** Another handful of them. */
  dice() {
    this._page += 1;
    this._deal();
  }

  /** Shows one more strip and goes there. */
  add() {
    for (let slot = 1; slot <= SLOTS; slot += 1) {
      if (this._shown.has(slot)) continue;
      this._shown.add(slot);
      this._layOut();
      this.select(slot);
      this._strips[slot - 1].text.focus();
      return;
    }
  }

  select(slot) {
    this._shown.add(slot);
    this.selected = slot;
    this._layOut();
  }

  /** Writes words into the selected strip, or, if it has some, into the next that is free. */
  write(text) {
    let slot = this.selected;
    if (this._value(slot, "text") !== "") {
      const free = Array.from({ length: SLOTS }, (_, index) => index + 1).find((each) => this._value(each, "text") === "");
      slot = free ?? slot;
    }
    this.select(slot);
    this._say(slot, text);
  }

  /** Moves the selected strip's fader. */
  nudge(step) {
    const name = `prompt/${this.selected}/weight`;
    this._desk.knobs.turn(name, Math.round(((this._desk.knobs.value(name) ?? 0) + step) * 100) / 100);
  }

  toggle(knob) {
    const name = `prompt/${this.selected}/${knob}`;
    this._desk.knobs.turn(name, !this._desk.knobs.value(name));
  }

  edit() {
    this._strips[this.selected - 1].text.focus();
  }

  /** States of the slots in use, as the server says them: "ready", "reading", "failed". */
  states(rows) {
    const states = new Map(rows.map(({ slot, state }) => [slot, state]));
    this._strips.forEach(({ root, state }, index) => {
      const now = states.get(index + 1) ?? "";
      if (root.dataset.state === "sending" || root.dataset.state === now) return;
      root.dataset.state = now;
      state.textContent = now === "reading" ? "reading …" : now === "failed" ? "not usable" : "";
    });
  }

  /** Age of the live prompt, seconds; null if there is none. */
  stale(seconds) {
    const segment = this._segments[SLOTS];
    segment.title = seconds === null ? "" : `you, ${seconds.toFixed(0)} s ago`;
  }

  _value(slot, knob) {
    return this._desk.knobs.value(`prompt/${slot}/${knob}`) ?? "";
  }

  /** New words: what has no weight yet gets one, or nobody would hear them. */
  _say(slot, text) {
    const words = text.trim();
    const before = this._value(slot, "text");
    if (words === before) return;
    const values = { [`prompt/${slot}/text`]: words };
    if (before === "" && words !== "" && !(this._value(slot, "weight") > 0)) values[`prompt/${slot}/weight`] = 1;
    this._desk.knobs.turnMany(values);
    if (isSound(before)) this._desk.forget(before);
  }

  _remove(slot) {
    const before = this._value(slot, "text");
    const values = { text: "", weight: 0, mute: false, solo: false };
    this._desk.knobs.turnMany(Object.fromEntries(Object.entries(values).map(([knob, value]) => [`prompt/${slot}/${knob}`, value])));
    if (isSound(before)) this._desk.forget(before);
    if (this._shown.size > 1) this._shown.delete(slot);
    if (this.selected === slot) this.selected = Math.min(...this._shown);
    this._layOut();
  }

  async _upload(slot, blob, name) {
    const strip = this._strips[slot - 1];
    strip.root.dataset.state = "sending";
    strip.state.textContent = "sending …";
    try {
      const { prompt, name: shown, seconds } = await this._desk.upload("live/prompts", blob, name);
      this._names.set(prompt, `${shown}, ${seconds.toFixed(1)} s`);
      this._say(slot, prompt);
      this.select(slot);
    } catch (error) {
      this._desk.say(`${name}: ${error.message}`);
    }
    strip.root.dataset.state = "";
    strip.state.textContent = "";
  }

  async _grab(slot) {
    try {
      const wave = await this._desk.grab(GRAB_SECONDS);
      await this._upload(slot, new Blob([wave], { type: "audio/wav" }), "microphone");
    } catch (error) {
      this._desk.say(error.message);
    }
  }

  _strip(slot) {
    const text = make("input", {
      type: "text", class: "strip-text", maxlength: 500, "data-knob": `prompt/${slot}/text`, autocomplete: "off", spellcheck: "false",
      "aria-label": `Prompt ${slot}: words`, placeholder: slot === 1 ? "What do you want to hear?" : "Another prompt", enterkeyhint: "send",
    });
    const sound = make("span", { class: "strip-sound", hidden: "" });
    const state = make("span", { class: "strip-state", role: "status" });
    const fader = make("input", {
      type: "range", class: "strip-fader", min: 0, max: 2, step: 0.01, "data-knob": `prompt/${slot}/weight`, "aria-label": `Prompt ${slot}: weight`,
    });
    const share = make("output", { class: "strip-share", "aria-label": `Prompt ${slot}: share of the mix` });
    const mute = make("button", { type: "button", class: "strip-switch", "data-knob": `prompt/${slot}/mute`, "aria-pressed": "false", "aria-label": `Mute prompt ${slot}`, title: "Mute (0)" }, "M");
    const solo = make("button", { type: "button", class: "strip-switch solo", "data-knob": `prompt/${slot}/solo`, "aria-pressed": "false", "aria-label": `Solo prompt ${slot}`, title: "Solo (S)" }, "S");
    const chooser = make("input", { type: "file", accept: "audio/*,.flac,.wav,.ogg,.mp3", class: "hidden-text", "aria-label": `Prompt ${slot}: a sound from a file`, title: "A sound from a file" });
    const file = make("label", { class: "strip-tool", title: "A sound from a file" }, icon(ICONS.file), chooser);
    const grab = make("button", { type: "button", class: "strip-tool", "aria-label": `Prompt ${slot}: the last seconds of the microphone`, title: `The last ${GRAB_SECONDS} s of the microphone` }, icon(ICONS.grab));
    const remove = make("button", { type: "button", class: "strip-tool", "aria-label": `Remove prompt ${slot}`, title: "Remove" }, icon(ICONS.remove));
    const number = make("button", { type: "button", class: "strip-number", "aria-label": `Select prompt ${slot}`, "aria-keyshortcuts": String(slot), title: `Select (${slot})` }, String(slot));
    const root = make("div", { class: "strip", "data-slot": slot, role: "group", "aria-label": `Prompt ${slot}` },
      number, make("div", { class: "strip-words" }, text, sound, state), fader, share, mute, solo, file, grab, remove);
    this._bind(slot, { root, text, fader, mute, solo, chooser, grab, remove, number });
    return { root, text, sound, state, fader, share, mute, solo };
  }

  _bind(slot, { root, text, fader, mute, solo, chooser, grab, remove, number }) {
    let idle = null;
    const commit = () => {
      clearTimeout(idle);
      if (text.dataset.isDirty) this._say(slot, text.value);
      delete text.dataset.isDirty;
    };
    text.addEventListener("input", () => {
      text.dataset.isDirty = "1";
      clearTimeout(idle);
      idle = setTimeout(commit, IDLE_MS);
    });
    text.addEventListener("blur", commit);
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) commit();
      if (event.key === "Escape") {
        delete text.dataset.isDirty;
        text.value = isSound(this._value(slot, "text")) ? "" : this._value(slot, "text");
        text.blur();
        event.stopPropagation();
      }
    });
    root.addEventListener("pointerdown", () => this.select(slot));
    root.addEventListener("focusin", () => this.select(slot));
    number.addEventListener("click", () => this.select(slot));
    fader.addEventListener("input", () => this._desk.knobs.turn(`prompt/${slot}/weight`, fader.valueAsNumber));
    fader.addEventListener("dblclick", () => this._desk.knobs.turn(`prompt/${slot}/weight`, 1));
    mute.addEventListener("click", () => this._desk.knobs.turn(`prompt/${slot}/mute`, !this._value(slot, "mute")));
    solo.addEventListener("click", () => this._desk.knobs.turn(`prompt/${slot}/solo`, !this._value(slot, "solo")));
    chooser.addEventListener("change", () => {
      if (chooser.files.length) this._upload(slot, chooser.files[0], chooser.files[0].name);
      chooser.value = "";
    });
    grab.addEventListener("click", () => this._grab(slot));
    remove.addEventListener("click", () => this._remove(slot));
    root.addEventListener("dragover", (event) => {
      event.preventDefault();
      root.classList.add("is-target");
    });
    root.addEventListener("dragleave", () => root.classList.remove("is-target"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("is-target");
      const dropped = event.dataTransfer.files[0];
      if (dropped) this._upload(slot, dropped, dropped.name);
    });
  }

  _take(slot, knob, value) {
    const strip = this._strips[slot - 1];
    const name = `prompt/${slot}/${knob}`;
    const element = strip[knob === "weight" ? "fader" : knob];
    element.classList.toggle("is-pending", this._desk.knobs.isPending(name));
    if (knob === "text") this._takeText(slot, value);
    else if (knob === "weight") {
      strip.fader.value = value;
      strip.fader.setAttribute("aria-valuetext", value.toFixed(2));
    } else {
      element.setAttribute("aria-pressed", String(value));
      strip.root.classList.toggle(`is-${knob}`, value);
    }
    this._share();
  }

  _takeText(slot, value) {
    const { text, sound } = this._strips[slot - 1];
    const isHeard = isSound(value);
    text.hidden = isHeard;
    sound.hidden = !isHeard;
    sound.textContent = isHeard ? `♪ ${this._names.get(value) ?? "a sound"}` : "";
    if (!text.dataset.isDirty) text.value = isHeard ? "" : value;
    if (value !== "" && !this._shown.has(slot)) {
      this._shown.add(slot);
      this._layOut();
    }
    if (value === "" && this._places.chips.childElementCount === 0) this._deal();
  }

  /** Shares of the mix, as the model gets them. */
  _share() {
    const values = this._desk.knobs.all();
    const heard = heardPrompts(values);
    const live = values["inject/on"] ? (values["inject/live_prompt"] ?? 0) : 0;
    const total = heard.reduce((sum, { weight }) => sum + weight, live);
    const shares = Array(SLOTS + 1).fill(0);
    for (const { slot, weight } of heard) shares[slot - 1] = total > 0 ? weight / total : 0;
    shares[SLOTS] = total > 0 ? live / total : 0;
    const parts = [];
    shares.forEach((share, index) => {
      const segment = this._segments[index];
      const percent = `${Math.round(100 * share)} %`;
      segment.style.flexGrow = share;
      segment.classList.toggle("is-empty", share === 0);
      segment.textContent = share > 0.07 ? (index === SLOTS ? "you" : percent) : "";
      if (share > 0) parts.push(`${index === SLOTS ? "you" : `prompt ${index + 1}`} ${percent}`);
      if (index === SLOTS) return;
      const strip = this._strips[index];
      strip.share.textContent = this._value(index + 1, "text") === "" ? "" : percent;
      strip.root.style.setProperty("--share", share.toFixed(4));
    });
    this._places.shares.setAttribute("aria-label", `Mix of prompts: ${parts.join(", ") || "none, the music goes its own way"}`);
    this._places.shares.classList.toggle("is-silent", total === 0);
  }

  _layOut() {
    this._strips.forEach(({ root }, index) => {
      root.hidden = !this._shown.has(index + 1);
      root.classList.toggle("is-selected", this.selected === index + 1);
    });
    this._places.add.disabled = this._shown.size >= SLOTS;
  }

  _deal() {
    const most = 6;
    const first = this._suggestions.length ? (this._page * most) % this._suggestions.length : 0;
    const dealt = [...this._suggestions, ...this._suggestions].slice(first, first + Math.min(most, this._suggestions.length));
    const chips = dealt.map((text) => {
      const chip = make("button", { type: "button", class: "chip", title: "Put it into a prompt" });
      chip.textContent = text;
      chip.addEventListener("click", () => this.write(text));
      return chip;
    });
    this._places.chips.replaceChildren(...chips);
  }
}
