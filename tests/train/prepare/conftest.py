"""A folder of short files, a bundle of random weights, and a way to prepare without its encoders."""

import dataclasses

import pytest
import soundfile

from magenta_rt_py.bundle import load_bundle
from magenta_rt_py.generators.tiny import save_tiny_bundle
from magenta_rt_py.train.folder import FolderConfig
from magenta_rt_py.train.prepare import run
from magenta_rt_py.train.prepare.config import PrepareConfig
from tests.train.prepare.sounds import RATE, music
from tests.train.prepare.stand_ins import fake_encoders


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    return load_bundle(save_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory):
    return load_bundle(save_tiny_bundle(tmp_path_factory.mktemp("bundle") / "other", seed=1))


@pytest.fixture(scope="session")
def encoders(bundle):
    """The bundle's own, loaded once."""
    return run.load_encoders(bundle)


@pytest.fixture
def fast(monkeypatch):
    """Encoding by stand-ins; returns the list of files that were encoded."""
    encoded = []

    def encoders(_):
        made = fake_encoders()
        embed = made.style.embed_text
        object.__setattr__(made.style, "embed_text", lambda prompts: encoded.append(prompts[0]) or embed(prompts))
        return made

    monkeypatch.setattr(run, "load_encoders", encoders)
    return encoded


@pytest.fixture
def config():
    """Short pieces, and a shard for about two files."""
    return PrepareConfig(
        folder=FolderConfig(piece_seconds=12.0),
        shard_minutes=0.25,
        captions_per_piece=3,
        measured_words=False,
        clock=False,
        copies_below_minutes=0.0,
    )


@pytest.fixture
def measuring(config):
    return dataclasses.replace(config, measured_words=True, clock=True)


@pytest.fixture
def folder(tmp_path):
    """Six files of 5 s in three folders."""
    return _six_files(tmp_path / "music", 5.0)


@pytest.fixture
def brief_folder(tmp_path):
    """The same files, of a second."""
    return _six_files(tmp_path / "brief music", 1.1)


def _six_files(directory, seconds):
    for number in range(6):
        path = directory / ("house", "dub", "jazz")[number % 3] / f"track {number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, music(seconds, number), RATE)
    return directory
