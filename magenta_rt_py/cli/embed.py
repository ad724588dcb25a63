"""`mrtpy embed`: where prompts lie in the style space, and how close they are to each other."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from jaxtyping import Float

from magenta_rt_py.cli.options import add_bundle_option
from magenta_rt_py.cli.report import add_json_option, emit


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "embed",
        help="embeddings and style codes of prompts, and how alike they are",
        allow_abbrev=False,
    )
    parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="words or the path of an audio file")
    add_bundle_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Embeds every prompt and compares them."""
    from magenta_rt_py.generators import styles, system

    prompts = [styles.as_prompt(prompt) for prompt in arguments.prompts]
    style = system.load_style(arguments.bundle)
    embeddings = np.stack([styles.embed(style, prompt) for prompt in prompts])
    codes = style.quantize(embeddings)
    cosines = cosine_matrix(embeddings)
    names = list(arguments.prompts)
    report = {
        "command": "embed",
        "prompts": [
            {"prompt": name, "codes": codes[row], "embedding": embeddings[row]} for row, name in enumerate(names)
        ],
        "cosines": cosines,
    }
    emit(arguments, report, _lines(names, codes, cosines))
    return 0


def cosine_matrix(embeddings: Float[np.ndarray, "prompts dim"]) -> Float[np.ndarray, "prompts prompts"]:
    """Cosine of the angle between every two embeddings."""
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    return unit @ unit.T


def _lines(names: list[str], codes: np.ndarray, cosines: np.ndarray) -> list[str]:
    short = [name if len(name) <= 40 else f"{name[:37]}..." for name in names]
    width = max(map(len, short))
    lines = [
        f"{name:{width}}  codes {' '.join(map(str, row))}" for name, row in zip(short, codes.tolist(), strict=True)
    ]
    if len(names) > 1:
        lines.append("cosines:")
        lines += [
            f"{name:{width}}  {' '.join(f'{value:6.3f}' for value in row)}"
            for name, row in zip(short, cosines, strict=True)
        ]
    return lines
