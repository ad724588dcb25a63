/* Networker: the Worker that holds the socket, so that a busy page stops nothing.

   page <-- messages --> Worker <== WebSocket ==> server
                           ^-- MessageChannel: sound, reports, microphone --> worklet

   Sound goes from socket to worklet by transfer and never meets the page's thread. A socket that drops is opened again after
   0.15 s, 0.3 s, .. 5 s, and the server goes on from the sample that is wanted next. Knobs that were turned and not yet
   acknowledged are sent again; actions are not, since a tap counts when it is made.

   Stateful: one connection after the other, for one page. docs/live-protocol.md has the messages. */

import { DISCONTINUOUS, MICROPHONE, PROTOCOL, SOUND, STARVED, readHeader, waveFile } from "./wire.js";

const FIRST_RETRY_SECONDS = 0.15;
const LONGEST_RETRY_SECONDS = 5;
const STEADY_SECONDS = 1; // a connection that has held so long is taken up again at once: the sound in front of the page is short
const SHED_BYTES = 512 * 1024; // more than this waits in the socket: the microphone's sound is dropped
const KNOB_SECONDS = 0.02; // one knob is sent so often at most; the last value always is
const FORGET_SECONDS = 5; // a knob that turned out to stand there already is not acknowledged
const HELD_SECONDS = 12; // of sound, before there is a worklet
const HEARD_SECONDS = 10; // of the microphone, for `grab`
const DEAF_SECONDS = 6; // nothing came in: the connection is dead, whatever the browser thinks
const LONELY_ATTEMPTS = 4; // after so many in vain the page is told
const MOST_SET_BYTES = 8000;
const FINAL = new Set([1000, 4400, 4401, 4403, 4408, 4409, 4429]);

class Networker {
  constructor(tell) {
    this._tell = tell;
    this._socket = null;
    this._port = null; // to the worklet
    this._session = null;
    this._sequence = 0; // of the knobs, the newest
    this._opening = 0;
    this._next = 0; // the device sample wanted next
    this._isSeated = false;
    this._isOver = false;
    this._isPlaying = false; // the page wants to hear something
    this._attempt = 0;
    this._hasHeard = false; // a word of the server's, over any socket
    this._sets = new Map(); // id -> {values, sent}: not acknowledged; sent is 0 until it has been
    this._lastSent = new Map(); // names of the knobs -> seconds
    this._outputDelay = 0;
    this._held = [];
    this._heard = []; // microphone packets of late
    this._tick = null;
    this._counts = { microphonePackets: 0, shedPackets: 0, badPackets: 0, drops: 0 };
  }

  /* What the page says. */
  ask(message) {
    if (message.type === "connect") this._begin(message);
    else if (message.type === "worklet") this._meet(message.port);
    else if (message.type === "set") this._set(message.id, message.values);
    else if (message.type === "act") this._act(message);
    else if (message.type === "play" || message.type === "pause") {
      this._isPlaying = message.type === "play";
      this._send({ type: message.type });
    } else if (message.type === "lead") {
      this._lead = message.seconds;
      this._port?.postMessage(message);
      this._send(message);
    } else if (message.type === "round_trip") {
      this._roundTrip = message.samples;
      this._send(message);
    } else if (message.type === "output_delay") this._outputDelay = message.seconds;
    else if (message.type === "grab") {
      const wave = waveFile(this._heard, message.seconds);
      this._tell({ type: "grabbed", id: message.id, wave }, wave ? [wave] : []);
    } else if (message.type === "leave") this._leave();
    else this._send(message); // calibrate, record, forget
  }

  _begin({ url, token, lead }) {
    this._url = url;
    this._token = token;
    this._lead = lead;
    this._isOver = false;
    this._heart = setInterval(() => this._beat(), 1000);
    self.addEventListener("online", () => this._connect());
    this._connect();
  }

  _connect() {
    if (this._isOver || this._socket) return;
    clearTimeout(this._timer);
    this._tellLink("connecting");
    let socket;
    try {
      socket = new WebSocket(this._url, [PROTOCOL]);
    } catch (error) {
      this._end(0, `the address ${this._url} is no address of a WebSocket: ${error.message}`);
      return;
    }
    this._socket = socket;
    this._sinceWord = now();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this._greet();
    socket.onmessage = (event) => {
      this._sinceWord = now();
      this._hasHeard = true;
      if (typeof event.data === "string") this._read(event.data);
      else this._hand(event.data);
    };
    socket.onclose = (event) => this._lose(event.code, event.reason);
  }

  _greet() {
    const resume = this._session === null ? null : { opening: this._opening, position: this._next };
    this._send({ type: "hello", token: this._token, resume, lead: this._lead }, true);
  }

