// Deck: the page's elements and what they show. It makes nodes and writes text; it decides nothing.
// Texts of people and of the server go in with textContent only.

const TOUCH_MS = 300; // a slider that a hand is on is not moved
const WARNING_MS = 5000;

/** A node: make("button", {class: "small"}, "text", other). Attributes that are null are left out. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A picture from one path of 24 by 24. */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  for (const [name, value] of Object.entries({ class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" })) picture.setAttribute(name, value);
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  picture.append(line);
  return picture;
}

/** The place where something is shown, and all of them. */
export const place = (name) => document.querySelector(`[data-show="${name}"]`);
export const places = (name) => document.querySelectorAll(`[data-show="${name}"]`);
/** The page's own buttons and inputs of a name. */
export const controls = (name) => document.querySelectorAll(`[data-page="${name}"]`);

/** Writes a text where it is shown, if it is another. */
export function show(name, text) {
  for (const node of places(name)) if (node.textContent !== text) node.textContent = text;
}

/** Presses the one of several buttons that has a value. */
export function choose(name, value) {
  for (const button of controls(name)) {
    if (button.dataset.value !== undefined) button.setAttribute("aria-pressed", String(button.dataset.value === String(value)));
  }
}

export function press(name, isPressed) {
  for (const button of controls(name)) button.setAttribute("aria-pressed", String(isPressed));
}

/** Tabs over panels: one is open, arrows go from one to the next. */
export class Tabs {
  constructor() {
    this._tabs = [...document.querySelectorAll("[data-tab]")];
    for (const tab of this._tabs) {
      tab.addEventListener("click", () => this.open(tab.dataset.tab));
      tab.addEventListener("keydown", (event) => this._move(event, tab));
      const panel = document.getElementById(`panel-${tab.dataset.tab}`);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
    }
    this.open("sound");
  }

  open(name) {
    document.getElementById("mrt-right").dataset.panel = name;
    for (const tab of this._tabs) {
      const isOpen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(isOpen));
      tab.tabIndex = isOpen ? 0 : -1;
    }
  }

  /** The next one. */
  next(step = 1) {
    const index = this._tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
    const tab = this._tabs[(index + step + this._tabs.length) % this._tabs.length];
    this.open(tab.dataset.tab);
    return tab;
  }

  _move(event, tab) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.open(tab.dataset.tab);
    this.next(step).focus();
  }
}

/**
 * Gradio's sliders, in both directions. Moving one from here must tell Gradio, so that its number box follows; Gradio then
 * says that it was moved, and what comes back like this is left out.
 */
export class Dials {
  constructor(knobs) {
    this._knobs = knobs;
    this._echo = new Map(); // knob -> the value that the slider was given from here
    this._touched = new Map();
    this._bound = new Set();
    this._isOurs = false;
  }

  /** Joins every slider that there is to its knob. */
  bind() {
    for (const name of this._knobs.table.keys()) {
      const root = document.getElementById(`knob-${name.replaceAll("/", "-")}`);
      if (!root || this._bound.has(name)) continue;
      this._bound.add(name);
      root.dataset.knob = name;
      root.addEventListener("input", () => this._isOurs || this._touched.set(name, performance.now()), true);
      root.addEventListener("dblclick", (event) => event.target.type === "range" && this._knobs.turn(name, this._knobs.table.get(name).default));
      this._knobs.listen(name, () => this._show(name, root));
    }
  }

  /** Gradio says that a slider was moved. */
  slide(name, value) {
    if (!this._bound.has(name) || value === this._echo.get(name)) return;
    this._echo.delete(name);
    this._knobs.turn(name, value);
  }

  _show(name, root) {
    root.classList.toggle("is-pending", this._knobs.isPending(name));
    const since = performance.now() - (this._touched.get(name) ?? -Infinity);
    if (since < TOUCH_MS) {
      clearTimeout(root.later);
      root.later = setTimeout(() => this._show(name, root), TOUCH_MS - since + 20);
      return;
    }
    const range = root.querySelector("input[type=range]");
    const before = range.value;
    range.value = this._knobs.value(name);
    if (range.value === before) return;
    this._echo.set(name, range.valueAsNumber);
    this._isOurs = true;
    range.dispatchEvent(new Event("input", { bubbles: true }));
    this._isOurs = false;
  }
}

/** A knob's own inputs and buttons (data-knob), other than the strips and Gradio's sliders. */
export function bindInput(knobs, node) {
  const name = node.dataset.knob;
  node.addEventListener(node.type === "number" ? "change" : "input", () => {
    knobs.turn(name, node.type === "checkbox" ? node.checked : node.value);
  });
  knobs.listen(name, (value) => {
    node.classList.toggle("is-pending", knobs.isPending(name));
    if (node.type === "checkbox") node.checked = value;
    else if (document.activeElement !== node || node.type === "range" || knobs.isPending(name)) node.value = value;
  });
}

/** What is going on: status line, time, drop-outs, troubles. */
export class Status {
  constructor() {
    this._drops = 0;
    this._lights = [];
    this._beat = null; // {beats, bpm, at}
    this._beatsPerBar = 4;
  }

