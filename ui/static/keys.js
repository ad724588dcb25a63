// Keys: everything from the keyboard. Left alone while somebody writes, and where a key already means something: arrows on
// a slider, Space on a button that was reached by keyboard.

import { make } from "./deck.js";

/** What there is, for people: keys, what they do. */
export const KEYS = [
  ["Space", "Play, pause"],
  ["R", "Record"],
  ["M", "Microphone"],
  ["I", "The model hears me: off, free, looper"],
  ["C", "Count in"],
  ["T", "Tap the tempo"],
  ["N", "Metronome"],
  ["1 – 8", "Choose a prompt"],
  ["↑ ↓ ← →", "Its weight; with Shift in fine steps"],
  ["0", "Mute it"],
  ["S", "Solo"],
  ["Enter", "Write its words"],
  ["D", "Other suggestions"],
  ["[ ]", "Temperature"],
  ["- =", "Guidance"],
  [", .", "From A to B"],
  ["F1 – F4", "Snapshots A to D; with Shift, keep one"],
  ["Backspace", "Rewind a bar"],
  ["G", "Next panel"],
  ["P", "Next preset"],
  ["K", "Calibrate"],
  ["L", "Save the last 60 s"],
  ["Esc", "Panic: silence at once"],
  ["?", "This list"],
];

const TEXTUAL = /^(text|search|email|url|password|number|tel|date|time)$/;

/** Whether somebody is writing there. */
export function isWriting(node) {
  if (!node?.tagName) return false;
  return node.tagName === "TEXTAREA" || node.tagName === "SELECT" || node.isContentEditable || (node.tagName === "INPUT" && TEXTUAL.test(node.type));
}

export class Keys {
  /** @param {object} acts functions by name, see `_find`. */
  constructor(acts) {
    this._acts = acts;
    this._list = null;
    window.addEventListener("keydown", (event) => this._press(event));
  }

  /** Shows the list of all keys, or takes it away. */
  help() {
    if (!this._list) {
      const rows = KEYS.map(([keys, text]) => make("li", {}, make("kbd", {}, keys), make("span", {}, text)));
      const close = make("button", { type: "button", class: "small" }, "Close");
      this._list = make("dialog", { class: "keys", "aria-label": "All keys" }, make("h2", {}, "Keys"), make("ul", {}, ...rows), close);
      close.addEventListener("click", () => this._list.close());
      document.getElementById("mrt").append(this._list);
    }
    if (this._list.open) this._list.close();
    else this._list.showModal();
  }

  _press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const node = event.composedPath()[0];
    if (isWriting(node) || this._list?.open) return;
    if (event.key.startsWith("Arrow") && (node.type === "range" || node.type === "radio" || node.role === "tab")) return;
    const isButton = node.tagName === "BUTTON" || node.tagName === "SUMMARY" || node.tagName === "A";
    if ((event.key === " " || event.key === "Enter") && isButton && node.matches(":focus-visible")) return;
    const act = this._find(event);
    if (!act) return;
    event.preventDefault();
    if (!event.repeat || act.repeats) act.run();
  }

  _find({ key, shiftKey, code }) {
    const acts = this._acts;
    const step = shiftKey ? 0.01 : 0.1;
    const plain = key.length === 1 ? key.toLowerCase() : key;
    const once = {
      " ": acts.play, r: acts.record, m: acts.microphone, i: acts.inject, c: acts.countIn, t: acts.tap, n: acts.metronome,
      0: acts.mute, s: acts.solo, Enter: acts.edit, d: acts.dice, Backspace: acts.rewind, g: acts.panel, p: acts.preset,
      k: acts.calibrate, l: acts.last, Escape: acts.panic, "?": acts.help,
    }[plain];
    if (once) return { run: once };
    if (/^[1-8]$/.test(plain)) return { run: () => acts.select(Number(plain)) };
    if (/^F[1-4]$/.test(key)) return { run: () => acts.snapshot(Number(key[1]), shiftKey) };
    const repeated = {
      ArrowUp: () => acts.weight(step), ArrowRight: () => acts.weight(step),
      ArrowDown: () => acts.weight(-step), ArrowLeft: () => acts.weight(-step),
    }[key];
    const fine = shiftKey ? 0.01 : 0.05;
    const byPlace = {
      BracketLeft: () => acts.knob("temperature", -fine), BracketRight: () => acts.knob("temperature", fine),
      Minus: () => acts.knob("guidance", -fine), Equal: () => acts.knob("guidance", fine),
      Comma: () => acts.blend(-fine), Period: () => acts.blend(fine),
    }[code];
    const run = repeated ?? byPlace;
    return run ? { run, repeats: true } : null;
  }
}
