"""One file to pieces: lengths, codes, windows, clock."""

import dataclasses

import numpy as np
import pytest
import soundfile

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.train.folder import FolderConfig
from magenta_rt_py.train.prepare.manifest import probe
from magenta_rt_py.train.prepare.pieces import count_windows, prepare_file
from tests.train.prepare.sounds import RATE, music, song
from tests.train.prepare.stand_ins import fake_encoders


def prepare(folder, name, encoders, config):
    return prepare_file(folder, probe(folder / name, name, shortest_seconds=4.0), encoders, config)


def test_pieces_of_a_bundle_are_its_codes_and_embeddings(tmp_path, encoders, config):
    soundfile.write(tmp_path / "a.wav", music(17, 1), RATE, subtype="FLOAT")
    made = prepare(tmp_path, "a.wav", encoders, config)
    pieces = made.pieces
    assert pieces.lengths.tolist() == [300, 125] and made.seconds == 17
    assert pieces.codes.shape == (2, 300, encoders.codec.num_levels) and (pieces.codes[1, 125:] == 0).all()
    samples = music(17, 1)
    level = None
    for piece, start in enumerate((0, 12)):
        own = samples[start * RATE : (start + 12) * RATE]
        if level is None:  # the file's gain: unknown here, and the same for all pieces
            level = np.float32(10 ** ((config.folder.loudness_db - loudness(tmp_path / "a.wav")) / 20))
        padded = np.zeros((12 * RATE, 2), np.float32)
        padded[: len(own)] = own * level
        whole = encoders.codec.encode(padded[None])[0]
        length = pieces.lengths[piece]
        assert (pieces.codes[piece, :length] == whole[:length]).mean() > 0.99
    assert pieces.style_audio.shape == (2, 2, encoders.style.config.dim)
    np.testing.assert_array_equal(pieces.style_audio_codes, encoders.style.quantize(pieces.style_audio))
    np.testing.assert_array_equal(pieces.style_audio[1, 0], pieces.style_audio[1, 1])  # one window fits, and is repeated
    text = encoders.style.embed_text(made.captions)
    np.testing.assert_allclose(pieces.style_text, np.stack([text, text]), atol=1e-6)
    assert pieces.frames_per_beat.tolist() == [0, 0] and (pieces.descriptors == -1).all()


def loudness(path):
    from magenta_rt_py.train import folder

    meter = folder.LevelMeter()
    for block in folder.regroup(folder.read_48k(path), folder.GATE_SAMPLES):
        meter.add(block)
    return meter.levels().loudness_db


def test_windows_that_fit():
    assert [count_windows(frames) for frames in (750, 300, 299, 250, 100)] == [11, 2, 1, 1, 1]


def test_a_steady_beat_gives_pieces_on_bar_lines_with_a_clock(tmp_path, measuring):
    soundfile.write(tmp_path / "a.wav", song(125.0, 26.0, first_seconds=0.7), RATE)
    config = dataclasses.replace(measuring, folder=FolderConfig(piece_seconds=12.0))
    made = prepare(tmp_path, "a.wav", fake_encoders(), config)
    # 125 bpm: a bar is 1.92 s, six bars fit into 12 s: 288 frames.
    assert made.has_clock and made.measured.bpm == pytest.approx(125.0, abs=0.1)
    assert set(made.pieces.lengths[:-1]) <= {287, 288} and made.pieces.frames_per_beat[0] == pytest.approx(12.0, abs=0.01)
    # The first bar line is at 0.7 s: 33600 samples, within a frame of where the first piece begins.
    assert abs(made.measured.grid.first_bar_samples - 33_600) < 960
    plain = prepare(tmp_path, "a.wav", fake_encoders(), dataclasses.replace(config, clock=False))
    assert not plain.has_clock and plain.pieces.lengths[0] == 300
    assert plain.pieces.descriptors[0, 0, 0] == pytest.approx(125.0, abs=0.1)


@pytest.mark.parametrize(
    ("samples", "reason"), [(np.zeros((5 * RATE, 2), np.float32), "silent"), (np.ones((5 * RATE, 2), np.float32), "clipped")]
)
def test_silence_and_clipping_are_refused(tmp_path, config, samples, reason):
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    with pytest.raises(AudioFormatError, match=reason):
        prepare(tmp_path, "a.wav", fake_encoders(), config)
