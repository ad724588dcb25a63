"""The house rules that a program can check: sizes, names, and what must not be in the files."""

import ast
import re

import pytest

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 90
MAX_FILE_BYTES = 16 * 2**20
MAX_STARTER_BYTES = 26_000_000
MAX_CHECKOUT_BYTES = 36_000_000

# Written in pieces so that this file does not contain what it looks for.
MACHINE_PATHS = re.compile("|".join(["/" + "home/[a-z]", "/" + "root/", "/" + "Users/[A-Za-z]", "/" + "work/[a-z]"]))
REGISTRY_HOSTS = ["pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "conda" + ".anaconda"]
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".js", ".css", ".html", ".ipynb", ".sh", ".yml", ".yaml", ""}


@pytest.fixture(scope="module")
def python_files(root, project_files) -> dict:
    """Path -> (source, syntax tree) of every Python file, tests included."""
    texts = {path: (root / path).read_text() for path in project_files if path.suffix == ".py"}
    return {path: (text, ast.parse(text)) for path, text in texts.items()}


@pytest.fixture(scope="module")
def texts(root, project_files) -> dict:
    """Path -> content of every text file."""
    chosen = [path for path in project_files if path.suffix in TEXT and (root / path).is_file()]
    return {path: (root / path).read_text() for path in chosen}


def test_files_are_short(python_files):
    lines = {str(path): text.count("\n") for path, (text, _) in python_files.items()}
    assert not {path: count for path, count in lines.items() if count > MAX_FILE_LINES}


def test_functions_fit_a_screen(python_files):
    long = {}
    for path, (_, tree) in python_files.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long[f"{path}:{node.lineno} {node.name}"] = lines
    assert not long, long


def test_every_module_says_what_it_is(sources, python_files):
    silent = [str(path) for path in sources if not ast.get_docstring(python_files[path][1])]
    assert not silent, silent


def test_every_folder_of_the_package_is_a_package(sources):
    folders = {path.parent for path in sources}
    assert not [str(folder) for folder in folders if folder / "__init__.py" not in sources]


def test_names(project_files, python_files):
    assert not [str(path) for path in project_files if path.name in {"utils.py", "helpers.py", "common.py"}]
    abbreviated = []
    for path, (_, tree) in python_files.items():
        for node in ast.walk(tree):
            name = getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "attr", None)
            if isinstance(name, str) and re.search(r"(^|_)cfg(_|$)", name):
                abbreviated.append(f"{path}: {name}")
    assert not abbreviated, abbreviated


def test_nothing_runs_on_import(sources, python_files):
    scripts = [str(path) for path in sources if '__name__ == "__main__"' in python_files[path][0]]
    assert not [path for path in scripts if not path.endswith("__main__.py")]


def test_no_pickle(project_files, python_files):
    assert not [str(path) for path in project_files if path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".joblib"}]
    unsafe = []
    for path, (_, tree) in python_files.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import) and any(name.name in {"pickle", "joblib", "dill"} for name in node.names):
                unsafe.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.ImportFrom) and node.module in {"pickle", "joblib", "dill"}:
                unsafe.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", 1):
                unsafe.append(f"{path}:{node.value.lineno}")
    assert not unsafe, unsafe


def test_sizes(root, project_files):
    sizes = {path: (root / path).lstat().st_size for path in project_files}
    assert not {str(path): size for path, size in sizes.items() if size > MAX_FILE_BYTES}
    starter = sum(size for path, size in sizes.items() if path.parts[:2] == ("magenta_rt_py", "starter"))
    assert starter <= MAX_STARTER_BYTES, starter
    assert sum(sizes.values()) <= MAX_CHECKOUT_BYTES, sum(sizes.values())


def test_no_machine_is_named(texts):
    found = []
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATHS.search(line) or any(host in line for host in REGISTRY_HOSTS):
                found.append(f"{path}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_the_links_in_the_package_lead_to_the_parts(root):
    for part in ("codec", "style", "lm", "train", "ui"):
        link = root / "magenta_rt_py" / part
        # A checkout without link support holds a text file instead; it installs all the same (test_wheel).
        target = str(link.readlink()) if link.is_symlink() else link.read_text()
        assert target == f"../{part}"
