"""Prepares a folder: scan, plan, make what is missing, write the index last. The stateful shell around pure work.

Stopped at any moment, even by force, it goes on where it was: whole shards stand, the one in work is made again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from magenta_rt_py.bundle import Bundle
from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.generators import system
from magenta_rt_py.train.disk import PARTIAL_SUFFIX, write_whole
from magenta_rt_py.train.prepare.config import PrepareConfig
from magenta_rt_py.train.prepare.index import PreparedIndex
from magenta_rt_py.train.prepare.manifest import Manifest, ManifestEntry, scan
from magenta_rt_py.train.prepare.pieces import Encoders
from magenta_rt_py.train.prepare.shards import (
    FOLDER,
    ShardPlan,
    describe,
    drop_damaged,
    is_made,
    kept_files,
    make_shard,
    plan_shards,
    remove_others,
)

STARTED_NAME = "prepare.json"
"""Written first: whose tokens the folder is for. With it a folder is ours, and its shards may be replaced."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation:
    """All that is decided before any sound is decoded.

    Attributes:
      directory: the audio folder.
      out: the prepared folder.
      bundle: whose codec and style model make the tokens.
      config: settings.
      manifest: the audio folder's files.
      plans: every shard, made or not.
    """

    directory: Path
    out: Path
    bundle: Bundle
    config: PrepareConfig
    manifest: Manifest
    plans: list[ShardPlan]

    @property
    def missing(self) -> list[ShardPlan]:
        """Shards that are still to be made."""
        return [plan for plan in self.plans if not is_made(plan, self.out)]

    def make(self, plans: Sequence[ShardPlan], done: Callable[[ManifestEntry], None] | None = None) -> None:
        """Makes shards one after the other in this process.

        Raises:
          OSError: the disk does not take one; those before stand.
        """
        encoders = load_encoders(self.bundle) if plans else None
        kept = kept_files(self.out)
        for plan in plans:
            make_shard(
                plan,
                directory=self.directory,
                out=self.out,
                encoders=encoders,
                config=self.config,
                kept=kept,
                done=done,
            )

    def finish(self) -> PreparedIndex:
        """Writes manifest and index and removes shards that are no longer part of the folder.

        Raises:
          OSError: the disk does not take them; the folder is as it was, and the next run goes on.
        """
        shards, used, skipped = describe(self.plans, self.out)
        index = PreparedIndex(
            codec=self.bundle.part_fingerprint("codec"),
            style=self.bundle.part_fingerprint("style"),
            settings=self.config.as_dict(),
            shards=shards,
            used=sorted(used, key=lambda one: one.path),
            skipped=sorted([*self.manifest.skipped, *skipped], key=lambda one: one.path),
        )
        self.manifest.write(self.out)
        index.write(self.out)
        remove_others(self.out, (name for plan in self.plans for name in (plan.name, plan.record_name)))
        return index


def start(
    directory: str | Path,
    out: str | Path,
    bundle: Bundle,
    *,
    config: PrepareConfig,
    limit_seconds: float | None = None,
) -> Preparation:
    """Looks at a folder, checks where its tokens are to go, and plans the shards. Damaged ones are removed, to be made anew.

    Args:
      directory: the audio folder.
      out: the prepared folder; made if need be. What is there of an earlier run is used.
      bundle: whose codec and style model make the tokens.
      config: settings.
      limit_seconds: only the first files, until they are so long together.
    Raises:
      AudioFormatError: no such folder, no audio in it, or it is a prepared folder itself.
      PreparedDataError: `out` holds another bundle's tokens, or something that is not ours.
      OSError: `out` cannot be written.
    """
    source, target = Path(directory), Path(out)
    if target.resolve() == source.resolve():
        raise PreparedDataError(f"{target} is the audio folder itself; give another --out")
    manifest = scan(source, shortest_seconds=config.folder.shortest_seconds, limit_seconds=limit_seconds)
    claim(target, bundle)
    made_by = bundle.part_fingerprint("codec") + bundle.part_fingerprint("style")
    plans = plan_shards(manifest.entries, config, made_by=made_by)
    drop_damaged(plans, target)
    return Preparation(directory=source, out=target, bundle=bundle, config=config, manifest=manifest, plans=plans)


def claim(out: Path, bundle: Bundle) -> None:
    """Makes a folder ours, for one bundle's tokens, or refuses to touch it. Removes what was left half written.

    Raises:
      PreparedDataError: it holds another bundle's tokens, or something that is not ours.
      OSError: it cannot be written.
    """
    said = {"codec": bundle.part_fingerprint("codec"), "style": bundle.part_fingerprint("style")}
    started = out / STARTED_NAME
    if started.is_file():
        try:
            before = json.loads(started.read_text())
        except ValueError as error:
            raise PreparedDataError(f"{started} is damaged ({error}); give an empty folder") from error
        if before != said:
            raise PreparedDataError(
                f"{out} holds tokens of another bundle (codec {before.get('codec')}, style {before.get('style')}) than "
                f"{bundle.path.name}'s (codec {said['codec']}, style {said['style']}); give another --out"
            )
    elif out.exists() and (not out.is_dir() or any(path.suffix != PARTIAL_SUFFIX for path in out.iterdir())):
        raise PreparedDataError(f"{out} is there already and is no prepared folder; give a new or an empty --out")
    out.mkdir(parents=True, exist_ok=True)
    for partial in [*out.glob(f"*{PARTIAL_SUFFIX}"), *(out / FOLDER).glob(f"*{PARTIAL_SUFFIX}")]:
        partial.unlink(missing_ok=True)
    if not started.is_file():
        write_whole(started, (json.dumps(said, sort_keys=True) + "\n").encode())
    (out / FOLDER).mkdir(exist_ok=True)  # behind it: a folder without its first file is nobody's


def load_encoders(bundle: Bundle) -> Encoders:
    """A bundle's codec and style model."""
    return Encoders(codec=system.load_codec(bundle), style=system.load_style(bundle))


def prepare_folder(
    directory: str | Path,
    out: str | Path,
    bundle: Bundle,
    *,
    config: PrepareConfig | None = None,
    limit_seconds: float | None = None,
) -> PreparedIndex:
    """Prepares a folder in this process, without a word: see `start` for arguments and errors."""
    work = start(directory, out, bundle, config=config or PrepareConfig(), limit_seconds=limit_seconds)
    work.make(work.missing)
    return work.finish()
