"""Uploads: sound becomes 48 kHz stereo, everything else a line that says why not; no header is believed."""

import contextlib
import io
import struct
import threading
import zlib

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from magenta_rt_py.errors import AudioFormatError
from magenta_rt_py.serve import uploads
from magenta_rt_py.serve.uploads import Shelf, Upload, UploadConfig, decode, shown_name


def tone(seconds=1.0, rate=48_000, channels=2, hz=440.0):
    wave = 0.3 * np.sin(2.0 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def file_of(samples, rate=48_000, kind="FLAC", subtype=None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["FLAC", "WAV", "OGG", "AIFF", "MP3"])
def test_all_kinds_are_read(kind):
    upload = decode(file_of(tone(), kind=kind), f"take.{kind.lower()}")
    assert upload.name == f"take.{kind.lower()}"
    assert upload.samples.shape[1] == 2
    assert upload.samples.dtype == np.float32
    assert upload.seconds == pytest.approx(1.0, abs=0.06)  # MP3 pads
    middle = upload.samples[10_000:38_000, 0]
    assert np.abs(np.fft.rfft(middle)).argmax() / len(middle) * 48_000 == pytest.approx(440.0, abs=3.0)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (96_000, 2), (8_000, 6), (48_000, 1)])
def test_rates_and_channels_are_brought_to_ours(rate, channels):
    upload = decode(file_of(tone(1.5, rate, channels), rate, "WAV"))
    assert len(upload.samples) == pytest.approx(72_000, abs=2)
    assert np.abs(np.fft.rfft(upload.samples[:48_000, 1])).argmax() == 440
    np.testing.assert_allclose(np.abs(upload.samples[5000:60_000]).max(), 0.3, atol=0.01)


def test_samples_at_our_rate_stay_as_they_are():
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (150_000, 2)).astype(np.int16)  # more than two blocks
    upload = decode(file_of(samples, kind="FLAC", subtype="PCM_16"))
    np.testing.assert_array_equal(np.rint(upload.samples * 32_768).astype(np.int32), samples)


def test_what_is_too_long_is_refused_before_it_is_decoded(monkeypatch):
    """Ten hours of silence are 15 MB of FLAC, and would be 14 GB of samples."""
    read = []
    inner = soundfile.SoundFile.read

    def counting(self, frames=-1, **options):
        read.append(frames)
        return inner(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    silence = file_of(np.zeros((48_000 * 200, 1), np.int16))
    assert len(silence) < 1_000_000
    with pytest.raises(AudioFormatError, match="longer than 60 s; cut it"):
        decode(silence, "long.flac")
    assert sum(read) <= 60 * 48_000 + 2 * uploads.BLOCK_SAMPLES


def flac_with_length(data: bytes, samples: int) -> bytes:
    """The same FLAC with another number of samples in its header: 36 bits at byte 21 of the file."""
    packed = (data[21] & 0xF0) << 32 | samples
    return data[:21] + packed.to_bytes(5, "big") + data[26:]


def wav_with_length(data: bytes, size: int) -> bytes:
    place = data.index(b"data") + 4
    whole = min(size + 36, 2**32 - 1)
    return data[:4] + struct.pack("<I", whole) + data[8:place] + struct.pack("<I", size) + data[place + 4 :]


def test_a_header_that_promises_more_than_there_is():
    for lying in (
        wav_with_length(file_of(tone(), kind="WAV"), 2**32 - 100),
        flac_with_length(file_of(tone()), 2**36 - 1),
        flac_with_length(file_of(tone()), 48_000 * 3600 * 10),
    ):
        try:
            upload = decode(lying, "lie")
        except AudioFormatError as error:
            assert "lie" in str(error)
        else:
            assert upload.seconds <= 1.01


def test_a_header_that_promises_less_than_there_is():
    """It must not let more through than it says, nor than is allowed."""
    config = UploadConfig(most_seconds=2.0)
    for lying in (flac_with_length(file_of(tone(5.0)), 48_000), flac_with_length(file_of(tone(5.0)), 0)):
        with contextlib.suppress(AudioFormatError):
            assert decode(lying, config=config).seconds <= 2.0


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "this is no sound file"),
        (b"just some words, and then some more\n" * 100, "this is no sound file"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + b"words " * 50, "cannot be read as sound"),
        (b"fLaC" + b"\0" * 1000, "cannot be read as sound"),
        (b"ID3" + zlib.compress(b"\0" * 10_000_000), "cannot be read as sound"),
        (b"PK\x03\x04" + zlib.compress(b"\0" * 10_000_000), "this is no sound file"),
        (b"\xff\xfb" + b"\xff" * 3000, "cannot be read as sound|holds 0.00 s"),
    ],
)
def test_what_is_no_sound_is_said_in_one_line(data, why):
    with pytest.raises(AudioFormatError, match=why) as caught:
        decode(data, "../../etc/passwd")
    assert str(caught.value).startswith("passwd: ")
    assert "\n" not in str(caught.value)


