"""Settings that must stand before JAX is first imported, and what several tests of the project itself need."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import jaxtyping
import pytest

os.environ["JAX_PLATFORMS"] = "cpu"  # the tests prove numbers on the one backend every machine has
os.environ["JAX_ENABLE_X64"] = "0"
os.environ["MPLBACKEND"] = "Agg"
# Compiled programs are kept between runs; a program that compiles in under half a second is not worth the file.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "magenta_rt_py_test_jit"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

ROOT = Path(__file__).resolve().parents[1]
GENERATED = {".git", ".venv", "build", "dist", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", "out"}


def list_project_files() -> list[Path]:
    """Files of the checkout that are, or would be, committed, relative to its root; links are listed as links."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        return [Path(name) for name in sorted(set(listed.split("\0"))) if name and os.path.lexists(ROOT / name)]
    found = []  # a copy without history: all but what .gitignore names
    for folder, folders, files in os.walk(ROOT):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in GENERATED and not name.endswith(".egg-info")]
        found += [Path(folder, name).relative_to(ROOT) for name in files + links]
    return sorted(path for path in found if path.suffix not in {".flac", ".wav", ".ogg", ".mp3", ".aiff"})


def find_oracle() -> Path | None:
    """Folder of the numbers made by the released code: MRT_ORACLE, or shared/oracle beside the checkout."""
    places = [os.environ.get("MRT_ORACLE"), ROOT / "shared" / "oracle", ROOT.parent / "shared" / "oracle"]
    return next((Path(place) for place in places if place and Path(place).is_dir()), None)


def pytest_report_header() -> str:
    """Says at the top of every run which numbers the language model is held against."""
    found = find_oracle()
    return f"numbers of the released code: {found or 'not at hand (MRT_ORACLE), the golden files stand alone'}"


SLOWEST_FIRST = ("colab/test_notebooks.py", "test_readme.py", "test_wheel.py", "benchmarks/test_stream.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Brings the files that install or play for minutes to the front, so that no process is left with one at the end."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((place for place, name in enumerate(SLOWEST_FIRST) if path.endswith(name)), len(SLOWEST_FIRST))

    items.sort(key=rank)


@pytest.fixture
def unchecked():
    """Types are not checked while a test runs: minutes of music on a virtual clock are five times as fast then."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="module")
def quick_compiles():
    """Compilers do without most optimisations while a module's tests run: they compile for longer than they compute."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def oracle_folder() -> Path | None:
    """See find_oracle."""
    return find_oracle()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory) -> Path:
    """Directory of a bundle of random weights."""
    # Here, because what is above must stand before JAX is imported.
    from magenta_rt_py.generators.tiny import save_tiny_bundle

    return save_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """See list_project_files."""
    return list_project_files()


@pytest.fixture(scope="session")
def sources(root, project_files) -> list[Path]:
    """Python files of the package (not of tests, benchmarks or examples), relative to the root."""
    parts = {"magenta_rt_py", "codec", "style", "lm", "train", "ui"}
    found = [path for path in project_files if path.suffix == ".py" and path.parts[0] in parts]
    assert len(found) > 20, "the package has not been found"
    return found


def copy_checkout(target: Path, *, links: bool = True) -> Path:
    """A clean clone: the project's files alone, as git would write them.

    Args:
      target: directory to make.
      links: False writes a link as git does where links are not supported, as a text file with its target.
    """
    for path in list_project_files():
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not (ROOT / path).is_symlink():
            shutil.copy2(ROOT / path, copy)
        elif links:
            copy.symlink_to(os.readlink(ROOT / path))
        else:
            copy.write_text(os.readlink(ROOT / path))
    return target


def make_environment(target: Path) -> Path:
    """A virtual environment that has everything this one has installed, except this package.

    Returns:
      its python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target)], check=True)
    python = target / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    where = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    # A path from a .pth file is searched for packages, but its own .pth files are not run: so an editable install of
    # this package in the surrounding environment stays out of sight.
    Path(where, "surrounding.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="session")
def new_checkout():
    """The function copy_checkout."""
    return copy_checkout


@pytest.fixture(scope="session")
def new_environment():
    """The function make_environment."""
    return make_environment
