/* Player: a performance as the page sees it. It holds the sound, the microphone and the Worker with the socket together.

   const player = new Player({ url: "live/ws", token });
   player.addEventListener("changed", (event) => show(event.detail.shown));
   player.connect();                       // knobs arrive with "welcome"; no sound yet, no click of the user needed
   button.onclick = () => player.start();  // sound needs one

   Events carry the server's message as `detail`, with what is said here besides:
     welcome     isNew: a seat of its own; hadSession: in place of one that was lost (the knobs are at their start again)
     changed     shown: what the page should show: newer turns of one's own that are not acknowledged yet go before
     refused     shown: what the knobs of that `set` stand at now
     status, said, recording, calibrated, waiting, resumed, reopened    as they come
     ended       code, reason: it is over; `start` or `connect` begins anew
     link        state: "connecting", "open", "lost" (seconds until it is tried again), "ended"
     state       isPlaying, isFlowing, context: something in it has changed
     underrun    underruns, position: there was nothing to play
     heard       sequence, seconds: a knob turned here is heard now, so long after it was turned
     devices     microphones or outputs have come or gone
     alignment   state: "unknown", "measured", "unsure" (measure again); samples
     trouble     code, text, advice, isFatal: something is missing or has failed, and what to do; words for people

   Stateful; nothing in it waits on the page's thread, and no sound passes through it. */

import { lacking, trouble, troubleOfClosing, troubleOfMicrophone } from "./troubles.js";
import { Turns } from "./turns.js";
import { SAMPLES_A_SECOND } from "./wire.js";

const RESUME_SECONDS = 2;
const LEAVE_SECONDS = 3;

export class Player extends EventTarget {
  static EVENTS = [
    "welcome", "changed", "refused", "status", "said", "recording", "calibrated", "waiting", "resumed", "reopened", "ended",
    "link", "state", "underrun", "heard", "devices", "alignment", "trouble",
  ];

  /* What this browser or page lacks, as the detail of "trouble"; null if it can play. For choosing the fallback. */
  static lacks() {
    return lacking();
  }

  /* url: of the socket, relative to the page or whole. lead: seconds of sound that are made ahead, 0.1 .. 4. */
  constructor({ url = "live/ws", token = "", lead = 0.4 } = {}) {
    super();
    this.url = new URL(url, document.baseURI);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.token = token;
    this.context = null;
    this.node = null;
    this.analysers = null; // {output, left, right, microphone} once started
    this.knobs = []; // of "welcome"
    this._lead = lead;
    this._worker = null;
    this._id = 0;
    this._turned = new Turns();
    this._tick = { opening: 0, position: 0, queued: 0, underruns: 0, missingSamples: 0, lostSamples: 0, isFlowing: false };
    this._counts = {};
    this._network = null;
    this._isPlaying = false; // wanted by the user
    this._isStarting = false;
    this._hasRun = false; // the context has
    this._roundTrip = null;
    this._alignment = "unknown";
    this._input = null; // {stream, source, gain, deviceId, label}
    this._microphone = { on: false, deviceId: null, gain: 1, monitor: 0, stream: null, source: null };
    this._wish = 0; // of the microphone: only the newest counts
    this._asks = new Map(); // id -> resolve
    this._onLeave = (event) => event.persisted ? this.pause() : this._vanish();
    this._onDevices = () => {
      this._say("devices", {});
      this._doubt();
    };
    this._onVisible = () => document.visibilityState === "visible" && this._doubt();
  }

  /* Takes a seat: "welcome" or "waiting" follows. Without sound yet, and without a click. */
  connect() {
    if (this._worker || !globalThis.Worker || !globalThis.WebSocket) {
      if (!this._worker) this._trouble("no-websocket");
      return;
    }
    this._worker = new Worker(new URL("./networker.js", import.meta.url), { type: "module" });
    this._worker.onmessage = (event) => this._hearWorker(event.data);
    this._worker.onerror = () => this._trouble("no-script");
    this._ask({ type: "connect", url: this.url.href, token: this.token, lead: this._lead });
    addEventListener("pagehide", this._onLeave);
    document.addEventListener("visibilitychange", this._onVisible);
    navigator.mediaDevices?.addEventListener("devicechange", this._onDevices);
    if (this.node) this._introduce();
  }

