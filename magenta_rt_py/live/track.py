"""Track: sound kept by stream sample, the number of a sample since the stream began.

    stream sample   0        4800             9600        14400
    runs            |-- run --|      (hole)    |-- run --------->

A run is sound without a break. Tracks are immutable, so an old one may be kept and read again; writing a block costs the
block and not the track, because sound is kept in pieces. Pure: every function returns a new track.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["CHANNELS", "EMPTY", "Run", "Track", "erase", "forget", "read", "write"]

CHANNELS = 2
"""Every track is stereo, as the codecs are."""
PIECE_SAMPLES = 4800
"""Blocks shorter than this are joined, so that small blocks do not make a long list."""


class Run(NamedTuple):
    """Sound without a break."""

    start: int
    """Stream sample of its first sample, also once that has been forgotten: ramps are counted from here."""
    kept_from: int
    """Stream sample from which on its samples are still kept."""
    pieces: tuple[np.ndarray, ...]
    """What is kept, [samples 2] each, one after the other."""

    @property
    def end(self) -> int:
        """Stream sample after its last one."""
        return self.kept_from + sum(map(len, self.pieces))


class Track(NamedTuple):
    """Runs in the order in which they were written; they may overlap, and then sound together."""

    runs: tuple[Run, ...] = ()

    @property
    def end(self) -> int | None:
        """Stream sample after the last one written; None for an empty track."""
        return self.runs[-1].end if self.runs else None


EMPTY = Track()


def write(track: Track, start: int, samples: Float[np.ndarray, "samples channels"]) -> Track:
    """Adds sound. Where a run ends it is continued, anywhere else a new run begins; what was there before stays.

    Args:
      track: what to add to; not changed.
      start: stream sample of the first sample; below 0 is before the stream, and falls away.
      samples: one or two channels, finite; one is doubled. Copied, so that a sound card may use its block again.
    Raises:
      ValueError: more than two channels, or a sample is NaN or infinite.
    """
    samples = _as_stereo(samples)[max(0, -start) :]
    start = max(0, start)
    if not len(samples):
        return track
    if track.runs and track.runs[-1].end == start:
        last = track.runs[-1]
        pieces = last.pieces
        if pieces and len(pieces[-1]) < PIECE_SAMPLES:
            pieces, samples = pieces[:-1], np.concatenate([pieces[-1], samples])
        return Track((*track.runs[:-1], last._replace(pieces=(*pieces, samples))))
    return Track((*track.runs, Run(start, start, (samples,))))


def read(track: Track, start: int, end: int, *, ramp_samples: int = 0) -> Float[np.ndarray, "samples 2"]:
    """Sound from `start` to before `end`: the sum of the runs, and silence where there is none.

    Args:
      track: what to read.
      start: first stream sample.
      end: stream sample after the last one.
      ramp_samples: samples over which each run rises at its start and falls towards its end, linearly; 0 for none. The
        end is the one known now, so the last samples of a run that still grows sound softer until it has grown.
    """
    sound = np.zeros((max(0, end - start), CHANNELS), np.float32)
    for run in track.runs:
        run_end, first = run.end, run.kept_from
        for piece in run.pieces:
            low, high = max(start, first), min(end, first + len(piece))
            if low < high:
                part = piece[low - first : high - first]
                if ramp_samples and (low < run.start + ramp_samples or high > run_end - ramp_samples):
                    part = part * _ramp(np.arange(low, high), run.start, run_end, ramp_samples)[:, None]
                sound[low - start : high - start] += part
            first += len(piece)
    return sound


def erase(track: Track, start: int, end: int) -> Track:
    """A track without what lies from `start` to before `end`; writing there afterwards replaces it."""
    runs: list[Run] = []
    for run in track.runs:
        if run.end <= start or run.kept_from >= end:
            runs.append(run)
            continue
        if run.kept_from < start:
            runs.append(Run(run.start, run.kept_from, (_joined(run)[: start - run.kept_from],)))
        if run.end > end:
            runs.append(Run(end, end, (_joined(run)[end - run.kept_from :],)))
    return Track(tuple(sorted(runs, key=lambda run: run.end)))


def forget(track: Track, before: int) -> Track:
    """A track without the pieces that lie wholly before stream sample `before`; the newest run stays, maybe empty."""
    runs: list[Run] = []
    for run in track.runs:
        kept_from, dropped = run.kept_from, 0
        while dropped < len(run.pieces) and kept_from + len(run.pieces[dropped]) <= before:
            kept_from += len(run.pieces[dropped])
            dropped += 1
        if dropped < len(run.pieces) or run is track.runs[-1]:
            runs.append(Run(run.start, kept_from, run.pieces[dropped:]))
    return Track(tuple(runs))


def _as_stereo(samples: Float[np.ndarray, "samples channels"]) -> Float[np.ndarray, "samples 2"]:
    if samples.shape[1] not in (1, CHANNELS):
        raise ValueError(f"sound of {samples.shape[1]} channels; give one or two of them")
    if not np.isfinite(samples).all():
        raise ValueError("sound with NaN or infinite samples; replace them before they reach the stream")
    return np.array(np.broadcast_to(samples, (len(samples), CHANNELS)), np.float32)


def _ramp(positions: np.ndarray, start: int, end: int, ramp_samples: int) -> Float[np.ndarray, "samples"]:
    """Weights that rise after `start` and fall before `end`; never quite 0, so that no sample of a run is lost."""
    nearest = np.minimum(positions - start, end - 1 - positions) + 1
    return np.minimum(1.0, nearest / (ramp_samples + 1)).astype(np.float32)


def _joined(run: Run) -> Float[np.ndarray, "samples 2"]:
    return np.concatenate(run.pieces)