def test_half_a_file_is_half_a_sound_or_none():
    whole = file_of(tone(2.0), kind="FLAC")
    for end in (50, 100, len(whole) // 2, len(whole) - 1):
        try:
            assert decode(whole[:end]).seconds <= 2.0
        except AudioFormatError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    samples = tone()
    samples[40_000, 1] = bad
    with pytest.raises(AudioFormatError, match="NaN or infinite"):
        decode(file_of(samples, kind="WAV", subtype="FLOAT"))


def test_samples_that_are_far_too_loud_are_cut():
    upload = decode(file_of(np.full((9600, 2), 1e38, np.float32), 44_100, "WAV", "FLOAT"))
    assert np.isfinite(upload.samples).all()
    assert np.abs(upload.samples).max() < 100.0


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (384_000, 2), (48_000, 9), (2**31 - 1, 1)])
def test_headers_of_no_instrument_are_refused(rate, channels):
    with pytest.raises(AudioFormatError, match="give 1 to 8 at 4000 to 192000 Hz"):
        decode(file_of(np.zeros((100, channels), np.float32), rate, "WAV"))


def test_what_is_too_short_is_refused():
    with pytest.raises(AudioFormatError, match="holds 0.05 s; give 0.1 s or more"):
        decode(file_of(tone(0.05)))
    with pytest.raises(AudioFormatError, match="give 0.1 s or more"):
        decode(file_of(np.zeros((0, 2), np.float32), kind="WAV"))


@given(data=st.binary(max_size=400), magic=st.sampled_from([*uploads.MAGIC, b"\xff\xfb", b""]))
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise_anything_else(data, magic):
    try:
        assert np.isfinite(decode(magic + data).samples).all()
    except AudioFormatError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("drums.wav", "drums.wav"),
        ("../../../etc/passwd", "passwd"),
        ("C:\\music\\a b.wav", "a b.wav"),
        ("evil\r\nSet-Cookie: a=b.wav", "evil Set-Cookie: a=b.wav"),
        ("x" * 500, "x" * 80),
        ("", "sound"),
        (None, "sound"),
        ("..", ".."),
        ("<script>.wav", "<script>.wav"),  # a text like any other: whoever shows it shows it as text
    ],
)
def test_names_are_only_to_be_shown(given_name, shown):
    assert shown_name(given_name) == shown


def test_a_shelf_gives_back_what_was_put_there():
    shelf, upload = Shelf(), Upload("a", tone())
    name = shelf.add(upload)
    assert len(name) == 33 and name[0] == "@" and int(name[1:], 16) >= 0
    assert shelf.find(name) is upload
    assert shelf.find("@" + "0" * 32) is None
    assert Shelf().find(name) is None
    assert shelf.forget(name)
    assert not shelf.forget(name)
    assert shelf.find(name) is None


def test_a_shelf_has_an_end():
    shelf = Shelf(most=2, most_seconds=3.5)
    names = [shelf.add(Upload("a", tone())), shelf.add(Upload("b", tone()))]
    with pytest.raises(ValueError, match="2 sounds of 2 s are kept already; forget one"):
        shelf.add(Upload("c", tone()))
    shelf.forget(names[0])
    with pytest.raises(ValueError, match="forget one"):
        shelf.add(Upload("c", tone(3.0)))
    assert shelf.find(shelf.add(Upload("c", tone(2.0)))).name == "c"
    assert len(shelf) == 2


def test_many_threads_cannot_overfill_a_shelf():
    shelf, upload = Shelf(most=10), Upload("a", tone(0.1))
    full = []

    def fill():
        for _ in range(20):
            try:
                shelf.add(upload)
            except ValueError:
                full.append(1)

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(shelf), len(full)) == (10, 70)
