/* Troubles: what can be missing or fail in a browser, in words for people, with what to do. Pure. */

const RELOAD = "Reload the page.";
const BROWSER = "Use a current Chrome, Edge, Firefox or Safari.";

/* By code: what is wrong, what to do. */
const TROUBLES = {
  "no-websocket": ["This browser has no WebSocket.", BROWSER],
  "insecure": [
    "The browser allows live sound and microphones on secure pages only.",
    "Open the page by https, or on the same machine by http://localhost.",
  ],
  "no-worklet": ["This browser has no AudioWorklet.", BROWSER],
  "no-script": [
    "A part of the player could not be loaded.",
    `${RELOAD} If that does not help, look at the server's messages.`,
  ],
  "no-output": [
    "The browser gives no sound: there is no output device, or it is taken.",
    "Connect or choose an output, then press play again.",
  ],
  "sample-rate": [
    "The browser plays at another rate than 48000 Hz.",
    "Set the sound device to 48000 Hz, or use another browser.",
  ],
  "no-choice": ["This browser cannot choose the output.", "Choose it in the system's sound settings."],
  "output-refused": ["The output could not be chosen.", "Choose another one."],
  "interrupted": ["The browser has stopped the sound.", "Press play to go on."],
  "microphone-denied": [
    "The browser was not allowed to use the microphone.",
    "Allow it beside the page's address, then switch the microphone on again.",
  ],
  "microphone-missing": ["There is no such microphone.", "Connect one, or choose another."],
  "microphone-busy": ["The microphone could not be opened.", "Close other programs that use it, or choose another."],
  "microphone-rate": [
    "The browser cannot use a microphone of this sample rate here.",
    "Set the microphone to 48000 Hz in the system, or use another browser.",
  ],
  "microphone-gone": ["The microphone was unplugged or taken away.", "Connect it, then switch it on again."],
  "no-connection": [
    "The server cannot be reached.",
    "It is tried again and again; look whether the server runs, and whether a proxy lets WebSockets through.",
  ],
  "no-socket": [
    "No WebSocket gets through from here to the server.",
    "Use the plain player on this page, or look whether a proxy lets WebSockets through; they are tried again and again.",
  ],
  "malformed": ["The server did not understand the page.", RELOAD],
  "token": ["The page's permission has expired.", RELOAD],
  "origin": ["The server does not accept pages from this address.", "Open the page by the server's own address."],
  "idle": ["The seat was given up because nothing was played.", "Press play to take a new one."],
  "taken": ["The performance goes on in another window.", "Close that one, or press play to take it back."],
  "full": ["The server takes no more from here.", "Wait a moment, then press play again."],
};

/* Nothing can be heard on this page until it is opened in another way. */
const FATAL = new Set(["no-websocket", "insecure", "no-worklet", "sample-rate", "token", "origin"]);

/* Of the codes that a socket is closed with. */
const OF_CLOSING = { 4400: "malformed", 4401: "token", 4403: "origin", 4408: "idle", 4409: "taken", 4429: "full" };

/* Of the errors that a browser gives in place of a microphone. */
const OF_MICROPHONE = {
  NotAllowedError: "microphone-denied",
  SecurityError: "microphone-denied",
  NotFoundError: "microphone-missing",
  OverconstrainedError: "microphone-missing",
  NotSupportedError: "microphone-rate",
};

/* The detail of a "trouble": {code, text, advice, isFatal, cause}; cause is an error or more words, for those who search. */
export function trouble(code, cause = null) {
  const [text, advice] = TROUBLES[code];
  return { code, text, advice, isFatal: FATAL.has(code), cause: cause === null ? "" : String(cause?.message ?? cause) };
}

/* The code of a trouble for a closed socket, or null if it is none. */
export function troubleOfClosing(code) {
  return OF_CLOSING[code] ?? null;
}

/* The code of a trouble for an error of getUserMedia. */
export function troubleOfMicrophone(error) {
  return OF_MICROPHONE[error.name] ?? "microphone-busy";
}

/* What this browser or page lacks, or null if it can play. */
export function lacking() {
  if (!globalThis.WebSocket || !globalThis.Worker) return trouble("no-websocket");
  if (!globalThis.isSecureContext) return trouble("insecure");
  if (!globalThis.AudioContext || !globalThis.AudioWorkletNode) return trouble("no-worklet");
  return null;
}
