"""Sizes of a checkpoint: read off its tensors, and a disagreement with the settings names both."""

import dataclasses
import json

import pytest

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.released import gin
from magenta_rt_py.released.lm_sizes import find_sizes

RELEASED = """
EMBED_DIM = 4
NUM_HEADS = 2
HEAD_DIM = 3
MLP_DIM = 5
NUM_ENCODER_LAYERS = 1
NUM_TEMPORAL_LAYERS = 2
NUM_DEPTH_LAYERS = 1
NUM_LEVELS = 16
NUM_INPUT_LEVELS = 4
ACTIVATION_DTYPE = 'bfloat16'
TASK_FEATURE_LENGTHS = {"inputs": 1006, "targets": 800}
seqio.PassThroughVocabulary.size = 29698
"""


@pytest.fixture(scope="module")
def shapes(lm_sizes):
    return parameter_shapes(lm_sizes)


def test_the_released_sizes_are_found_without_settings(oracle_folder):
    """Names and shapes of the real checkpoints where they are at hand; our own trees always."""
    trees = {name: parameter_shapes(size()) for name, size in (("base", lm_config.base), ("large", lm_config.large))}
    if oracle_folder:
        stored = json.loads((oracle_folder / "param_tree.json").read_text())
        trees |= {name: {path: tuple(shape) for path, (shape, _) in stored[name]["tree"].items()} for name in trees}
    for name, tree in trees.items():
        sizes = find_sizes(tree)
        assert sizes.config == getattr(lm_config, name)()
        assert sizes.assumed == ()


def test_settings_that_fit_add_what_tensors_do_not_tell(shapes, lm_sizes):
    found = find_sizes(shapes, gin.parse(RELEASED), "config.gin")
    assert found.config == dataclasses.replace(lm_sizes, activation_dtype="bfloat16")
    shorter = RELEASED.replace('"inputs": 1006, "targets": 800', '"inputs": 406, "targets": 400')
    config = find_sizes(shapes, gin.parse(shorter)).config
    assert (config.context_frames, config.chunk_frames) == (100, 25)


@pytest.mark.parametrize(
    ("name", "value", "evidence"),
    [
        ("EMBED_DIM", "8", "4 (token_embedder/embedding"),
        ("NUM_HEADS", "4", "2 (decoder/decoder/temporal_decoder/relpos_bias"),
        ("HEAD_DIM", "64", "3 (decoder/decoder/temporal_decoder/layers_0/self_attention/query"),
        ("MLP_DIM", "6", "5 (decoder/decoder/temporal_decoder/layers_0/mlp/wi_0"),
        ("NUM_ENCODER_LAYERS", "12", "1 (encoder/layers_0"),
        ("NUM_TEMPORAL_LAYERS", "20", "2 (decoder/decoder/temporal_decoder/layers_0"),
        ("NUM_DEPTH_LAYERS", "4", "1 (decoder/decoder/depth_decoder/depth_layers_0"),
        ("NUM_LEVELS", "12", "16 (decoder/decoder/depth_decoder/relpos_bias_depth"),
        ("NUM_HEADS", "@heads()", "2 (decoder"),
        ("TASK_FEATURE_LENGTHS", '{"inputs": 1007, "targets": 800}', "relpos_bias_depth"),
        ("seqio.PassThroughVocabulary.size", "29900", "29824 rows"),
        ("ACTIVATION_DTYPE", "'float16'", "float16"),
    ],
)
def test_a_disagreement_names_both(shapes, name, value, evidence):
    with pytest.raises(CheckpointError) as caught:
        find_sizes(shapes, gin.parse(f"{RELEASED}\n{name} = {value}\n"), "config.gin")
    message = str(caught.value)
    assert message.startswith("config.gin") and evidence in message
    assert name in message or name == "ACTIVATION_DTYPE"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.pop("encoder/layers_0/mlp/wo/kernel"), "missing encoder/layers_0/mlp/wo/kernel"),
        (lambda tree: tree.pop("token_embedder/embedding"), "'token_embedder/embedding' is missing"),
        (lambda tree: tree.update({"decoder/more": (3,)}), "not expected: decoder/more"),
        (lambda tree: tree.update({"encoder/encoder_norm/scale": (5,)}), r"encoder_norm/scale has shape \(5,\)"),
        (lambda tree: tree.update({"encoder/layers_7/mlp/wo/kernel": (5, 4)}), "missing encoder/layers_1"),
        (lambda tree: tree.update({"token_embedder/embedding": (4,)}), "expected two axes"),
        (
            lambda tree: [tree.pop(path) for path in list(tree) if "depth_layers" in path],
            "no tensor decoder/decoder/depth_decoder/depth_layers_0",
        ),
        (lambda tree: tree.clear(), "is missing"),
        (
            lambda tree: tree.update({path: tuple(3 if size == 4 else size for size in tree[path]) for path in tree}),
            "make no model: got dim 3",
        ),
    ],
)
def test_other_tensors_are_refused_by_name(shapes, change, message):
    tree = dict(shapes)
    change(tree)
    with pytest.raises(CheckpointError, match=message) as caught:
        find_sizes(tree)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_another_number_of_rows_is_taken_with_an_assumption(oracle_folder):
    """The fixture's own settings, 300 ids in 384 rows and 4 levels: the layout that the released toy was given."""
    sizes = {"dim": 8, "num_heads": 2, "head_dim": 4, "mlp_dim": 6, "num_levels": 4, "depth_buckets": 4}
    layers = {"encoder_layers": 1, "temporal_layers": 1, "depth_layers": 1}
    layout = {"codebook_size": 16, "reserved_tokens": 0, "unused_tokens": 300 - 2 - 160, "context_frames": 6}
    made = lm_config.LMConfig(**sizes, **layers, **layout, chunk_frames=6)
    given = gin.parse("TASK_FEATURE_LENGTHS = {'inputs': 30, 'targets': 24}\nseqio.PassThroughVocabulary.size = 300\n")
    found = find_sizes(parameter_shapes(made), given)
    assert found.config == made
    assert "16 codes a level" in found.assumed[0]
    assert find_sizes(parameter_shapes(made)).config.vocabulary_rows == 384
