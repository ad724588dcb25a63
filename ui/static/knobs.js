// Knobs: where every knob stands, as the server said last, and what has been asked for and is not yet acknowledged.
//
//   turn -> pending -> one message every 20 ms -> server -> "changed" -> acknowledged -> listeners
//
// What is shown is what is pending, else what is acknowledged. What the server does not acknowledge in time is taken back.

const FLUSH_MS = 20;
const PATIENCE_MS = 1500;

export class Knobs {
  /** @param {(values: object) => void} send sends values to the server. */
  constructor(send) {
    this.table = new Map();
    this.acknowledged = new Map();
    this._send = send;
    this._pending = new Map(); // name -> {value, at}
    this._outgoing = new Map();
    this._listeners = new Map(); // name -> Set of functions
    this._everyone = new Set();
    this._sentAt = -Infinity;
    this._timer = null;
    this._patience = null;
  }

  /** Takes the table and all values of a welcome. */
  welcome(rows, values) {
    this.table = new Map(rows.map((row) => [row.name, row]));
    this._pending.clear();
    for (const [name, value] of Object.entries(values)) this.acknowledged.set(name, value);
    for (const name of Object.keys(values)) this._tell(name);
  }

  /** What a knob is shown at; undefined if there is none. */
  value(name) {
    const pending = this._pending.get(name);
    return pending === undefined ? this.acknowledged.get(name) : pending.value;
  }

  /** Whether the server has not yet said so. */
  isPending(name) {
    return this._pending.has(name);
  }

  /** All knobs but actions, as they are shown. */
  all() {
    return Object.fromEntries([...this.acknowledged.keys()].map((name) => [name, this.value(name)]));
  }

  /** The value as the server takes it: in range, whole where it must be; undefined if it is none. */
  fit(name, value) {
    const knob = this.table.get(name);
    if (knob === undefined || knob.kind === "action") return undefined;
    if (knob.kind === "text") return typeof value === "string" ? value.slice(0, knob.high) : undefined;
    if (knob.kind === "switch") return Boolean(value);
    const number = Number(value);
    if (value === null || value === "" || !Number.isFinite(number)) return undefined;
    const inside = Math.min(Math.max(number, knob.low), knob.high);
    return knob.kind === "whole number" ? Math.round(inside) : inside;
  }

  turn(name, value) {
    this.turnMany({ [name]: value });
  }

  /** Turns several at once: they go out in one message. */
  turnMany(values) {
    const now = performance.now();
    for (const [name, wanted] of Object.entries(values)) {
      const value = this.fit(name, wanted);
      if (value === undefined) {
        this._tell(name); // shows again what it stands at
        continue;
      }
      if (!this._pending.has(name) && this.acknowledged.get(name) === value) {
        this._tell(name);
        continue;
      }
      this._pending.set(name, { value, at: now });
      this._outgoing.set(name, value);
      this._tell(name);
    }
    this._schedule();
  }

  /** Takes a "changed" of the server. */
  take(values) {
    const now = performance.now();
    for (const [name, value] of Object.entries(values)) {
      this.acknowledged.set(name, value);
      const pending = this._pending.get(name);
      if (pending && (same(pending.value, value) || now - pending.at > PATIENCE_MS)) this._pending.delete(name);
      this._tell(name);
    }
  }

  /** The server refused something: what is not acknowledged is taken back. */
  refuse() {
    const names = [...this._pending.keys()];
    this._pending.clear();
    this._outgoing.clear();
    for (const name of names) this._tell(name);
  }

  /** Calls `listener(value, name)` now, if there is a value, and after every change; returns how to end it. */
  listen(name, listener) {
    if (!this._listeners.has(name)) this._listeners.set(name, new Set());
    this._listeners.get(name).add(listener);
    if (this.value(name) !== undefined) listener(this.value(name), name);
    return () => this._listeners.get(name).delete(listener);
  }

  /** The same for all knobs. */
  listenToAll(listener) {
    this._everyone.add(listener);
    return () => this._everyone.delete(listener);
  }

  _tell(name) {
    const value = this.value(name);
    if (value === undefined) return;
    for (const listener of this._listeners.get(name) ?? []) listener(value, name);
    for (const listener of this._everyone) listener(value, name);
  }

  _schedule() {
    if (this._outgoing.size === 0 || this._timer !== null) return;
    const wait = this._sentAt + FLUSH_MS - performance.now();
    if (wait <= 0) this._flush();
    else this._timer = setTimeout(() => this._flush(), wait);
  }

  _flush() {
    clearTimeout(this._timer);
    this._timer = null;
    if (this._outgoing.size === 0) return;
    const values = Object.fromEntries(this._outgoing);
    this._outgoing.clear();
    this._sentAt = performance.now();
    this._send(values);
    clearTimeout(this._patience);
    this._patience = setTimeout(() => this._giveUp(), PATIENCE_MS + 50);
  }

  _giveUp() {
    const late = performance.now() - PATIENCE_MS;
    for (const [name, { at }] of [...this._pending]) {
      if (at > late) continue;
      this._pending.delete(name);
      this._tell(name);
    }
  }
}

function same(one, other) {
  return one === other || (typeof one === "number" && typeof other === "number" && Math.abs(one - other) < 1e-9);
}
