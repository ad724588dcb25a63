/* Ring: the sound that is here and not yet played, by device sample, and what is heard where there is none.

       position            end
   played | . . queued . . . |  what comes next must begin here or earlier

   It flows from the moment enough is queued until it runs dry. Where it runs dry, the last 5 ms are played once more,
   backwards and fading: no click, and no need to know it beforehand. `position` stands still meanwhile, because a device
   sample is one that was played. When enough is queued again, it goes on from the same sample, with a fade of 5 ms.

   Stateful, and of one thread: the worklet's. The sound lies in memory that is taken once, when it is made. */

import { DISCONTINUOUS, SAMPLES_A_SECOND, payload } from "./wire.js";

export const MOST_SAMPLES = 12 * SAMPLES_A_SECOND;
export const FADE_SAMPLES = 240;
const LANES = 3; // left, right, click
const MOST_MARKS = 4096;

export class Ring {
  constructor(mostSamples = MOST_SAMPLES) {
    this.mostSamples = mostSamples;
    this._size = mostSamples + FADE_SAMPLES; // what was played last stays, for the fade
    this._lanes = Array.from({ length: LANES }, () => new Float32Array(this._size));
    this._tail = Array.from({ length: LANES }, () => new Float32Array(FADE_SAMPLES));
    this.refillSamples = 0.3 * SAMPLES_A_SECOND; // so many must be queued before it flows
    this.isWanted = false; // somebody has pressed play
    this.isHurried = false; // what there is is played, however little
    this.underruns = 0; // times that it ran dry
    this.missingSamples = 0; // that were played as silence since, while it filled again
    this.lostSamples = 0; // that came and did not fit
    this.reset(0, 0);
    this._tailLeft = 0;
  }

  /* Begins anew at a device sample of an opening; what is queued is dropped, and what sounds fades. */
  reset(opening, position) {
    if (this.isFlowing) this._startTail();
    this.opening = opening;
    this.position = position;
    this.end = position;
    this.isFlowing = false;
    this.isDry = false; // it ran dry, and has not come back
    this.controls = null; // of the sample played last: the sequence number of the knobs it was made with
    this._marks = []; // [first sample, sequence number]: from there on
    this._level = 0;
    this._played = 0;
  }

  get queued() {
    return this.end - this.position;
  }

  /* Takes a packet of sound.

     Returns "queued"; "old": all of it is here already, or it is of another opening; "gap": something is missing before it;
     "full": not all of it fits. After "gap" and "full" the sound from `end` on must be sent again. */
  push(header, buffer) {
    let { position } = header;
    if (header.opening !== this.opening) return "old";
    if (position !== this.end && header.flags & DISCONTINUOUS) this.reset(header.opening, position);
    if (position > this.end) return "gap";
    const stop = position + header.samples;
    if (stop <= this.end) return "old";
    const start = this.end;
    const fits = Math.min(stop, this.position + this.mostSamples);
    const values = payload(buffer);
    const { channels } = header;
    for (let lane = 0; lane < LANES; lane += 1) {
      const target = this._lanes[lane];
      const source = lane < 2 ? Math.min(lane, channels - 1) : lane;
      let at = start % this._size;
      for (let sample = start; sample < fits; sample += 1) {
        target[at] = source < channels ? values[(sample - position) * channels + source] / 32768 : 0;
        at = at + 1 === this._size ? 0 : at + 1;
      }
    }
    this._mark(start, header.controls);
    this.end = fits;
    this.lostSamples += stop - fits;
    return fits < stop ? "full" : "queued";
  }

  /* Fills the lanes of one quantum: [left, right, click].

     Returns how many samples from the quantum's start on are the stream's: from the old `position` on, one after the other.
     `heardControls` is then [sequence number, sample of the quantum] if the knobs' number changed in it, or null. */
  render(lanes) {
    const count = lanes[0].length;
    this.heardControls = null;
    const isFull = this.queued >= this.refillSamples || this.isHurried;
    if (!this.isFlowing && this.isWanted && this.queued && isFull) {
      this.isFlowing = true;
      this.isDry = false;
      this.isHurried = false;
      this._level = 0;
    }
    let taken = 0;
    if (this.isFlowing) {
      taken = this._take(lanes, Math.min(count, this.queued));
      if (taken < count) this._stop();
    }
    for (const lane of lanes) lane.fill(0, taken);
    this._addTail(lanes, taken);
    if (this.isDry && this.isWanted) this.missingSamples += count - taken;
    return taken;
  }

  /* Copies, with the fade that a start or a pause needs. */
  _take(lanes, most) {
    const step = (this.isWanted ? 1 : -1) / FADE_SAMPLES;
    let level = this._level;
    let taken = 0;
    let at = this.position % this._size;
    while (taken < most) {
      if (step > 0 ? level < 1 : true) level = Math.min(1, level + step);
      if (level <= 0) break;
      for (let lane = 0; lane < LANES; lane += 1) lanes[lane][taken] = this._lanes[lane][at] * level;
      at = at + 1 === this._size ? 0 : at + 1;
      taken += 1;
    }
    this._level = Math.max(0, level);
    this._tell(taken);
    this.position += taken;
    this._played += taken;
    return taken;
  }

  /* It has run dry, or a pause has faded out. */
  _stop() {
    if (this.isWanted) {
      this._startTail();
      this.underruns += 1;
      this.isDry = true;
    }
    this.isFlowing = false;
    this._level = 0;
  }

  /* The last 5 ms backwards, from the level they had down to nothing. */
  _startTail() {
    const length = Math.min(FADE_SAMPLES, this._played);
    for (let lane = 0; lane < LANES; lane += 1) {
      for (let each = 0; each < FADE_SAMPLES; each += 1) {
        const at = (this.position - 1 - each + this._size) % this._size;
        const share = this._level * (1 - (each + 1) / (length + 1));
        this._tail[lane][each] = each < length ? this._lanes[lane][at] * share : 0;
      }
    }
    this._tailLeft = FADE_SAMPLES;
  }

  _addTail(lanes, from) {
    const count = Math.min(this._tailLeft, lanes[0].length - from);
    const first = FADE_SAMPLES - this._tailLeft;
    for (let lane = 0; lane < LANES; lane += 1) {
      for (let each = 0; each < count; each += 1) lanes[lane][from + each] += this._tail[lane][first + each];
    }
    this._tailLeft -= count;
  }

  _mark(position, controls) {
    const last = this._marks.length ? this._marks[this._marks.length - 1][1] : this.controls;
    if (controls === last) return;
    this._marks.push([position, controls]);
    if (this._marks.length > MOST_MARKS) this._marks.shift();
  }

  _tell(taken) {
    while (this._marks.length && this._marks[0][0] < this.position + taken) {
      const [position, controls] = this._marks.shift();
      this.controls = controls;
      this.heardControls = [controls, Math.max(0, position - this.position)];
    }
  }
}
