"""Plays live music from a running server, without a page: into a file, or to the sound card (output "-").

python examples/live_client.py ws://127.0.0.1:7860/live/ws TOKEN "lofi hip hop" out.flac 20

What is said on the wire: docs/live-protocol.md.
"""

import json
import struct
import sys
import time

import numpy as np
import soundfile
from websockets.sync.client import connect

HEADER = struct.Struct("<BBBBIIIdII")  # kind, flags, channels, format, opening, samples, controls, position, 0, 0
PROGRAM = {"X-Live-Client": "1"}  # in place of an Origin, which only browsers have


def listen(address: str, token: str, prompt: str, write, seconds: float) -> None:
    """Plays for so many seconds; `write` takes int16 [samples 2] and is back when there is room for more."""
    played, opening, reported = 0, 0, 0.0
    with connect(address, subprotocols=["mrt-live.1"], additional_headers=PROGRAM) as socket:

        def say(kind: str, **fields) -> None:
            socket.send(json.dumps({"type": kind, **fields}))

        say("hello", token=token, resume=None, lead=0.5)
        while played < seconds * 48_000:
            try:
                message = socket.recv(timeout=0.1)
            except TimeoutError:
                message = '{"type": "nothing came"}'
            if isinstance(message, bytes):
                _, _, channels, _, opening, samples, _, position, _, _ = HEADER.unpack_from(message)
                sound = np.frombuffer(message, "<i2", offset=HEADER.size).reshape(samples, channels)
                write(sound[:, :2])  # a third channel is the metronome's
                played = int(position) + samples
            else:
                told = json.loads(message)
                if told["type"] == "welcome":
                    say("set", id=1, values={"prompt/1/text": prompt})
                    say("play")
                    reported = 1.0
                elif told["type"] in ("waiting", "said", "refused", "ended"):
                    print(told)
            if reported and time.monotonic() - reported > 0.1:  # the server makes only as much as is played
                reported = time.monotonic()
                say("report", opening=opening, position=played, queued=0, is_playing=True)
        say("leave")


if __name__ == "__main__":
    address, token, prompt, output, seconds = sys.argv[1:]
    if output == "-":
        import sounddevice

        card = sounddevice.OutputStream(samplerate=48_000, channels=2, dtype="int16")
        card.start()
        listen(address, token, prompt, lambda sound: card.write(np.ascontiguousarray(sound)), float(seconds))
    else:
        with soundfile.SoundFile(output, "w", samplerate=48_000, channels=2) as file:
            listen(address, token, prompt, file.write, float(seconds))  # a file takes all at once: so fast it is made