  /* Plays. Call it from a click or a key, or the browser refuses. Gives whether it plays; if not, "trouble" has said why. */
  async start() {
    const missing = lacking();
    if (missing) return this._say("trouble", missing) && false;
    if (!this.context && !this._open()) return false;
    const { context } = this;
    const resumed = context.resume().then(() => true, () => false); // before anything is waited for: the click counts now
    this._isPlaying = this._isStarting = true;
    this.connect();
    const isReady = await this._prepare();
    // Without an output device some browsers never answer.
    const isRunning = isReady && (await within(resumed, RESUME_SECONDS)) && context.state === "running";
    this._isStarting = false;
    if (!isRunning) {
      this._isPlaying = false;
      return isReady && this._trouble("no-output");
    }
    if (!this._isPlaying || context !== this.context) return false; // paused or left meanwhile
    this.node.port.postMessage({ type: "play" });
    this._ask({ type: "play" });
    this._tellState();
    return true;
  }

  /* Stands still, with a fade; `start` goes on from the same sample. The microphone stays as it is. */
  pause() {
    if (!this._isPlaying) return;
    this._isPlaying = false;
    this.node?.port.postMessage({ type: "pause" });
    this._ask({ type: "pause" });
    this._tellState();
    this._rest();
  }

  /* Ends the performance and gives the seat back; `start` begins another. */
  async leave() {
    await this.microphone({ on: false });
    this._isPlaying = false;
    this.node?.port.postMessage({ type: "pause" });
    if (this._worker) {
      // The last word must be out before the Worker ends.
      const left = new Promise((resolve) => this._asks.set("leave", resolve));
      this._ask({ type: "leave" });
      await within(left, LEAVE_SECONDS);
    }
    await this._close();
  }

  /* The page is being closed. Its Worker may be gone before it has said so; a request that outlives the page says it, too. */
  _vanish() {
    this._ask({ type: "leave" });
    this.request("live/leave", { method: "POST", keepalive: true }).catch(() => {});
  }

  /* Turns knobs: {name: value}. They count as turned at once; "changed" or "refused" tells what has become of it. */
  set(values) {
    const id = ++this._id;
    this._turned.add(id, values, performance.now() / 1000);
    this._ask({ type: "set", id, values });
    return id;
  }

  /* Asks for an action, with what it takes. */
  act(name, value = null) {
    const id = ++this._id;
    this._ask({ type: "act", id, name, value });
    return id;
  }

  /* What the knobs stand at: acknowledged, or turned here and not yet acknowledged. */
  get values() {
    return this._turned.values;
  }

  /* The microphone. What is left out stays as it is. Gives whether it is as asked; if not, "trouble" has said why.

     on, deviceId (null: the system's), gain (of what the model hears), monitor (gain of what the performer hears of it;
     local, 0: off). In place of a device: stream, a MediaStream, or source, an AudioNode of `context`. */
  async microphone(wanted = {}) {
    const before = this._microphone;
    const next = { ...before, ...wanted };
    if ("deviceId" in wanted) next.stream = next.source = null;
    const isOther = ["on", "deviceId", "stream", "source"].some((name) => next[name] !== before[name]);
    this._microphone = next;
    if (this._input) this._input.gain.gain.setTargetAtTime(next.gain, this.context.currentTime, 0.01);
    this.node?.port.postMessage({ type: "monitor", gain: next.on ? next.monitor : 0 });
    if (!isOther) return true;
    this._closeInput();
    const wish = ++this._wish;
    if (!next.on) return true;
    const missing = lacking();
    if (missing) this._say("trouble", missing);
    if (missing || !(this.context || this._open())) {
      this._microphone = { ...next, on: false };
      return false;
    }
    const isCurrent = () => wish === this._wish;
    const opened = (await this._prepare()) && isCurrent() && (await this._openInput(next, isCurrent));
    if (!opened && isCurrent()) {
      this._microphone = { ...this._microphone, on: false };
      this.node?.port.postMessage({ type: "monitor", gain: 0 });
    }
    this._tellState();
    return opened;
  }

  /* Seconds of sound that are made ahead: less is quicker, more is safer. */
  lead(seconds) {
    this._lead = seconds;
    this._ask({ type: "lead", seconds });
  }

  /* Measures the round trip with a sweep: {samples, reason}. The microphone must be on and hear the loudspeaker. */
  calibrate() {
    return this._askFor("calibrate", { type: "calibrate" });
  }

  /* Sets the round trip, as measured before. */
  align(samples) {
    this._setRoundTrip(samples, "measured");
    this._ask({ type: "round_trip", samples });
  }

