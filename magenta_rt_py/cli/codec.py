"""`mrtpy codec encode|decode`: audio to codes and back."""

from __future__ import annotations

import argparse
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from magenta_rt_py.cli.generate import AUDIO_SUFFIXES
from magenta_rt_py.cli.options import add_bundle_option, check_output
from magenta_rt_py.cli.report import add_json_option, emit

FORMAT_VERSION = 1


def register(commands: Any) -> None:
    """Adds the command and its two actions."""
    parser = commands.add_parser("codec", help="audio to codes and back", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="encode|decode", dest="action", required=True)
    encode = actions.add_parser("encode", help="audio file -> codes (.npz)", allow_abbrev=False)
    encode.add_argument("audio", type=Path, help="any audio file")
    encode.add_argument("codes", type=Path, help="file to write: .npz")
    encode.add_argument("--levels", type=int, help="keep only the first levels (default: all)")
    encode.set_defaults(run=run_encode)
    decode = actions.add_parser("decode", help="codes (.npz) -> audio file", allow_abbrev=False)
    decode.add_argument("codes", type=Path, help="what encode wrote")
    decode.add_argument("audio", type=Path, help=f"file to write: {' '.join(AUDIO_SUFFIXES)}")
    decode.add_argument("--levels", type=int, help="use only the first levels (default: all)")
    decode.set_defaults(run=run_decode)
    for action in (encode, decode):
        add_bundle_option(action)
        add_json_option(action)


def run_encode(arguments: argparse.Namespace) -> int:
    """Audio file to codes."""
    from magenta_rt_py import audio
    from magenta_rt_py.generators import system

    check_output(arguments.codes, suffixes=(".npz",))
    samples = audio.to_stereo_48k(audio.read(arguments.audio))
    codec = system.load_codec(arguments.bundle)
    levels = _levels(arguments.levels, codec.num_levels)
    started = time.perf_counter()
    codes = codec.encode(samples[None])[0, :, :levels]
    seconds = time.perf_counter() - started
    np.savez_compressed(
        arguments.codes,
        codes=codes.astype(np.int16),
        num_samples=np.int64(len(samples)),
        format_version=np.int64(FORMAT_VERSION),
    )
    length = len(samples) / codec.sample_rate
    report = {
        "command": "codec encode",
        "audio": str(arguments.audio),
        "codes": str(arguments.codes),
        "frames": codes.shape[0],
        "levels": codes.shape[1],
        "seconds": length,
        "kilobits_per_second": codec.frame_rate_hz * levels * np.log2(codec.codebook_size) / 1000,
        "rtf": length / seconds,
    }
    line = (
        "{codes}: {frames} frames x {levels} levels, {seconds:.2f} s, {kilobits_per_second:.1f} kbit/s, RTF {rtf:.1f}"
    )
    emit(arguments, report, [line.format(**report)])
    return 0


def run_decode(arguments: argparse.Namespace) -> int:
    """Codes to audio file."""
    from magenta_rt_py import audio
    from magenta_rt_py.generators import system
    from magenta_rt_py.generators.safety import guard

    check_output(arguments.audio, suffixes=AUDIO_SUFFIXES)
    codes, num_samples = read_codes(arguments.codes)
    codec = system.load_codec(arguments.bundle)
    if codes.shape[1] > codec.num_levels or codes.max() >= codec.codebook_size:
        raise ValueError(
            f"{arguments.codes} holds {codes.shape[1]} levels of codes up to {codes.max()}; this codec has "
            f"{codec.num_levels} levels of 0..{codec.codebook_size - 1}: use the bundle it was encoded with"
        )
    levels = _levels(arguments.levels, codes.shape[1])
    started = time.perf_counter()
    samples = guard(codec.decode(codes[None, :, :levels])[0])[:num_samples]
    seconds = time.perf_counter() - started
    audio.write(arguments.audio, samples, codec.sample_rate)
    length = len(samples) / codec.sample_rate
    report = {
        "command": "codec decode",
        "codes": str(arguments.codes),
        "audio": str(arguments.audio),
        "frames": codes.shape[0],
        "levels": levels,
        "seconds": length,
        "rtf": length / seconds,
    }
    line = "{audio}: {seconds:.2f} s from {frames} frames x {levels} levels, RTF {rtf:.1f}"
    emit(arguments, report, [line.format(**report)])
    return 0


def read_codes(path: Path) -> tuple[Int[np.ndarray, "frames levels"], int]:
    """Reads what `mrtpy codec encode` wrote.

    Returns:
      the codes, and how many samples the audio had.
    Raises:
      ValueError: if the file is anything else.
    """
    expected = "expected an .npz of `mrtpy codec encode`"
    try:
        with np.load(path, allow_pickle=False) as stored:
            codes, num_samples = stored["codes"], int(stored["num_samples"])
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist; {expected}") from error
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no codes ({error}); {expected}") from error
    if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer) or 0 in codes.shape:
        raise ValueError(f"{path} holds {codes.dtype} of shape {codes.shape}, not codes [frames, levels]; {expected}")
    if codes.min() < 0:
        raise ValueError(f"{path} holds a code of {codes.min()}; codes are 0 or more; {expected}")
    if num_samples <= 0:
        raise ValueError(f"{path} says it holds {num_samples} samples; {expected}")
    return codes.astype(np.int32), num_samples


def _levels(asked: int | None, available: int) -> int:
    if asked is None:
        return available
    if not 1 <= asked <= available:
        raise ValueError(f"--levels is {asked}; there are {available}: give 1 .. {available}")
    return asked
