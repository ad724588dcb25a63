"""The sound card through its own process, on a device that is played by the tests (fake/sounddevice.py)."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from magenta_rt_py.errors import AudioDeviceError, MissingExtraError
from magenta_rt_py.io import card_child
from magenta_rt_py.io.card_config import CardConfig
from magenta_rt_py.io.sound_card import SoundCard

PATIENCE_SECONDS = 60.0
LONG = 96_000
"""A buffer that takes all of a test's sound at once, so that a busy machine makes no gap in it."""
LATE_SAMPLES = 2500
"""What resampling keeps back, at most."""


def wait_until(condition, seconds: float = PATIENCE_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never happened"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def play(card: SoundCard, sound: np.ndarray, *, cue: np.ndarray | None = None, piece: int = 960) -> list:
    """Writes everything; what came in meanwhile."""
    came = []
    for start in range(0, len(sound), piece):
        count = len(sound[start : start + piece])
        assert card.wait_for_room(count, PATIENCE_SECONDS)
        card.write(sound[start : start + count], None if cue is None else cue[start : start + count])
        came += card.read()
    return came


def drain(card: SoundCard) -> list:
    """Until all of it has been handed to the device; what came in."""
    wait_until(lambda: card.queued_samples() < 48)
    time.sleep(0.05)
    return card.read()


def tone(samples: int) -> np.ndarray:
    angle = 2.0 * np.pi * 440.0 * np.arange(samples) / 48_000
    return np.stack([0.5 * np.sin(angle), 0.3 * np.cos(angle)], axis=1).astype(np.float32)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (samples, 2)).astype(np.float32)


def played(path, channels: int) -> np.ndarray:
    return np.fromfile(path, np.float32).reshape(-1, channels)


def begins(out: np.ndarray) -> int:
    """The first sample that is not silence."""
    return int(np.flatnonzero(np.abs(out).max(axis=1) > 0)[0])