  /* Starts (true) or stops a recording at the server; "recording" tells. */
  record(isOn, { microphone = false } = {}) {
    this._ask({ type: "record", state: isOn ? "start" : "stop", has_microphone: Boolean(microphone) });
  }

  /* An uploaded prompt, "@..", is no longer needed. */
  forget(prompt) {
    this._ask({ type: "forget", prompt });
  }

  /* The last seconds of the microphone, at most 10, as a WAV Blob; null if it has heard nothing. */
  async grab(seconds = 10) {
    const { wave } = await this._askFor(++this._id, { type: "grab", id: this._id, seconds });
    return wave ? new Blob([wave], { type: "audio/wav" }) : null;
  }

  /* Microphones and outputs: [{id, label}]. Labels are empty until the microphone has been allowed. */
  async inputs() {
    return this._list("audioinput");
  }

  async outputs() {
    return this._list("audiooutput");
  }

  /* Plays to an output of `outputs`; "" is the system's. */
  async chooseOutput(id) {
    if (!this.context && !this._open()) return false;
    if (!this.context.setSinkId) return this._trouble("no-choice");
    try {
      await this.context.setSinkId(id);
    } catch (error) {
      return this._trouble("output-refused", error);
    }
    this._doubt();
    return true;
  }

  /* One of the server's own routes, "live/prompts", with the token: as fetch. */
  request(path, options = {}) {
    const headers = { ...options.headers, Authorization: `Bearer ${this.token}` };
    return fetch(this._address(path), { ...options, headers });
  }

  /* The address of a download, for a link, which cannot carry a header. */
  link(path) {
    const address = this._address(path);
    address.searchParams.set("token", this.token);
    return address.href;
  }

  /* How it is going. Samples of 48 kHz; seconds; null is not known. */
  stats() {
    const { opening, position, queued, underruns, missingSamples, lostSamples, isFlowing } = this._tick;
    return {
      opening, position, queued, underruns, missingSamples, lostSamples, isFlowing,
      isPlaying: this._isPlaying,
      queuedSeconds: queued / SAMPLES_A_SECOND,
      earDelay: this._turned.earDelay,
      roundTrip: this._roundTrip,
      alignment: this._alignment,
      outputSeconds: this.context ? this.context.baseLatency + (this.context.outputLatency || 0) : null,
      networkSeconds: this._network,
      microphone: { on: this._microphone.on, label: this._input?.label ?? "", channels: this._input?.channels ?? 0 },
      ...this._counts,
    };
  }

  /* The context and its nodes; the click of the user must be going on. */
  _open() {
    let context;
    try {
      context = new AudioContext({ sampleRate: SAMPLES_A_SECOND, latencyHint: "interactive" });
    } catch (error) {
      return this._trouble("no-output", error);
    }
    if (context.sampleRate !== SAMPLES_A_SECOND) {
      context.close();
      return this._trouble("sample-rate", `it gave ${context.sampleRate} Hz`);
    }
    context.onstatechange = () => this._followContext();
    context.onerror = () => this._trouble("no-output");
    this.context = context;
    return true;
  }

  /* Loads the worklet, once, and joins it to the Worker. */
  _prepare() {
    this._prepared ??= this._load();
    return this._prepared;
  }

  async _load() {
    const { context } = this;
    try {
      await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
    } catch (error) {
      this._prepared = null;
      return this._trouble("no-script", error);
    }
    if (context !== this.context) return false; // left meanwhile
    const node = new AudioWorkletNode(context, "studio", {
      numberOfInputs: 1,
      numberOfOutputs: 2,
      outputChannelCount: [2, 2],
      channelCount: 2,
      channelCountMode: "clamped-max", // a single microphone stays one channel
    });
    node.port.onmessage = (event) => this._hearWorklet(event.data);
    node.onprocessorerror = () => this._trouble("no-script");
    node.connect(context.destination, 0);
    const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
    const analysers = {};
    for (const name of ["output", "left", "right", "microphone"]) {
      analysers[name] = new AnalyserNode(context, { fftSize: 2048 });
    }
    node.connect(analysers.output, 1);
    node.connect(splitter, 1);
    splitter.connect(analysers.left, 0);
    splitter.connect(analysers.right, 1);
    this.node = node;
    this.analysers = analysers;
    if (this._worker) this._introduce();
    return true;
  }

