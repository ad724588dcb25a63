"""Attention against a loop over heads and queries, and one position at a time against all at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.nn.attention import Attention, KeyValue, init_cache, write_cache

HEADS, HEAD_DIM, FEATURES = 2, 3, 5


@pytest.fixture(scope="module")
def attention():
    module = Attention(HEADS, HEAD_DIM, FEATURES)
    generator = np.random.default_rng(0)
    inner = HEADS * HEAD_DIM
    shapes = {name: (FEATURES, inner) for name in ("query", "key", "value")} | {"out": (inner, FEATURES)}
    params = {name: {"kernel": jnp.asarray(generator.normal(size=shape), jnp.float32)} for name, shape in shapes.items()}
    return module.bind({"params": params})


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_equals_the_formula_without_a_square_root(attention):
    x, memory, bias = draw(2, 3, FEATURES), draw(2, 4, FEATURES), draw(HEADS, 3, 4)
    kernels = {name: np.asarray(attention.variables["params"][name]["kernel"]) for name in ("query", "key", "value", "out")}
    expected = np.zeros((2, 3, HEADS * HEAD_DIM))
    for b in range(2):
        for h in range(HEADS):
            part = slice(h * HEAD_DIM, (h + 1) * HEAD_DIM)
            query, key, value = x[b] @ kernels["query"], memory[b] @ kernels["key"], memory[b] @ kernels["value"]
            weights = np.exp(query[:, part] @ key[:, part].T + bias[h])
            expected[b, :, part] = weights / weights.sum(1, keepdims=True) @ value[:, part]
    found = attention(jnp.asarray(x), attention.project(jnp.asarray(memory)), jnp.asarray(bias))
    np.testing.assert_allclose(found, expected @ kernels["out"], atol=1e-4)


def test_one_position_at_a_time_equals_all_at_once(attention):
    x = jnp.asarray(draw(2, 4, FEATURES))
    bias = jnp.where(np.tril(np.ones((4, 4), bool)), jnp.asarray(draw(HEADS, 4, 4)), -1e10)
    whole = attention(x, attention.project(x), bias)
    cache = init_cache(2, HEADS, 4, HEAD_DIM)
    for index in range(4):
        cache = write_cache(cache, attention.project(x[:, index : index + 1]), jnp.asarray(index))
        # What lies after the present must not matter, whatever it is.
        dirty = jax.tree.map(lambda leaf, index=index: leaf.at[:, :, index + 1 :].set(7.0), cache)
        step = attention(x[:, index : index + 1], KeyValue(*dirty), bias[:, index : index + 1])
        np.testing.assert_allclose(step[:, 0], whole[:, index], atol=1e-5)
