/* Worklet: the one place that knows what is heard now. It plays from the ring and stamps what the microphone hears.

   network port (the Worker's):  in: sound packets, reset, lead          out: ticks, microphone packets, dry spells
   main port (the page's):       in: play, pause, monitor, microphone on  out: ticks, heard knobs, dry spells

   Output 0 is what is heard: music, click, and the microphone at the monitor's gain. Output 1 is the music alone.
   A microphone block of 1920 samples carries the device sample that was rendered in the same quantum as its first sample.
   Stateful; runs on the browser's sound thread, so each step is short. */

import { Ring } from "./ring.js";
import { HEADER_BYTES, MICROPHONE, SAMPLES_A_SECOND, SOUND, STARVED } from "./wire.js";
import { payload, readHeader, toInt16, writeHeader } from "./wire.js";

const BLOCK_SAMPLES = 1920;
const TICK_SAMPLES = 4800;
const MOST_QUANTUM = 4096;
const FILL_SHARE = 0.75; // of the lead must be there before it flows
const PATIENCE_SAMPLES = 48000; // if nothing more has come for so long, what is there is played

class Studio extends AudioWorkletProcessor {
  constructor() {
    super();
    this._ring = new Ring();
    this._network = null;
    this._isOpen = true;
    this._monitor = 0; // gain now
    this._monitorTarget = 0;
    this._hears = false; // the microphone is on
    this._block = null; // the microphone packet being filled
    this._sinceTick = 0;
    this._sinceSound = 0;
    this._silentSamples = 0; // of this dry spell
    this._dryAt = null; // where it began
    this._lanes = Array.from({ length: 3 }, () => new Float32Array(MOST_QUANTUM));
    this.port.onmessage = (event) => this._ask(event.data);
  }

  /* What the page asks. */
  _ask(message) {
    if (message.type === "network") {
      this._network?.close();
      this._network = message.port;
      this._network.onmessage = (event) => this._receive(event.data);
    } else if (message.type === "play") this._ring.isWanted = true;
    else if (message.type === "pause") this._ring.isWanted = false;
    else if (message.type === "monitor") this._monitorTarget = message.gain;
    else if (message.type === "microphone") {
      this._sendBlock();
      this._hears = message.on;
    } else if (message.type === "close") this._isOpen = false;
  }

  /* What the Worker sends. */
  _receive(message) {
    if (message instanceof ArrayBuffer) {
      const header = readHeader(message);
      if (header?.kind === SOUND) this._queue(header, message);
    } else if (message.type === "reset") {
      this._endSpell();
      this._ring.reset(message.opening, message.position);
    } else if (message.type === "lead") {
      this._ring.refillSamples = Math.round(FILL_SHARE * message.seconds * SAMPLES_A_SECOND);
    }
  }

  _queue(header, packet) {
    if (header.opening > this._ring.opening) {
      this._endSpell();
      this._ring.reset(header.opening, header.position);
    }
    this._sinceSound = 0;
    const outcome = this._ring.push(header, packet);
    if (outcome !== "gap" && outcome !== "full") return;
    this._network.postMessage({ type: "again", opening: this._ring.opening, position: this._ring.end });
  }

  process(inputs, outputs) {
    const [heard, music] = outputs;
    const count = heard[0].length;
    const lanes = this._lanesOf(count);
    const { opening, position } = this._ring;
    this._hurry(count);
    const taken = this._ring.render(lanes);
    for (let side = 0; side < 2; side += 1) {
      if (music?.[side]) music[side].set(lanes[side]);
      if (heard[side]) {
        for (let each = 0; each < count; each += 1) heard[side][each] = lanes[side][each] + lanes[2][each];
      }
    }
    this._passOn(inputs[0], heard, count);
    if (this._hears) this._listen(inputs[0], opening, position, count, taken === count);
    this._tell(count, taken);
    return this._isOpen;
  }

  /* The lanes of a quantum: 128 samples in all browsers so far. */
  _lanesOf(count) {
    if (this._quantum?.[0].length !== count) this._quantum = this._lanes.map((lane) => lane.subarray(0, count));
    return this._quantum;
  }

