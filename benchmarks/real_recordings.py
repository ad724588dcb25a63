"""What the codec loses of music that no one here synthesised: free recordings out of Debian packages.

    python benchmarks/real_recordings.py [--bundle DIR | --tensors FILE] [--folder DIR] [--round-trips out/recordings]

Each recording is named by package, path, licence (as the package's own copyright file states it) and sha256. It is taken
from where the package is installed, else fetched with `apt-get download` and unpacked below --folder, by default
`magenta_rt_py/recordings` in the user's cache directory. Ten seconds of each (all of a shorter one) are coded and decoded
at 4, 8 and 16 levels. They measure; nothing that ships is trained on them, and neither they nor their round trips are
ever committed.
Beside them stand held-out pieces of the studio: the ratio says how much of what the codec learned there carries over.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from jaxtyping import Float

from magenta_rt_py import audio
from magenta_rt_py.bundle import load_bundle, starter_path
from magenta_rt_py.codec import Codec, CompactCodec, codec_from_tensors
from magenta_rt_py.codec.config import starter
from magenta_rt_py.train import studio
from magenta_rt_py.train.evaluation import audio_metrics
from magenta_rt_py.train.evaluation.codec_report import LEVELS, measure_sounds
from magenta_rt_py.train.evaluation.renders import PROBE_TEST_SEED, Sound, render_sounds, round_trip
from magenta_rt_py.train.starter.recipe import work_directory

SECONDS = 10.0
"""Of each recording, from its middle; shorter ones are taken whole."""

WANTED_RATIO = 1.7
"""Mel distance of recordings over that of held-out studio pieces, at most (both at 16 levels)."""


class Recording(NamedTuple):
    """A free recording."""

    name: str
    kind: str  # band, orchestra, electronic, voice, solo or drums
    package: str  # of Debian 12
    path: str  # below / once the package is installed
    licence: str
    sha256: str


_GAMES = "usr/share/games/"
_SONGS = _GAMES + "fretsonfire/data/songs/"
_WESNOTH = _GAMES + "wesnoth/1.16/data/core/music/"
_SAMPLES = "usr/share/sonic-pi/samples/"
RECORDINGS: tuple[Recording, ...] = (
    Recording("Feelings", "band", "fretsonfire-songs-sectoid", _SONGS + "sectoid/Feelings/song.ogg", "MIT",
        "8f3b11be42b4caf1b277c62a46436f015a0bcc559ca53871899ada23c6837bf5"),
    Recording("Chaos God", "band", "fretsonfire-songs-muldjord", _SONGS + "muldjord/chaos_god/song.ogg", "CC-BY-SA-3.0",
        "e3ea47b66cfcacc853aa03e4dd5aa3262a73468b4a8aab240de9e00b13373127"),
    Recording("City Blues", "band", "lincity-ng-data",
        _GAMES + "lincity-ng/music/default/02 - Robert van Herk - City Blues.ogg", "GPL-2+",
        "16760321bc51b92b6bc07859b470002aaae879cb89317887718ab5ac5570599b"),
    Recording("Caribbean", "band", "hyperrogue-music", "usr/share/hyperrogue/music/hr-savino-caribbean.ogg", "CC-BY-SA-3.0",
        "42ea04db86f2d6396a4225e6ce6e597a58804553410e3a2dda07a9cdc6cae4f2"),
    Recording("Hunting", "orchestra", "hyperrogue-music", "usr/share/hyperrogue/music/hr-domina-hunting.ogg",
        "CC-BY-SA-3.0", "1aa0d2b2ac68f705ba91188b00f81226cafe963cb4640e121b2c15080b0981bc"),
    Recording("Nunc Dimittis", "orchestra", "wesnoth-1.16-music", _WESNOTH + "nunc_dimittis.ogg", "GPL-2+",
        "e74c5dbb7f9499f00d7e4afc1570d1999f40f5784d0a96189751da540f053a48"),
    Recording("Casualties of War", "orchestra", "wesnoth-1.16-music", _WESNOTH + "casualties_of_war.ogg", "GPL-2+",
        "c2d43e3e49c5e083c3a3aa1637ce421db417066b9c4ed85fab4180d17922c364"),
    Recording("Awakening", "electronic", "singularity-music", _GAMES + "singularity/music/Awakening.ogg", "CC-BY-SA-3.0",
        "72efe1d6386ed801213d8d45ac41e827377c204f643afa8ed5f89dc607894b37"),
    Recording("Media Threat", "electronic", "singularity-music", _GAMES + "singularity/music/Media Threat.ogg",
        "CC-BY-SA-3.0", "623dc95bb6f38678c5adc5011d37c87ab9b92a2710c09f60b49c42eabbfbd3f4"),
    Recording("Icy Land", "electronic", "hyperrogue-music", "usr/share/hyperrogue/music/hr3-icyland.ogg", "CC-BY-SA-3.0",
        "2ad319ecf39c53b353da2bee1df69d7d56cea7edd70ce30c2eb779be5605f95a"),
    Recording("Garzul loop", "electronic", "sonic-pi-samples", _SAMPLES + "loop_garzul.flac", "CC0",
        "bc04e06c84a4b6535b8f7bdb51c5b09afe5350421bf16660454e6d370d9ab849"),
    Recording("speech, small fish", "voice", "fillets-ng-data-cs", _GAMES + "fillets-ng/sound/rush/cs/m-hraje.ogg",
        "GPL-2", "46eb63227012cab18f69103952db547cdd16113f52f26866848434d6c9d71e18"),
    Recording("speech, big fish", "voice", "fillets-ng-data-cs", _GAMES + "fillets-ng/sound/hanoi/cs/v-restartovat.ogg",
        "GPL-2", "d11f30627462f799193fcf0e461e6a2f7997c15edeaa1b967fe589ce751bf83d"),
    Recording("Feelings, guitar", "solo", "fretsonfire-songs-sectoid", _SONGS + "sectoid/Feelings/guitar.ogg", "MIT",
        "77089d9bfa71890a9b731d22512a0388914b17295992c3f3a1534dcf60a6894a"),
    Recording("guitar, E minor 9", "solo", "sonic-pi-samples", _SAMPLES + "guit_em9.flac", "CC0",
        "e6dbbdc5aef03fada9cbd84d9ef000472c6954db9badcf5721969c515d46c2f1"),
    Recording("tabla", "solo", "sonic-pi-samples", _SAMPLES + "loop_tabla.flac", "CC0",
        "7dbb7d6e216aece300700453c9734ecd6f56ec75dd56a5365c6a12194ed3ebab"),
    Recording("Amen break", "drums", "sonic-pi-samples", _SAMPLES + "loop_amen_full.flac", "CC0",
        "87ba57c489244e10436c0ea2f500625c95e58fbedb6e38db2639ed72eb1da1b7"),
)  # fmt: skip


def recording_path(recording: Recording, folder: Path, *, root: Path = Path("/")) -> Path:
    """The file of a recording: where its package is installed, else fetched and unpacked below `folder`.

    Raises:
      RuntimeError: the package cannot be fetched.
      ValueError: the file is not the one that was measured before.
    """
    path = root / recording.path
    if not path.exists():
        unpacked = folder / recording.package
        path = unpacked / recording.path
        if not path.exists():
            _fetch(recording.package, unpacked)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != recording.sha256:
        expected = f"expected {recording.sha256}; use {recording.package} of Debian 12"
        raise ValueError(f"got sha256 {found} for {path.name}, {expected}")
    return path


def _fetch(package: str, unpacked: Path) -> None:
    """Downloads a package with the system's own tools and unpacks it, without installing it."""
    unpacked.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", package], cwd=unpacked, check=True, capture_output=True)
        (archive,) = unpacked.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=unpacked, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        advice = "install it, or run apt-get update"
        raise RuntimeError(f"cannot fetch the Debian package {package} ({error}); {advice}") from error
    archive.unlink()