  /* A socket has gone. One that never came to be in all that time (hung) will hardly come the next time. */
  _lose(code, reason, isHung = false) {
    const wasSteady = this._isSeated && now() - this._sinceSeat > STEADY_SECONDS;
    this._drop();
    if (this._isOver) return;
    if (FINAL.has(code)) {
      this._end(code, reason);
      return;
    }
    this._counts.drops += 1;
    const patience = Math.min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** this._attempt);
    const seconds = wasSteady ? 0 : patience;
    this._attempt += wasSteady ? 0 : 1;
    const isLonely = this._attempt === LONELY_ATTEMPTS || (isHung && this._attempt === 1);
    this._tellLink("lost", { code, reason, seconds, isLonely, hasHeard: this._hasHeard });
    this._timer = setTimeout(() => this._connect(), 1000 * seconds);
  }

  /* Forgets the socket; nothing that it still says is heard. */
  _drop() {
    const socket = this._socket;
    this._socket = null;
    this._isSeated = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  _end(code, reason) {
    this._isOver = true;
    clearInterval(this._heart);
    clearTimeout(this._timer);
    this._tellLink("ended", { code, reason });
  }

  _leave() {
    const left = () => this._end(1000, "left");
    const isOpen = this._socket?.readyState === WebSocket.OPEN && !this._isOver;
    this._send({ type: "leave" }, true);
    this._isOver = true;
    clearTimeout(this._timer);
    if (!isOpen) left();
    else {
      this._socket.onclose = left; // not before the last word has gone out
      this._socket.close(1000);
    }
  }

  /* Every second: signs of life, both ways. */
  _beat() {
    const isQuiet = now() - this._sinceWord > DEAF_SECONDS; // one who waits in line hears little
    const isHung = isQuiet && this._socket?.readyState === WebSocket.CONNECTING;
    if (isHung || (isQuiet && this._isSeated)) this._lose(1006, "nothing was heard of the server", isHung);
    if (!this._isSeated) return;
    this._send({ type: "ping", at: now() });
    if (now() - (this._sinceTick ?? 0) > 0.5) this._report({ ...this._last(), isFlowing: false });
    for (const [id, { sent }] of this._sets) {
      if (sent && now() - sent > FORGET_SECONDS) this._sets.delete(id);
    }
    this._tell({ type: "counts", counts: { ...this._counts, waitingBytes: this._socket?.bufferedAmount ?? 0 } });
  }

  /* What the server says. */
  _read(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this._counts.badPackets += 1;
      return;
    }
    const { type } = message;
    if (type === "welcome") this._sit(message);
    else if (type === "resumed") this._seat();
    else if (type === "reopened") {
      this._seat();
      if (message.opening !== this._opening) this._place(message.opening, 0);
    } else if (type === "calibrated" && message.samples !== null) this._roundTrip = message.samples;
    else if (type === "changed" || type === "refused") this._acknowledge(message);
    else if (type === "status") this._followLead(message.lead_seconds);
    else if (type === "pong") {
      this._tell({ type, seconds: now() - message.at });
      return;
    }
    this._tell(message);
  }

  _sit(message) {
    const { session, opening, position, sequence } = message;
    // A seat that was given up and taken again has the same name, and counts anew.
    message.isNew = session !== this._session || sequence < this._sequence;
    message.hadSession = this._session !== null;
    this._session = session;
    this._sequence = sequence;
    if (opening !== this._opening || position !== this._next) this._place(opening, position);
    this._seat();
  }

  /* There is a seat: what waited for it is sent. */
  _seat() {
    if (this._isSeated) return;
    this._isSeated = true;
    this._sinceSeat = now();
    this._tellLink("open");
    if (this._roundTrip !== undefined) this._send({ type: "round_trip", samples: this._roundTrip });
    for (const [id, { values }] of this._sets) this._deliver(id, values);
    if (this._isPlaying) this._send({ type: "play" });
  }

  /* The sound begins anew, here. */
  _place(opening, position) {
    this._opening = opening;
    this._next = position;
    this._held = [];
    this._tick = null;
    this._port?.postMessage({ type: "reset", opening, position });
  }

  _followLead(seconds) {
    if (!(seconds > 0) || seconds === this._toldLead) return;
    this._toldLead = seconds;
    this._port?.postMessage({ type: "lead", seconds });
  }

  /* Sound, from the socket to the worklet. */
  _hand(packet) {
    const header = readHeader(packet);
    if (header?.kind !== SOUND) {
      this._counts.badPackets += 1;
      return;
    }
    this._attempt = 0;
    if (header.opening > this._opening) {
      this._opening = header.opening;
      this._next = header.position;
    }
    if (header.opening === this._opening) {
      const isJump = header.flags & DISCONTINUOUS && header.position !== this._next;
      const end = header.position + header.samples;
      this._next = isJump ? end : header.position <= this._next ? Math.max(this._next, end) : this._next;
    }
    if (this._port) this._port.postMessage(packet, [packet]);
    else if (this._held.length < HELD_SECONDS * 25) this._held.push(packet);
  }

  /* The worklet is there: from now on it has the sound and the clock. */
  _meet(port) {
    this._port = port;
    port.onmessage = (event) => this._hear(event.data);
    port.postMessage({ type: "lead", seconds: this._toldLead ?? this._lead });
    port.postMessage({ type: "reset", opening: this._opening, position: this._start() });
    for (const packet of this._held) port.postMessage(packet, [packet]);
    this._held = [];
  }

  /* The first sample that is held for the worklet. */
  _start() {
    const first = this._held.map(readHeader).find((header) => header.opening === this._opening);
    return first ? first.position : this._next;
  }

  /* What the worklet says. */
  _hear(message) {
    if (message instanceof ArrayBuffer) this._sendUp(message);
    else if (message.type === "tick") {
      this._tick = message;
      this._sinceTick = now();
      if (this._isSeated) this._report(message);
    } else if (message.type === "starved") this._send(message);
    else if (message.type === "again" && message.opening === this._opening) {
      this._next = message.position; // something is missing: the server is asked for it by resuming there
      if (this._isSeated) this._lose(1006, "sound was missing");
    }
  }

  _report({ opening, position, queued, isFlowing }) {
    this._send({ type: "report", opening, position, queued, is_playing: isFlowing, output_delay: this._outputDelay });
  }

  /* Where the ring stands, as far as is known. */
  _last() {
    if (this._tick?.opening === this._opening) return this._tick;
    const position = this._start();
    return { opening: this._opening, position, queued: this._next - position };
  }

  /* A microphone packet. What was heard while nothing played is of no use to the server unless it ran dry. */
  _sendUp(packet) {
    const view = new Uint8Array(packet);
    this._heard.push(packet);
    if (this._heard.length > HEARD_SECONDS * 25) this._heard.shift();
    const isIdle = view[1] & STARVED && !this._isPlaying;
    if (view[0] !== MICROPHONE || isIdle || !this._isSeated) return;
    if (this._socket.bufferedAmount > SHED_BYTES) {
      this._counts.shedPackets += 1;
      this._isTorn = true;
      return;
    }
    if (this._isTorn) view[1] |= DISCONTINUOUS;
    this._isTorn = false;
    this._socket.send(packet);
    this._counts.microphonePackets += 1;
  }

  /* Turns knobs: at once, or, if these were turned a moment ago, in a moment with what they stand at then. */
  _set(id, values) {
    const names = Object.keys(values).sort().join("\n");
    for (const [older, each] of this._sets) {
      if (each.names === names && !each.sent) this._sets.delete(older);
    }
    this._sets.set(id, { values, names, sent: 0 });
    const wait = (this._lastSent.get(names) ?? 0) + KNOB_SECONDS - now();
    if (wait <= 0) this._flush(names);
    else setTimeout(() => this._flush(names), 1000 * wait);
  }

  _flush(names) {
    for (const [id, each] of this._sets) {
      if (each.names === names && !each.sent) this._deliver(id, each.values);
    }
  }

  _deliver(id, values) {
    const each = this._sets.get(id);
    if (!this._isSeated) return; // it is sent when there is a seat
    each.sent = now();
    this._lastSent.set(each.names, each.sent);
    for (const part of parts(values)) this._send({ type: "set", id, values: part });
  }

  _acknowledge({ id, sequence }) {
    if (sequence > this._sequence) this._sequence = sequence;
    this._sets.delete(id);
  }

  _act({ id, name, value }) {
    if (this._isSeated) this._send({ type: "act", id, name, value });
    else this._tell({ type: "refused", id, reason: `${name} was not done: there is no connection; try again in a moment` });
  }

  _send(message, isEarly = false) {
    if (this._socket?.readyState !== WebSocket.OPEN || !(this._isSeated || isEarly)) return;
    this._socket.send(JSON.stringify(message));
  }

  _tellLink(state, more = {}) {
    this._tell({ type: "link", state, ...more });
  }
}

/* Knobs in pieces that fit into a message. */
function parts(values) {
  const size = (each) => new TextEncoder().encode(JSON.stringify(each)).length;
  if (size(values) <= MOST_SET_BYTES) return [values];
  return Object.entries(values).map(([name, value]) => ({ [name]: value }));
}

function now() {
  return performance.now() / 1000;
}

const networker = new Networker((message, transfer = []) => self.postMessage(message, transfer));
self.onmessage = (event) => networker.ask(event.data);