  /* Gives Worker and worklet a channel of their own. */
  _introduce() {
    const { port1, port2 } = new MessageChannel();
    this.node.port.postMessage({ type: "network", port: port1 }, [port1]);
    this._worker.postMessage({ type: "worklet", port: port2 }, [port2]);
  }

  async _openInput({ deviceId, stream, source }, isCurrent) {
    let found = stream;
    if (!stream && !source) {
      try {
        // Each of the three would spoil music.
        const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
        const device = deviceId ? { deviceId: { exact: deviceId } } : {};
        const audio = { ...plain, ...device, channelCount: { ideal: 2 }, sampleRate: { ideal: SAMPLES_A_SECOND } };
        found = await navigator.mediaDevices.getUserMedia({ audio });
      } catch (error) {
        return this._trouble(troubleOfMicrophone(error), error);
      }
    }
    const isOwn = found && !stream; // what was handed in is not ours to stop
    if (!isCurrent()) {
      if (isOwn) found.getTracks().forEach((track) => track.stop());
      return false; // switched off, or to another, while the browser asked
    }
    let from = source;
    try {
      from ??= new MediaStreamAudioSourceNode(this.context, { mediaStream: found });
    } catch (error) {
      if (isOwn) found.getTracks().forEach((track) => track.stop());
      return this._trouble("microphone-rate", error);
    }
    const level = new GainNode(this.context, { gain: this._microphone.gain });
    from.connect(level);
    level.connect(this.node);
    level.connect(this.analysers.microphone);
    const track = found?.getAudioTracks()[0];
    if (isOwn) track.onended = () => this.microphone({ on: false }) && this._trouble("microphone-gone");
    const channels = track?.getSettings?.().channelCount ?? from.channelCount;
    this._input = { stream: isOwn ? found : null, from, gain: level, label: track?.label ?? "", channels };
    this.node.port.postMessage({ type: "microphone", on: true });
    this.node.port.postMessage({ type: "monitor", gain: this._microphone.monitor });
    if (this.context.state === "suspended") this.context.resume();
    this._doubt();
    return true;
  }

  _closeInput() {
    const input = this._input;
    this._input = null;
    if (!input) return;
    input.stream?.getTracks().forEach((track) => {
      track.onended = null;
      track.stop();
    });
    input.from.disconnect(input.gain);
    input.gain.disconnect();
    this.node.port.postMessage({ type: "microphone", on: false });
  }

  async _list(kind) {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((each) => each.kind === kind).map(({ deviceId, label }) => ({ id: deviceId, label }));
  }

  async _close() {
    removeEventListener("pagehide", this._onLeave);
    document.removeEventListener("visibilitychange", this._onVisible);
    navigator.mediaDevices?.removeEventListener("devicechange", this._onDevices);
    this._worker?.terminate();
    this.node?.port.postMessage({ type: "close" });
    const { context } = this;
    this._worker = this.context = this.node = this.analysers = this._prepared = null;
    this._isPlaying = this._hasRun = false;
    this._asks.forEach((resolve) => resolve({ samples: null, reason: "it has ended", wave: null }));
    this._asks.clear();
    this._turned.forget();
    this._tick = { ...this._tick, queued: 0, isFlowing: false };
    if (context) context.onstatechange = context.onerror = null;
    await context?.close();
  }

  /* What the worklet says. */
  _hearWorklet(message) {
    if (!this.node) return; // its last words
    if (message.type === "heard") {
      const { sequence } = message;
      const delays = this._turned.hear(sequence, this._momentOf(message.seconds));
      for (const seconds of delays) this._say("heard", { sequence, seconds });
    } else if (message.type === "underrun") {
      this._say("underrun", { underruns: message.underruns, position: message.position });
      this._doubt();
    } else {
      const wasFlowing = this._tick.isFlowing;
      this._tick = message;
      if (wasFlowing !== message.isFlowing) this._tellState();
      this._ask({ type: "output_delay", seconds: this.context?.outputLatency || 0 });
    }
  }

  /* What the Worker says: mostly what the server said. */
  _hearWorker(message) {
    const { type } = message;
    if (type === "link") this._followLink(message);
    else if (type === "counts") this._counts = message.counts;
    else if (type === "pong") this._network = message.seconds;
    else if (type === "grabbed") this._answer(message.id, message);
    else if (type === "welcome") this._welcome(message);
    else if (type === "changed") this._acknowledge(message);
    else if (type === "refused") this._refuse(message);
    else if (type === "calibrated") {
      if (message.samples !== null) this._setRoundTrip(message.samples, "measured");
      this._answer("calibrate", message);
      this._say(type, message);
    } else if (type === "ended") this._reason = message.reason; // the socket closes next, and says it
    else if (Player.EVENTS.includes(type)) this._say(type, message);
  }

