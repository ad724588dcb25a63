"""A sound font without the samples that nothing plays, for machines to which little can be carried.

Source: SoundFont Technical Specification 2.04, section 7 (the hydra: phdr, pbag, pgen, inst, ibag, igen, shdr); an .sf3
file holds Ogg Vorbis streams, whose sample headers count bytes.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from magenta_rt_py.errors import MrtError

_PRESET = struct.Struct("<20sHHH12x")  # name, preset, bank, first bag
_INSTRUMENT = struct.Struct("<20sH")  # name, first bag
_BAG = struct.Struct("<HH")  # first generator, first modulator
_GENERATOR = struct.Struct("<HH")  # operator, amount
_SAMPLE = struct.Struct("<20s5IBbHH")  # name, start, end, loop start, loop end, rate, pitch, correction, link, type
_INSTRUMENT_OPERATOR, _SAMPLE_OPERATOR = 41, 53
_COMPRESSED = 0x10
_KNOWN = {b"LIST", b"phdr", b"pbag", b"pmod", b"pgen", b"inst", b"ibag", b"imod", b"igen", b"shdr", b"smpl", b"sm24"}


class SoundFontFormatError(MrtError):
    """The file is no sound font that can be cut down."""


class _Chunk(NamedTuple):
    name: bytes
    start: int
    size: int


def subset(source: Path, target: Path, presets: set[tuple[int, int]]) -> None:
    """Writes a copy of a compressed sound font in which only some presets can be played.

    Every preset stays listed; the samples of the others are replaced by the smallest one that is kept.

    Args:
      source: an .sf3 file.
      target: where to; replaced.
      presets: (bank, program) of those to keep.
    Raises:
      SoundFontFormatError: the file is not an .sf3 file, or lacks one of the presets.
    """
    data = source.read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise SoundFontFormatError(f"{source} is no sound font; name an .sf3 file")
    tables = {chunk.name: chunk for chunk in _all_chunks(data)}
    missing = sorted({b"smpl", b"phdr", b"pbag", b"pgen", b"inst", b"ibag", b"igen", b"shdr"} - tables.keys())
    if missing:
        raise SoundFontFormatError(f"{source} lacks the chunk {missing[0].decode()}; name an .sf3 file")
    headers = _rows(data, tables[b"shdr"], _SAMPLE)
    kept = _samples_of(data, tables, presets, source)
    if any(not headers[number][9] & _COMPRESSED for number in kept):
        raise SoundFontFormatError(f"{source} holds samples that are not compressed; name an .sf3 file")
    target.write_bytes(_rebuilt(data, tables[b"smpl"], tables[b"shdr"], headers, kept))


def _all_chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks of the two lists that count; the file's own LIST headers are passed through."""
    position = 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack_from("<I", data, position + 4)[0]
        if name == b"LIST":
            if data[position + 8 : position + 12] in (b"sdta", b"pdta"):
                position += 12
                continue
        else:
            yield _Chunk(name, position + 8, size)
        position += 8 + size
        # Odd chunks should be followed by a zero; the files that MuseScore's tools write leave it out.
        if size % 2 and data[position : position + 4] not in _KNOWN and data[position + 1 : position + 5] in _KNOWN:
            position += 1


def _rows(data: bytes, chunk: _Chunk, row: struct.Struct) -> list[tuple]:
    return list(row.iter_unpack(data[chunk.start : chunk.start + chunk.size]))


def _samples_of(data: bytes, tables: dict[bytes, _Chunk], presets: set[tuple[int, int]], source: Path) -> set[int]:
    """Numbers of the samples that the presets play."""
    rows = _rows(data, tables[b"phdr"], _PRESET)
    bags, generators = _rows(data, tables[b"pbag"], _BAG), _rows(data, tables[b"pgen"], _GENERATOR)
    instruments, found = set(), set()
    for (_, program, bank, first), (_, _, _, end) in itertools.pairwise(rows):
        if (bank, program) in presets:
            found.add((bank, program))
            instruments |= _amounts(bags, generators, first, end, _INSTRUMENT_OPERATOR)
    if found != presets:
        bank, program = sorted(presets - found)[0]
        raise SoundFontFormatError(f"{source} has no preset {program} in bank {bank}; name a General MIDI font")
    rows = _rows(data, tables[b"inst"], _INSTRUMENT)
    bags, generators = _rows(data, tables[b"ibag"], _BAG), _rows(data, tables[b"igen"], _GENERATOR)
    samples = set()
    for number in instruments:
        samples |= _amounts(bags, generators, rows[number][1], rows[number + 1][1], _SAMPLE_OPERATOR)
    return samples


def _amounts(bags: list[tuple], generators: list[tuple], first: int, end: int, operator: int) -> set[int]:
    """Amounts of one operator in the bags first .. end - 1."""
    chosen = generators[bags[first][0] : bags[end][0]]
    return {amount for found, amount in chosen if found == operator}


def _rebuilt(data: bytes, smpl: _Chunk, shdr: _Chunk, headers: list[tuple], kept: set[int]) -> bytes:
    """The file with the kept samples only."""
    smallest = min(kept, key=lambda number: headers[number][2] - headers[number][1])
    pool, places = bytearray(), {}
    for number in sorted(kept):
        start, end = headers[number][1:3]
        # Stereo halves and round robins may share a stream.
        if (start, end) not in places:
            places[start, end] = len(pool)
            pool += data[smpl.start + start : smpl.start + end]
    changed = []
    for number, header in enumerate(headers):
        sound = header if number in kept else (header[0], *headers[smallest][1:8], 0, 1 | _COMPRESSED)
        start, end = sound[1:3]
        begin = places[start, end] if number < len(headers) - 1 else 0
        changed.append(_SAMPLE.pack(sound[0], begin, begin + end - start, *sound[3:]))
    changed[-1] = _SAMPLE.pack(*headers[-1])  # the list's end mark
    table = b"".join(changed)
    pool += b"\0" * (len(pool) % 2)
    smpl_list = (
        b"LIST" + struct.pack("<I", 4 + 8 + len(pool)) + b"sdta" + b"smpl" + struct.pack("<I", len(pool)) + bytes(pool)
    )
    before = data[12 : smpl.start - 20]  # up to the LIST of the samples
    after = data[smpl.start + smpl.size : shdr.start] + table + data[shdr.start + shdr.size :]
    if after[:4] != b"LIST":
        after = after[after.index(b"LIST") :]
    body = b"sfbk" + before + smpl_list + after
    return b"RIFF" + struct.pack("<I", len(body)) + body
