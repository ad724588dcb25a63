"""Imports run one way, optional packages stay in their corners, and the package itself is light to import."""

import ast
import subprocess
import sys
import tomllib

import pytest

PACKAGE = "magenta_rt_py"
GROUND = {"audio", "bundle", "errors", "shapes"}
# Part -> the parts it may import, besides itself and the ground. docs/glossary.md says what the parts are.
MAY_IMPORT: dict[str, set[str]] = {
    **{name: set() for name in GROUND},
    "plot": set(),
    "cluster": set(),
    "nn": set(),
    "codec": {"nn"},
    "style": {"nn"},
    "lm": {"nn"},
    "live": set(),
    "testing": {"nn", "codec", "style", "lm"},
    "generators": {"nn", "codec", "style", "lm", "live"},
    "released": {"nn", "codec", "style", "lm", "generators"},
    "train": {"nn", "codec", "style", "lm", "generators", "plot", "testing", "cluster"},
    "io": {"live"},
    "speed": {"nn", "codec", "style", "lm", "generators"},
    "serve": {"live", "generators", "io", "cluster"},
    "ui": {"live", "generators", "io", "serve", "plot"},
    "cli": {"nn", "codec", "style", "lm", "live", "generators", "released", "train", "io", "serve", "speed", "ui", "plot",
        "testing"},
    "__init__": {"generators", "live"},
}
CORE = {"flax", "jax", "jaxtyping", "llvmlite", "numba", "numpy", "safetensors", "sentencepiece", "soundfile", "soxr"}
# Optional package -> the parts that may import it.
OPTIONAL = {
    **{
        name: {"train"}
        for name in ("librosa", "optax", "orbax", "scipy", "sklearn", "tensorboardX", "tinysoundfont", "tqdm")
    },
    "matplotlib": {"train", "plot"},
    "ray": {"cluster", "train", "serve"},
    "psutil": {"cli"},
    **{name: {"ui", "serve"} for name in ("fastapi", "gradio", "python_multipart", "starlette", "uvicorn", "websockets")},
    **{name: {"io"} for name in ("mido", "pythonosc", "sounddevice")},
    "ai_edge_litert": {"style"},
    **{name: {"released", "style", "train"} for name in ("huggingface_hub", "tensorflow", "tensorstore")},
}


def part_of(path) -> str:
    """codec/interface.py -> codec; magenta_rt_py/nn/conv.py -> nn; magenta_rt_py/audio.py -> audio."""
    parts = path.with_suffix("").parts
    part = parts[1] if parts[0] == PACKAGE else parts[0]
    return "cli" if part == "__main__" else part  # python -m magenta_rt_py


def imported(tree: ast.AST):
    """(dotted name, line) of everything a module imports, wherever in the file and under whatever condition."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: relative import; write magenta_rt_py...."
            module = node.module or ""
            if module == PACKAGE:  # from magenta_rt_py import audio
                yield from ((f"{PACKAGE}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield module, node.lineno


@pytest.fixture(scope="module")
def imports(root, sources) -> list[tuple[str, str, str]]:
    """(file and line, part, imported name) of every import in the package."""
    rows = []
    for path in sources:
        tree = ast.parse((root / path).read_text())
        rows += [(f"{path}:{line}", part_of(path), name) for name, line in imported(tree)]
    return rows


def test_imports_run_one_way(imports):
    wrong = []
    for where, part, name in imports:
        if name.split(".")[0] != PACKAGE or name == PACKAGE:
            continue
        target = name.split(".")[1]
        if target in GROUND | {part} | MAY_IMPORT[part] or target.startswith("__"):
            continue
        wrong.append(f"{where}: {part} must not import {name}")
    assert not wrong, "\n".join(wrong)


def test_the_five_parts_are_imported_only_under_the_package(imports):
    bare = [where for where, _, name in imports if name.split(".")[0] in {"codec", "style", "lm", "train", "ui"}]
    assert not bare, bare


def test_other_packages_are_declared_and_stay_in_their_corners(imports):
    wrong = []
    for where, part, name in imports:
        package = name.split(".")[0]
        if package in sys.stdlib_module_names | CORE | {PACKAGE}:
            continue
        if part not in OPTIONAL.get(package, set()):
            wrong.append(f"{where}: {part} imports {package}")
    assert not wrong, "\n".join(wrong)


def test_live_does_not_know_jax(imports):
    wrong = [where for where, part, name in imports if part == "live" and name.split(".")[0] in {"jax", "flax"}]
    assert not wrong, wrong


def test_core_is_what_pyproject_declares(root):
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {line.split(">=")[0] for line in declared} == CORE


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_importing_the_package_is_light():
    heavy = ("gradio", "sounddevice", "tensorflow", "optax", "jax", "flax", "numba", "librosa", "matplotlib")
    out = run(f"import sys, {PACKAGE}; print([name for name in {heavy!r} if name in sys.modules])")
    assert out.strip() == "[]"


def test_all_but_training_imports_without_the_extras(sources):
    modules = []
    for path in sources:
        name = ".".join(path.with_suffix("").parts)
        name = name if name.startswith(PACKAGE) else f"{PACKAGE}.{name}"
        if part_of(path) not in {"train", "ui", "serve", "io", "__init__"} and path.name != "__main__.py":
            modules.append(name.removesuffix(".__init__"))
    run(f"""
import importlib, sys
for name in {sorted(OPTIONAL)!r}:
    sys.modules[name] = None  # importing it raises ImportError
for name in {modules!r}:
    importlib.import_module(name)
""")
