"""Random generators that give the same numbers in every process and on every day."""

import zlib

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose of one seed; different purposes are independent."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]))


def sound_generator(*names: object) -> np.random.Generator:
    """A generator for a fixed sound (the noise of a snare), the same in every piece."""
    return generator(0, "/".join(str(name) for name in names))


def choose(rng: np.random.Generator, choices: tuple):
    """One of the choices, evenly."""
    return choices[int(rng.integers(len(choices)))]
