"""Text and audio prompts to style embeddings and style codes."""

from magenta_rt_py.style.config import StyleConfig, released, starter, tiny
from magenta_rt_py.style.embedder import StyleModel
from magenta_rt_py.style.interface import StyleEmbedder
from magenta_rt_py.style.loading import style_from_tensors
from magenta_rt_py.style.musiccoca import MusicCoCa
from magenta_rt_py.style.musiccoca_config import MusicCoCaConfig
from magenta_rt_py.style.prompts import Prompt, mix

__all__ = [
    "MusicCoCa",
    "MusicCoCaConfig",
    "Prompt",
    "StyleConfig",
    "StyleEmbedder",
    "StyleModel",
    "mix",
    "released",
    "starter",
    "style_from_tensors",
    "tiny",
]
