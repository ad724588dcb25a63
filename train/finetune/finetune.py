"""From a bundle and music to a finetuned bundle, with everything in between kept in one work directory.

    WORK/record.json, metrics.jsonl    the run's record (train/runs)
    WORK/steps/N/                      checkpoints, the newest few
    WORK/rehearsal/                    studio music to be rehearsed, as token shards

Killed at any moment and started again with the same arguments, it goes on from the last checkpoint and ends with the same
bundle. Checkpoints are orbax's even on one device, because the same run must fit a mesh of several hosts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from magenta_rt_py import lm
from magenta_rt_py.bundle import Bundle, save_bundle
from magenta_rt_py.codec import Codec
from magenta_rt_py.generators import system
from magenta_rt_py.lm import adapters
from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.tables import CodeVectors
from magenta_rt_py.style import steering as style_steering
from magenta_rt_py.style.interface import StyleEmbedder
from magenta_rt_py.train.data import load_dataset, load_split
from magenta_rt_py.train.finetune import rehearsal
from magenta_rt_py.train.finetune.config import FinetuneConfig
from magenta_rt_py.train.finetune.fit import Fitted, Music, fit
from magenta_rt_py.train.finetune.sources import Source, open_source
from magenta_rt_py.train.finetune.steering import steering_of_shards
from magenta_rt_py.train.hosts import first_process_first
from magenta_rt_py.train.runs import RunRecord
from magenta_rt_py.train.runs.provenance import machine_state, source_state
from magenta_rt_py.train.runs.run import RECORD_FILE, read_record
from magenta_rt_py.train.runs.settings import differences, plain

FREE_SETTINGS = ("checkpoint_every_steps", "keep_checkpoints", "log_every_steps", "eval_every_steps", "mesh")
"""Settings that may change when a run goes on: they do not change what comes out."""


def finetune(
    bundle: Bundle,
    data: str | Path,
    output: str | Path,
    config: FinetuneConfig,
    *,
    work: str | Path | None = None,
    rehearsal_data: str | Path | None = None,
    rehearsal_minutes: float = rehearsal.MINUTES,
    workers: int = 1,
    log: Callable[[str], None] | None = None,
) -> Fitted:
    """Finetunes a bundle's language model and writes the result as a whole bundle.

    Args:
      bundle: the base.
      data: a prepared folder of this bundle, or token shards; see `open_source`.
      output: directory of the new bundle; it appears whole at the end.
      config: the run.
      work: its work directory; None puts it beside the output, with ".work" at the end of its name.
      rehearsal_data: music the model knows, like `data`; None renders the studio's for a bundle that was trained on it.
      rehearsal_minutes: how much is rendered.
      workers: processes that render.
      log: called with lines of text.
    Returns:
      what the run came to, held-out numbers before and after included.
    Raises:
      ValueError: the base has adapters already, or the work directory holds another run.
      PreparedDataError, CheckpointError, FloatingPointError: see `open_source` and `fit`.
    """
    output = Path(output)
    work = output.with_name(f"{output.name}.work") if work is None else Path(work)
    _refuse_adapters(bundle)
    source = open_source(data, bundle)
    style, model = system.load_style(bundle), LMConfig(**bundle.configs["lm"])
    known = _rehearsed(bundle, config, rehearsal_data, rehearsal_minutes, work / "rehearsal", workers, log)
    settings = {"finetune": config, "model": model, "rehearsal": known.fingerprint if known else ""}
    check_same_run(work, settings, source.fingerprint)
    music = _load_music(source, known, style)
    parent = f"{bundle.record.get('name', bundle.path.name)} {bundle.fingerprint}"
    with RunRecord.begin(work, settings, source.fingerprint, model="lm", parent=parent) as record:
        vectors = vectors_of(model, system.load_codec(bundle), style)
        fitted = fit(config, model, bundle.tensors("lm"), music, vectors, directory=work, log=log)
        record.finish(fitted.state)
    if jax.process_index() == 0:
        write_bundle(bundle, output, config, fitted, source)
    return fitted


def write_bundle(bundle: Bundle, output: Path, config: FinetuneConfig, fitted: Fitted, source: Source) -> Path:
    """Writes a finetuned bundle: the base's parts as they are stored, and beside or instead of them what was trained."""
    parts: dict[str, Any] = {style_steering.PART: steering_of_shards(source.train).to_part()}
    storage: dict[str, str] = {}
    if config.is_lora:
        parts[adapters.PART] = (plain(config.adapters), fitted.tensors)
    else:
        parts["lm"] = (bundle.configs["lm"], fitted.tensors)
        storage["lm"] = bundle.storage("lm")
    history = {
        "from": {"name": str(bundle.record.get("name", bundle.path.name)), "fingerprint": bundle.fingerprint},
        "settings": plain(config),
        "data": source.fingerprint,
        "steps": int(fitted.state.step),
        "held_out": {"before": _numbers(fitted.before), "after": _numbers(fitted.after)},
        "source": source_state(),
        "machine": machine_state(),
    }
    record = {**bundle.record, "name": output.name, "finetuned": [*bundle.record.get("finetuned", []), history]}
    return save_bundle(output, parts=parts, record=record, storage=storage, base=bundle)


