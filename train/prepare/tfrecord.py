"""TFRecord files of tf.train.Example with serialised tensors, as the released finetuning notebook writes and reads them.

Ours, because TensorFlow is 600 MB and half a minute to import for what is, here, a length and a checksum around a few nested
fields; it is an extra of this package (`released`), and the tests hold this file against it, both ways.

    file      = records;  record = length (uint64), masked CRC-32C of it, data, masked CRC-32C of the data
    data      = Example{features: {name: bytes of a TensorProto{dtype, shape, content}}}

Sources: TensorFlow's record format, and the .proto files of Example and TensorProto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, no_type_check

import numpy as np

from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.nn.compiled import compiled

_DTYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
"""TensorFlow's numbers of the types that are read; float32 and int32 are written."""

_POLYNOMIAL = 0x82F63B78
"""CRC-32C (Castagnoli), bits reversed."""

LARGEST_RECORD_BYTES = 2**28
"""A longer length is damage, not data: a clip of 30 s takes 0.2 MB."""


def write_records(file: BinaryIO, examples: Iterable[Mapping[str, np.ndarray]]) -> int:
    """Writes examples; the same ones always give the same bytes.

    Args:
      file: open for writing.
      examples: name -> int32 or float32 array.
    Returns:
      how many there were.
    """
    count = 0
    for example in examples:
        data = _example(example)
        length = struct.pack("<Q", len(data))
        file.write(length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data)))
        count += 1
    return count


def read_records(path: Path) -> Iterator[dict[str, np.ndarray]]:
    """The examples of a file, one after the other: name -> array.

    Raises:
      PreparedDataError: the file is cut off or damaged, or a feature is no serialised tensor.
    """
    for number, data in enumerate(_frames(path)):
        try:
            yield {name: _tensor(value) for name, value in _features(data)}
        except (ValueError, IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
            raise PreparedDataError(
                f"{path}: record {number} holds no serialised tensors ({error}); give a file of the finetuning notebook"
            ) from error


def _frames(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        number = 0
        while head := file.read(12):
            length = int.from_bytes(head[:8], "little")
            if len(head) < 12 or length > LARGEST_RECORD_BYTES or _checksum(head[8:]) != masked_crc(head[:8]):
                raise PreparedDataError(f"{path}: record {number} has a damaged head; it is no TFRecord file, or cut off")
            data, tail = file.read(length), file.read(4)
            if len(data) < length or len(tail) < 4:
                raise PreparedDataError(f"{path}: the file ends within record {number}; get or make it again")
            if _checksum(tail) != masked_crc(data):
                raise PreparedDataError(f"{path}: record {number} was changed (its checksum differs); get or make it again")
            yield data
            number += 1


def masked_crc(data: bytes) -> int:
    """CRC-32C of bytes, turned and moved as the record format wants it."""
    crc = int(_crc(np.frombuffer(data, np.uint8), _TABLE))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@compiled
@no_type_check
def _crc(data, table):
    state = np.uint32(0xFFFFFFFF)
    for byte in data:
        state = table[(state ^ byte) & np.uint32(0xFF)] ^ (state >> np.uint32(8))
    return state ^ np.uint32(0xFFFFFFFF)


def _make_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


_TABLE = _make_table()


def _checksum(data: bytes) -> int:
    return int.from_bytes(data, "little")


# ------------------------------------------------------------------------------------------ nested fields


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _field(number: int, content: bytes) -> bytes:
    """A field with a length."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _example(arrays: Mapping[str, np.ndarray]) -> bytes:
    features = b""
    for name, array in sorted(arrays.items()):
        held = _field(1, _field(1, _tensor_bytes(array)))  # Feature.bytes_list.value
        features += _field(1, _field(1, name.encode()) + _field(2, held))  # an entry of Features.feature
    return _field(1, features)


def _tensor_bytes(array: np.ndarray) -> bytes:
    kinds = {"f": (1, "<f4"), "i": (3, "<i4")}
    kind, stored = kinds[array.dtype.kind]
    shape = b"".join(_field(2, _varint(1 << 3) + _varint(size)) for size in array.shape)
    return _varint(1 << 3) + _varint(kind) + _field(2, shape) + _field(4, np.ascontiguousarray(array, stored).tobytes())


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number has no end")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: their numbers, and numbers or bytes."""
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        if key & 7 == 0:
            value, place = _read_varint(data, place)
            yield key >> 3, value
            continue
        if key & 7 == 2:
            size, place = _read_varint(data, place)
        elif key & 7 in (1, 5):
            size = 8 if key & 7 == 1 else 4
        else:
            raise ValueError(f"a field of wire type {key & 7}")
        if place + size > len(data):
            raise ValueError("a field is cut off")
        yield key >> 3, data[place : place + size]
        place += size


def _only(data: bytes, number: int) -> bytes:
    """The one field of a message that is wanted."""
    for found, value in _fields(data):
        if found == number and isinstance(value, bytes):
            return value
    raise ValueError(f"field {number} is missing")


def _features(data: bytes) -> Iterator[tuple[str, bytes]]:
    for number, entry in _fields(_only(data, 1)):
        if number == 1 and isinstance(entry, bytes):
            yield _only(entry, 1).decode(), _only(_only(_only(entry, 2), 1), 1)


def _tensor(data: bytes) -> np.ndarray:
    kind, shape, content = 0, (), b""
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, bytes):
            shape = tuple(_size(dim) for found, dim in _fields(value) if found == 2 and isinstance(dim, bytes))
        elif number == 4 and isinstance(value, bytes):
            content = value
    if kind not in _DTYPES:
        raise ValueError(f"a tensor of TensorFlow's type {kind}, expected int32 or float32")
    return np.frombuffer(content, _DTYPES[kind]).reshape(shape)


def _size(dimension: bytes) -> int:
    """Of TensorShapeProto.Dim; 0 is not written."""
    return next((value for number, value in _fields(dimension) if number == 1 and isinstance(value, int)), 0)
