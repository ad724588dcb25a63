"""Array types that cross module borders, one alias per idea. Words and units are those of docs/glossary.md.

Host arrays (numpy) carry audio, codes and embeddings between the parts; inside the models the same shapes are
JAX arrays and are written out in the signatures. The type checks run in the tests (pytest's jaxtyping hook).
"""

import numpy as np
from jaxtyping import Float, Int

__all__ = [
    "Codes",
    "Mono",
    "Stereo",
    "StyleCodes",
    "StyleEmbedding",
    "StyleEmbeddings",
    "Waveform",
]

# Audio at its own sample rate, full scale is -1..1.
Waveform = Float[np.ndarray, "samples channels"]
# The same, one channel.
Mono = Float[np.ndarray, "samples"]
# A batch of stereo audio, what codecs read and write.
Stereo = Float[np.ndarray, "batch samples 2"]
# Codec codes, each in [0, codebook_size), coarsest level first.
Codes = Int[np.ndarray, "batch frames levels"]
# One style vector, and a stack of them.
StyleEmbedding = Float[np.ndarray, "dim"]
StyleEmbeddings = Float[np.ndarray, "prompts dim"]
# The style vector's codes, each in [0, codebook_size).
StyleCodes = Int[np.ndarray, "levels"]
