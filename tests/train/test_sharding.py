"""Rules: what is split by which axis, and what is left whole."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from magenta_rt_py.lm.config import large
from magenta_rt_py.lm.model import parameter_shapes
from magenta_rt_py.train.sharding import (
    MeshConfig,
    bytes_on_one_device,
    make_mesh,
    place,
    place_batch,
    spec_of,
    whole_on_host,
)

SIZES = {"data": 2, "fsdp": 4, "tensor": 2}


def test_every_large_parameter_of_a_megabyte_is_split():
    for path, shape in parameter_shapes(large()).items():
        if np.prod(shape) * 4 > 1e6:
            spec = spec_of(path, shape, SIZES)
            assert bytes_on_one_device(shape, 4, spec, SIZES) == np.prod(shape) * 4 // 8, path


def test_a_state_of_any_optimiser_lies_where_its_parameters_lie():
    name = "encoder/layers_3/mlp/wo/kernel"
    spec = spec_of(name, (2816, 1024), SIZES)
    assert spec == P("tensor", "fsdp")
    assert spec_of(f"opt_state/1/0/mu/{name}", (2816, 1024), SIZES) == spec
    assert spec_of(f"opt_state/0/v_row/{name}", (2816,), SIZES) == P(), "a row sum is whole"
    assert spec_of(f"opt_state/0/v/{name}", (1,), SIZES) == P()


def test_what_does_not_divide_is_left_whole():
    assert spec_of("x/query/kernel", (6, 16), SIZES) == P(None, "tensor")
    assert spec_of("x/scale", (1024,), SIZES) == P()


def test_a_mesh_must_multiply_to_the_devices():
    assert MeshConfig(fsdp=2).sizes(8) == {"data": 4, "fsdp": 2, "tensor": 1}
    with pytest.raises(ValueError, match="expected a product of 6"):
        MeshConfig(fsdp=4).sizes(6)
    with pytest.raises(ValueError, match="expected a product of 2"):
        MeshConfig(data=4).sizes(2)


def test_placing_and_fetching_changes_nothing():
    mesh = make_mesh()
    tree = {"query": {"kernel": np.arange(12.0, dtype=np.float32).reshape(3, 4)}, "scale": np.ones(3, np.float32)}
    placed = place(tree, mesh)
    assert isinstance(placed["query"]["kernel"], jax.Array)
    fetched = whole_on_host(placed)
    np.testing.assert_array_equal(fetched["query"]["kernel"], tree["query"]["kernel"])
    batch = place_batch((np.zeros((4, 2)), np.zeros((4, 3, 5))), mesh)
    assert batch[1].shape == (4, 3, 5)
