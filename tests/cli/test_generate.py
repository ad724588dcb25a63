"""`mrtpy generate`: what it writes, what it says, what it refuses before it starts."""

import json
import shutil

import numpy as np
import pytest

from magenta_rt_py import audio
from magenta_rt_py.generators import system


@pytest.fixture
def no_model(monkeypatch):
    """Fails the test if a model is loaded: the input must have been refused before."""

    def load(*arguments):
        raise AssertionError("a model was loaded before the input was checked")

    monkeypatch.setattr(system, "load", load)


def test_take_from_text_and_audio(run, tiny_bundle, loop, tmp_path):
    out = tmp_path / "take.flac"
    code, text, err = run(
        *("generate", "--prompt", "lofi hip hop:1.0", "--prompt", f"{loop}:0.5", "--seconds", "2.5", "--seed", "3"),
        *("--out", out, "--bundle", tiny_bundle, "--plot", tmp_path / "take.png"),
    )
    assert (code, err) == (0, "")
    assert "real-time factor" in text
    assert "lofi hip hop x 1 + " in text
    take = audio.read(out)
    assert take.samples.shape == (120_000, 2)
    assert take.sample_rate == 48_000
    assert (tmp_path / "take.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_and_the_seed_decides(run, tiny_bundle, tmp_path):
    reports = []
    for name, seed in (("a.wav", 5), ("b.wav", 5), ("c.wav", 6)):
        code, text, err = run(
            *("generate", "--prompt", "techno", "--seconds", "1", "--seed", seed, "--out", tmp_path / name, "--json"),
            *("--bundle", tiny_bundle, "--bpm", "none", "--guidance", "0", "--temperature", "1.2", "--top-k", "0"),
        )
        assert (code, err) == (0, "")
        reports.append(json.loads(text))
    assert reports[0]["seconds"] == 1.0
    assert reports[0]["rtf_model"] > 0
    controls = {"temperature": 1.2, "top_k": 0, "guidance_weight": 0.0, "bpm": None, "adapter_strength": None}
    assert reports[0]["score"][0]["controls"] == controls
    a, b, c = (audio.read(tmp_path / name).samples for name in ("a.wav", "b.wav", "c.wav"))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_score_file(run, tiny_bundle, tmp_path):
    score = tmp_path / "score.json"
    score.write_text(
        json.dumps([{"at_seconds": 0, "prompts": {"a": 1}}, {"at_seconds": 2, "prompts": {"b": 1}, "ramp_seconds": 1}])
    )
    code, text, _ = run(
        "generate", "--score", score, "--seconds", "4", "--out", tmp_path / "t.ogg", "--bundle", tiny_bundle
    )
    assert code == 0
    assert "from 2 s: b x 1" in text


def test_demo_score_is_valid(root):
    from magenta_rt_py.generators.controls import Controls
    from magenta_rt_py.generators.score import read_score

    score = read_score(root / "examples" / "demo_score.json", Controls())
    assert len(score.prompts) >= 2
    assert score.cues[-1].at_seconds + score.cues[-1].ramp_seconds < 30


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", ""], "empty prompt"),
        (["--prompt", "techno:nan"], "weight nan"),
        (["--prompt", "techno:-1"], "weight -1"),
        (["--prompt", "x" * 10_000], "10000 characters"),
        (["--prompt", "missing.wav:0.5"], "missing.wav"),
        (["--prompt", "a", "--seconds", "nan"], "nan seconds"),
        (["--prompt", "a", "--seconds", "0"], "0.0 seconds"),
        (["--prompt", "a", "--seconds", "1e9"], "seconds"),
        (["--prompt", "a", "--out", "take.mp3"], "ending is .mp3"),
        (["--prompt", "a", "--out", "no/such/folder/take.wav"], "no folder"),
        (["--prompt", "a", "--plot", "take.gif"], "ending is .gif"),
        (["--prompt", "a", "--bpm", "nan"], "bpm is nan"),
        (["--prompt", "a", "--bpm", "allegro"], "no tempo"),
        (["--prompt", "a", "--temperature", "-1"], "temperature is -1"),
        (["--prompt", "a", "--top-k", "5000"], "top_k is 5000"),
        (["--prompt", "a", "--guidance", "inf"], "guidance_weight is inf"),
        (["--prompt", "a", "--adapter-strength", "0.5"], "has no adapters"),
        (["--prompt", "a", "--seed", "-1"], "seed is -1"),
        (["--prompt", "a", "--seed", "x"], "invalid int"),
        (["--prompt", "a", "--score", "b.json"], "not allowed with"),
        (["--score", "missing.json"], "missing.json"),
        ([], "required"),
        (["--prompt", "a", "--promt", "b"], "unrecognized"),
    ],
)
def test_bad_input_is_one_line_before_any_work(refuse, tiny_bundle, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refuse("generate", "--bundle", tiny_bundle, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_model")
def test_files_that_are_no_audio_no_score_no_bundle(refuse, tiny_bundle, tmp_path):
    text = tmp_path / "song.wav"
    text.write_text("not audio")
    assert "song.wav" in refuse("generate", "--prompt", text, "--bundle", tiny_bundle, "--out", tmp_path / "t.wav")
    score = tmp_path / "score.json"
    score.write_text('[{"at_seconds": 0, "prompts": {"a": 1}}, {"at_seconds": 5, "prompts": {"song.mp3": 1}}]')
    assert "song.mp3" in refuse("generate", "--score", score, "--bundle", tiny_bundle, "--out", tmp_path / "t.wav")
    assert "nowhere" in refuse(
        "generate", "--prompt", "a", "--bundle", tmp_path / "nowhere", "--out", tmp_path / "t.wav"
    )
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    shard = next(copy.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert shard.name in refuse("generate", "--prompt", "a", "--bundle", copy, "--out", tmp_path / "t.wav")


def test_full_disk_while_writing(refuse, tiny_bundle, tmp_path, monkeypatch):
    def write(path, samples, sample_rate):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(audio, "write", write)
    out = tmp_path / "t.wav"
    assert "No space left" in refuse(
        "generate", "--prompt", "a", "--seconds", "1", "--bundle", tiny_bundle, "--out", out
    )


def test_interrupted(run, tiny_bundle, tmp_path, monkeypatch):
    def load(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(system, "load", load)
    code, out, err = run("generate", "--prompt", "a", "--bundle", tiny_bundle, "--out", tmp_path / "t.wav")
    assert (code, out, err) == (130, "", "mrtpy: interrupted\n")