def excerpt(
    samples: Float[np.ndarray, "samples 2"], *, seconds: float = SECONDS
) -> Float[np.ndarray, "fewer_samples 2"]:
    """The middle of a recording."""
    size = round(seconds * audio_metrics.SAMPLE_RATE_HZ)
    start = max(0, (len(samples) - size) // 2)
    return samples[start : start + size]


def measured(codec: Codec, recording: Recording, folder: Path) -> tuple[Sound, dict[str, dict[str, float]]]:
    """An excerpt and the metrics of its round trips, by number of levels."""
    whole = audio.to_stereo_48k(audio.read(recording_path(recording, folder)))
    sound = Sound(samples=np.ascontiguousarray(excerpt(whole)), genre=recording.kind, bpm=0.0, seed=0)
    return sound, {levels: rows[0] for levels, rows in measure_sounds(codec, [sound])["rows"].items()}


def summary(
    real: Sequence[Mapping[str, Mapping[str, float]]], true: Mapping[str, Sequence[Mapping[str, float]]]
) -> dict[str, Any]:
    """Means over recordings and over studio pieces by number of levels, and the ratio of their mel distances.

    Args:
      real: metrics of each recording by number of levels.
      true: metrics of the studio pieces, `measure_sounds`'s rows.
    """
    means: dict[str, Any] = {}
    for levels in map(str, LEVELS):
        for metric in ("mel_distance_db", "onset_correlation"):
            ours, theirs = [rows[levels][metric] for rows in real], [row[metric] for row in true[levels]]
            means.setdefault(metric, {})[levels] = {
                "recordings": round(float(np.mean(ours)), 3),
                "studio": round(float(np.mean(theirs)), 3),
            }
        pair = means["mel_distance_db"][levels]
        means.setdefault("ratio", {})[levels] = round(pair["recordings"] / pair["studio"], 2)
    return {**means, "ratio_wanted": WANTED_RATIO, "recordings": len(real), "studio_pieces": len(true[str(LEVELS[0])])}


def load_codec(bundle: Path | None, tensors: Path | None) -> Codec:
    """The codec of a bundle, or the starter's codec with tensors of its own (what a stage of the recipe leaves)."""
    if tensors:
        loaded = safetensors.numpy.load_file(tensors)
        learned = any(name.startswith("phase/") for name in loaded)
        config = dataclasses.replace(starter(), phase="learned") if learned else starter()
        return CompactCodec.from_tensors(config, loaded)
    opened = load_bundle(bundle or starter_path())
    return codec_from_tensors(opened.configs["codec"], opened.tensors("codec"))


def studio_sounds(pieces: int) -> list[Sound]:
    """Held-out pieces, one of each genre until there are enough."""
    genres = studio.STARTER_GENRES[:pieces]
    each = -(-pieces // len(genres))
    sounds = render_sounds(genres, first_seed=PROBE_TEST_SEED, pieces_per_genre=each, seconds=SECONDS, workers=1)
    return list(sounds)[:pieces]


def main(argv: list[str] | None = None) -> int:
    """Measures and prints one line a recording, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="bundle whose codec is measured (default: the starter)")
    parser.add_argument("--tensors", type=Path, help="safetensors of a compact codec of the starter's geometry instead")
    folder = work_directory().with_name("recordings")
    parser.add_argument("--folder", type=Path, default=folder, help="for packages (default: %(default)s)")
    parser.add_argument("--round-trips", type=Path, default=None, help="keep originals and round trips there (FLAC)")
    parser.add_argument("--studio-pieces", type=int, default=20, help="held-out studio pieces beside them")
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    arguments = parser.parse_args(argv)
    codec = load_codec(arguments.bundle, arguments.tensors)

    rows = []
    for recording in RECORDINGS:
        sound, metrics = measured(codec, recording, arguments.folder)
        rows.append({"name": recording.name, "kind": recording.kind, "levels": metrics})
        distances = " / ".join(f"{metrics[str(n)]['mel_distance_db']:.2f}" for n in LEVELS)
        onsets = metrics[str(max(LEVELS))]["onset_correlation"]
        print(f"{recording.name:20} {recording.kind:11} mel {distances} dB  onsets {onsets:.2f}", flush=True)
        if arguments.round_trips:
            _keep(codec, sound, arguments.round_trips / recording.name)
    real = [row["levels"] for row in rows]
    means = summary(real, measure_sounds(codec, studio_sounds(arguments.studio_pieces))["rows"])
    for name, value in means.items():
        print(f"{name}: {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"means": means, "recordings": rows}, indent=1))
    return 0


def _keep(codec: Codec, sound: Sound, folder: Path) -> None:
    """Writes an excerpt and its round trips."""
    folder.mkdir(parents=True, exist_ok=True)
    audio.write(folder / "original.flac", sound.samples, codec.sample_rate)
    for levels in LEVELS:
        (trip,) = round_trip(codec, [sound], levels=levels)
        audio.write(folder / f"{levels}-levels.flac", trip.samples, codec.sample_rate)


if __name__ == "__main__":
    sys.exit(main())
