"""Page: the live mix as Gradio Blocks. It places components and hands the page its token; all that moves is in static/.

    deck.py (fixed HTML) + sliders of the knob table -> gr.Blocks      static/live.js -> socket, sound, what is shown
    PageConfig.make_token, when a page is loaded     -> property "token" of the deck -> live.js connects
    an imported preset -> presets.read, here         -> property "preset"            -> live.js sets the knobs

Nothing of a user's enters a template, because Gradio runs templates as code. Stateless: every page is the same.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio import themes

from magenta_rt_py.live.knobs import KNOBS, Kind
from magenta_rt_py.ui import deck, presets

__all__ = ["DIALS", "STATIC_FOLDER", "Dial", "PageConfig", "build", "head", "theme"]

STATIC_FOLDER = Path(__file__).parent / "static"
"""What the server gives away under live/static."""


class Dial(NamedTuple):
    """A knob that is a Gradio slider."""

    knob: str
    """Name in the knob table, which has its range."""
    label: str
    """For people."""
    step: float
    """Between two of its values, in the knob's unit."""
    panel: str
    """Where it is."""


DIALS = (
    Dial("temperature", "Temperature", 0.01, "sound"),
    Dial("top_k", "Top-k (0: all)", 1, "sound"),
    Dial("guidance", "Guidance, pull of the prompts", 0.05, "sound"),
    Dial("adapter_strength", "Finetune strength", 0.01, "sound"),
    Dial("bpm", "Tempo, bpm", 0.1, "time"),
    Dial("beats_per_bar", "Beats in a bar", 1, "time"),
    Dial("metronome", "Metronome, here only", 0.01, "time"),
    Dial("inject/loop_beats", "Loop beats", 1, "inject"),
    Dial("inject/gain", "Level of me", 0.01, "inject"),
    Dial("inject/feedback", "Own sound", 0.01, "inject"),
    Dial("inject/gap", "Gap, seconds", 0.01, "inject"),
    Dial("input_guidance", "Pull of me", 0.05, "inject"),
    Dial("inject/live_prompt", "Me as a prompt", 0.01, "inject"),
)
"""Sliders, in order."""

LOAD = """
const base = new URL('.', document.baseURI.split(/[?#]/)[0]);
import(new URL('live/static/live.js', base).href)
  .then((live) => live.start({ props, watch, base }))
  .catch((error) => {
    const place = element.querySelector('[data-show=trouble]');
    place.hidden = false;
    place.textContent = 'The page could not load its own files (' + error.message + '). Reload it; if that does not help, ' +
      'restart the server.';
  });
"""
"""Runs once in the browser, when the deck is there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageConfig:
    """What the page needs of the server it runs in."""

    make_token: Callable[[gr.Request], str]
    """Called when a page is loaded, by whoever Gradio let in; the token that opens the socket."""
    title: str = "Live mix"
    """Of the browser's tab."""
    suggestions: tuple[str, ...] = ()
    """Prompts to begin from, until the server's welcome brings its own."""
    has_adapters: bool = True
    """Whether the model has adapters; without them there is no slider for their strength."""
    fallback: Callable[[], Any] | None = None
    """Places a player for where there are no sockets or worklets; shown only there. None for none."""


def build(config: PageConfig) -> gr.Blocks:
    """The page.

    Args:
      config: what it needs of the server.
    Raises:
      ValueError: a bundled preset is broken.
    """
    bundled = [preset.as_json() for preset in presets.bundled()]
    dials = [dial for dial in DIALS if config.has_adapters or dial.knob != "adapter_strength"]
    with gr.Blocks(title=config.title, fill_width=True, analytics_enabled=False) as page, gr.Column(elem_id="mrt"):
        given = {"token": "", "preset": None, "presets": bundled, "suggestions": list(config.suggestions)}
        top = _html(deck.TOP, "mrt-top", js_on_load=LOAD, **given)
        with gr.Row(elem_id="mrt-body"):
            with gr.Column(elem_id="mrt-left"):
                _html(deck.MIX, "mrt-mix")
            with gr.Column(elem_id="mrt-right"):
                _html(deck.TABS, "mrt-tabs")
                for name in deck.PANELS:
                    _panel(name, top, dials)
        with gr.Column(elem_id="mrt-fallback"):
            if config.fallback is not None:
                config.fallback()
        _html(deck.FOOT, "mrt-foot")

        def give_token(request: gr.Request) -> gr.HTML:
            return gr.HTML(token=config.make_token(request))

        page.load(give_token, None, top, queue=False, show_progress="hidden", api_visibility="private")
    return page


def head() -> str:
    """For `head=` of `gr.mount_gradio_app` or `launch`: how the page looks, so that it is never seen without."""
    style = (STATIC_FOLDER / "live.css").read_text(encoding="utf-8")
    return f'<meta name="color-scheme" content="dark"><style id="mrt-style">{style}</style>'


def theme() -> themes.Base:
    """For `theme=`: fonts of the system only, so that nothing is fetched."""
    words = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
    return themes.Base(font=words, font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"))


def _html(template: str, name: str, **more: Any) -> gr.HTML:
    """A piece of the deck; its template is fixed."""
    return gr.HTML(html_template=template, elem_id=name, padding=False, apply_default_css=False, **more)


def _panel(name: str, top: gr.HTML, dials: list[Dial]) -> None:
    with gr.Column(elem_id=f"panel-{name}", elem_classes=["mrt-panel"]):
        chosen = [dial for dial in dials if dial.panel == name]
        if name == "sound":
            _dials(chosen)
            _html(deck.PANELS[name], f"mrt-{name}")
            return
        _html(deck.PANELS[name], f"mrt-{name}")
        _dials(chosen)
        if name == "scenes":
            button = gr.UploadButton("Import a preset", type="binary", file_types=[".json"], elem_id="mrt-import")
            quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
            button.upload(_import, button, top, trigger_mode="always_last", **quiet)


def _dials(chosen: list[Dial]) -> None:
    """The sliders of a panel. They tell the page, which tells the server; none of it goes through Gradio's queue."""
    if not chosen:
        return
    with gr.Column(elem_classes=["dials"]):
        for dial in chosen:
            knob = KNOBS[dial.knob]
            slider = gr.Slider(
                minimum=knob.low,
                maximum=knob.high,
                value=knob.default,
                step=1 if knob.kind is Kind.WHOLE else dial.step,
                label=dial.label,
                elem_id=f"knob-{dial.knob.replace('/', '-')}",
                elem_classes=["dial"],
                interactive=True,
            )
            slider.input(None, slider, None, js=f"(value) => window.mrtLive?.slide('{dial.knob}', value)")


def _import(content: bytes) -> gr.HTML:
    """A preset from somebody's file, as a property; what was wrong with it likewise. The time makes each one a change."""
    try:
        read = {"preset": presets.read(content).as_json()}
    except ValueError as error:
        read = {"error": str(error)}
    return gr.HTML(preset={**read, "at": time.time()})
