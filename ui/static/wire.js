/* Wire: the 32 bytes in front of every packet of sound, as magenta_rt_py/serve/wire.py has them. Pure.

   <BBBBIIIdII: kind, flags, channels, format, opening, samples, controls, position, two reserved; then int16, interleaved.
   Used by the Worker and by the worklet, so nothing here knows of either. */

export const PROTOCOL = "mrt-live.1";
export const SAMPLES_A_SECOND = 48000;
export const HEADER_BYTES = 32;
export const SOUND = 1;
export const MICROPHONE = 2;
export const STARVED = 1;
export const DISCONTINUOUS = 2;

/* The packet's header as an object; null where it is none: too short, of unknown kind, or not as long as it says. */
export function readHeader(buffer) {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < HEADER_BYTES) return null;
  const view = new DataView(buffer);
  const header = {
    kind: view.getUint8(0),
    flags: view.getUint8(1),
    channels: view.getUint8(2),
    format: view.getUint8(3),
    opening: view.getUint32(4, true),
    samples: view.getUint32(8, true),
    controls: view.getUint32(12, true),
    position: view.getFloat64(16, true),
  };
  const isKnown = (header.kind === SOUND || header.kind === MICROPHONE) && header.format === 0;
  const isWhole = buffer.byteLength === HEADER_BYTES + 2 * header.channels * header.samples;
  const isPlaced = Number.isSafeInteger(header.position) && header.position >= 0;
  return isKnown && isWhole && isPlaced && header.channels >= 1 && header.channels <= 3 ? header : null;
}

/* Writes a header into the first 32 bytes of a packet. */
export function writeHeader(buffer, { kind, flags = 0, channels, opening, samples, controls = 0, position }) {
  const view = new DataView(buffer);
  view.setUint8(0, kind);
  view.setUint8(1, flags);
  view.setUint8(2, channels);
  view.setUint8(3, 0);
  view.setUint32(4, opening, true);
  view.setUint32(8, samples, true);
  view.setUint32(12, controls, true);
  view.setFloat64(16, position, true);
  view.setUint32(24, 0, true);
  view.setUint32(28, 0, true);
}

/* The packet's samples, interleaved, not copied. */
export function payload(buffer) {
  return new Int16Array(buffer, HEADER_BYTES);
}

/* A sample as it travels: rounded and kept within 16 bits; what is no number is silence. */
export function toInt16(sample) {
  const scaled = Math.round(sample * 32768);
  return scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : scaled || 0;
}

/* A WAV file of microphone packets, oldest first, cut to the last so many seconds; null without any sound. */
export function waveFile(packets, seconds) {
  const headers = packets.map(readHeader);
  const channels = Math.max(0, ...headers.map((header) => header.channels));
  const total = headers.reduce((sum, header) => sum + header.samples, 0);
  const kept = Math.min(total, Math.round(seconds * SAMPLES_A_SECOND));
  if (!kept) return null;
  const bytes = 2 * channels * kept;
  const file = new ArrayBuffer(44 + bytes);
  const view = new DataView(file);
  const word = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, SAMPLES_A_SECOND, true);
  view.setUint32(28, 2 * channels * SAMPLES_A_SECOND, true);
  view.setUint16(32, 2 * channels, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, bytes, true);
  let sample = kept - total; // negative ones are older than what is wanted
  packets.forEach((packet, index) => {
    const { samples, channels: lanes } = headers[index];
    const values = payload(packet);
    for (let each = 0; each < samples; each += 1, sample += 1) {
      if (sample < 0) continue;
      for (let lane = 0; lane < channels; lane += 1) {
        view.setInt16(44 + 2 * (sample * channels + lane), values[each * lanes + Math.min(lane, lanes - 1)], true);
      }
    }
  });
  return file;
}
