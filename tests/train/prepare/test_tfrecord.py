"""The record format against TensorFlow, both ways, and damage of every kind."""

import io

import numpy as np
import pytest

from magenta_rt_py.errors import PreparedDataError
from magenta_rt_py.style.musiccoca_savedmodel import import_tensorflow
from magenta_rt_py.train.prepare.tfrecord import masked_crc, read_records, write_records

EXAMPLES = [
    {
        "acoustic_tokens": np.arange(750 * 64, dtype=np.int32).reshape(750, 64) % 1024,
        "style_tokens": np.arange(36, dtype=np.int32).reshape(3, 12),
        "style_embeddings": np.linspace(-1, 1, 3 * 768, dtype=np.float32).reshape(3, 768),
    },
    {"acoustic_tokens": np.zeros((50, 64), np.int32), "style_embeddings": np.zeros((0, 768), np.float32)},
]


def written(path):
    with path.open("wb") as file:
        assert write_records(file, EXAMPLES) == 2
    return path


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_known_checksums():
    # RFC 3720, B.4: CRC-32C of 32 zeros is 8A9136AA; masked as the record format has it.
    crc = 0x8A9136AA
    assert masked_crc(bytes(32)) == (((crc >> 15 | crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def test_tensorflow_reads_what_is_written_and_the_other_way_round(tmp_path):
    tensorflow = import_tensorflow()
    names = {"acoustic_tokens": tensorflow.int32, "style_tokens": tensorflow.int32, "style_embeddings": tensorflow.float32}
    records = list(tensorflow.data.TFRecordDataset(str(written(tmp_path / "ours"))))
    for record, wanted in zip(records, EXAMPLES, strict=True):
        features = tensorflow.train.Example.FromString(record.numpy()).features.feature
        raw = {name: features[name].bytes_list.value[0] for name in features}
        same({name: tensorflow.io.parse_tensor(data, names[name]).numpy() for name, data in raw.items()}, wanted)
    with tensorflow.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for example in EXAMPLES:
            feature = {
                name: tensorflow.train.Feature(
                    bytes_list=tensorflow.train.BytesList(value=[tensorflow.io.serialize_tensor(array).numpy()])
                )
                for name, array in example.items()
            }
            example_ = tensorflow.train.Example(features=tensorflow.train.Features(feature=feature))
            writer.write(example_.SerializeToString())
    for found, wanted in zip(read_records(tmp_path / "theirs"), EXAMPLES, strict=True):
        same(found, wanted)


def test_what_is_written_is_read(tmp_path):
    for found, wanted in zip(read_records(written(tmp_path / "a")), EXAMPLES, strict=True):
        same(found, wanted)


@pytest.mark.parametrize(("place", "message"), [(0, "damaged head"), (9, "damaged head"), (40, "changed"), (-20, "changed")])
def test_a_changed_byte_is_noticed(tmp_path, place, message):
    path = written(tmp_path / "a")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(PreparedDataError, match=message):
        list(read_records(path))


@pytest.mark.parametrize(("kept", "message"), [(5, "damaged head"), (100, "ends within"), (-1, "ends within")])
def test_a_file_that_is_cut_off_is_noticed(tmp_path, kept, message):
    path = written(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PreparedDataError, match=message):
        list(read_records(path))


def test_records_of_other_things_are_refused(tmp_path):
    path = tmp_path / "a"
    buffer = io.BytesIO()
    data = b"hello"
    length = len(data).to_bytes(8, "little")
    for part in (length, masked_crc(length).to_bytes(4, "little"), data, masked_crc(data).to_bytes(4, "little")):
        buffer.write(part)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(PreparedDataError, match="no serialised tensors"):
        list(read_records(path))
