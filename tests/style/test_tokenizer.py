import numpy as np
import pytest

from magenta_rt_py.style import config as presets
from magenta_rt_py.style.tokenizer import BOS_ID, PAD_ID, Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tokenizer_bytes) -> Tokenizer:
    return Tokenizer(tokenizer_bytes, presets.tiny())


@pytest.mark.parametrize("text", ["dark techno", "jazz trio, brushed drums", "ジャズ", "musique très douce", "🎷"])
def test_round_trip_in_any_script(tokenizer, text):
    assert tokenizer.decode(tokenizer.pieces(text)) == text


def test_case_does_not_matter(tokenizer):
    assert tokenizer.pieces("  DARK Techno ") == tokenizer.pieces("dark techno")


def test_ids_are_bos_pieces_padding(tokenizer):
    ids, present = tokenizer.encode(["dark techno", "jazz"])
    pieces = tokenizer.pieces("dark techno")
    assert ids.shape == present.shape == (2, 16)
    assert ids[0, : len(pieces) + 1].tolist() == [BOS_ID, *pieces]
    assert (ids[~present] == PAD_ID).all()
    assert present.sum(axis=1).tolist() == [len(pieces) + 1, len(tokenizer.pieces("jazz")) + 1]


def test_long_prompts_are_truncated_and_endless_ones_refused(tokenizer):
    ids, present = tokenizer.encode(["techno " * 100])
    assert present.all()
    assert ids[0, 1:].tolist() == tokenizer.pieces("techno " * 100)[:15]
    with pytest.raises(ValueError, match="10000 characters; shorten it to at most 2000"):
        tokenizer.encode(["a" * 10_000])


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t"])
def test_empty_prompts_are_refused(tokenizer, prompt):
    with pytest.raises(ValueError, match="prompt is empty"):
        tokenizer.encode(["jazz", prompt])


def test_broken_surrogates_are_no_crash(tokenizer):
    assert np.array(tokenizer.pieces("jazz \ud83d")).size > 0


def test_bytes_that_are_no_tokenizer_are_refused():
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        Tokenizer(b"not a model", presets.tiny())