def test_every_sample_arrives_and_comes_back_with_its_number(fake_card, tmp_path):
    """Main, cue and input: exact, in order, and the input tells which sample it came in with."""
    fake_card(out=str(tmp_path / "out"), channels=[2, 6])
    sides = {"input_channels": (2, 1), "output_channels": (2, 1), "cue": (4, 6)}
    config = CardConfig(input="toy", buffer_samples=LONG, opening_seconds=PATIENCE_SECONDS, **sides)
    sound, cue = noise(48_000), noise(48_000)[::-1, 0]
    with SoundCard(config) as card:
        assert (card.input_channels, card.has_cue, card.block_samples, card.opening) == (2, True, 512, 0)
        came = play(card, sound, cue=cue) + drain(card)
        status = card.status
        assert status.is_running and status.problem is None and status.name == "Toy, Nursery / Toy, Nursery"
        assert status.output_delay_seconds == 0.02 and status.block_seconds == 512 / 48_000
        assert 0.0 < status.callback_p999_seconds < 10.0
    out = played(tmp_path / "out", 6)
    got = out[begins(out) :][:48_000]
    np.testing.assert_array_equal(got[:, [1, 0]], sound)
    np.testing.assert_array_equal(got[:, 3], cue)
    np.testing.assert_array_equal(got[:, 5], cue)
    assert not got[:, [2, 4]].any()
    assert [one.opening for one in came] == [0] * len(came)
    starts = np.cumsum([0, *(len(one.samples) for one in came)])
    assert [one.device_start for one in came] == starts[:-1].tolist() and starts[-1] == 48_000
    inputs = np.concatenate([one.samples for one in came])  # what comes in was handed out a block before
    np.testing.assert_array_equal(inputs[512:], sound[:-512])
    assert not inputs[:512].any()


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
def test_other_rates(fake_card, tmp_path, rate_hz):
    """A tone goes out at the card's rate and comes back as the same tone, a block later."""
    fake_card(rate=rate_hz, out=str(tmp_path / "out"), channels=[1, 2])
    sound = tone(48_000)
    with SoundCard(CardConfig(input=0, buffer_samples=LONG, opening_seconds=PATIENCE_SECONDS)) as card:
        assert card.rate_hz == rate_hz and card.input_channels == 1
        came = play(card, sound)
        assert 0 < card.queued_samples() <= 48_000
        wait_until(lambda: card.queued_samples() < LATE_SAMPLES)
        came += card.read()
    starts = np.cumsum([0, *(len(one.samples) for one in came)])
    assert [one.device_start for one in came] == starts[:-1].tolist()
    assert 48_000 - 2 * LATE_SAMPLES < starts[-1] <= 48_000
    out = played(tmp_path / "out", 2)
    out = out[begins(out) :][: rate_hz // 2]  # the cosine begins with its first sample
    angle = 2.0 * np.pi * 440.0 * np.arange(len(out)) / rate_hz
    np.testing.assert_allclose(out[1000:], np.stack([0.5 * np.sin(angle), 0.3 * np.cos(angle)], axis=1)[1000:], atol=1e-5)
    got = np.concatenate([one.samples for one in came])[:, 0]
    angle = 2.0 * np.pi * 440.0 * (np.arange(len(got)) - round(512 * rate_hz / 48_000) * 48_000 / rate_hz) / 48_000
    np.testing.assert_allclose(got[3000:-3000], 0.5 * np.sin(angle)[3000:-3000], atol=1e-4)


def test_mono_card(fake_card, tmp_path):
    fake_card(channels=[0, 1], out=str(tmp_path / "out"))
    sound = noise(9600)
    with SoundCard(CardConfig(buffer_samples=LONG, opening_seconds=PATIENCE_SECONDS)) as card:
        assert card.input_channels == 0 and not card.has_cue and card.read() == []
        play(card, sound, cue=sound[:, 0])
        drain(card)
    out = played(tmp_path / "out", 1)
    np.testing.assert_array_equal(out[begins(out) :][:9600, 0], 0.5 * (sound[:, 0] + sound[:, 1]))


def test_input_and_output_that_must_be_opened_apart(fake_card):
    fake_card(duplex=False)
    numbers = np.repeat(np.arange(72_000, dtype=np.float32)[:, None] / 2**17, 2, axis=1)  # each sample says which it is
    with SoundCard(CardConfig(input=None, buffer_samples=LONG, opening_seconds=PATIENCE_SECONDS)) as card:
        came = play(card, numbers) + drain(card)
    # Half a second goes into finding the place; then it is known to about the blocks' jitter.
    assert came and 20_000 < came[0].device_start < 60_000
    for one in came:
        assert abs(one.samples[0, 0] * 2**17 - one.device_start) < 4800
    with pytest.raises(AudioDeviceError, match="Device unavailable"):
        SoundCard(CardConfig(input=None, separate_streams=False))


@pytest.mark.parametrize(
    ("options", "config", "words"),
    [
        ({}, CardConfig(output="zither"), r"no output device 'zither'; there are 0 'Toy, Nursery'; .*mrtpy devices"),
        ({"gone": "/dev/null"}, CardConfig(), "no output devices at all"),
        ({}, CardConfig(output_channels=(4, 5)), "has 4 output channels and number 5 was asked for"),
        ({"channels": [0, 2]}, CardConfig(input=None), "no input device; there are no input devices at all"),
        ({"hang": True}, CardConfig(opening_seconds=1.0), "has not asked for sound within 1 s; .*mrtpy devices"),
        ({"freeze": 0}, CardConfig(opening_seconds=1.0), "not asked for sound within 1 s"),
        ({"end": 0}, CardConfig(), "the driver has stopped"),
    ],
)
def test_a_card_that_cannot_be_opened(fake_card, options, config, words):
    fake_card(**options)
    with pytest.raises(AudioDeviceError, match=words) as caught:
        SoundCard(config)
    assert "\n" not in str(caught.value)


def test_what_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sounddevice.py").write_text('raise ImportError("none")')
    with pytest.raises(MissingExtraError, match=r"magenta-rt-py\[audio\]"):
        SoundCard()
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    with pytest.raises(AudioDeviceError, match="apt install libportaudio2"):
        SoundCard()
    (tmp_path / "sounddevice.py").write_text('import os; os.write(2, b"driver: boom\\n"); os.abort()')
    with pytest.raises(AudioDeviceError, match="ended while opening it .exit code -6"):
        SoundCard()


def test_unplugged_and_back(fake_card, tmp_path):
    """The music goes on at its pace, and the device plays again under a new opening."""
    gone = tmp_path / "gone"
    fake_card(gone=str(gone))
    config = CardConfig(output=0, input=0, retry_seconds=0.2, opening_seconds=PATIENCE_SECONDS)
    with SoundCard(config) as card:
        play(card, noise(9600))
        gone.touch()
        wait_until(lambda: not card.status.is_running)
        said = card.status.problem
        assert "'Toy, Nursery / Toy, Nursery' is lost, the music goes on" in said and "\n" not in said
        began = time.monotonic()
        play(card, noise(24_000))
        taken = time.monotonic() - began
        assert 24_000 / 48_000 - 0.15 < taken < 5.0
        assert card.opening == 0
        card.read()
        gone.unlink()
        wait_until(lambda: card.wait_for_room(1, 0.05) and card.opening == 1)
        status = card.status
        assert status.is_running and status.problem is None and status.opening == 1
        came = play(card, noise(24_000))
        assert (came[0].opening, came[0].device_start) == (1, 0)


@pytest.mark.parametrize(
    ("how", "words"),
    [("kill", "exit code -9"), ("stop", "its driver hangs"), ("freeze", "not asked for sound for 3 s")],
)
def test_a_card_process_that_ends_or_hangs_or_is_silent(fake_card, monkeypatch, how, words):
    monkeypatch.setattr(card_child, "STALE_SECONDS", 1.0 if how == "stop" else 20.0)
    fake_card(**({"freeze": 60} if how == "freeze" else {}))
    shared = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    with SoundCard(CardConfig(retry_seconds=0.1, opening_seconds=PATIENCE_SECONDS)) as card:
        first = card._card.child.pid
        play(card, noise(4800))
        if how == "kill":
            os.kill(first, signal.SIGKILL)
        if how == "stop":
            os.kill(first, signal.SIGSTOP)
        wait_until(lambda: card.status.problem)
        assert words in card.status.problem
        wait_until(lambda: card.wait_for_room(1, 0.05) and card.opening == 1)
        second = card._card.child.pid
        assert second != first and not is_alive(first)
        play(card, noise(9600))
    assert not is_alive(second)
    now = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    assert not [name for name in now - shared if not name.startswith(("jack", "sem.", "pulse"))]


@pytest.mark.parametrize("hangs", [True, False])
def test_the_card_ends_with_its_engine(fake_card, hangs):
    """Even when its driver hangs: the engine is killed, the card's process ends, and its memory has no name to be left."""
    fake_card(hang=hangs)
    program = f"""
import time
from magenta_rt_py.io.card_child import CardChild
from magenta_rt_py.io.card_config import CardConfig
child = CardChild(CardConfig())
while not child.memory.name:  # it is told just before the device is opened
    time.sleep(0.01)
if not {hangs}:
    child.wait_until_open()
print(child.pid, flush=True)
time.sleep(1000)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], *sys.path])}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as engine:
        assert engine.stdout is not None
        card = int(engine.stdout.readline())
        with open(f"/proc/{card}/maps") as file:
            maps = [line for line in file if "magenta_rt_py" in line and "rw-s" in line]
        assert maps and all("(deleted)" in line for line in maps)  # it has no name that could be left behind
        engine.kill()
    wait_until(lambda: not is_alive(card))


def test_the_card_process_is_light(fake_card):
    fake_card()
    with SoundCard() as card, open(f"/proc/{card._card.child.pid}/maps") as maps:
        loaded = maps.read()
    assert "numpy" in loaded
    for heavy in ("/jaxlib/", "/scipy/", "/soxr/", "/llvmlite/"):
        assert heavy not in loaded
    program = "import sys, magenta_rt_py.io.card_process; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"__main__", "magenta_rt_py"}
    known = {"numpy", "jaxtyping", "wadler_lindig", "cython_runtime"}
    assert {name for name in foreign if not name.startswith("_")} <= known


def test_too_much_at_once(fake_card):
    fake_card()
    with SoundCard() as card:
        with pytest.raises(ValueError, match="4801 samples in a buffer of 4800"):
            card.wait_for_room(4801, 1.0)
        with pytest.raises(ValueError, match="wait_for_room"):
            card.write(np.zeros((1_000_000, 2), np.float32))
        assert math.isfinite(card.status.callback_p999_seconds)
    card.close()
    assert not card.status.is_running
    assert not card.wait_for_room(1, 1.0)
