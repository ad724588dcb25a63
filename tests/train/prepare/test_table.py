"""The closing table names what was left out, and what to do next."""

from pathlib import Path

from magenta_rt_py.train.prepare.index import PreparedIndex, ShardEntry, SkippedEntry, UsedFile
from magenta_rt_py.train.prepare.table import MOST_LINES, lines_of

SIZES = {"pieces": 3, "seconds": 1.0, "bpm": None}


def index(skipped=0, shards=2):
    return PreparedIndex(
        codec="c",
        style="s",
        settings={},
        shards=[
            ShardEntry(name=f"{n}", held_out=n == 1, num_bytes=1_000_000, sha256="", pieces=3, seconds=1800.0)
            for n in range(shards)
        ],
        used=[
            UsedFile(path="a.wav", held_out=False, notes=["band limited (8000 Hz)"], has_clock=True, **SIZES),
            UsedFile(path="b.wav", held_out=True, notes=[], has_clock=False, **SIZES),
        ],
        skipped=[SkippedEntry(path=f"{n}.wav", reason="silent") for n in range(skipped)],
    )  # fmt: skip


def test_all_is_said():
    text = "\n".join(lines_of(index(skipped=2), Path("out")))
    assert "1.00 h of music from 2 files, 2 skipped; 2 shards, 2.0 MB" in text
    assert "30.0 min in 1 whole files (b.wav)" in text
    assert "  1.wav  silent" in text and "  a.wav  band limited (8000 Hz)" in text
    assert text.endswith("next: mrtpy finetune --from starter --data out --out my-model")


def test_a_long_list_is_cut_and_an_empty_folder_has_no_next_step():
    text = "\n".join(lines_of(index(skipped=MOST_LINES + 3, shards=0), Path("out")))
    assert "and 3 more" in text and "next:" not in text and "nothing could be used" in text
