"""MIDI without a device: messages and times are handed in, and ports come and go as told."""

import sys
import threading
import time

import mido
import pytest

from magenta_rt_py.errors import MissingExtraError, MrtError
from magenta_rt_py.io import midi
from magenta_rt_py.io.midi import ControlBinding, MidiControls, MidiInput, MidiMap, NoteBinding
from magenta_rt_py.live.board import Board

TEMPERATURE = ControlBinding(knob="temperature", control=21, channel=2, low=0.0, high=2.54)
PATIENCE_SECONDS = 10.0


def dial(position, *, control=21, channel=2):
    return mido.Message("control_change", channel=channel - 1, control=control, value=position)


def pad(note, *, velocity=100, channel=10):
    return mido.Message("note_on", channel=channel - 1, note=note, velocity=velocity)


def temperature(board):
    return board.settings.values["temperature"]


def test_dials_turn_knobs():
    board, heard = Board(), []
    board.listen(heard.append)
    everywhere = ControlBinding(knob="midi_clock", control=64, low=0.0, high=1.0)
    controls = MidiControls(board, MidiMap(controls=(TEMPERATURE, everywhere)))
    controls.handle(dial(50))
    assert temperature(board) == pytest.approx(1.0)
    controls.handle(dial(127))
    assert temperature(board) == pytest.approx(2.54)
    for other in (dial(0, control=22), dial(0, channel=3), mido.Message("program_change", program=21), pad(21)):
        controls.handle(other)
    assert temperature(board) == pytest.approx(2.54)
    controls.handle(dial(127, control=64, channel=16))
    assert board.settings.values["midi_clock"] is True
    assert {change.source for change in heard} == {"midi"} and controls.problem is None


def test_pads_ask_for_actions():
    board = Board()
    notes = (NoteBinding(action="tap", note=36, channel=10), NoteBinding(action="snapshot/recall", note=37, value=5))
    controls = MidiControls(board, MidiMap(notes=notes))
    for message in (
        pad(36),
        pad(36, velocity=0),
        mido.Message("note_off", channel=9, note=36),
        pad(36, channel=1),
        pad(37, channel=1),
    ):
        controls.handle(message)
    assert [(each.name, each.value, each.source) for each in board.take_actions()] == [
        ("tap", None, "midi"),
        ("snapshot/recall", 5, "midi"),
    ]


def test_learning_a_dial():
    board, learned = Board(), []
    controls = MidiControls(board, on_learned=learned.append)
    controls.learn("volume")
    assert controls.learning == "volume"
    for message in (pad(36), mido.Message("clock"), dial(0, control=123), mido.Message("pitchwheel", pitch=5)):
        controls.handle(message)
    assert controls.learning == "volume", "none of them is a dial"
    controls.handle(dial(127))
    assert controls.learning is None and board.settings.sequence == 0, "the movement that is learned turns nothing yet"
    controls.handle(dial(126))
    assert board.settings.values["volume"] == pytest.approx(2 * 126 / 127)
    assert learned == [controls.midi_map]
    controls.learn("bpm")
    controls.handle(dial(3))
    controls.handle(dial(127))
    assert board.settings.values["bpm"] == 400.0 and board.settings.values["volume"] == pytest.approx(2 * 126 / 127)


def test_learning_a_pad():
    board = Board()
    controls = MidiControls(board)
    controls.learn("snapshot/save", 4)
    controls.handle(dial(3))
    controls.handle(pad(40))
    assert board.take_actions() == [] and controls.learning is None
    controls.handle(pad(40))
    assert [(each.name, each.value) for each in board.take_actions()] == [("snapshot/save", 4)]
    controls.learn("tap")
    controls.stop_learning()
    controls.handle(pad(41))
    assert len(controls.midi_map.notes) == 1
    for name, value, said in [
        ("nothing", None, "no knob"),
        ("prompt/1/text", None, "is a text"),
        ("bpm", 3, "no action"),
        ("tap", 3, "takes no"),
    ]:
        with pytest.raises(ValueError, match=said):
            controls.learn(name, value)
    assert controls.learning is None


def test_without_pickup_the_knob_jumps():
    board = Board()
    MidiControls(board, MidiMap(controls=(TEMPERATURE,))).handle(dial(0))
    assert temperature(board) == 0.0


def test_pickup_waits_for_the_knob():
    board = Board({"temperature": 1.0})  # the dial's 50
    controls = MidiControls(board, MidiMap(controls=(TEMPERATURE,)), pickup=True)
    for position in (0, 20, 40):
        controls.handle(dial(position))
        assert temperature(board) == 1.0
    controls.handle(dial(60))  # past it
    assert temperature(board) == pytest.approx(1.2)
    controls.handle(dial(110))  # held: as fast as you like
    assert temperature(board) == pytest.approx(2.2)
    board.set("temperature", 0.4)  # someone else; the dial's 20
    controls.handle(dial(100))
    assert temperature(board) == 0.4
    controls.handle(dial(19))
    assert temperature(board) == pytest.approx(0.38)
    board.set("temperature", 4.0)  # out of the dial's reach: picked up at its end
    controls.handle(dial(60))
    assert temperature(board) == 4.0
    controls.handle(dial(127))
    assert temperature(board) == pytest.approx(2.54)


