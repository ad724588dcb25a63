"""TensorFlow SavedModels with the released names, made of arrays: what `mrtpy convert` gets from the first release."""

from pathlib import Path

import numpy as np
import tensorflow as tf


class Holder(tf.Module):
    """A module that only has variables."""

    def __init__(self, variables: dict[str, np.ndarray]):
        super().__init__()
        # A list, as Keras keeps them: the names then are in the variables alone, not in how they are reached.
        self.kept = [tf.Variable(value, name=name.removesuffix(":0")) for name, value in variables.items()]


class Quantizer(tf.Module):
    """One level."""

    def __init__(self, table: np.ndarray):
        super().__init__()
        self.embeddings = tf.Variable(table, name="embeddings")


class Quantizers(tf.Module):
    """All levels, under the attribute that the released code reads, and a counter beside them."""

    def __init__(self, tables: dict[int, np.ndarray]):
        super().__init__()
        self._quantizers = [Quantizer(tables[level]) for level in sorted(tables)]
        self.steps = tf.Variable(3, name="steps")


def save_codec(folder: Path, encoder: dict, decoder: dict, codebooks: dict) -> Path:
    """The three SavedModels; kernels come with what weight normalization makes them from."""
    for name, variables in (("encoder", encoder), ("decoder", decoder)):
        more = {}
        for path, value in variables.items():
            start, found, _ = path.partition("weight_norm/rescaled/kernel")
            if found:
                more |= {f"{start}weight_norm/kernel": 3 * value, f"{start}weight_norm/g": np.ones(value.shape[-1])}
                more[f"{start}weight_norm/initialized"] = np.array(True)
        tf.saved_model.save(Holder(variables | more), str(folder / name))
    tf.saved_model.save(Quantizers(codebooks), str(folder / "quantizer"))
    return folder


class Towers(tf.Module):
    """Stands in for the style towers: the released signatures, and an answer that depends on every input."""

    def __init__(self, dim: int):
        super().__init__()
        self.row = tf.Variable(np.linspace(-1, 1, dim, dtype=np.float32)[None])

    @tf.function(input_signature=[tf.TensorSpec((1, 128), tf.int32), tf.TensorSpec((1, 128), tf.float32)])
    def embed_text(self, inputs_0, inputs_0_1):
        heard = tf.reduce_sum(tf.cast(inputs_0, tf.float32) * (1 - inputs_0_1))
        return {"contrastive_txt_embed": tf.sin(heard * self.row)}

    @tf.function(input_signature=[tf.TensorSpec((1, 160_000), tf.float32)])
    def embed_music(self, inputs_0):
        return {"contrastive_music_embed": tf.reduce_mean(inputs_0) + self.row}


def save_style(folder: Path, tables: dict[str, np.ndarray], vocabulary: bytes, *, dim: int) -> Path:
    """The first release's folders of the style model.

    Args:
      tables: name in the checkpoint, with its number in the second place -> table.
    """
    towers = Towers(dim)
    signatures = {"embed_text": towers.embed_text, "embed_music": towers.embed_music}
    tf.saved_model.save(towers, str(folder / "savedmodels" / "musiccoca_mv212f_cpu_novocab"), signatures=signatures)
    numbered = sorted(tables.items(), key=lambda item: int(item[0].split("/")[1]))
    kept = tf.train.Checkpoint(variables=[tf.Variable(table) for _, table in numbered])
    tf.saved_model.save(kept, str(folder / "savedmodels" / "musiccoca_mv212_quant"))
    (folder / "vocabularies").mkdir()
    (folder / "vocabularies" / "musiccoca_mv212f_vocab.model").write_bytes(vocabulary)
    return folder
