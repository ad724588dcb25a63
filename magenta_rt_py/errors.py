"""The errors a caller may want to act on. A bad argument is a plain ValueError; everything else is below.

    MrtError                 base class: catch this to print one line and go on
    ├── AudioFormatError     a file is missing, is not audio, or holds nothing that can be played
    ├── BundleError          a model bundle is missing, incomplete, changed, or of another format version
    ├── CheckpointError      a training checkpoint is missing, incomplete, or of another model
    ├── PreparedDataError    a prepared folder is missing, unfinished, changed, or of another bundle
    ├── AudioDeviceError     the sound card is absent, busy, or vanished
    └── MissingExtraError    an optional dependency is not installed (also an ImportError)

Every message says what came, what was expected and what to do, in one line.
"""

__all__ = [
    "AudioDeviceError",
    "AudioFormatError",
    "BundleError",
    "CheckpointError",
    "MissingExtraError",
    "MrtError",
    "PreparedDataError",
]


class MrtError(Exception):
    """Base class of this package's own errors."""


class AudioFormatError(MrtError):
    """A file could not be read as audio."""


class BundleError(MrtError):
    """A model bundle could not be loaded."""


class CheckpointError(MrtError):
    """A training checkpoint could not be resumed."""


class PreparedDataError(MrtError):
    """A folder of prepared music could not be read."""


class AudioDeviceError(MrtError):
    """A sound card could not be opened, or went away."""


class MissingExtraError(MrtError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, feature: str, module: str, extra: str):
        """Builds the message from its parts.

        Args:
          feature: what the user asked for, as a noun ("training", "the spectrogram picture").
          module: the module that could not be imported.
          extra: name of the extra of this package that brings it.
        """
        super().__init__(f"{feature} needs the package {module!r}: pip install 'magenta-rt-py[{extra}]'")
        self.extra = extra
