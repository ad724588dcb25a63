"""Style cards as JSON, every field checked, so that people can write their own."""

import json
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from magenta_rt_py.train.studio.bass import APPROACHES, DEGREES
from magenta_rt_py.train.studio.comping import TURNS
from magenta_rt_py.train.studio.figures import HOLD, REST
from magenta_rt_py.train.studio.form import FORMS
from magenta_rt_py.train.studio.genres import GENRES
from magenta_rt_py.train.studio.harmony import MODES, parse_chord
from magenta_rt_py.train.studio.instruments import INSTRUMENTS
from magenta_rt_py.train.studio.melody import MELODY_FORMS
from magenta_rt_py.train.studio.score import PITCHED_STEMS, SAMPLE_RATE
from magenta_rt_py.train.studio.style_card import KINDS, StyleCard

LONGEST_SAMPLES = 3600 * SAMPLE_RATE
FRAMES_PER_BEAT = (8, 50)  # 187.5 to 30 bpm
FIGURE_STEPS = (4, 64)
CHOICES = {
    "genre": tuple(GENRES),
    "kind": KINDS,
    "mode": tuple(MODES),
    "form": tuple(FORMS),
    "approach": APPROACHES,
    "comp_turn": TURNS,
    "melody": tuple(MELODY_FORMS),
    "loop_beats": (4, 2, 8),
    "motif_bars": (1, 2),
}
RANGES = {
    "seed": (0, 2**63 - 1),
    "samples": (1, LONGEST_SAMPLES),
    "frames_per_beat": FRAMES_PER_BEAT,
    "swing_ticks": (0, 10),
    "key": (0, 11),
    "drum_variant": (0, 99),
    "brightness": (0.0, 1.0),
    "density": (0.0, 1.0),
}
LETTERS = {"bass_figure": {*DEGREES, "O", "A"}, "comp_figure": {"x", *"0123456789"}, "lead_figure": {"x"}}


def write_card(card: StyleCard) -> str:
    """The card as a JSON object that `read_card` reads."""
    return json.dumps(asdict(card), indent=2) + "\n"


def read_card(path: Path) -> StyleCard:
    """Reads a card.

    Raises:
      OSError: if the file cannot be read.
      ValueError: in one line, if it is no JSON object or a field is missing, unknown or wrong.
    """
    try:
        values = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no JSON ({error}); `mrtpy studio --print-card` writes one to start from") from error
    return card_of(values)


def card_of(values: Any) -> StyleCard:
    """The card of a JSON object; fields with a default may be left out.

    Raises:
      ValueError: in one line, if it is no object or a field is missing, unknown or wrong.
    """
    if not isinstance(values, dict):
        raise ValueError(f"got {_shown(values)}, expected a JSON object with the fields of a style card")
    known = {field.name: field for field in fields(StyleCard)}
    for name in values:
        if name not in known:
            raise ValueError(f"got the field {name!r}, expected only: {', '.join(known)}")
    for name, field in known.items():
        if name not in values and field.default is MISSING:
            raise ValueError(f"the card's {name} is missing; `mrtpy studio --print-card` writes a whole card")
    for name, value in values.items():
        _check(name, value)
    values = dict(values)
    values["chords"] = tuple(values["chords"])
    values["brightness"], values["density"] = float(values["brightness"]), float(values["density"])
    card = StyleCard(**values)
    _check_together(card)
    return card


def _check(name: str, value: Any) -> None:
    if name in CHOICES:
        choices = CHOICES[name]
        if isinstance(value, bool) or value not in choices:
            raise _refused(name, value, f"one of: {', '.join(map(str, choices))}")
    elif name in RANGES:
        low, high = RANGES[name]
        whole = isinstance(low, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not low <= value <= high:
            raise _refused(name, value, f"a {'whole ' if whole else ''}number from {low} to {high}")
    elif name in LETTERS:
        _check_figure(name, value)
    elif name == "drums":
        if not isinstance(value, bool):
            raise _refused(name, value, "true or false")
    elif name == "mood":
        if not isinstance(value, str) or not value.strip():
            raise _refused(name, value, "a word")
    elif name == "chords":
        if not isinstance(value, list | tuple) or not value or not all(isinstance(numeral, str) for numeral in value):
            raise _refused(name, value, 'a list of Roman numerals, such as ["i", "VI"]')
    elif not isinstance(value, dict):
        raise _refused(name, value, f"an object of stem and instrument; stems: {', '.join(PITCHED_STEMS)}")
    else:
        _check_cast(value)


def _check_figure(name: str, value: Any) -> None:
    low, high = FIGURE_STEPS
    letters = LETTERS[name] | {HOLD, REST}
    if not isinstance(value, str) or not low <= len(value) <= high or len(value) % 4 or not set(value) <= letters:
        raise _refused(name, value, f"{low} to {high} steps, a multiple of 4, out of {''.join(sorted(letters))}")
    if value.startswith(HOLD):
        raise _refused(name, value, f"no {HOLD!r} at the front: there is nothing to hold yet")


def _check_cast(cast: dict) -> None:
    for stem, instrument in cast.items():
        if stem not in PITCHED_STEMS:
            raise _refused("cast", stem, f"stems out of: {', '.join(PITCHED_STEMS)}")
        if not isinstance(instrument, str) or instrument not in INSTRUMENTS:
            near = [name for name in INSTRUMENTS if isinstance(instrument, str) and instrument.lower() in name]
            raise _refused("cast", instrument, f"an instrument such as {', '.join((near or list(INSTRUMENTS))[:6])}")


def _check_together(card: StyleCard) -> None:
    """What depends on more than one field."""
    for numeral in card.chords:
        parse_chord(numeral, key=card.key, mode=card.mode)
    variants = len(card.spec.drums)
    if variants and card.drum_variant >= variants:
        raise _refused("drum_variant", card.drum_variant, f"less than {variants}, the grooves of {card.genre}")
    if not card.stems:
        raise ValueError(f"nothing plays: the cast is empty and {card.genre} has no drums here; expected one stem at least")


def _refused(name: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"got {name}={_shown(value)}, expected {expected}")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
