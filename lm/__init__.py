"""The codec language model: ten seconds of context and a style in, two seconds of codes out."""

from magenta_rt_py.lm.config import LMConfig
from magenta_rt_py.lm.model import flatten, forward, init, load, logits
from magenta_rt_py.lm.tables import CodeVectors, materialize, normalise_code_vectors, with_unigram

__all__ = [
    "CodeVectors",
    "LMConfig",
    "flatten",
    "forward",
    "init",
    "load",
    "logits",
    "materialize",
    "normalise_code_vectors",
    "with_unigram",
]
