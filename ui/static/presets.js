// Presets: what the knobs stand at, with a name, as a JSON file. ui/presets.py reads and checks files; this writes them and
// turns one into knob values. Pure, but for `save`.

import { ROOM_KNOBS } from "./scenes.js";

const FORMAT = "magenta_rt_py preset";
const VERSION = 1;
const SOUND = /^@[0-9a-f]{32}$/;

/** Whether a prompt's text stands for a sound that only this session has. */
export function isSound(text) {
  return SOUND.test(text);
}

/**
 * The values to set for a preset: its own, and every prompt slot that it does not name emptied.
 *
 * @param {object} preset as read from a file.
 * @param {Map<string, object>} table the knobs that there are; what it does not have is left out.
 */
export function valuesOf(preset, table) {
  const values = {};
  for (const [name, knob] of table) {
    if (name.startsWith("prompt/")) values[name] = knob.kind === "text" ? "" : knob.kind === "switch" ? false : 0;
  }
  for (const [name, value] of Object.entries(preset.knobs)) {
    if (table.has(name) && !ROOM_KNOBS.has(name)) values[name] = value;
  }
  return values;
}

/** A preset of the knobs as they stand; prompts that are sounds are left out, and counted. */
export function presetOf(name, values) {
  const knobs = {};
  let sounds = 0;
  for (const [knob, value] of Object.entries(values)) {
    if (ROOM_KNOBS.has(knob)) continue;
    const slot = knob.match(/^(prompt\/\d+)\//)?.[1];
    if (slot && isSound(values[`${slot}/text`])) {
      sounds += knob.endsWith("/text") ? 1 : 0;
      continue;
    }
    if (slot && values[`${slot}/text`] === "") continue;
    knobs[knob] = value;
  }
  const title = name.replace(/[\u0000-\u001f]/g, " ").trim().slice(0, 60) || "My preset";
  return { preset: { format: FORMAT, version: VERSION, name: title, about: "", knobs }, sounds };
}

/** Offers a preset as a file. */
export function save(preset) {
  const words = preset.name.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "") || "preset";
  download(new Blob([`${JSON.stringify(preset, null, 1)}\n`], { type: "application/json" }), `${words}.json`);
}

/** Offers a file. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
