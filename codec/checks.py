"""What every codec refuses, in the same words."""

from collections.abc import Mapping

import numpy as np

from magenta_rt_py.codec.interface import Codec


def check_samples(codec: Codec, samples: np.ndarray, batch: int) -> None:
    """Refuses what is no batch of sound.

    Raises:
      ValueError: if the shape or the type is wrong or a sample is not finite.
    """
    if samples.ndim != 3 or samples.shape[0] != batch or samples.shape[2] != codec.channels:
        raise ValueError(
            f"got samples of shape {samples.shape}, expected ({batch}, samples, {codec.channels}); "
            "pass stereo with a leading batch axis, samples[None]"
        )
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(
            f"got samples of type {samples.dtype}, expected floats within -1..1; divide integers by full scale"
        )
    if not np.isfinite(samples).all():
        raise ValueError("got samples that are NaN or infinite, expected finite numbers; replace them before encoding")


def check_codes(codec: Codec, codes: np.ndarray, batch: int) -> None:
    """Refuses what is no batch of codes.

    Raises:
      ValueError: if shape, type, number of levels or range is wrong.
    """
    if codes.ndim != 3 or codes.shape[0] != batch or not 1 <= codes.shape[2] <= codec.num_levels:
        raise ValueError(
            f"got codes of shape {codes.shape}, expected ({batch}, frames, 1 to {codec.num_levels}); "
            "pass leading levels codes[..., :k] with a leading batch axis"
        )
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"got codes of type {codes.dtype}, expected integers; pass what encode gave")
    if codes.size and (codes.min() < 0 or codes.max() >= codec.codebook_size):
        raise ValueError(
            f"got codes from {codes.min()} to {codes.max()}, expected 0 to {codec.codebook_size - 1}; "
            "convert LM tokens to codes first (lm/vocabulary.py)"
        )


def check_tensors(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, np.ndarray]) -> None:
    """Refuses tensors that are not those of a codec.

    Args:
      expected: shapes by name.
    Raises:
      ValueError: if a tensor is missing, unknown or of the wrong shape; the first one is named, and how many there are.
    """
    wrong = []
    for name in sorted(expected.keys() | tensors.keys()):
        got = tuple(np.shape(tensors[name])) if name in tensors else "nothing"
        if got != expected.get(name, "nothing"):
            wrong.append(f"got {got} for tensor {name!r}, expected {expected.get(name, 'nothing')}")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ValueError(f"{wrong[0]}{more}; take the tensors and the config from the same bundle")
