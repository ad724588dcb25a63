"""Settings files: literals are read, everything else stays text, and nothing is run."""

import pytest

from magenta_rt_py.released.gin import LARGEST_FILE_CHARACTERS, Unread, parse

FILE = '''
from __gin__ import dynamic_registration
import seqio
include 'somewhere/else.gin'
from magenta_rt.depthformer import model

# Sizes ------------
EMBED_DIM = 768  # width
MLP_DIM=2048
ACTIVATION_DTYPE = 'bfloat16'
TASK_FEATURE_LENGTHS = {
    "inputs": 1006,  # 10 s # and style
    "targets": 800,
}
DROPOUT_RATE = 0.1
NAMES = ('a # b', "c = {")
LONG = \\
    5
NEXT =
    6
MODEL = @model.Model()
seqio.PassThroughVocabulary.size = 29698
train/utils.DatasetConfig.batch_size = 512
network.Config.dim = %EMBED_DIM
network.Config.other = %NOWHERE
embedding.Embed:
    features = %EMBED_DIM
    dtype = 'float32'

NUM_HEADS = 12
NUM_HEADS = 16
'''


def test_values():
    values = parse(FILE)
    assert values == {
        "EMBED_DIM": 768,
        "MLP_DIM": 2048,
        "ACTIVATION_DTYPE": "bfloat16",
        "TASK_FEATURE_LENGTHS": {"inputs": 1006, "targets": 800},
        "DROPOUT_RATE": 0.1,
        "NAMES": ("a # b", "c = {"),
        "LONG": 5,
        "NEXT": 6,
        "MODEL": "@model.Model()",
        "seqio.PassThroughVocabulary.size": 29698,
        "train/utils.DatasetConfig.batch_size": 512,
        "network.Config.dim": 768,
        "network.Config.other": "%NOWHERE",
        "embedding.Embed.features": 768,
        "embedding.Embed.dtype": "float32",
        "NUM_HEADS": 16,
    }
    assert isinstance(values["MODEL"], Unread) and isinstance(values["network.Config.other"], Unread)
    assert not isinstance(values["ACTIVATION_DTYPE"], Unread)


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "ran"
    program = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    values = parse(f"A = {program}\nB = %A\nC = [{program}]\nD = @{program}\n")
    assert not mark.exists()
    assert all(isinstance(value, Unread) for value in values.values())


@pytest.mark.parametrize("text", ["A = %B\nB = %A", "A = %A", "A = " + "[" * 5000 + "]" * 5000, "A = 1 +"])
def test_what_leads_nowhere_stays_text(text):
    assert isinstance(parse(text)["A"], Unread)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A = [1,\n2\n", "value that begins in line 1"),
        ("A = 1\n\nhello world\n", "line 3"),
        ("A =", "value that begins in line 1"),
        ("#" * (LARGEST_FILE_CHARACTERS + 1), "characters of settings"),
    ],
)
def test_what_is_no_settings_file_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_the_released_overrides_are_read(oracle_folder):
    """Settings as the released code was given them; none where its files are not at hand."""
    import json

    for path in [oracle_folder / "tiny_f32.json"] if oracle_folder else []:
        stored = json.loads(path.read_text())
        values = parse(stored["gin_overrides"])
        names = ("EMBED_DIM", "HEAD_DIM", "NUM_HEADS", "MLP_DIM", "NUM_ENCODER_LAYERS", "NUM_LEVELS")
        assert {name: values[name] for name in names} == {name: stored["config"][name] for name in names}
        assert values["TASK_FEATURE_LENGTHS"] == {"inputs": 30, "targets": 24}
