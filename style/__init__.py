"""Text and audio prompts to style embeddings and style codes."""

from magenta_rt_py.style.config import StyleConfig, released, starter, tiny
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.style.prompts import Prompt, mix

__all__ = ["Prompt", "StyleConfig", "StyleModel", "mix", "released", "starter", "tiny"]
