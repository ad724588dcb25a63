// Meters: level, spectrogram and waveform on canvases. They look at analysers and draw; nothing else.

const FLOOR_DB = -60;
const LOW_HZ = 40;
const HIGH_HZ = 16_000;
const PIXELS_A_SECOND = 60;
const HOLD_MS = 1500;
const CLIP = 0.985;
const INK = ["#0b0e14", "#14213d", "#1d4e6b", "#2a8c8c", "#7bc97f", "#f4d35e", "#fff6d6"];
const WAVE_SHARE = 0.3; // of the height

/** 256 colours from dark to light, each as [red, green, blue]. */
function palette() {
  const stops = INK.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, index) => {
    const where = (index / 255) * (stops.length - 1);
    const left = Math.min(Math.floor(where), stops.length - 2);
    return stops[left].map((low, lane) => Math.round(low + (stops[left + 1][lane] - low) * (where - left)));
  });
}

/** How many points a canvas should have on this screen. */
const ratio = () => Math.min(globalThis.devicePixelRatio || 1, 2);
const wide = (canvas) => Math.max(1, Math.round(canvas.clientWidth * ratio()));
const high = (canvas) => Math.max(1, Math.round(canvas.clientHeight * ratio()));

function fit(canvas) {
  const [width, height] = [wide(canvas), high(canvas)];
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
}

/** A level in dB, of full scale. */
export function decibels(amplitude) {
  return amplitude > 0 ? 20 * Math.log10(amplitude) : -Infinity;
}

/** Level meter with a bar for each analyser, the highest of late, and a light for what is too loud. */
export class Level {
  constructor(canvas, name) {
    this._canvas = canvas;
    this._name = name;
    this._lanes = [];
    this._words = "";
  }

  draw(analysers) {
    const { _canvas: canvas } = this;
    fit(canvas);
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    const bar = (height - 2 * (analysers.length - 1)) / analysers.length;
    context.clearRect(0, 0, width, height);
    const now = performance.now();
    const peaks = analysers.map((analyser, index) => {
      const lane = (this._lanes[index] ??= { level: FLOOR_DB, peak: FLOOR_DB, at: 0, clip: -Infinity, samples: null });
      const loudest = analyser ? peakOf(analyser, lane) : 0;
      const db = Math.max(decibels(loudest), FLOOR_DB);
      lane.level = db > lane.level ? db : Math.max(FLOOR_DB, lane.level - 1.2);
      if (db >= lane.peak || now - lane.at > HOLD_MS) Object.assign(lane, { peak: db, at: now });
      if (loudest >= CLIP) lane.clip = now;
      this._bar(context, width, index * (bar + 2), bar, lane, now);
      return lane.peak;
    });
    this._speak(Math.max(...peaks));
  }

  _bar(context, width, top, height, lane, now) {
    const along = (db) => ((db - FLOOR_DB) / -FLOOR_DB) * (width - 8);
    context.fillStyle = "#1b202c";
    context.fillRect(0, top, width - 8, height);
    const colours = context.createLinearGradient(0, 0, width - 8, 0);
    colours.addColorStop(0, "#2f9e8f");
    colours.addColorStop(0.75, "#7bd88f");
    colours.addColorStop(0.92, "#f4d35e");
    colours.addColorStop(1, "#ff7a59");
    context.fillStyle = colours;
    context.fillRect(0, top, along(lane.level), height);
    context.fillStyle = "#ffffff";
    if (lane.peak > FLOOR_DB) context.fillRect(along(lane.peak) - 1, top, 2, height);
    context.fillStyle = now - lane.clip < HOLD_MS ? "#ff4d4d" : "#2a3040";
    context.fillRect(width - 6, top, 6, height);
  }

  _speak(db) {
    const words = `${this._name}: ${db <= FLOOR_DB ? "silent" : `${Math.round(db)} dB`}`;
    if (words === this._words || performance.now() - (this._spoke ?? 0) < 2000) return;
    this._words = words;
    this._spoke = performance.now();
    this._canvas.setAttribute("aria-label", words);
  }
}

function peakOf(analyser, lane) {
  if (lane.samples?.length !== analyser.fftSize) lane.samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(lane.samples);
  let loudest = 0;
  for (const sample of lane.samples) loudest = Math.max(loudest, Math.abs(sample));
  return loudest;
}

/** Spectrogram above, waveform below; both move to the left. With `isStill`, the spectrum of now as bars, which do not move along. */
export class Scope {
  constructor(canvas) {
    this._canvas = canvas;
    this._palette = palette();
    this._source = null;
    this._at = 0;
    this._rest = 0;
    this.columns = 0; // drawn so far
  }