  /* A server whose lead is shorter than was said would never fill the ring: what there is is played after a while. */
  _hurry(count) {
    this._sinceSound += count;
    const { isFlowing, isWanted, queued, refillSamples } = this._ring;
    if (!isFlowing && isWanted && queued && this._sinceSound > PATIENCE_SAMPLES && queued < refillSamples) {
      this._ring.isHurried = true;
    }
  }

  /* Lets the performer hear the microphone: no network, no delay but the device's own. */
  _passOn(input, heard, count) {
    const from = this._monitor;
    const to = this._monitorTarget;
    this._monitor = to;
    if (!input?.length || (from === 0 && to === 0)) return;
    for (let side = 0; side < heard.length; side += 1) {
      const source = input[Math.min(side, input.length - 1)];
      for (let each = 0; each < count; each += 1) heard[side][each] += source[each] * (from + ((to - from) * each) / count);
    }
  }

  /* Adds a quantum of the microphone to its block. A block is either of sound that flowed or of silence, never of both. */
  _listen(input, opening, position, count, isPlayed) {
    const block = this._block;
    if (block && (block.isPlayed !== isPlayed || block.opening !== opening || (isPlayed && block.next !== position))) {
      this._sendBlock();
    }
    if (!this._block) {
      const channels = Math.min(2, Math.max(1, input?.length ?? 1));
      const buffer = new ArrayBuffer(HEADER_BYTES + 2 * channels * (BLOCK_SAMPLES + count));
      this._block = { buffer, values: payload(buffer), channels, opening, position, next: position, samples: 0, isPlayed };
    }
    const { values, channels, samples } = this._block;
    for (let lane = 0; lane < channels; lane += 1) {
      const source = input?.length ? input[Math.min(lane, input.length - 1)] : null;
      if (!source) continue; // the buffer is silent already
      for (let each = 0; each < count; each += 1) values[(samples + each) * channels + lane] = toInt16(source[each]);
    }
    this._block.samples += count;
    this._block.next += isPlayed ? count : 0;
    if (this._block.samples >= BLOCK_SAMPLES) this._sendBlock();
  }

  _sendBlock() {
    const block = this._block;
    this._block = null;
    if (!block?.samples || !this._network) return;
    const { channels, opening, position, samples } = block;
    const whole = HEADER_BYTES + 2 * channels * samples;
    const buffer = block.buffer.slice(0, whole);
    writeHeader(buffer, { kind: MICROPHONE, flags: block.isPlayed ? 0 : STARVED, channels, opening, samples, position });
    this._network.postMessage(buffer, [buffer]);
  }

  /* Says what was heard, and how it stands every 100 ms. */
  _tell(count, taken) {
    const ring = this._ring;
    if (ring.heardControls) {
      const [sequence, sample] = ring.heardControls;
      this.port.postMessage({ type: "heard", sequence, seconds: currentTime + sample / SAMPLES_A_SECOND });
    }
    if (ring.isDry && ring.isWanted) {
      if (!this._silentSamples) {
        this._dryAt = { opening: ring.opening, position: ring.position };
        this.port.postMessage({ type: "underrun", underruns: ring.underruns, position: ring.position });
      }
      this._silentSamples += count - taken;
    } else this._endSpell();
    this._sinceTick += count;
    if (this._sinceTick < TICK_SAMPLES) return;
    this._sinceTick -= TICK_SAMPLES;
    const { opening, position, queued, underruns, missingSamples, lostSamples, isFlowing } = ring;
    const tick = { type: "tick", opening, position, queued, underruns, missingSamples, lostSamples, isFlowing };
    this._network?.postMessage(tick);
    this.port.postMessage(tick);
  }

  _endSpell() {
    if (!this._silentSamples) return;
    this._network?.postMessage({ type: "starved", ...this._dryAt, samples: this._silentSamples });
    this._silentSamples = 0;
  }
}

registerProcessor("studio", Studio);
