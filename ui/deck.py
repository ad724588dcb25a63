"""Deck: the fixed HTML of the page, in pieces that page.py places between Gradio's own components. Pure text.

Nothing in it changes and nothing of a user's is ever in it: Gradio runs templates as code. Whatever moves, is written or
counted is put in by static/deck.js with textContent. Hence also: no back-tick, no dollar brace, no double brace.

    data-knob="name"     a control of this knob         data-action="name"   a button that asks for this action
    data-page="name"     a button of the page itself    data-show="name"     a place where something is shown
"""

from __future__ import annotations

__all__ = ["FOOT", "MIX", "PANELS", "TABS", "TOP"]


def _icon(path: str) -> str:
    """A picture for a button; what the button does is in its label."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{path}"/></svg>'


PLAY_ICON = _icon("M7 4.5v15l12.5-7.5z")
RECORD_ICON = _icon("M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14z")
PANIC_ICON = _icon("M6 6h12v12H6z")
MICROPHONE_ICON = _icon(
    "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.5 11a6.5 6.5 0 0 0 5.5 6.4V21h2v-3.6a6.5 6.5 0 0 0 5.5-6.4h-2"
    "a4.5 4.5 0 0 1-9 0z"
)

TOP = f"""
<header class="bar" aria-label="Transport">
  <button type="button" class="big play" data-page="play" aria-pressed="false" aria-keyshortcuts="Space"
    title="Play or pause (Space)">
    {PLAY_ICON}<span data-show="play">Play</span></button>
  <button type="button" class="big record" data-page="record" aria-pressed="false" aria-keyshortcuts="R" title="Record (R)">
    {RECORD_ICON}<span data-show="record">Record</span></button>
  <button type="button" class="big panic" data-action="panic" aria-keyshortcuts="Escape"
    title="Silence at once, and start afresh (Esc)">
    {PANIC_ICON}<span>Panic</span></button>
  <button type="button" class="big microphone" data-page="microphone" aria-pressed="false" aria-keyshortcuts="M"
    title="Microphone (M)">
    {MICROPHONE_ICON}<span data-show="microphone">Mic off</span></button>
  <div class="time" role="group" aria-label="Time">
    <span class="lights" data-show="lights" aria-hidden="true"></span>
    <span class="place" data-show="place" title="Bar and beat">1.1</span>
    <span class="tempo"><b data-show="bpm">125</b> bpm</span>
    <button type="button" class="small" data-action="tap" aria-keyshortcuts="T" title="Tap the tempo (T)">Tap</button>
  </div>
  <div class="levels">
    <canvas class="level" data-show="level" width="220" height="34" role="img" aria-label="Level of the music"></canvas>
    <label class="volume"><span>Volume</span>
      <input type="range" min="0" max="2" step="0.01" data-knob="volume" aria-label="Volume"></label>
  </div>
  <button type="button" class="small help" data-page="help" aria-keyshortcuts="?" title="All keys (?)"
    aria-label="All keys">?</button>
</header>
<div class="trouble" data-show="trouble" role="alert" hidden></div>
<div class="hidden-text" data-show="spoken" role="status" aria-live="polite"></div>
<div class="veil" data-show="veil" hidden></div>
"""

MIX = """
<section class="scope" aria-label="What is heard">
  <canvas data-show="scope" width="760" height="128" role="img" aria-label="Spectrogram and waveform of the music"></canvas>
  <p class="invitation" data-show="invitation">Press play, then write what you want to hear.</p>
</section>
<section class="mix" aria-label="Prompts">
  <div class="shares" data-show="shares" role="img" aria-label="Mix of prompts"></div>
  <div class="strips" data-show="strips"></div>
  <div class="chips">
    <button type="button" class="small add" data-page="add">+ Prompt</button>
    <button type="button" class="small dice" data-page="dice" aria-keyshortcuts="D" title="Another choice of suggestions (D)"
      aria-label="Other suggestions">&#9860;</button>
    <div class="chip-row" data-show="chips" role="group" aria-label="Suggestions"></div>
  </div>
</section>
"""

TABS = """
<div class="tabs" role="tablist" aria-label="Panels">
  <button type="button" role="tab" id="tab-sound" data-tab="sound" aria-controls="panel-sound"
    aria-selected="true">Sound</button>
  <button type="button" role="tab" id="tab-time" data-tab="time" aria-controls="panel-time" aria-selected="false"
    tabindex="-1">Time</button>
  <button type="button" role="tab" id="tab-inject" data-tab="inject" aria-controls="panel-inject" aria-selected="false"
    tabindex="-1">Play along</button>
  <button type="button" role="tab" id="tab-takes" data-tab="takes" aria-controls="panel-takes" aria-selected="false"
    tabindex="-1">Takes</button>
  <button type="button" role="tab" id="tab-scenes" data-tab="scenes" aria-controls="panel-scenes" aria-selected="false"
    tabindex="-1">Scenes</button>
  <button type="button" role="tab" id="tab-setup" data-tab="setup" aria-controls="panel-setup" aria-selected="false"
    tabindex="-1">Set-up</button>
