"""All measurements of a model, at the smallest size: the figures are figures, and fit each other."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from magenta_rt_py.generators.state import FRAME_SAMPLES
from magenta_rt_py.lm import config as lm_config
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.speed import model_speed, subject, table
from magenta_rt_py.speed.first_sound import PROGRAM
from magenta_rt_py.speed.many import Batch
from magenta_rt_py.speed.model_speed import Plan

SMALL = {"streamed_megabytes": 4, "matrix_side": 64, "requests": 3, "has_first_sound": False}


def silent(line):
    del line


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    plan = Plan(
        size="tiny", dtype="bfloat16", layers=1, device="cpu", hops=(50, 5), streams=(2,), batch_hop=5,
        profile=tmp_path_factory.mktemp("trace"), **SMALL,
    )  # fmt: skip
    return model_speed.measure(plan, say=silent)


def test_every_figure_is_there(report):
    assert report["model"]["lm_dtype"] == "bfloat16" and report["model"]["cut_to_layers"] == 1
    assert [hop["hop_frames"] for hop in report["hops"]] == [50, 5]
    for figures in (*report["hops"], *report["batches"]):
        ordered = [figures[f"{name}_seconds"] for name in ("p50", "p95", "p99", "p999", "worst")]
        assert ordered == sorted(ordered) and ordered[0] > 0 and figures["requests"] == 3
        assert figures["rtf_a_core"] > 0
        bound = figures["roofline"]
        assert 0 < bound["bound_seconds_on_chip"] <= bound["bound_seconds"]
        assert bound["share_reached"] == pytest.approx(bound["bound_seconds"] / figures["p50_seconds"])
        assert set(bound["parts"]) == {"encoder", "cross", "temporal", "depth", "heads", "codec"}
    assert report["memory"]["peak_process_megabytes"] > 10
    traces = list(Path(report["profile"]["folder"]).rglob("*.xplane.pb"))
    assert len(traces) == 1 and report["profile"]["files"] >= 1
    assert b"request 1" in traces[0].read_bytes()
    assert report["machine"]["backend"] == "cpu"


def test_a_batch_reads_weights_once_and_computes_for_every_stream(report):
    one, two = report["hops"][1]["roofline"]["parts"], report["batches"][0]["roofline"]["parts"]
    for part, cost in one.items():
        assert two[part]["weights"] == cost["weights"]
        assert two[part]["million_multiply_adds_a_frame"] == pytest.approx(2 * cost["million_multiply_adds_a_frame"])


def test_streams_in_real_time_need_speed_and_punctuality():
    def batch(streams, rtf, p99):
        return {"streams": streams, "rtf": rtf, "p99_seconds": p99, "hop_seconds": 2.0}

    batches = [batch(2, 4.0, 0.6), batch(8, 1.1, 1.9), batch(16, 1.05, 2.1), batch(32, 0.7, 3.0)]
    found = model_speed.streams_in_real_time({"hops": [{"rtf": 5.7}, {"rtf": 3.1}], "batches": batches})
    assert found == {"one_after_another": 5, "in_one_batch": 8, "batches_tried": 4}
    found = model_speed.streams_in_real_time({"hops": [{"rtf": 0.4}], "batches": []})
    assert found == {"one_after_another": 0, "in_one_batch": None, "batches_tried": 0}


def test_the_report_becomes_tables(report):
    text = table.markdown(report)
    for line in text.splitlines():
        assert not line or (line.startswith("|") and line.endswith("|")), line
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1, block
    assert len(blocks) == 5 and "tiny, cut to at most 1 layers a stack" in text and "bfloat16" in text
    assert [line.split("|")[1].strip() for line in blocks[1][2:]] == ["2", "0.2"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0, "0"), (1234.6, "1,230"), (0.01234, "0.0123"), (12.34, "12.3"), (1e-6, "0.000001")]
)
def test_numbers_are_written_plainly(value, text):
    assert table.number(value) == text


def test_random_weights_fill_the_geometry_in_the_type_asked_for():
    built = subject.build("tiny", dtype="bfloat16", layers=1)
    config = subject.size_config("tiny", 1)
    assert built.lm_parameters == sum(int(np.prod(shape)) for shape in parameter_shapes(config).values())
    kernel = np.asarray(built.models.lm_params["decoder"]["logits_dense"]["kernel"], np.float32)
    assert str(built.models.lm_params["decoder"]["logits_dense"]["kernel"].dtype) == "bfloat16"
    assert 0.5 < kernel.std() * np.sqrt(config.dim) < 2.0 and len(np.unique(kernel[:, 0])) > 1
    assert np.linalg.matrix_rank(kernel) == config.dim


def test_the_frame_loop_is_measured_with_weights_in_the_storage_asked_for():
    plan = Plan(size="tiny", storage="int8", layers=1, device="cpu", hops=(5,), **SMALL)
    report = model_speed.measure(plan, say=silent)
    assert report["model"]["frame_loop"] == "int8" and report["model"]["lm_dtype"] == "float32"
    assert "| one stream's frames | loop, int8 |" in table.markdown(report)
    assert subject.build("tiny", storage="float32").loop_storage == "float32" and subject.build("tiny").loop_storage is None


def test_a_wide_model_in_float32_is_not_for_the_loop(monkeypatch):
    monkeypatch.setattr(subject, "_random_params", None)  # refused before there are weights
    with pytest.raises(ValueError, match="XLA makes the frames of this model here"):
        subject.build("base", storage="float32")


def test_layers_cut_a_size_and_leave_the_rest():
    whole, cut = lm_config.large(), subject.size_config("large", 4)
    assert (cut.encoder_layers, cut.temporal_layers, cut.depth_layers) == (4, 4, 4)
    assert subject.size_config("large", 99) == subject.size_config("large") == whole
    assert dataclasses.replace(cut, encoder_layers=24, temporal_layers=20) == whole


def test_a_stream_of_random_weights_makes_requests_of_any_length():
    stream = subject.build("tiny").stream()
    assert stream.is_warm
    assert stream.next_chunk(5).shape == (5 * FRAME_SAMPLES, 2)


@pytest.mark.parametrize("size", ["tiny", "bundle"])
def test_streams_of_a_batch_go_on_each_for_itself(size, tiny_bundle):
    built = subject.build("tiny") if size == "tiny" else subject.build("starter", bundle=tiny_bundle)
    assert built.size == size
    batch = Batch(built, 2, 5)
    first, second = batch.next_chunk(), batch.next_chunk()
    assert first.shape == second.shape == (2, 5 * FRAME_SAMPLES, 2)
    assert not np.array_equal(second[0], second[1]) and not np.array_equal(first[0], second[0])
    assert [int(state.frame_index) for state in batch._states] == [10, 10]


def test_the_first_sound_is_that_of_the_weights_asked_for(capsys):
    assert subject.first_sound_program("large", None) == subject.RANDOM_PROGRAM
    assert subject.first_sound_program("starter", None) == subject.first_sound_program("large", Path("bundle")) == PROGRAM
    subject.play_first("tiny", dtype="float32", layers=1, device="cpu")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": "huge"}, "the size is 'huge'"),
        ({"dtype": "float16"}, "the dtype is 'float16'"),
        ({"storage": "int4"}, "the storage is 'int4'"),
        ({"storage": "int8", "dtype": "bfloat16"}, "the storage is 'int8' with dtype bfloat16"),
        ({"size": "base", "layers": 0}, "layers is 0"),
        ({"size": "starter", "layers": 2}, "trained weights cannot be cut"),
        ({"hops": ()}, "hops are"),
        ({"hops": (51,)}, "hops are"),
        ({"streams": (0,)}, "streams are"),
        ({"requests": 0}, "requests is 0"),
        ({"limit_seconds": float("nan")}, "limit_seconds is nan"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Plan(**fields)
