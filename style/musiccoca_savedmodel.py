"""The first release of MusicCoCa as it was published: two TensorFlow SavedModels and a SentencePiece file.

Source: the released geometry (folders, signatures and variables of the released files).
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.errors import BundleError, MissingExtraError
from magenta_rt_py.style.musiccoca import MusicCoCa
from magenta_rt_py.style.musiccoca_config import TOWERS_ASSET, MusicCoCaConfig, TowerKind, released_v1
from magenta_rt_py.style.musiccoca_quantizer import code_vectors_from_variables

_VARIABLE = re.compile(r"variables/\d+/\.ATTRIBUTES/VARIABLE_VALUE")


def import_tensorflow() -> Any:
    """TensorFlow, kept to the CPU: it would take all of an accelerator's memory at its first use, and JAX needs that.

    Raises:
      MissingExtraError: it is not installed.
    """
    try:
        import tensorflow
    except ImportError as error:
        raise MissingExtraError("reading TensorFlow SavedModels", "tensorflow", "released") from error
    # An error means that somebody else has used it already; our programs are pinned to the CPU all the same.
    with contextlib.suppress(RuntimeError):
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow


class SavedModelTowers:
    """The first release's towers: one SavedModel with two signatures, batch 1, on the CPU.

    Needs TensorFlow 2.20 or later, which knows the format of the compiled program inside. Signatures:
    embed_text(inputs_0: int32 [1, 128], inputs_0_1: float32 [1, 128]) -> contrastive_txt_embed [1, 768] and
    embed_music(inputs_0: float32 [1, 160000]) -> contrastive_music_embed [1, 768].
    """

    kind: TowerKind = "savedmodel"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Loads the program, which takes some seconds.

        Args:
          path: the SavedModel's folder.

        Raises:
          BundleError: there is no SavedModel, it cannot be loaded, or it has other signatures.
          MissingExtraError: TensorFlow is not installed.
        """
        self.path = Path(path)
        if not (self.path / "saved_model.pb").is_file():
            raise BundleError(f"{self.path}: no SavedModel here (no saved_model.pb); give the folder of the released towers")
        self._tensorflow = import_tensorflow()
        try:
            with self._tensorflow.device("/cpu:0"):
                self._model = self._tensorflow.saved_model.load(str(self.path))  # signatures live as long as this
        except Exception as error:  # TensorFlow raises many kinds, for damaged files as for operations it does not know
            version = self._tensorflow.__version__
            raise BundleError(
                f"{self.path}: TensorFlow {version} cannot load this SavedModel ({_first_line(error)}); "
                "get it again, or update TensorFlow to 2.20 or later"
            ) from error
        self._text = self._signature("embed_text", "contrastive_txt_embed")
        self._music = self._signature("embed_music", "contrastive_music_embed")

    def embed_tokens(
        self, ids: Int[np.ndarray, "batch tokens"], paddings: Float[np.ndarray, "batch tokens"]
    ) -> Float[np.ndarray, "batch dim"]:
        """See Towers.embed_tokens."""
        ids, paddings = ids.astype(np.int32), paddings.astype(np.float32)
        rows = [{"inputs_0": i[None], "inputs_0_1": p[None]} for i, p in zip(ids, paddings)]
        return self._run(self._text, rows, "contrastive_txt_embed")

    def embed_waveform(self, samples: Float[np.ndarray, "batch clip_samples"]) -> Float[np.ndarray, "batch dim"]:
        """See Towers.embed_waveform."""
        rows = [{"inputs_0": clip[None].astype(np.float32)} for clip in samples]
        return self._run(self._music, rows, "contrastive_music_embed")

    def to_tensors(self) -> dict[str, np.ndarray]:
        """None: the weights are inside the SavedModel."""
        return {}

    def to_assets(self) -> dict[str, Path]:
        """The SavedModel's folder."""
        return {TOWERS_ASSET: self.path}

    def _signature(self, name: str, output: str) -> Any:
        signatures = self._model.signatures
        if name not in signatures or output not in signatures[name].structured_outputs:
            found = {key: sorted(signatures[key].structured_outputs) for key in signatures}
            raise BundleError(
                f"{self.path}: its signatures are {found}, expected {name!r} with {output!r}; "
                "give the folder of the released towers"
            )
        return signatures[name]

    def _run(self, signature: Any, rows: list[dict[str, np.ndarray]], output: str) -> np.ndarray:
        tensorflow = self._tensorflow
        results = []
        with tensorflow.device("/cpu:0"):
            for row in rows:
                inputs = {name: tensorflow.constant(value) for name, value in row.items()}
                try:
                    results.append(signature(**inputs)[output].numpy()[0])
                except (ValueError, TypeError, tensorflow.errors.InvalidArgumentError) as error:
                    shapes = {name: value.shape for name, value in row.items()}
                    raise ValueError(
                        f"{self.path}: the towers refuse inputs of shapes {shapes} ({_first_line(error)}); "
                        "use them with the config of their release"
                    ) from error
        return np.stack(results).astype(np.float32)


def read_variables(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The numbered variables of a SavedModel's folder, by their names in its checkpoint; no program is loaded.

    Raises:
      BundleError: there is no checkpoint inside, or it cannot be read.
      MissingExtraError: TensorFlow is not installed.
    """
    prefix = Path(path) / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file():
        raise BundleError(f"{path}: no variables here (no variables/variables.index); give the released quantizer's folder")
    tensorflow = import_tensorflow()
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        names = [name for name in reader.get_variable_to_shape_map() if _VARIABLE.fullmatch(name)]
        return {name: reader.get_tensor(name) for name in names}
    except Exception as error:  # damaged files raise several kinds
        raise BundleError(f"{path}: its variables cannot be read ({_first_line(error)}); get it again") from error


def load_savedmodels(
    towers: str | os.PathLike[str],
    quantizer: str | os.PathLike[str],
    vocabulary: str | os.PathLike[str],
    config: MusicCoCaConfig | None = None,
) -> MusicCoCa:
    """The first release's style model from its own files.

    Args:
      towers: folder of the towers ("savedmodels/musiccoca_mv212f_cpu_novocab" in the release).
      quantizer: folder of the quantizer ("savedmodels/musiccoca_mv212_quant").
      vocabulary: SentencePiece file ("vocabularies/musiccoca_mv212f_vocab.model").
      config: None is `released_v1()`.

    Raises:
      BundleError: a file is missing or cannot be read.
      ValueError: the files do not belong together.
      MissingExtraError: TensorFlow is not installed.
    """
    config = released_v1("savedmodel") if config is None else config
    file = Path(vocabulary)
    if not file.is_file():
        raise BundleError(f"{file}: no such file; give the released SentencePiece vocabulary")
    code_vectors = code_vectors_from_variables(read_variables(quantizer), config)
    return MusicCoCa(config, SavedModelTowers(towers), code_vectors, file.read_bytes())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
