"""From a folder of music to token shards: `mrtpy prepare`. The layout of a prepared folder: docs/preparing.md."""

from magenta_rt_py.train.prepare.prepared import Prepared, open_prepared

__all__ = ["Prepared", "open_prepared"]
