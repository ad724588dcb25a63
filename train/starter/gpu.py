"""The GPU recipe in two commands, each under nine minutes, for a machine that may be bare, offline and gone in between.

    command  processors                 GPU
    1        render, all but one  --->  codec, then style, then codes and tokens    gives out: codec, style, tokens
    2                                   language model, then the bundle             gives out: the bundle

What a command gives out lies in a few files of at most 16 MiB; the next one finds it in the folder `into`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np

from magenta_rt_py.bundle import load_bundle, save_bundle
from magenta_rt_py.train.starter import stages
from magenta_rt_py.train.starter.export import storage_of
from magenta_rt_py.train.starter.guard import PARENT_VARIABLE
from magenta_rt_py.train.starter.kept import load_tensors, save_tensors, write_text
from magenta_rt_py.train.starter.recipe import RECIPES, StarterRecipe
from magenta_rt_py.train.starter.record import AMOUNTS_FILE, count_amounts
from magenta_rt_py.train.starter.render import shard_path
from magenta_rt_py.train.starter.stopwatch import Stopwatch
from magenta_rt_py.train.starter.tokens import token_path

STEPS = 2
FILE_BYTES = 16 * 2**20
"""Largest file that is given out."""

MOST_FILES = 8
RENDERING_ENDS_SECONDS = 400.0
"""Seconds after its start at which command 1 goes on with what is rendered by then."""

_PIECES_A_FILE = 2_400  # packed tokens of so many pieces of 30 s stay below FILE_BYTES
_STATE = "state.tar.gz"


def run(
    recipe: StarterRecipe, directory: Path, *, step: int | None, into: Path | None, out: Path | None, workers: int
) -> None:
    """Runs one command, or both one after the other.

    Args:
      recipe: amounts and times.
      directory: work directory on this machine.
      step: 1 or 2; None runs both, which needs neither `into` nor `out`.
      into: what command 1 gave out; not needed where its work directory is still there.
      out: gets what the command gives out; its bundle is out/bundle.
      workers: processors to render with; one is left for the GPU's process.
    """
    if step not in (None, 1, 2):
        raise ValueError(f"got step {step}, expected 1 or 2")
    stages.check_directory(recipe, directory)
    with Stopwatch(directory, "all"):
        if step in (None, 1):
            prepare(recipe, directory, workers=max(workers - 1, 1))
            if out is not None:
                give_out(recipe, directory, out)
        if step in (None, 2):
            if into is not None:
                take_in(into, directory)
            with Stopwatch(directory, "lm"):
                stages.language_model(recipe, directory)
            stages.export(recipe, directory, out / "bundle" if out else None)


def prepare(recipe: StarterRecipe, directory: Path, *, workers: int) -> None:
    """Command 1: everything up to the tokens. Renders that are not there in time are left out."""
    started = time.monotonic()
    command = [sys.executable, "-m", "magenta_rt_py.train.starter", "render", "--recipe", _name_of(recipe)]
    command += ["--directory", str(directory), "--workers", str(workers)]
    # The renderers must not take the GPU's memory.
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", PARENT_VARIABLE: str(os.getpid())}
    rendering = subprocess.Popen(command, env=environment)
    try:
        while not all(shard_path(directory, index).exists() for index in range(recipe.codec_shards)):
            if rendering.poll() not in (None, 0):
                raise RuntimeError(f"rendering ended with code {rendering.returncode}; its message is above")
            time.sleep(0.2)
        with Stopwatch(directory, "codec"):
            stages.codec(recipe, directory)
        with Stopwatch(directory, "style"):
            stages.style(recipe, directory)
        left = RENDERING_ENDS_SECONDS - (time.monotonic() - started)
        try:
            if rendering.wait(timeout=max(left, 0.0)):
                stages.say(f"rendering ended with code {rendering.returncode}; going on with what there is")
        except subprocess.TimeoutExpired:
            stages.say("rendering was not done in time; going on with what there is")
    finally:
        rendering.terminate()
        rendering.wait()
    with Stopwatch(directory, "codes"):
        stages.codes(recipe, directory, workers=0)
    with Stopwatch(directory, "tokens"):
        stages.tokens(recipe, directory)
    write_text(directory / AMOUNTS_FILE, json.dumps(count_amounts(recipe, directory)))


def _name_of(recipe: StarterRecipe) -> str:
    """The name by which the command line knows a recipe."""
    return next(name for name, make in RECIPES.items() if make() == recipe)


def give_out(recipe: StarterRecipe, directory: Path, out: Path) -> None:
    """Puts what command 2 needs into a few small files.

    Raises:
      ValueError: they are more or larger than may be given out.
    """
    out.mkdir(parents=True, exist_ok=True)
    codec, style, language = stages.sizes(recipe)
    parts = {
        "codec": (dataclasses.asdict(codec), load_tensors(directory, "codec")),
        "style": (dataclasses.asdict(style), stages.load_style(recipe, directory).to_tensors()),
    }
    save_bundle(out / "parts", parts=parts, record={"name": "starter parts"}, storage=storage_of(parts))
    training, held_out = stages.token_shards(recipe, directory)
    together = max(_PIECES_A_FILE // recipe.pieces_per_shard, 1)
    groups = [training[start : start + together] for start in range(0, len(training), together)]
    for number, group in enumerate([*groups, held_out]):
        _pack_tokens(group, out / f"tokens-{number:02d}.npz", levels=language.num_levels)
    with tarfile.open(out / _STATE, "w:gz") as archive:
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory)
            small = name.parts[0] in ("times", AMOUNTS_FILE, "rendered.json") or name.name in (
                "metrics.jsonl",
                "result.json",
            )
            if path.is_file() and small:
                archive.add(path, arcname=str(name))
    files = [path for path in out.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    if len(files) > MOST_FILES or largest.stat().st_size > FILE_BYTES:
        raise ValueError(
            f"{len(files)} files, the largest {largest.name} of {largest.stat().st_size / 2**20:.1f} MiB; expected at most "
            f"{MOST_FILES} of {FILE_BYTES / 2**20:.0f} MiB: render fewer pieces"
        )
    stages.say(f"gave out {len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB")


def take_in(into: Path, directory: Path) -> None:
    """Fills a work directory with what command 1 gave out, in place of the tokens that it holds."""
    bundle = load_bundle(into / "parts")
    for part in ("codec", "style"):
        tensors = {name: np.asarray(value) for name, value in bundle.tensors(part).items()}
        if part == "style":
            packed = tensors.pop("tokenizer/model")
            (directory / part).mkdir(parents=True, exist_ok=True)
            (directory / part / "tokenizer.model").write_bytes(np.rint(packed).astype(np.uint8).tobytes())
        save_tensors(directory, part, tensors, float("inf"))
    with tarfile.open(into / _STATE) as archive:
        archive.extractall(directory, filter="data")
    code_vectors = load_tensors(directory, "style")["quantizer/code_vectors"]
    tokens = token_path(directory, 0).parent
    # Where command 1 ran here too, its shards would be trained on twice, the held-out ones among them.
    shutil.rmtree(tokens, ignore_errors=True)
    tokens.mkdir(parents=True)
    for number, path in enumerate(sorted(into.glob("tokens-*.npz"))):
        with np.load(path) as packed:
            arrays = {name: packed[name] for name in packed.files}
        codes = arrays["style_text_codes"]
        # Embeddings of captions are wanted for blends only; their twelve codes say them nearly exactly.
        text = code_vectors[np.arange(codes.shape[-1]), codes].sum(axis=-2)
        audio = np.zeros((*arrays["style_audio_codes"].shape[:2], 0), np.float32)
        content = io.BytesIO()
        np.savez(content, style_text=text.astype(np.float32), style_audio=audio, **arrays)
        token_path(directory, number).write_bytes(content.getvalue())


def _pack_tokens(paths: list[Path], target: Path, *, levels: int) -> None:
    """Several token shards as one compressed file: the levels that the language model reads, no embeddings."""
    shards = []
    for path in paths:
        with np.load(path) as file:
            shards.append({name: file[name] for name in file.files if name not in ("style_text", "style_audio")})
    widest = max(shard["section_frames"].shape[1] for shard in shards)
    for shard in shards:
        shard["codes"] = shard["codes"][..., :levels]
        missing = widest - shard["section_frames"].shape[1]
        shard["section_frames"] = np.pad(shard["section_frames"], ((0, 0), (0, missing)), constant_values=-1)
    np.savez_compressed(target, **{name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]})
