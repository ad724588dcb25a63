"""Parts from nothing: what is written is a bundle's part that loads, and the music is read once."""

import numpy as np
import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.generators import system
from magenta_rt_py.train.parts import AudioRun, Piece, studio_pieces, train_codec_part, train_style_part

pytestmark = pytest.mark.usefixtures("quick_compiles")

SECONDS = 1.0


def tones(count, seconds=6):
    time = np.arange(seconds * 48_000) / 48_000
    for number in range(count):
        tone = 0.3 * np.sin(2 * np.pi * 90 * 1.3**number * time)
        samples = np.stack([tone, tone], axis=1).astype(np.float32)
        yield Piece(samples=samples, captions=(f"a steady tone number {number}", "a tone", f"pitch {number} held for long"))


def no_music():
    raise AssertionError("the music is read again")
    yield


def train(part, output, pieces, *, work=None, base=None, music="tones"):
    run = AudioRun(
        pieces=pieces,
        music=music,
        seconds=SECONDS,
        work=work or output.with_suffix(".work"),
        base=base,
        seed=0,
        log=lambda line: None,
    )
    return part("tiny", output, run)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """A bundle with a codec alone, its work directory beside it."""
    output = tmp_path_factory.mktemp("codec") / "mine"
    train(train_codec_part, output, tones(4))
    return output


def test_a_codec_loads_and_goes_on_without_reading_the_music_again(codec):
    model = system.load_codec(codec)
    codes = model.encode(np.zeros((1, 1920 * 4, 2), np.float32))
    assert codes.shape[-1] == model.num_levels
    train(train_codec_part, codec, no_music())
    assert load_bundle(codec).record["trained"]["codec"]["source"]["version"]


def test_other_music_in_the_same_work_directory_is_refused(codec):
    with pytest.raises(ValueError, match="other music .tones, tiny, not bells, tiny."):
        train(train_codec_part, codec, tones(4), music="bells")


def test_a_style_model_joins_a_bundle_that_has_a_codec(codec, tmp_path):
    output, before = tmp_path / "mine", load_bundle(codec)
    train(train_style_part, output, tones(10), work=codec.with_suffix(".work"), base=before)
    made = load_bundle(output)
    assert made.configs.keys() == {"codec", "style"}
    assert made.part_fingerprint("codec") == before.part_fingerprint("codec")
    embedding = system.load_style(made).embed_text(["a steady tone"])
    assert np.isfinite(embedding).all() and embedding.shape == (1, 16)


def test_too_little_music_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got 3 pieces of music"):
        train(train_style_part, tmp_path / "mine", tones(3))
    with pytest.raises(ValueError, match="no music"):
        train(train_codec_part, tmp_path / "none", iter(()))
    assert not (tmp_path / "mine").exists() and not (tmp_path / "none").exists()


def test_the_studio_gives_labelled_pieces():
    piece = next(studio_pieces(0.5))
    assert piece.samples.shape == (30 * 48_000, 2) and len(piece.captions) > 1
