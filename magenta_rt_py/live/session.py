"""Session: one performance. It keeps the stream alive, takes what people do, and writes down all of it.

                   board (knobs, actions)      card's input
                        |                         |
    styles -> engine: request -> device -> frames | performer: mix
                        |  (chain.py: frozen up to the next request's start)
                     sound of the frozen frames -> output stage -> card, recorder, journal

The player's thread runs `run`: a frame each time the card has room for one. Nothing in it waits for a disk, a network or
the model. Where there is nothing to play in time, the stream stands still, what is heard is bridged and fades
(concealment.py), and it goes on from the same sample.

Stateful shell. It knows the model by `Generator` and `Sound` only.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.live import intro, memory, planner
from magenta_rt_py.live.actions import Actions
from magenta_rt_py.live.board import Board, Change
from magenta_rt_py.live.card import Card
from magenta_rt_py.live.card_guard import CardGuard
from magenta_rt_py.live.checked import checked
from magenta_rt_py.live.clock import Clock
from magenta_rt_py.live.conductor import Conductor
from magenta_rt_py.live.delay import DelayMeter
from magenta_rt_py.live.engine import STALLED_SECONDS, Engine
from magenta_rt_py.live.frame import Conditioning, Frame
from magenta_rt_py.live.generator import Generator, Request
from magenta_rt_py.live.injection import Mix
from magenta_rt_py.live.journal import Journal
from magenta_rt_py.live.performer import Performer
from magenta_rt_py.live.session_parts import Master, SessionConfig, SessionStatus, Sound, Styles
from magenta_rt_py.live.stage import FRAME_SAMPLES, SAMPLES_A_SECOND, Stage, sound_of
from magenta_rt_py.live.timeline import Slot
from magenta_rt_py.live.transport import Transport
from magenta_rt_py.live.worker import Response, Worker

__all__ = ["Session"]

RENDER_FRAMES = 4
"""Sound that is made at once, ahead of its time."""
PUBLISH_STEPS = 2
PUBLISH_WAITS = 5
CHECKPOINT_FRAMES = 125
"""A checkpoint every 5 s."""
QUIET_FRAMES = 50
"""A problem that was gone for 2 s and is back is said again."""
RECOVERY_ANSWERS = 5
"""Good answers after which a model that failed is believed again."""
START_FRAMES = 250
"""The start, 10 s, is told apart in counts of underruns."""
CALM_SAMPLES = 4800
"""Sound beyond what the card needs now, 0.1 s: nothing is lost by looking for an answer 8 ms later."""


class Session:
    """See the module's head. `run` belongs to one thread; `status`, `stop` and the board to any.

    Attributes:
      engine: with timeline, trace and faults.
      delays: measured control delays.
    """

    def __init__(
        self,
        generator: Generator,
        sound: Sound,
        card: Card,
        board: Board,
        styles: Styles,
        *,
        worker: Worker,
        clock: Clock,
        planner_config: planner.PlannerConfig,
        past: tuple[Frame | None, ...],
        make_mix: Callable[[Mix], Any] = lambda mix: mix,
        config: SessionConfig | None = None,
        header: dict[str, Any] | None = None,
        master: Master | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Ready to run.

        Args:
          generator: makes frames.
          sound: makes them heard.
          card: where they go.
          board: knobs and actions.
          styles: from prompts to style codes.
          worker: the device of the generator, on the same clock.
          clock: wall or virtual.
          planner_config: measured costs.
          past: ten seconds of frames to begin from.
          make_mix: wraps a mix as the generator wants it in `Request.heard`.
          config: how the performance is set up.
          header: what else the log's header says: bundle, versions.
          master: a clock to follow when the knob says so.
          now: seconds in which `master` is asked; on a virtual clock, that clock's.
        """
        self.config = config or SessionConfig()
        self.board, self.card, self.delays = board, CardGuard(card, clock), DelayMeter()
        board.set("seed", self.config.seed, source="session")
        self._sound, self._styles, self._clock, self._master = sound, styles, clock, master
        self._now = now
        self._generator = generator
        self._planner_config = planner_config
        self._planner = planner.init_state(planner_config)
        self.engine = Engine(
            self._planner.choice.plan,
            checked(generator, levels=next((len(frame.codes) for frame in past if frame is not None), None)),
            worker,
            clock,
            prepare=self._prepare,
            on_response=self._take_response,
            seed=self.config.seed,
        )
        self.engine.turn(0, past)
        self._memory = memory.Memory(past)
        self._settings = board.settings
        values = self._settings.values
        self._conductor = Conductor(values["bpm"], beats_per_bar=values["beats_per_bar"])
        self._conductor.nudge(self.config.start_beat, 0)
        self._performer = None
        if self.config.has_input:
            self._performer = Performer(round_trip_samples=self.config.round_trip_samples)
        self._make_mix = make_mix
        self._rendered, self._sound_width = 0, 1
        self._playing_sequence = self._next_sequence = 0
        self._frames: deque[Float[np.ndarray, "samples 2"]] = deque()
        self._is_stopping, self._early_underruns = False, 0
        self._busy: deque[tuple[float, float]] = deque(maxlen=40)
        self._message = self._planner.choice.message
        self._told: dict[str, tuple[str, int]] = {}
        self._faults_told: set[str] = set()
        self._last_fault: Any = None
        self._good_answers, self._sound_problem = math.inf, None
        shown = {"seed": self.config.seed, "past": memory.frames_to_json(past), **(header or {})}
        self._journal = Journal(self.config.log_path, shown)
        self._stage = Stage(
            self.card,
            self._journal,
            performer=self._performer,
            record_folder=self.config.record_folder,
            on_problem=self._say,
        )
        self._actions = self._make_actions(past)
        self._unlisten = board.listen(self._note_change)
        styles.ask(self._settings)
        self._status, self._steps, self._waits = self._look(), 0, 0
        if self.config.record_path is not None:
            self._stage.record(str(self.config.record_path))

    def _make_actions(self, past: tuple[Frame | None, ...]) -> Actions:
        return Actions(
            self.board,
            self.engine,
            self._conductor,
            self._memory,
            self._stage,
            self._journal,
            past=past,
            say=self._say,
            stop=self.stop,
            set_tempo=self._set_tapped,
        )

    @property
    def transport(self) -> Transport:
        """Beat and tempo of every frame."""
        return self._conductor.transport

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._is_stopping

    @property
    def seconds(self) -> float:
        """Music played."""
        return self.engine.timeline.playhead * self.engine.plan.unit_seconds

    @property
    def playing_sequence(self) -> int:
        """Number of the settings that the sound was made with that is being written, or was last. On the player's thread, in
        the card's `write`: of just these samples."""
        return self._playing_sequence

    @property
    def written_samples(self) -> int:
        """Samples written to the card, bridged ones among them."""
        return self._stage.written

    @property
    def late_underruns(self) -> int:
        """Underruns after the first ten seconds."""
        return self._stage.underruns - self._early_underruns

    @property
    def late_input_samples(self) -> int:
        """Samples of the performer that came after their place had been settled."""
        return 0 if self._performer is None else self._performer.late_samples

    @property
    def status(self) -> SessionStatus:
        """How it is going, a tenth of a second ago at most."""
        return self._status

    def bring(self, past: Sequence[Frame | None], name: str) -> None:
        """Goes on from another past at the next bar line that can still change, as a snapshot does. Any thread.

        Args:
          past: frames, newest last; the last ten seconds count. None where there is nothing.
          name: for the message.
        Raises:
          ValueError: there is no frame in it, or one with another number of codes than the music has.
        """
        self._actions.bring(past, name)

    def stop(self) -> None:
        """Ends `run` after the frame that is being played."""
        self._is_stopping = True

    def close(self) -> None:
        """Completes recording and log. After `run`."""
        self._unlisten()
        self._stage.stop_recording(wait=True)
        self._journal.end(self._stage.written, self.engine.timeline.playhead)
        self._journal.close()

    def run(self, seconds: float | None = None, *, patience_seconds: float = math.inf) -> None:
        """Plays, until `stop` or for so many seconds of music.

        Args:
          seconds: of music; None plays on.
          patience_seconds: on the session's clock; returns when the music has stood still for so long.
        """
        timeline = self.engine.timeline
        end = math.inf if seconds is None else timeline.playhead + round(seconds * SAMPLES_A_SECOND / FRAME_SAMPLES)
        playhead, moved_seconds = timeline.playhead, self._clock.now_seconds()
        while not self._is_stopping and timeline.playhead < end:
            if self.card.wait_for_room(FRAME_SAMPLES, 0.02):
                self.step()
            else:
                self.attend()
            now = self._clock.now_seconds()
            if timeline.playhead > playhead:
                playhead, moved_seconds = timeline.playhead, now
            elif now - moved_seconds > patience_seconds:
                break
        self._status = self._look()

    def step(self) -> None:
        """Plays one frame, or holds; the card has room for it."""
        self._take_settings()
        self._take_performer()
        self._take_style()
        self._actions.take()
        if self._performer is not None:
            self._performer.hear(self.card.read(), self.transport)
        slot = self.engine.step()
        self._tell_problems()
        if slot is None:
            self._hold()
        else:
            self._play(slot)
        self._waits = 0
        self._steps += 1
        if self._steps % PUBLISH_STEPS == 0:
            self._status = self._look()

    def attend(self) -> None:
        """Takes what people do and plays nothing: while the card has no room, as a page that is paused has none for long."""
        self._take_settings()
        self._take_style()
        self._actions.take()
        self._waits += 1
        if self._waits % PUBLISH_WAITS == 0:
            self._tell_problems()
            self._status = self._look()

    # What people do.

    def _take_settings(self) -> None:
        settings = self.board.settings
        values = settings.values
        if settings.sequence != self._settings.sequence:
            if values["bpm"] != self._settings.values["bpm"]:
                self._actions.do_later(lambda frame: self._conductor.set_bpm(values["bpm"], frame))
            if values["beats_per_bar"] != self.transport.beats_per_bar:
                self._conductor.set_beats_per_bar(values["beats_per_bar"])
            self._settings = settings
            self._styles.ask(settings)

    def _take_performer(self) -> None:
        if self._performer is None:
            return
        plan = self.engine.plan
        delay = self._performer.round_trip_samples + self.card.queued_samples()
        delay += (plan.look_ahead + plan.interval + 2) * FRAME_SAMPLES
        self._performer.set(self._settings.values, self.transport, self.engine.timeline.playhead, delay)
        self._performer.prompt = self._styles.hear(self._performer.prompt)
        self._enter()

    def _take_style(self) -> None:
        sequence, style = self._styles.latest
        if sequence != self.engine.sequence or style != self.engine.controls:
            self.engine.set_controls(style, sequence=sequence)

    def _enter(self) -> None:
        """During an intro, the mix goes by it and not by the knobs."""
        levels = self._levels()
        if self._performer is not None and levels is not None:
            self._performer.level(gain=levels.input_gain, feedback=levels.feedback)

    def _levels(self) -> intro.Levels | None:
        """Levels during an intro; None after it, or without one."""
        beat = self.transport.beat_at(self.engine.timeline.playhead)
        opening = self.config.intro
        if opening is None or intro.phase_at(opening, beat) is intro.Phase.PLAYING:
            return None
        values = self._settings.values
        chosen = intro.Levels(values["inject/gain"], values["inject/feedback"], values["volume"], values["metronome"])
        return intro.levels_at(opening, beat, chosen)

    def _set_tapped(self, bpm: float) -> None:
        self.board.set("bpm", bpm, source="tap")
        self._settings = self.board.settings  # it is so already; nothing is to be done about it
        self._styles.ask(self._settings)

    def _lead(self, frame: int) -> None:
        """Tempo and place as they are asked for take effect with a request's first frame, so that no frame that was made
        by the old ones is played by the new."""
        self._actions.lead(frame)
        if self._master is None or not self._settings.values["midi_clock"]:
            return
        ahead = (frame * FRAME_SAMPLES - self._stage.heard_sample()) / SAMPLES_A_SECOND
        told = self._master(self._now() + ahead)
        if told is not None:
            self._conductor.follow(frame, beat=told[0], bpm=told[1])

    def _note_change(self, change: Change) -> None:
        """On whatever thread turned the knob."""
        self.delays.changed(change.sequence, self._clock.now_seconds())
        data = {"name": change.name, "value": change.value, "sequence": change.sequence, "source": change.source}
        self._journal.event(self._stage.written, "knob", data)

    # Asking.

    def _prepare(self, request: Request) -> Request:
        """Completes a request: controls at the last moment, and what the performer played."""
        self._lead(request.start)
        values, performer, is_coarse = self._settings.values, self._performer, self._planner.choice.is_coarse
        is_unheard = performer is None or is_coarse or performer.is_left_out(request.start)
        conditioning = Conditioning(
            temperature=values["temperature"],
            top_k=values["top_k"],
            guidance_weight=values["guidance"],
            input_guidance_weight=0.0 if is_unheard else values["input_guidance"],
            style=request.controls,
            transport=self.transport.without_past(request.start),
            has_clock=values["keep_time"],
            adapter_strength=values["adapter_strength"],
        )
        heard = None
        if performer is not None and (is_coarse or request.start == self._actions.turning_unit):
            performer.turn(request.start)
        elif performer is not None and is_unheard:  # switched on again, the performer counts from what was heard just now
            heard_frame = max(0, self._stage.heard_sample() // FRAME_SAMPLES)
            performer.turn(min(request.start, max(heard_frame, self._actions.turning_unit)))
        if not is_unheard:
            heard = self._make_mix(self._mix(request.start))
        return request._replace(controls=conditioning, heard=heard, seed=values["seed"])

    def _mix(self, start: int) -> Mix:
        """What the model hears up to a request's start. The last frame's sound depends on the one to come: for now it is
        taken as if the sound were held."""
        assert self._performer is not None
        self._render_until(start)
        last = self.engine.timeline.at(start - 1) if start > self.engine.timeline.playhead else None
        if last is not None:
            samples, _ = sound_of(self._sound.peek, [last.payload])
            self._performer.play((start - 1) * FRAME_SAMPLES, samples)
        return self._performer.mix(start, played_until_frame=start - 1)

    def _take_response(self, response: Response) -> None:
        request = response.request
        seconds = response.done_seconds - response.taken_seconds
        self._count_answer(is_good=not response.error and seconds <= STALLED_SECONDS)
        if response.error:
            return
        context = None if request.heard is None else getattr(self._generator, "heard_context", None)
        served = request._replace(batch=getattr(self._generator, "batch", None))
        self._journal.request(self._stage.written, served, context)
        self.delays.taken(request.sequence, response.taken_seconds)
        self._busy.append((seconds, self.engine.plan.interval * self.engine.plan.unit_seconds))
        programs = sorted(self._planner_config.cost_seconds)
        length = next((known for known in programs if known >= request.length), request.length)
        if request.history and request.history[0] is None:  # until ten seconds are full, a model runs its longest program
            length = max(programs)
        before = self._planner.choice
        self._planner, choice = planner.step(self._planner_config, self._planner, length, seconds)
        if choice.plan != before.plan:
            self.engine.replan(choice.plan)
        if choice.is_coarse != self._sound.is_coarse:
            self._sound.is_coarse = choice.is_coarse
            self._journal.event(self._stage.written, "coarse", {"unit": self._rendered, "is_coarse": choice.is_coarse})
        if choice.message and choice.step != before.step:
            self._say(choice.message)

    # Sounding.

    def _play(self, slot: Slot) -> None:
        """Writes the sound that this frame completes: that of the frame before."""
        timeline = self.engine.timeline
        unit = timeline.playhead - 1
        # A few frames each time, so that the card is never kept waiting for a whole hop's sound.
        ahead = min(timeline.frozen_until, self._rendered + RENDER_FRAMES)
        self._render_until(max(ahead, unit + 1), first=slot)
        self._journal.play(self._stage.written, unit, slot)
        self._memory.add(slot.payload)
        # What sounds now is the frame before: sound lags its codes by one.
        self._playing_sequence, self._next_sequence = self._next_sequence, slot.sequence
        values, levels = self._settings.values, self._levels()
        self._stage.play(
            self._frames.popleft(),
            (unit - 1) * FRAME_SAMPLES,
            self.transport,
            volume=values["volume"] if levels is None else levels.model_volume,
            click=values["metronome"] if levels is None else levels.metronome,
        )
        queued = self.card.queued_samples() / SAMPLES_A_SECOND
        now, device = self._clock.now_seconds(), self.card.status.output_delay_seconds
        self.delays.played(slot.sequence, now, buffer_seconds=queued, device_seconds=device)
        if unit < START_FRAMES:
            self._early_underruns = self._stage.underruns
        if self.config.checkpoint_path is not None and timeline.playhead % CHECKPOINT_FRAMES == 0:
            self._checkpoint()

    def _hold(self) -> None:
        """Nothing to play: bridges what the card needs, and no more."""
        if self._stage.needs_bridging():
            self._stage.bridge()
        else:
            # With much in front of the device, as of a page, it need not look so often: others play on this machine, too.
            is_calm = self._stage.spare_samples() > CALM_SAMPLES
            self._clock.wait_until(self._clock.now_seconds() + (0.01 if is_calm else 0.002))

    def _render_until(self, end: int, *, first: Slot | None = None) -> None:
        """Makes the sound of the frozen frames up to `end`; `first` is the one that has just been played."""
        begin = self._rendered
        if end <= begin:
            return
        slots = [] if first is None or begin >= self.engine.timeline.playhead else [first]
        slots += [self.engine.timeline.at(unit) for unit in range(begin + len(slots), end)]
        frames = [slot.payload for slot in slots if slot is not None]
        samples, self._sound_problem = sound_of(self._sound.render, frames)
        self._note_width(begin)
        self._frames.extend(samples.reshape(len(frames), FRAME_SAMPLES, 2))
        if self._performer is not None:
            self._performer.play((begin - 1) * FRAME_SAMPLES, samples)
        self._rendered = end

    def _note_width(self, unit: int) -> None:
        """A sound that is made together with others' may round otherwise, so a replay must know how many they were."""
        width = self._sound.width
        if width != self._sound_width:
            self._sound_width = width
            self._journal.event(self._stage.written, "width", {"unit": unit, "width": width})

    def _checkpoint(self) -> None:
        path, end = self.config.checkpoint_path, self.engine.timeline.playhead
        assert path is not None
        noted = memory.Checkpoint(
            past=self._memory.before(self._memory.end),
            settings=dict(self._settings.values),
            beat=self.transport.beat_at(end) % self.transport.beats_per_bar,
            bpm=self.transport.bpm_at(end),
        )
        self._journal.later(lambda: memory.write_checkpoint(path, noted))

    def _say(self, message: str) -> None:
        self._message = message
        self._journal.event(self._stage.written, "message", {"text": message})

    def _look(self) -> SessionStatus:
        """How it is going; on the player's thread, others read what it publishes."""
        plan, timeline = self.engine.plan, self.engine.timeline
        heard = self._stage.heard_sample() / FRAME_SAMPLES
        position = self.transport.bar_position(heard)
        busy = list(self._busy)
        spent = sum(seconds for seconds, _ in busy)
        end = timeline.playhead
        while end < timeline.playhead + 100 and timeline.at(end) is not None:
            end += 1
        return SessionStatus(
            seconds=self.seconds,
            bar=position.bar,
            beat=position.beat,
            bpm=self.transport.bpm_at(heard),
            rtf=sum(made for _, made in busy) / spent if spent else float("nan"),
            buffer_seconds=self.card.queued_samples() / SAMPLES_A_SECOND,
            backup_seconds=(end - timeline.playhead) * plan.unit_seconds,
            underruns=self._stage.underruns,
            missing_samples=self._stage.missing_samples,
            delay_seconds=self.delays.median_seconds,
            peak=self._stage.peak,
            step=self._planner.choice.step,
            hop_seconds=plan.interval * plan.unit_seconds,
            message=self._message,
            recording=self._stage.recording,
            card=self.card.status,
        )

    def _tell_problems(self) -> None:
        """Says once what is wrong with card, disk, prompts or model: each for itself, none hides another."""
        log = self._journal.log
        found = {
            "card": self.card.status.problem,
            "log": None if log is None else log.problem,
            "disk": self._journal.problem,
            "prompts": self._styles.problem,
            "sound": self._sound_problem,
        }
        unit = self.engine.timeline.playhead
        for source, problem in found.items():
            if problem is None:
                continue
            kind = _kind(problem) if source == "sound" else problem
            told, seen_unit = self._told.get(source, ("", 0))
            if kind != told or unit - seen_unit > QUIET_FRAMES:
                self._say(problem)
            self._told[source] = (kind, unit)
        fault = self.engine.faults[-1] if self.engine.faults else None
        if fault is None or fault is self._last_fault:
            return
        self._last_fault = fault
        kind = _kind(fault.message)
        if kind not in self._faults_told:
            self._faults_told.add(kind)
            self._say(fault.message)

    def _count_answer(self, *, is_good: bool) -> None:
        """A model that failed or hung is believed again after some good answers; until then it is not talked about."""
        if not is_good:
            self._good_answers = 0
            return
        self._good_answers += 1
        if self._good_answers == RECOVERY_ANSWERS:
            self._faults_told.clear()
            self._say("the model answers again")


def _kind(message: str) -> str:
    """A message without its numbers: what fails again and again is said once."""
    return re.sub(r"\d+", "", message)
