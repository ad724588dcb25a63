// Scenes: two complete settings, and all settings between them. `blend` is pure; Scenes holds A and B.

const SLOTS = 8;
const PROMPT = /^prompt\/\d+\//;
/** Knobs whose numbers are not on a line: 0 beats is no loop, 0 codes are all, and seeds have no neighbours. */
const COUNTS = new Set(["seed", "top_k", "beats_per_bar", "inject/loop_beats"]);

/** What of a setting belongs to the room and not to the music; it is in no scene and in no preset. */
export const ROOM_KNOBS = new Set(["volume", "metronome", "midi_clock", "keep_time", "inject/on"]);

/** The part of all knobs that a scene or a preset holds. */
export function sceneOf(values) {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !ROOM_KNOBS.has(name)));
}

/**
 * A setting between two.
 *
 * Numbers go straight from one to the other; switches, texts and counts (COUNTS) change in the middle.
 * Prompts with equal text go from weight to weight, wherever they are; the others fade out or in. In a blend no prompt
 * is muted or solo: its weight says it. If more than eight are in play, a prompt of B takes over the slot of one of A,
 * which has faded out by the middle.
 *
 * @param {object} a knob values by name, at share 0.
 * @param {object} b the same, at share 1.
 * @param {number} share 0 .. 1.
 * @returns {object} knob values by name; `a` or `b` itself, copied, at the ends.
 */
export function blend(a, b, share) {
  if (!(share > 0)) return { ...a };
  if (share >= 1) return { ...b };
  const mixed = {};
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (!PROMPT.test(name)) mixed[name] = between(name, a[name], b[name], share);
  }
  return { ...mixed, ...blendPrompts(a, b, share) };
}

function between(name, one, other, share) {
  if (one === undefined || other === undefined) return one === undefined ? other : one;
  if (typeof one !== "number" || typeof other !== "number" || COUNTS.has(name)) return share < 0.5 ? one : other;
  return one + (other - one) * share;
}

/** Prompts of a scene that say something: slot, text, and the weight that they have once mute and solo are counted. */
export function heardPrompts(values) {
  const slots = Array.from({ length: SLOTS }, (_, index) => index + 1);
  const prompts = slots
    .map((slot) => ({
      slot,
      text: values[`prompt/${slot}/text`] ?? "",
      weight: values[`prompt/${slot}/weight`] ?? 0,
      mute: Boolean(values[`prompt/${slot}/mute`]),
      solo: Boolean(values[`prompt/${slot}/solo`]),
    }))
    .filter((prompt) => prompt.text.trim() !== "");
  const isSolo = prompts.some((prompt) => prompt.solo); // a muted one, too, keeps the others out
  return prompts.map(({ slot, text, weight, mute, solo }) => ({
    slot,
    text,
    weight: mute || (isSolo && !solo) ? 0 : weight,
  }));
}

function blendPrompts(a, b, share) {
  const rows = Array.from({ length: SLOTS }, () => ({ text: "", weight: 0 }));
  const theirs = heardPrompts(b);
  const taken = new Set(); // prompts of B that have their place
  const leaving = [];
  for (const prompt of heardPrompts(a)) {
    const twin = theirs.find((other) => other.text === prompt.text && !taken.has(other));
    if (twin) taken.add(twin);
    else leaving.push(prompt.slot);
    const end = twin ? twin.weight : 0;
    rows[prompt.slot - 1] = { text: prompt.text, weight: prompt.weight + (end - prompt.weight) * share };
  }
  for (const prompt of theirs.filter((other) => !taken.has(other))) {
    const own = rows[prompt.slot - 1].text === "" ? prompt.slot - 1 : rows.findIndex((row) => row.text === "");
    if (own >= 0) {
      rows[own] = { text: prompt.text, weight: prompt.weight * share };
      continue;
    }
    const slot = leaving.shift(); // there is one: at most eight prompts of B, and each other slot is a twin's
    const before = heardPrompts(a).find((other) => other.slot === slot);
    rows[slot - 1] =
      share < 0.5
        ? { text: before.text, weight: before.weight * (1 - 2 * share) }
        : { text: prompt.text, weight: prompt.weight * (2 * share - 1) };
  }
  const values = {};
  rows.forEach(({ text, weight }, index) => {
    values[`prompt/${index + 1}/text`] = text;
    values[`prompt/${index + 1}/weight`] = weight;
    values[`prompt/${index + 1}/mute`] = false;
    values[`prompt/${index + 1}/solo`] = false;
  });
  return values;
}

/** A and B, and where between them the knobs stand. Tells `onBlend(values)` what to set, `onChange()` to show it. */
export class Scenes {
  constructor(onBlend, onChange) {
    this.a = null;
    this.b = null;
    this.share = 0;
    this._onBlend = onBlend;
    this._onChange = onChange;
    this._timer = null;
  }

  get isReady() {
    return this.a !== null && this.b !== null;
  }

  /** Keeps values as "a" or "b"; the fader goes to that end, where they stand. */
  keep(which, values) {
    this.halt();
    this[which] = sceneOf(values);
    if (this.isReady) this.share = which === "a" ? 0 : 1;
    this._onChange();
  }

  /** Goes to a place between them, 0 .. 1. */
  fade(share) {
    if (!this.isReady) return;
    this.share = Math.min(Math.max(share, 0), 1);
    this._onBlend(blend(this.a, this.b, this.share));
    this._onChange();
  }

  /** Goes to the other end in so many seconds; from the middle, to B. */
  glide(seconds) {
    this.halt();
    if (!this.isReady) return;
    const from = this.share;
    const to = from > 0.5 ? 0 : 1;
    const began = performance.now();
    const step = () => {
      const done = Math.min((performance.now() - began) / 1000 / seconds, 1);
      this.fade(from + (to - from) * done);
      if (done >= 1) this.halt();
    };
    this._timer = setInterval(step, 100);
    this._onChange();
  }

  get isGliding() {
    return this._timer !== null;
  }

  halt() {
    clearInterval(this._timer);
    this._timer = null;
  }
}