</div>
"""

SOUND = """
<div class="line">
  <label class="number"><span>Seed</span>
    <input type="number" min="0" max="4294967295" step="1" data-knob="seed" inputmode="numeric"></label>
  <button type="button" class="small" data-page="seed" title="Another seed" aria-label="Another seed">&#9860;</button>
  <span class="spring"></span>
  <button type="button" class="small" data-action="reset"
    title="Forget what was played; begin afresh at the next bar">Reset</button>
</div>
<fieldset class="choice" data-show="latency"><legend>Response</legend>
  <button type="button" data-page="lead" data-value="0.25" aria-pressed="false"
    title="Heard soonest; needs a fast machine and network">
    Tight</button>
  <button type="button" data-page="lead" data-value="0.5" aria-pressed="true" title="Half a second ahead">Balanced</button>
  <button type="button" data-page="lead" data-value="1.5" aria-pressed="false"
    title="For slow machines and bad networks">Safe</button>
</fieldset>
<fieldset class="snapshots"><legend>Snapshots: ten seconds to return to</legend><div data-show="snapshots"></div></fieldset>
<fieldset class="choice"><legend>Rewind, bars</legend>
  <button type="button" data-action="rewind" data-value="1">1</button>
  <button type="button" data-action="rewind" data-value="2">2</button>
  <button type="button" data-action="rewind" data-value="4">4</button>
  <button type="button" data-action="rewind" data-value="8">8</button>
</fieldset>
"""

TIME = """
<fieldset class="choice" data-show="clock"><legend>Clock</legend>
  <button type="button" data-page="clock" data-value="free" aria-pressed="false"
    title="The music keeps its own time: the model is told no tempo; no click">Free</button>
  <button type="button" data-page="clock" data-value="internal" aria-pressed="true" title="The tempo below">Internal</button>
  <button type="button" data-page="clock" data-value="tapped" aria-pressed="false" title="As you tap">Tapped</button>
  <button type="button" data-page="clock" data-value="midi" aria-pressed="false"
    title="A MIDI clock that comes into this browser">MIDI</button>
</fieldset>
<p class="note" data-show="clock-note"></p>
<div class="line">
  <button type="button" class="pad" data-action="tap" title="Tap the tempo (T)">Tap</button>
  <div class="stack">
    <button type="button" class="small" data-action="downbeat" title="Now is the first beat of a bar">Downbeat</button>
    <div class="line tight" role="group" aria-label="Nudge the beat">
      <button type="button" class="small" data-action="nudge" data-value="-0.05"
        aria-label="Beat earlier">&minus; nudge</button>
      <button type="button" class="small" data-action="nudge" data-value="0.05" aria-label="Beat later">nudge +</button>
    </div>
  </div>
</div>
"""

INJECT = """
<fieldset class="choice" data-show="inject"><legend>The model hears me</legend>
  <button type="button" data-page="inject" data-value="off" aria-pressed="true">Off</button>
  <button type="button" data-page="inject" data-value="free" aria-pressed="false" title="As I play">Free</button>
  <button type="button" data-page="inject" data-value="looper" aria-pressed="false"
    title="One loop later, over the whole past">Looper</button>
  <button type="button" class="count-in" data-page="count-in"
    title="A bar of clicks here, then it hears me">Count in</button>
</fieldset>
<div class="line wide"><label class="select"><span>Microphone</span><select
  data-page="input"><option value="">Default</option></select></label>
  <canvas class="level input" data-show="input-level" width="120" height="14" role="img"
    aria-label="Level of the microphone"></canvas></div>
<div class="pair">
  <label class="fader"><span>Microphone gain <output data-show="microphone-gain">1.00</output></span>
    <input type="range" min="0" max="4" step="0.01" value="1" data-page="microphone-gain"
      aria-label="Microphone gain"></label>
  <label class="fader" title="Your microphone in your own loudspeaker, at once. Use headphones.">
    <span>Monitor <output data-show="monitor">0.00</output></span>
    <input type="range" min="0" max="1" step="0.01" value="0" data-page="monitor" aria-label="Monitor"></label>
