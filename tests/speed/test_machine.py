"""What is told of a machine."""

import jax
import pytest

from magenta_rt_py.speed import machine


def test_a_machine_is_described():
    told = machine.describe_machine()
    assert told["cores"] >= 1 and told["memory_megabytes"] > 100 and told["load_average"] >= 0
    assert told["jax"] == jax.__version__ and told["backend"] == "cpu"
    assert machine.peak_memory_megabytes() > 10
    assert machine.peak_device_memory_megabytes(jax.devices()[0]) is None


def test_a_device_that_is_not_there_is_named():
    assert machine.choose_device("cpu").platform == machine.choose_device(None).platform == "cpu"
    with pytest.raises(ValueError, match="'tpu' and this JAX has only cpu"):
        machine.choose_device("tpu")
