"""The whole recipe with tiny models: every stage finds what the one before it left, and the bundle can be played."""

import pytest

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.codec import config as codec_config
from magenta_rt_py.generators.tiny import tiny_lm, tiny_style
from magenta_rt_py.train.starter import stages
from magenta_rt_py.train.starter.__main__ import run_stage
from magenta_rt_py.train.starter.plan import phases
from magenta_rt_py.train.starter.recipe import StarterRecipe
from magenta_rt_py.train.starter.stopwatch import Stopwatch

RECIPE = StarterRecipe(
    num_pieces=6,
    pieces_per_shard=2,
    piece_seconds=17.0,
    captions_per_piece=4,
    held_out_pieces=2,
    codec_shards=1,
    codec_seconds=0.5,
    style_seconds=0.5,
    style_batch=4,
    lm_seconds=0.5,
    lm_batch=2,
    lm_target_frames=50,
    lm_depth_frames=10,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A work directory after every stage has run, in the order of the plan."""
    directory = tmp_path_factory.mktemp("starter")
    codec, style = codec_config.tiny(), tiny_style()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "sizes", lambda recipe: (codec, style, tiny_lm(codec.latent_dim, style.dim)))
        stages.check_directory(RECIPE, directory)
        for stage in (stage for lanes in phases(RECIPE) for lane in lanes for stage in lane):
            with Stopwatch(directory, stage):
                run_stage(stage, RECIPE, directory, workers=1, output=None)
    return directory


def test_the_bundle_holds_the_parts_and_their_record(directory):
    bundle = load_bundle(directory / "bundle")
    assert bundle.configs.keys() == {"codec", "style", "lm"}
    record = bundle.record
    assert record["amounts"]["pieces"] == 6 and sum(record["amounts"]["pieces_by_kind"].values()) == 6
    assert record["recipe"]["seed"] == 0 and record["amounts"]["last_seed"] == 1005
    assert {"codec", "render", "lm", "tokens"} <= record["minutes"].keys()
    assert record["source"]["version"] and record["machine"]["cores"] >= 1
    assert record["training"]["lm"]["eval/nats_mean"] > 0 and record["training"]["style"]["result"]["genre_top1"] >= 0


def test_stages_that_are_done_do_nothing(directory, monkeypatch):
    for name in ("train_codec", "train_style", "train_lm", "write_codes", "write_tokens"):
        monkeypatch.setattr(stages, name, None)  # would fail if it were called
    monkeypatch.setattr(stages, "load_codec", lambda *arguments: None)
    codec, style = codec_config.tiny(), tiny_style()
    monkeypatch.setattr(stages, "sizes", lambda recipe: (codec, style, tiny_lm(codec.latent_dim, style.dim)))
    for stage in ("render-codec", "codec", "codes", "render", "style", "tokens", "lm"):
        run_stage(stage, RECIPE, directory, workers=1, output=None)


def test_other_renders_are_not_mixed_with_these(directory):
    with pytest.raises(ValueError, match="renders with other piece_seconds"):
        stages.check_directory(StarterRecipe(**(vars(RECIPE) | {"piece_seconds": 18.0})), directory)