</div>
<div class="line">
  <button type="button" class="small" data-page="calibrate"
    title="Plays a sweep and measures how late it comes back (K)">Calibrate</button>
  <span class="note">Round trip <b data-show="round-trip">not measured</b></span>
</div>
"""

TAKES = f"""
<div class="line">
  <button type="button" class="small wide" data-page="record" aria-pressed="false">{RECORD_ICON}<span>Record</span></button>
  <label class="check"><input type="checkbox" data-page="stem"><span>Microphone as its own file</span></label>
</div>
<ul class="takes" data-show="takes" aria-label="Recordings"></ul>
<div class="line">
  <button type="button" class="small wide" data-page="last"
    title="What was played last, as a file (L)">Save the last 60 s</button>
  <button type="button" class="small wide" data-page="log"
    title="Everything that was done, for mrtpy replay">Session log</button>
</div>
<div class="line">
  <label class="small wide upload"><span>Go on from a file</span>
    <input type="file" accept="audio/*,.flac,.wav,.ogg,.mp3" data-page="context" class="hidden-text"></label>
  <span class="note">The music goes on from its last ten seconds, at the next bar.</span>
</div>
"""

SCENES = """
<fieldset class="crossfade"><legend>A and B: two complete settings</legend>
  <div class="line">
    <button type="button" class="small store" data-page="store" data-value="a" aria-pressed="false">Keep as A</button>
    <input type="range" min="0" max="1" step="0.005" value="0" data-page="blend" aria-label="From A to B" disabled>
    <button type="button" class="small store" data-page="store" data-value="b" aria-pressed="false">Keep as B</button>
  </div>
  <div class="line tight">
    <button type="button" class="small" data-page="glide" data-value="4" disabled>Glide in 4 bars</button>
    <button type="button" class="small" data-page="glide" data-value="16" disabled>16 bars</button>
    <span class="note" data-show="blend">Keep a setting as A and another as B.</span>
  </div>
</fieldset>
<fieldset class="presets"><legend>Presets</legend>
  <div class="preset-list" data-show="presets" role="group" aria-label="Presets"></div>
  <div class="line">
    <label class="number name"><span>Name</span><input type="text" maxlength="60" value="My preset"
      data-page="preset-name"></label>
    <button type="button" class="small" data-page="export">Export</button>
  </div>
  <p class="note" data-show="preset-note"></p>
</fieldset>
"""

SETUP = """
<div class="line wide"><label class="select"><span>Output</span><select
  data-page="output"><option value="">Default</option></select></label></div>
<fieldset class="midi"><legend>MIDI</legend>
  <div class="line">
    <button type="button" class="small wide" data-page="midi">Connect</button>
    <button type="button" class="small wide" data-page="learn" aria-pressed="false" disabled>Learn</button>
    <button type="button" class="small" data-page="midi-forget" disabled>Forget all</button>
  </div>
  <label class="check"><input type="checkbox" data-page="pickup" checked>
    <span>Soft take-over: a dial waits until it meets its control</span></label>
  <p class="note" data-show="midi">A dial or a key can turn anything on this page.</p>
  <ul class="bindings" data-show="bindings" aria-label="Learned"></ul>
</fieldset>
<fieldset><legend>This session</legend><dl class="facts" data-show="facts"></dl>
  <button type="button" class="small" data-page="leave" title="Gives your place to the next person">Leave</button>
</fieldset>
"""

PANELS = {"sound": SOUND, "time": TIME, "inject": INJECT, "takes": TAKES, "scenes": SCENES, "setup": SETUP}
"""HTML of each panel, below its sliders."""

FOOT = """
<footer class="foot" aria-label="Status">
  <div class="gauge" title="Sound that is ready, against what is asked for">
    <span>Buffer</span><div class="track"><i data-show="buffer-bar"></i></div><b data-show="buffer">0.0 s</b></div>
  <div class="fact" title="Times that sound was not there in time"><span>Drop-outs</span><b data-show="underruns">0</b></div>
  <div class="fact" title="Music made in a second of computing; above 1 it keeps up"><span>Speed</span>
    <b data-show="rtf">&ndash;</b></div>
  <div class="fact" title="From turning a knob to hearing it: the last one, and the median"><span>Knob to ear</span>
    <b data-show="delay">&ndash;</b></div>
  <div class="fact is-minor" title="From one request to the model to the next"><span>Hop</span>
    <b data-show="hop">&ndash;</b></div>
  <div class="fact" title="Round trip of the microphone that is allowed for"><span>Align</span>
    <b data-show="align">not measured</b></div>
  <p class="message" data-show="message">Connecting &hellip;</p>
</footer>
"""
