"""MusicCoCa's residual quantizer: codes on the host, and the odd order of its released variables.

Sources: Live Music Models, section 2.2 (12 levels of 1024); the released geometry (variable order, transposed tables).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.style.musiccoca_config import MusicCoCaConfig


def variable_name(index: int) -> str:
    """Name of a released quantizer's variable in its checkpoint."""
    return f"variables/{index}/.ATTRIBUTES/VARIABLE_VALUE"


def variable_order(levels: int) -> list[int]:
    """The variable of every level.

    The released file numbers its tables in the order of their names, in which level 10 comes before level 2; so with 12
    levels they are 0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3. Reading them in order scrambles the levels without any error.
    """
    by_name = sorted(range(levels), key=str)
    return [by_name.index(level) for level in range(levels)]


def code_vectors_from_variables(
    variables: Mapping[str, np.ndarray], config: MusicCoCaConfig
) -> Float[np.ndarray, "levels codebook_size dim"]:
    """Code vectors in order of levels.

    Args:
      variables: checkpoint name -> table [dim, codebook_size]; other names are ignored.
      config: num_levels, codebook_size and dim.

    Raises:
      ValueError: a table is missing, there is one too many, or one has another shape.
    """
    names = [variable_name(index) for index in variable_order(config.num_levels)]
    missing = sorted(set(names) - set(variables))
    if missing or variable_name(config.num_levels) in variables:
        tables = sum(name.startswith("variables/") for name in variables)
        raise ValueError(
            f"the quantizer has {tables} variables, expected {config.num_levels} named {variable_name(0)!r} and so on"
            + (f"; {missing[0]!r} is missing" if missing else "")
            + "; take the released quantizer's folder"
        )
    expected = (config.dim, config.codebook_size)
    for name in names:
        if np.shape(variables[name]) != expected:
            raise ValueError(
                f"the quantizer's {name!r} has shape {np.shape(variables[name])}, expected {expected}; "
                "take the quantizer that belongs to these towers"
            )
    return np.stack([np.asarray(variables[name], np.float32).T for name in names])


def variables_from_code_vectors(
    code_vectors: Float[np.ndarray, "levels codebook_size dim"],
) -> dict[str, Float[np.ndarray, "dim codebook_size"]]:
    """The inverse of `code_vectors_from_variables`: tables by checkpoint name."""
    order = variable_order(len(code_vectors))
    return {variable_name(order[level]): np.ascontiguousarray(table.T) for level, table in enumerate(code_vectors)}


def nearest(
    codebook: Float[np.ndarray, "codebook_size dim"], vectors: Float[np.ndarray, "batch dim"]
) -> Int[np.ndarray, "batch"]:
    """Codes of the nearest entries; of equally near ones, the first."""
    distances = (codebook**2).sum(-1) - 2.0 * vectors @ codebook.T  # squared, less the vector's own square
    return distances.argmin(-1).astype(np.int32)


def encode(
    code_vectors: Float[np.ndarray, "levels codebook_size dim"], embeddings: Float[np.ndarray, "batch dim"]
) -> Int[np.ndarray, "batch levels"]:
    """Codes by greedy nearest neighbour, coarsest level first.

    On the host, in NumPy: an accelerator's float32 products are rounded by default, and codes have to be the released
    ones; one embedding costs a few milliseconds.
    """
    residual = np.array(embeddings, np.float32)
    codes = np.empty((len(residual), len(code_vectors)), np.int32)
    for level, codebook in enumerate(code_vectors):
        codes[:, level] = nearest(codebook, residual)
        residual -= codebook[codes[:, level]]
    return codes


def decode(
    code_vectors: Float[np.ndarray, "levels codebook_size dim"], codes: Int[np.ndarray, "*batch used"]
) -> Float[np.ndarray, "*batch dim"]:
    """Sum of the vectors of the leading levels given.

    Raises:
      ValueError: there are no levels or more than codebooks, or a code is out of range.
    """
    levels, size, _ = code_vectors.shape
    used = codes.shape[-1]
    if not 1 <= used <= levels:
        raise ValueError(f"got {used} levels of style codes, expected 1 to {levels}; pass leading levels codes[..., :k]")
    if codes.size and not 0 <= codes.min() <= codes.max() < size:
        raise ValueError(f"style codes span {codes.min()} to {codes.max()}, expected 0 to {size - 1}; quantize an embedding")
    return np.sum([code_vectors[level, codes[..., level]] for level in range(used)], axis=0, dtype=np.float32)
