"""How far a preparation is, on the screen: hours done, times real time, and how long the rest will take."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tqdm import tqdm

from magenta_rt_py.train.prepare.manifest import ManifestEntry
from magenta_rt_py.train.prepare.shards import ShardPlan

FORMAT = "{desc} {percentage:3.0f}% |{bar}| {n:.2f}/{total:.2f} h, {elapsed} gone, {remaining} to go{postfix}"


class Progress:
    """A bar that is fed files or whole shards; on standard error, so that reports stay clean."""

    def __init__(self, plans: Sequence[ShardPlan], *, quiet: bool) -> None:
        """Starts the clock.

        Args:
          plans: what will be made.
          quiet: no bar.
        """
        total = sum(plan.seconds for plan in plans) / 3600
        self._bar = tqdm(total=total, desc="preparing", bar_format=FORMAT, disable=quiet or not plans, file=sys.stderr)

    def file_done(self, entry: ManifestEntry) -> None:
        """A file was turned into pieces, or left out."""
        self._advance(entry.seconds)

    def shard_done(self, plan: ShardPlan) -> None:
        """A whole shard was made elsewhere."""
        self._advance(plan.seconds)

    def _advance(self, seconds: float) -> None:
        self._bar.update(seconds / 3600)
        elapsed = self._bar.format_dict["elapsed"]
        if elapsed > 0:
            self._bar.set_postfix_str(f"{self._bar.n * 3600 / elapsed:.0f}x real time", refresh=False)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._bar.close()