def test_pickup_holds_knobs_that_take_steps():
    """Between two whole numbers the dial is not where its knob stands, and holds it all the same."""
    board = Board({"beats_per_bar": 1})
    bars = ControlBinding(knob="beats_per_bar", control=21, low=1.0, high=16.0)
    controls = MidiControls(board, MidiMap(controls=(bars,)), pickup=True)
    for position in range(128):
        controls.handle(dial(position))
        assert board.settings.values["beats_per_bar"] == round(1 + 15 * position / 127)


def test_a_new_map_takes_over_at_once():
    board = Board()
    controls = MidiControls(board, MidiMap(controls=(TEMPERATURE,)))
    controls.midi_map = MidiMap(controls=(ControlBinding(knob="volume", control=21, low=0.0, high=1.0),))
    controls.handle(dial(127))
    assert temperature(board) == 1.1 and board.settings.values["volume"] == 1.0
    controls.midi_map = MidiMap()
    controls.handle(dial(0))
    assert board.settings.values["volume"] == 1.0


def test_the_clock_is_followed():
    controls = MidiControls(Board(), now_seconds=lambda: 100.0)
    assert controls.clock_state() == (False, False, True, None, None)
    period = 60.0 / 96.0 / 24
    controls.handle(mido.Message("songpos", pos=32), 9.9)  # beat 8
    controls.handle(mido.Message("continue"), 9.95)
    for pulse in range(97):
        controls.handle(mido.Message("clock"), 10.0 + pulse * period)
    at = 10.0 + 96 * period
    state = controls.clock_state(at)
    assert (state.is_locked, state.is_running, state.is_lost) == (True, True, False)
    assert state.bpm == pytest.approx(96.0) and state.beat == pytest.approx(12.0)
    assert controls.clock_state(at + 0.25).beat == pytest.approx(12.0 + 0.25 * 96 / 60), "the near future"
    assert controls.clock_state().is_lost, "now is 100 s"
    controls.handle(mido.Message("stop"), at)
    assert not controls.clock_state(at).is_running
    controls.handle(mido.Message("start"), at)
    controls.handle(mido.Message("clock"), at + period)
    assert controls.clock_state(at + period).is_running
    assert controls.clock_state(at + period).beat == pytest.approx(0.0, abs=1e-6)


def test_messages_without_a_time_are_of_now():
    now = iter(range(1000))
    controls = MidiControls(Board(), now_seconds=lambda: next(now) * 0.025)  # 24 pulses of it are 100 bpm
    for _ in range(48):
        controls.handle(mido.Message("clock"))
    assert controls.clock_state(47 * 0.025).bpm == pytest.approx(100.0)


def test_a_message_that_makes_no_sense_is_a_problem_and_no_more():
    board = Board()
    controls = MidiControls(board, MidiMap(controls=(TEMPERATURE,)))
    controls.handle(object())
    assert controls.problem.startswith("MIDI: ") and "\n" not in controls.problem
    controls.handle(dial(50))
    assert temperature(board) == pytest.approx(1.0)


class Ports:
    """Ports as they are plugged in and out."""

    def __init__(self, *names):
        self.names, self.opened, self.closed, self.callback = list(names), [], 0, None
        self.error = None
        self.searches = 0

    def search(self):
        self.searches += 1
        return self.list_ports()

    def list_ports(self):
        if self.error is not None:
            raise self.error
        return list(self.names)

    def open(self, name, callback):
        self.opened.append(name)
        self.callback = callback
        return self

    def close(self):
        self.closed += 1


def eventually(holds) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def opened(ports, name="nano", board=None):
    controls = MidiControls(board or Board(), MidiMap(controls=(TEMPERATURE,)))
    return MidiInput(controls, name, poll_seconds=0.005, list_ports=ports.search, open_port=ports.open)


def test_a_port_is_found_by_a_part_of_its_name():
    ports = Ports("Midi Through 14:0", "nanoKONTROL2 24:0", "nanoPAD 28:0")
    board = Board()
    with opened(ports, "NANO", board) as port:
        assert port.name == "nanoKONTROL2 24:0" and port.problem is None
        ports.callback(dial(50))
        assert temperature(board) == pytest.approx(1.0)
    assert ports.closed == 1 and port.name is None and not port._thread.is_alive()
    port.close()
    with opened(ports, "nanoPAD 28:0") as port:
        assert port.name == "nanoPAD 28:0"
    with pytest.raises(ValueError, match="no MIDI input with 'launch' in its name; there are: 'Midi Through 14:0', 'nano"):
        opened(ports, "launch")
    with pytest.raises(ValueError, match="there are: none"):
        opened(Ports())


