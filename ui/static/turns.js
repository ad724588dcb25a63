/* Turns: knobs turned on this page, until they are acknowledged, and until they are heard.

   set -> pending -> acknowledged under a sequence number -> the first sound made with it is rendered: so long it took

   Stateful; times are in seconds of performance.now(). */

const MOST_PENDING = 1000;
const MOST_HEARD = 50;

export class Turns {
  constructor() {
    this.acknowledged = {}; // what the server says the knobs stand at
    this.delays = []; // seconds, of late
    this.forget();
  }

  /* Nothing is waited for any longer. */
  forget() {
    this._pending = new Map(); // id -> {values, seconds}
    this.forgetSound();
  }

  /* Sequence numbers count anew. */
  forgetSound() {
    this._awaited = []; // {sequence, seconds}: acknowledged and not yet heard
    this._heard = []; // {sequence, at}: heard of late
  }

  add(id, values, seconds) {
    this._pending.set(id, { values: { ...values }, seconds });
    if (this._pending.size > MOST_PENDING) this._pending.delete(this._pending.keys().next().value);
  }

  /* What the knobs stand at, those just turned included. */
  get values() {
    const values = { ...this.acknowledged };
    for (const each of this._pending.values()) Object.assign(values, each.values);
    return values;
  }

  /* The same, of some knobs alone. */
  valuesOf(names) {
    const { values } = this;
    return Object.fromEntries(names.filter((name) => name in values).map((name) => [name, values[name]]));
  }

  /* The server has turned these knobs; id of the turn that did it, if it was one. Gives the delay if it is heard already. */
  acknowledge(id, sequence, values) {
    Object.assign(this.acknowledged, values);
    const turned = this._pending.get(id);
    this.settle(id);
    if (!turned) return null;
    // A page that was busy learns late of both: the sound may have been heard already.
    const heard = this._heard.find((each) => each.sequence >= sequence);
    if (heard) return this._add(heard.at - turned.seconds);
    this._awaited.push({ sequence, seconds: turned.seconds });
    if (this._awaited.length > MOST_PENDING) this._awaited.shift();
    return null;
  }

  /* A turn is over: so are older ones of the same knobs, which may never have been sent. Gives its values. */
  settle(id) {
    const values = this._pending.get(id)?.values ?? {};
    this._pending.delete(id);
    for (const [older, each] of this._pending) {
      if (older < id && Object.keys(each.values).every((name) => name in values)) this._pending.delete(older);
    }
    return values;
  }

  /* Sound made with these knobs is heard at a time. Gives the delays of the turns that it ends. */
  hear(sequence, at) {
    this._heard.push({ sequence, at });
    if (this._heard.length > MOST_HEARD) this._heard.shift();
    const ended = this._awaited.filter((each) => each.sequence <= sequence);
    this._awaited = this._awaited.filter((each) => each.sequence > sequence);
    return ended.map((each) => this._add(at - each.seconds)).filter((seconds) => seconds !== null);
  }

  /* Last and median, null before the first. */
  get earDelay() {
    const sorted = [...this.delays].sort((one, other) => one - other);
    return { last: this.delays.at(-1) ?? null, median: sorted.length ? sorted[sorted.length >> 1] : null };
  }

  _add(seconds) {
    if (!(seconds > 0)) return null; // it stood there before
    this.delays.push(seconds);
    if (this.delays.length > MOST_HEARD) this.delays.shift();
    return seconds;
  }
}
