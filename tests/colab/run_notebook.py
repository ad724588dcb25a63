"""Runs a notebook's code cells, one after another in one namespace as a kernel does: run_notebook.py NOTEBOOK RESULTS.json

What the last cell calls `results` is written to RESULTS.json. A process of its own, because a kernel is one.
"""

import json
import sys
from pathlib import Path


def run(notebook: Path, results: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    namespace: dict = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            print(f"--- {cell['id']}", flush=True)
            exec(compile("".join(cell["source"]), f"{notebook.name}, cell {number}", "exec"), namespace)
    results.write_text(json.dumps(namespace["results"]))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
