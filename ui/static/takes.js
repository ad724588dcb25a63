// Takes: recordings with their downloads, what was played last, the session's log, and a file to go on from.

import { controls, make, minutes, place, press, show } from "./deck.js";

const LAST_SECONDS = 60;

export class Takes {
  /** @param {object} desk say(text), upload(path, blob, name). @param {() => object | null} player */
  constructor(desk, player) {
    this._desk = desk;
    this._player = player;
    this._recording = null; // its id
    this._known = [];
  }

  /** Starts a recording, or completes it. */
  toggle() {
    this._player()?.record(!this._recording, { microphone: controls("stem")[0].checked });
  }

  /** Takes what the server says of a recording; gives whether a take is complete. */
  take({ state, id, seconds, files, problem }) {
    if (problem) this._desk.say(problem);
    if (state === "recording") {
      this._mark(id);
      show("record", `Stop ${minutes(seconds)}`);
      return false;
    }
    if (this._recording === null || this._recording === id) this._mark(null);
    if (!files?.length || this._known.includes(id)) return false;
    this._known.push(id);
    const links = files.map(({ name, url }) => {
      const link = make("a", { class: "small", href: this._player().link(url), download: "" });
      link.textContent = `↓ ${name}`;
      return link;
    });
    const number = this._known.length;
    place("takes").prepend(make("li", {}, make("span", {}, `Take ${number} · ${minutes(seconds)}`), ...links));
    this._desk.say(`Take ${number} is complete.`);
    return true;
  }

  /** Nothing is recorded any longer. */
  end() {
    this._mark(null);
  }

  /** Offers what was played last. */
  last() {
    this._fetch(`live/last?seconds=${LAST_SECONDS}`);
  }

  log() {
    this._fetch("live/log");
  }

  /** Goes on from the file that was chosen. */
  async bring(input) {
    const [file] = input.files;
    if (!file) return;
    this._desk.say("Reading the file …");
    try {
      await this._desk.upload("live/context", file, file.name);
      this._desk.say("The music goes on from it at the next bar.");
    } catch (error) {
      this._desk.say(`${file.name}: ${error.message}`);
    }
    input.value = "";
  }

  _fetch(path) {
    const player = this._player();
    if (!player) return;
    const link = make("a", { href: player.link(path), download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  }

  _mark(id) {
    this._recording = id;
    press("record", id !== null);
    if (id === null) show("record", "Record");
  }
}
