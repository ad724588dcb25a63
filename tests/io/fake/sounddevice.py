"""Stands in for sounddevice in the card's process: what a device plays comes back into its input a block later.

FAKE_CARD in the environment is a JSON object: rate (Hz), channels ([inputs, outputs]), duplex (whether it can), hang (never
returns from opening), freeze (the driver stops calling after so many blocks), end (it ends after so many), gone (path of a
file that stands for the device being unplugged), names, out (path of a file that gets all that is played).
"""

import json
import os
import threading
import time
from types import SimpleNamespace

import numpy as np

OPTIONS = {"rate": 48000, "channels": [2, 4], "duplex": True, "names": ["Toy"], **json.loads(os.environ["FAKE_CARD"])}
default = SimpleNamespace(device=[-1, -1])
_loop = [np.zeros((0, 1), np.float32)]  # what the output has played, for an input that is opened apart


class PortAudioError(Exception):
    pass


def _is_gone() -> bool:
    return "gone" in OPTIONS and os.path.exists(OPTIONS["gone"])


def query_hostapis():
    there = 0 if not _is_gone() else -1
    return ({"name": "Nursery", "default_input_device": there, "default_output_device": there},)


def query_devices():
    ins, outs = OPTIONS["channels"]
    found = {"hostapi": 0, "max_input_channels": ins, "max_output_channels": outs, "default_samplerate": OPTIONS["rate"]}
    return [] if _is_gone() else [{"name": name, **found} for name in OPTIONS["names"]]


def check_output_settings(*, device, channels, dtype, samplerate):
    if samplerate != OPTIONS["rate"]:
        raise PortAudioError("Invalid sample rate")


check_input_settings = check_output_settings


class _Stream:
    is_duplex, has_input, has_output = False, False, False

    def __init__(self, *, device, channels, samplerate, blocksize, dtype, latency, callback):
        assert dtype == "float32"
        if OPTIONS.get("hang"):
            time.sleep(1000)
        if _is_gone() or (self.is_duplex and not OPTIONS["duplex"]):
            raise PortAudioError("Device unavailable")
        self._channels, self._rate, self._block, self._callback = channels, samplerate, blocksize, callback
        self.latency = (0.01, 0.02) if self.is_duplex else 0.02
        self.active = False

    def start(self):
        self.active = True
        threading.Thread(target=self._work, daemon=True).start()

    def abort(self):
        self.active = False

    def close(self):
        self.active = False

    def _work(self):
        began, blocks = time.perf_counter(), 0
        ins, outs = self._channels if self.is_duplex else (self._channels, self._channels)
        came = np.zeros((self._block, ins), np.float32)
        while self.active:
            blocks += 1
            time.sleep(max(0.0, began + blocks * self._block / self._rate - time.perf_counter()))
            if _is_gone() or blocks > OPTIONS.get("end", 10**9):
                self.active = False
            elif blocks <= OPTIONS.get("freeze", 10**9):
                came = self._call(came, outs)

    def _call(self, came, outs):
        out = np.full((self._block, outs), 9.0, np.float32)
        if self.is_duplex:
            self._callback(came.tobytes(), memoryview(out).cast("B"), self._block, None, None)
            came = out[:, : came.shape[1]].copy()
        elif self.has_output:
            self._callback(memoryview(out).cast("B"), self._block, None, None)
            _loop[0] = out.copy()
        else:
            came[:] = _loop[0][:1, :1] if len(_loop[0]) else 0.0
            self._callback(came.tobytes(), self._block, None, None)
        if self.has_output and "out" in OPTIONS:
            with open(OPTIONS["out"], "ab") as file:
                file.write(out.tobytes())
        return came


class RawStream(_Stream):
    is_duplex = has_input = has_output = True


class RawOutputStream(_Stream):
    has_output = True


class RawInputStream(_Stream):
    has_input = True