  /** @param {AnalyserNode} output what is heard; null draws nothing new. */
  draw(output, isStill) {
    const context = this._canvas.getContext("2d", { alpha: false });
    this._resize(context);
    if (!output) return;
    this._listen(output);
    const now = performance.now();
    this._rest += Math.min((now - this._at) / 1000, 0.25) * PIXELS_A_SECOND * ratio();
    this._at = now;
    const columns = Math.floor(this._rest);
    this._rest -= columns;
    if (columns === 0) return;
    this._analyser.getFloatFrequencyData(this._spectrum);
    this._analyser.getFloatTimeDomainData(this._wave);
    this.columns += columns;
    if (isStill) this._drawStill(context);
    else this._drawOn(context, columns);
  }

  /** Another size keeps the picture. */
  _resize(context) {
    if (this._canvas.width === wide(this._canvas) && this._canvas.height === high(this._canvas)) return;
    const before = new OffscreenCanvas(this._canvas.width, this._canvas.height);
    before.getContext("2d").drawImage(this._canvas, 0, 0);
    fit(this._canvas);
    const { width, height } = this._canvas;
    context.fillStyle = INK[0];
    context.fillRect(0, 0, width, height);
    if (this.columns > 0) context.drawImage(before, 0, 0, before.width, before.height, 0, 0, width, height);
    this._rows = null;
  }

  /** An analyser of our own, finer than the player's. */
  _listen(output) {
    if (this._source === output) return;
    this._source = output;
    this._analyser = new AnalyserNode(output.context, { fftSize: 4096, smoothingTimeConstant: 0.3, minDecibels: -100, maxDecibels: -10 });
    output.connect(this._analyser);
    this._spectrum = new Float32Array(this._analyser.frequencyBinCount);
    this._wave = new Float32Array(this._analyser.fftSize);
    this._rows = null;
  }

  /** First and last bin of every row, from the highest pitch down. */
  _bins(height) {
    if (this._rows?.length === height) return this._rows;
    const width = this._analyser.context.sampleRate / this._analyser.fftSize;
    const hz = (row) => LOW_HZ * (HIGH_HZ / LOW_HZ) ** (1 - row / height);
    this._rows = Array.from({ length: height }, (_, row) => {
      const low = Math.floor(hz(row + 1) / width);
      return [low, Math.max(low + 1, Math.ceil(hz(row) / width))];
    });
    return this._rows;
  }

  _shade(first, last) {
    let loudest = -Infinity;
    for (let bin = first; bin < last; bin += 1) loudest = Math.max(loudest, this._spectrum[bin]);
    return Math.max(0, Math.min(1, (loudest + 95) / 75));
  }

  _drawOn(context, columns) {
    const { width, height } = this._canvas;
    const top = Math.round(height * (1 - WAVE_SHARE));
    const left = width - columns;
    context.drawImage(this._canvas, columns, 0, left, height, 0, 0, left, height);
    const picture = context.createImageData(columns, top);
    picture.data.fill(255);
    this._bins(top).forEach(([first, last], row) => {
      const colour = this._palette[Math.round(255 * this._shade(first, last))];
      for (let column = 0; column < columns; column += 1) picture.data.set(colour, 4 * (row * columns + column));
    });
    context.putImageData(picture, left, 0);
    context.fillStyle = INK[0];
    context.fillRect(left, top, columns, height - top);
    const middle = (top + height) / 2;
    const reach = (height - top) / 2 - 1;
    context.fillStyle = "#6fb7c9";
    for (let column = 0; column < columns; column += 1) {
      const [low, high] = this._range(column / columns, (column + 1) / columns);
      context.fillRect(left + column, middle - high * reach, 1, Math.max(1, (high - low) * reach));
    }
  }

  _range(from, to) {
    const { length } = this._wave;
    const start = length >> 1; // what has come since the last drawing
    let low = 0;
    let high = 0;
    for (let at = start + Math.floor(from * start); at < start + Math.floor(to * start); at += 1) {
      low = Math.min(low, this._wave[at]);
      high = Math.max(high, this._wave[at]);
    }
    return [Math.max(-1, low), Math.min(1, high)];
  }

  _drawStill(context) {
    const { width, height } = this._canvas;
    context.fillStyle = INK[0];
    context.fillRect(0, 0, width, height);
    const bars = 64;
    const rows = this._bins(bars);
    for (let bar = 0; bar < bars; bar += 1) {
      const [first, last] = rows[bars - 1 - bar];
      const share = this._shade(first, last);
      context.fillStyle = `rgb(${this._palette[Math.round(60 + 195 * share)].join(",")})`;
      context.fillRect((bar * width) / bars, height * (1 - share), width / bars - 2, height * share);
    }
    this._rows = null;
  }
}