def vectors_of(model: LMConfig, codec: Codec, style: StyleEmbedder) -> CodeVectors | None:
    """The frozen vectors that a factorised model reads tokens through; None for one with tables of its own."""
    return lm.normalise_code_vectors(codec.code_vectors, style.code_vectors, model) if model.factorised else None


def check_same_run(work: Path, settings: dict[str, Any], data_hash: str) -> None:
    """Refuses to go on in a work directory with settings or data that would give another result.

    Args:
      work: the run's directory.
      settings: what is recorded of the run; FREE_SETTINGS of any part of it may change.
      data_hash: of its music.
    Raises:
      ValueError: naming what differs.
    """
    if not (work / RECORD_FILE).exists():
        return
    before = read_record(work)
    changed = differences({**before["config"], "data": before["data_hash"]}, {**plain(settings), "data": data_hash})
    free = {f"{part}.{name}" for part in settings for name in FREE_SETTINGS}
    wrong = [name for name in changed if ".".join(name.split(".")[:2]) not in free]
    if wrong:
        was, now = changed[wrong[0]]
        raise ValueError(
            f"{work} holds a run with other settings ({', '.join(wrong[:5])}; {wrong[0]} was {was}, now {now}); "
            "give the old ones to go on, or name another --work"
        )


def _refuse_adapters(bundle: Bundle) -> None:
    if adapters.PART in bundle.configs:
        raise ValueError(
            f"{bundle.path} has adapters already, and a second finetune would not know at which strength to begin; "
            "finetune the bundle that it was finetuned from, or a full one"
        )


def _rehearsed(
    bundle: Bundle,
    config: FinetuneConfig,
    data: str | Path | None,
    minutes: float,
    directory: Path,
    workers: int,
    log: Callable[[str], None] | None,
) -> Source | None:
    """What is rehearsed: what was given, else the studio's music for a bundle that knows it, else nothing."""
    if config.rehearsal_share == 0:
        return None
    if data is not None:
        return open_source(data, bundle)
    if not rehearsal.studio_trained(bundle):
        if log:
            log(f"nothing is rehearsed: {bundle.path.name} was not trained on the studio's music; --rehearse names other")
        return None
    shards = first_process_first(
        lambda: rehearsal.render_rehearsal(bundle, directory, minutes=minutes, workers=workers, log=log)
    )
    # Its files are not hashed: seeds, amount and bundle say it all, and a render differs in its last bits between machines.
    return Source(tuple(shards), (), f"studio {minutes:g} minutes")


def _load_music(source: Source, known: Source | None, style: StyleEmbedder) -> Music:
    train, held_out = load_split(source.train, source.held_out, quantize=style.quantize)
    rehearsed = load_dataset(known.train, quantize=style.quantize) if known else None
    return Music(train=train, held_out=held_out, rehearsal=rehearsed, quantize=style.quantize)


def _numbers(measured: dict[str, Any]) -> dict[str, Any]:
    """Held-out numbers as JSON holds them."""
    return {name: plain(np.asarray(value, np.float64).tolist()) for name, value in measured.items()}


def going_on_from(config: FinetuneConfig, bundle: Bundle) -> FinetuneConfig:
    """The configuration with the step at which the base's own training ended, where its record tells it."""
    step = bundle.record.get("training", {}).get("lm", {}).get("step")
    return config if step is None else dataclasses.replace(config, step_offset=int(step))
