"""magenta_rt_py: an open live music model in Python.

An endless 48 kHz stereo stream that a person steers while it plays. Five lines make music:

    import magenta_rt_py as mrt

    model = mrt.load()                                        # the starter model, inside the package
    style = model.mix({"lofi hip hop": 1.0, "techno": 0.5})   # text, paths of audio files, arrays
    stream = model.stream(style, seed=1, bpm=125.0)
    mrt.write("take.flac", stream.render(30.0), mrt.SAMPLE_RATE)

Importing this package is light: a name loads its module when it is first used, so `import magenta_rt_py`
brings in neither JAX nor any model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magenta_rt_py.audio import Audio, read, write
    from magenta_rt_py.errors import AudioFormatError, BundleError, MrtError
    from magenta_rt_py.generators.controls import Controls
    from magenta_rt_py.generators.state import SAMPLE_RATE, LiveState
    from magenta_rt_py.generators.stream import Stream
    from magenta_rt_py.generators.styles import Style
    from magenta_rt_py.generators.system import MusicModel, load

__version__ = "0.1.0"

_HOME = {  # public name -> the module it lives in
    "Audio": "audio",
    "AudioFormatError": "errors",
    "BundleError": "errors",
    "Controls": "generators.controls",
    "LiveState": "generators.state",
    "MrtError": "errors",
    "MusicModel": "generators.system",
    "SAMPLE_RATE": "generators.state",
    "Stream": "generators.stream",
    "Style": "generators.styles",
    "load": "generators.system",
    "read": "audio",
    "write": "audio",
}

__all__ = [
    "SAMPLE_RATE",
    "Audio",
    "AudioFormatError",
    "BundleError",
    "Controls",
    "LiveState",
    "MrtError",
    "MusicModel",
    "Stream",
    "Style",
    "load",
    "read",
    "write",
]


def __getattr__(name: str) -> Any:
    """Loads a public name's module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public names: {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