def test_a_port_that_is_unplugged_comes_back():
    ports, board = Ports("nanoKONTROL2 24:0"), Board()
    with opened(ports, board=board) as port:
        time.sleep(0.05)
        assert ports.searches == 1, "while a port is open, it is asked itself"
        ports.names = []
        eventually(lambda: port.name is None and port.problem is not None)
        assert port.problem == "MIDI input 'nanoKONTROL2 24:0' is gone, the music goes on; plug it in again"
        assert ports.closed == 1
        time.sleep(0.05)
        assert port.problem.startswith("MIDI input 'nanoKONTROL2 24:0' is gone") and len(ports.opened) == 1
        ports.names = ["nanoKONTROL2 28:0"]  # systems give it another number
        eventually(lambda: port.name == "nanoKONTROL2 28:0")
        eventually(lambda: port.problem is None)
        ports.callback(dial(100))
        assert temperature(board) == pytest.approx(2.0)
        ports.error = OSError("the driver\nhas crashed")
        eventually(lambda: port.problem == "MIDI input 'nano': the driver has crashed; trying again")
        ports.error = None
        eventually(lambda: port.problem is None)


def test_what_comes_in_wrong_is_the_ports_problem():
    ports = Ports("nanoKONTROL2")
    with opened(ports) as port:
        ports.callback(None)
        assert port.problem.startswith("MIDI: ")


def test_a_machine_without_midi(monkeypatch, tmp_path, capfd):
    """As on a server: no sequencer. One line of ours, none of the library's."""
    monkeypatch.setattr(midi, "SEQUENCER", str(tmp_path / "seq"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("MIDO_BACKEND", raising=False)
    for call in (
        midi.list_midi_ports,
        lambda: midi.open_midi_port("x", print),
        lambda: MidiInput(MidiControls(Board()), "x"),
    ):
        with pytest.raises(
            MrtError, match="this machine has no MIDI .*seq is missing.*modprobe snd-seq.*without MIDI"
        ) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_this_machine_has_midi_or_says_why_not():
    try:
        assert all(isinstance(name, str) for name in midi.list_midi_ports())
    except MrtError as error:
        assert str(error).startswith("this machine has no MIDI") and "\n" not in str(error)


def fake_backend(monkeypatch, tmp_path, text):
    """Another way to MIDI, by mido's own setting: no sequencer is asked for."""
    (tmp_path / f"{tmp_path.name}_midi.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MIDO_BACKEND", f"{tmp_path.name}_midi")


BACKEND = """
def get_devices(**settings):
    return [{"name": name, "is_input": True, "is_output": False} for name in ("One", "Two", "One")]

class Input:
    def __init__(self, name, **settings):
        if name == "Two":
            raise OSError("busy")
        self.name, self.callback = name, settings["callback"]

    def close(self):
        self.callback = None

class Driver:
    def get_ports(self):
        return ["One", "Three"]
"""


def test_ports_of_mido(monkeypatch, tmp_path):
    fake_backend(monkeypatch, tmp_path, BACKEND)
    assert midi.list_midi_ports() == ["One", "Two"]
    port = midi.open_midi_port("One", print)
    assert port.list_ports() == ["One", "Two"] and port._port.callback is print
    port._port._rt = sys.modules[f"{tmp_path.name}_midi"].Driver()  # as python-rtmidi's ports have
    assert port.list_ports() == ["One", "Three"]
    port.close()
    assert port._port.callback is None
    with pytest.raises(MrtError, match="MIDI input 'Two' cannot be opened .busy.; close what else uses it"):
        midi.open_midi_port("Two", print)


def test_a_library_that_finds_no_driver(monkeypatch, tmp_path):
    fake_backend(monkeypatch, tmp_path, "def get_devices(**settings):\n    raise OSError('error creating\\nclient')\n")
    with pytest.raises(MrtError, match="this machine has no MIDI .error creating client.: "):
        midi.list_midi_ports()


def test_without_the_extra(monkeypatch, tmp_path):
    fake_backend(monkeypatch, tmp_path, "import rtmidi\n")
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    for call in (midi.list_midi_ports, lambda: midi.open_midi_port("One", print)):
        with pytest.raises(MissingExtraError, match=r"MIDI needs the package 'rtmidi': pip install 'magenta-rt-py\[midi\]'"):
            call()
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(MissingExtraError, match=r"'mido'.*\[midi\]"):
        midi.list_midi_ports()


def test_many_threads_may_use_it():
    """Messages, learning and the clock's state at once: nothing is lost, nothing hangs."""
    board = Board()
    controls = MidiControls(board, MidiMap(notes=(NoteBinding(action="tap", note=36),)))
    gate = threading.Barrier(3)

    def play(message):
        gate.wait(20.0)
        for step in range(300):
            controls.handle(message, step * 0.02)

    threads = [threading.Thread(target=play, args=(message,)) for message in (pad(36), mido.Message("clock"))]
    for thread in threads:
        thread.start()
    gate.wait(20.0)
    while any(thread.is_alive() for thread in threads):
        controls.learn("volume")
        controls.stop_learning()
        controls.clock_state(1.0)
    for thread in threads:
        thread.join(20.0)
    assert len(board.take_actions()) == 300 and controls.clock_state(299 * 0.02).bpm == pytest.approx(125.0)
    assert controls.problem is None