  /** A line for the performer. */
  say(text) {
    if (text) show("message", text);
  }

  /** Something that is missing or failed, and what to do. */
  trouble({ text, advice, isFatal }) {
    const box = place("trouble");
    const close = make("button", { type: "button", class: "small", "aria-label": "Close" }, "×");
    close.addEventListener("click", () => (box.hidden = true));
    const words = make("p");
    words.append(make("strong", {}, text), ` ${advice}`);
    box.replaceChildren(words, close);
    box.classList.toggle("is-fatal", Boolean(isFatal));
    box.hidden = false;
  }

  /** The trouble is over. One that keeps this page from playing at all is over only when it plays. */
  wellAgain({ isPlaying = false } = {}) {
    const box = place("trouble");
    if (isPlaying || !box.classList.contains("is-fatal")) box.hidden = true;
  }

  /** Covers the page with a text, and a button where there is something to do; null takes it away. */
  veil(title, text = "", button = null, onClick = null) {
    const box = place("veil");
    box.hidden = title === null;
    if (title === null) return;
    const card = make("div", { class: "card", role: "status" }, make("h2", {}, title), make("p", {}, text));
    if (button) {
      const node = make("button", { type: "button", class: "big" }, button);
      node.addEventListener("click", onClick);
      card.append(node);
    }
    box.replaceChildren(card);
  }

  /** Takes what the player and the server know, ten times a second at most. */
  take(status, stats, leadSeconds) {
    const queued = stats.queuedSeconds;
    const fill = Math.min(queued / leadSeconds, 1);
    const bar = place("buffer-bar");
    bar.style.transform = `scaleX(${fill.toFixed(3)})`;
    bar.dataset.health = !stats.isPlaying ? "idle" : queued < 0.08 ? "bad" : fill < 0.35 ? "low" : "good";
    show("buffer", `${queued.toFixed(2)} s`);
    const { last, median } = stats.earDelay;
    show("delay", last === null ? "–" : `${seconds(last)} (${seconds(median)})`);
    show("align", stats.roundTrip === null ? "not measured" : `${(stats.roundTrip / 48).toFixed(1)} ms${stats.alignment === "unsure" ? " ?" : ""}`);
    show("round-trip", stats.roundTrip === null ? "not measured" : `${(stats.roundTrip / 48).toFixed(1)} ms (${stats.roundTrip} samples)`);
    const drops = stats.underruns + (status?.underruns ?? 0);
    show("underruns", String(drops));
    if (drops > this._drops) this._warn(drops);
    this._drops = drops;
    if (!status) return;
    show("rtf", Number.isFinite(status.rtf) && status.rtf > 0 ? `${status.rtf.toFixed(2)} ×` : "–");
    show("hop", Number.isFinite(status.hop_seconds) ? seconds(status.hop_seconds) : "–");
    document.querySelector("#mrt-foot").dataset.step = status.step;
  }

  /** Where the music is, from a status; it is counted on from there. */
  time(status, beatsPerBar) {
    this._beatsPerBar = beatsPerBar;
    this._beat = { beats: status.bar * beatsPerBar + status.beat, bpm: status.bpm, at: performance.now() };
    show("bpm", status.bpm.toFixed(status.bpm % 1 < 0.05 ? 0 : 1));
  }

  /** Beats since the beginning, as heard now; null if nothing plays. */
  beats() {
    if (!this._beat) return null;
    return this._beat.beats + (Math.min(performance.now() - this._beat.at, 1000) / 60_000) * this._beat.bpm;
  }

  /** Draws the beat. */
  tick(isPlaying) {
    if (this._lights.length !== this._beatsPerBar) {
      this._lights = Array.from({ length: this._beatsPerBar }, () => make("i"));
      place("lights").replaceChildren(...this._lights);
    }
    const beats = this.beats();
    if (beats === null) return;
    const beat = Math.floor(((beats % this._beatsPerBar) + this._beatsPerBar) % this._beatsPerBar);
    show("place", `${Math.floor(beats / this._beatsPerBar) + 1}.${beat + 1}`);
    this._lights.forEach((light, index) => light.classList.toggle("is-on", isPlaying && index === beat));
  }

  _warn(drops) {
    const fact = place("underruns").parentElement;
    fact.classList.add("is-warning");
    clearTimeout(this._warning);
    this._warning = setTimeout(() => fact.classList.remove("is-warning"), WARNING_MS);
    show("spoken", `Drop-out. ${drops} so far.`);
  }
}

/** 0.84 s, 12 ms. */
export function seconds(value) {
  return value < 0.1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(2)} s`;
}

/** 1:05. */
export function minutes(value) {
  const whole = Math.floor(value);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Fills a list of choices, and keeps the chosen one if it is still there. */
export function fillSelect(select, rows, first) {
  const before = select.value;
  const option = (value, label) => {
    const node = make("option", { value });
    node.textContent = label;
    return node;
  };
  const known = rows.filter(({ id }) => id && id !== "default");
  select.replaceChildren(option("", first), ...known.map(({ id, label }, index) => option(id, label || `Device ${index + 1}`)));
  select.value = before;
  if (select.selectedIndex < 0) select.value = "";
}
