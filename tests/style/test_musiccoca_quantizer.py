import jax.numpy as jnp
import numpy as np
import pytest

from magenta_rt_py.nn import quantizer as shared
from magenta_rt_py.style import musiccoca_quantizer as quantizer
from magenta_rt_py.style.musiccoca_config import tiny

TABLES = np.random.default_rng(0).normal(size=(12, 32, 12)).astype(np.float32)


def test_released_tables_are_in_the_order_of_their_names():
    assert quantizer.variable_order(12) == [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3]
    assert quantizer.variable_order(3) == [0, 1, 2]


def test_variables_are_the_transposed_tables_in_that_order():
    variables = quantizer.variables_from_code_vectors(TABLES)
    assert variables["variables/2/.ATTRIBUTES/VARIABLE_VALUE"].shape == (12, 32)
    np.testing.assert_array_equal(variables["variables/2/.ATTRIBUTES/VARIABLE_VALUE"], TABLES[10].T)
    np.testing.assert_array_equal(variables["variables/4/.ATTRIBUTES/VARIABLE_VALUE"], TABLES[2].T)
    others = variables | {"save_counter/.ATTRIBUTES/VARIABLE_VALUE": np.int64(1)}
    np.testing.assert_array_equal(quantizer.code_vectors_from_variables(others, tiny()), TABLES)


def test_variables_that_are_not_the_quantizers_are_refused():
    variables = quantizer.variables_from_code_vectors(TABLES)
    name = quantizer.variable_name(3)
    with pytest.raises(ValueError, match="has 11 variables, expected 12 .* 'variables/3/.*' is missing"):
        quantizer.code_vectors_from_variables({k: v for k, v in variables.items() if k != name}, tiny())
    with pytest.raises(ValueError, match="has 13 variables, expected 12"):
        extra = {quantizer.variable_name(12): variables[name]}
        quantizer.code_vectors_from_variables(variables | extra, tiny())
    with pytest.raises(ValueError, match="'variables/3/.*' has shape \\(32, 12\\), expected \\(12, 32\\)"):
        quantizer.code_vectors_from_variables(variables | {name: variables[name].T}, tiny())


def test_codes_are_the_nearest_vectors_of_what_is_left():
    embeddings = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
    codes = quantizer.encode(TABLES, embeddings)
    for embedding, row in zip(embeddings, codes, strict=True):
        residual = embedding
        for level, code in enumerate(row):
            assert code == np.linalg.norm(TABLES[level] - residual, axis=1).argmin()
            residual = residual - TABLES[level, code]
    np.testing.assert_array_equal(codes, shared.encode(jnp.asarray(TABLES), jnp.asarray(embeddings)))
    np.testing.assert_array_equal(quantizer.encode(TABLES, embeddings[:1]), codes[:1])


def test_a_sum_of_entries_gives_its_codes_back():
    scaled = TABLES * 0.02 ** np.arange(12, dtype=np.float32)[:, None, None]
    codes = np.random.default_rng(2).integers(0, 32, size=(4, 3))
    np.testing.assert_array_equal(quantizer.encode(scaled, quantizer.decode(scaled, codes))[:, :3], codes)


def test_codes_that_stand_for_nothing_are_refused():
    with pytest.raises(ValueError, match="got 13 levels of style codes, expected 1 to 12"):
        quantizer.decode(TABLES, np.zeros((13,), np.int32))
    with pytest.raises(ValueError, match="span -1 to 0, expected 0 to 31"):
        quantizer.decode(TABLES, np.array([0, -1]))