  _welcome(message) {
    if (message.isNew) this._turned.forgetSound();
    this.knobs = message.knobs;
    this._turned.acknowledged = { ...message.values };
    this._say("welcome", message);
  }

  _acknowledge(message) {
    const { id, sequence, values } = message;
    const seconds = this._turned.acknowledge(id, sequence, values);
    const isOwn = id !== null && id !== undefined;
    this._say("changed", { ...message, shown: this._turned.valuesOf(Object.keys(values)), isOwn });
    if (seconds !== null) this._say("heard", { sequence, seconds });
  }

  _refuse(message) {
    const names = Object.keys(this._turned.settle(message.id));
    this._say("refused", { ...message, shown: this._turned.valuesOf(names) });
  }

  _followLink(message) {
    if (message.state === "lost" && message.isLonely) this._trouble(message.hasHeard ? "no-connection" : "no-socket");
    if (message.state === "lost" && this._reason) {
      this._say("said", { text: this._reason });
      this._reason = null;
    }
    this._say("link", message);
    if (message.state !== "ended") return;
    this._answer("leave", {});
    const reason = this._reason ?? message.reason;
    this._reason = null;
    const code = troubleOfClosing(message.code);
    if (code) this._trouble(code, reason);
    this._stand();
    this._say("ended", { code: message.code, reason });
  }

  /* The connection has ended: the sound stops, and another `start` or `connect` makes a new one. */
  _stand() {
    this._isPlaying = false;
    this.node?.port.postMessage({ type: "pause" });
    this._worker?.terminate();
    this._worker = null;
    this._turned.forget();
    this._rest();
    this._tellState();
  }

  /* Without a microphone the device may rest, once it has faded. */
  _rest() {
    setTimeout(() => !this._isPlaying && !this._microphone.on && this.context?.suspend(), 300);
  }

  _followContext() {
    const { state } = this.context;
    if (this._isPlaying && (state === "suspended" || state === "interrupted")) {
      // Before it first runs it is suspended, and `start` sees to that.
      if (this._hasRun && !this._isStarting) this._trouble("interrupted");
    }
    this._hasRun ||= state === "running";
    this._tellState();
  }

  /* When something that is rendered at a time of the context is heard, as performance.now() / 1000. */
  _momentOf(contextSeconds) {
    const plain = performance.now() / 1000 + contextSeconds - this.context.currentTime + (this.context.outputLatency || 0);
    const stamp = this.context.getOutputTimestamp?.();
    if (!stamp?.performanceTime) return plain;
    const exact = stamp.performanceTime / 1000 + contextSeconds - stamp.contextTime;
    return Math.abs(exact - plain) < 1 ? exact : plain; // some browsers' stamps are of another clock
  }

  _setRoundTrip(samples, state) {
    this._roundTrip = samples;
    this._alignment = state;
    this._say("alignment", { state, samples });
  }

  /* Something has happened after which the round trip may be another. */
  _doubt() {
    if (this._alignment === "measured" && this._microphone.on) this._setRoundTrip(this._roundTrip, "unsure");
  }

  _tellState() {
    const { isFlowing } = this._tick;
    this._say("state", { isPlaying: this._isPlaying, isFlowing, context: this.context?.state ?? "closed" });
  }

  _trouble(code, cause = null) {
    this._say("trouble", trouble(code, cause));
    return false;
  }

  _say(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  _ask(message) {
    this._worker?.postMessage(message);
  }

  _askFor(key, message) {
    if (!this._worker) return Promise.resolve({ samples: null, reason: "there is no connection", wave: null });
    return new Promise((resolve) => {
      this._answer(key, { samples: null, reason: "asked again" });
      this._asks.set(key, resolve);
      this._ask(message);
    });
  }

  _answer(key, answer) {
    const resolve = this._asks.get(key);
    this._asks.delete(key);
    resolve?.(answer);
  }

  _address(path) {
    const root = new URL(this.url);
    root.protocol = root.protocol.replace("ws", "http");
    return new URL(path.replace(/^\/?live\//, ""), root);
  }
}

/* What a promise gives, or undefined after so many seconds. */
function within(promise, seconds) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 1000 * seconds))]);
}
