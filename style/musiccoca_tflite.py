"""The second release of MusicCoCa as it was published: a folder of TFLite programs and a SentencePiece file.

Source: the released geometry (names of the files, order and types of their inputs).
"""

import os
import threading
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from magenta_rt_py.errors import BundleError, MissingExtraError
from magenta_rt_py.style.musiccoca import MusicCoCa
from magenta_rt_py.style.musiccoca_config import TOWERS_ASSET, MusicCoCaConfig, TowerKind, released_v2
from magenta_rt_py.style.musiccoca_quantizer import nearest

TEXT, FRONT_END, MUSIC = "text_encoder.tflite", "audio_preprocessor.tflite", "music_encoder.tflite"
MAPPER, QUANTIZER, VOCABULARY = "mapper.tflite", "pretrained_vector_quantizer.tflite", "spm.model"

_NUM_THREADS = 2  # of each program; live music needs the other cores
_PROBES = 32  # vectors that a quantizer is asked about
_AGREEMENT = 0.9  # share of probes that a level's table must explain; a wrong table explains one in a thousand


class Program:
    """One TFLite program with one output. Calls from several threads take turns, because an interpreter serves one."""

    def __init__(self, path: Path) -> None:
        """Loads a file.

        Raises:
          BundleError: it is missing or no TFLite program.
          MissingExtraError: LiteRT is not installed.
        """
        self.path = path
        if not path.is_file():
            raise BundleError(f"{path}: no such file; give the folder of the second release's style model")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtraError("running TFLite programs", "ai-edge-litert", "released") from error
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=_NUM_THREADS)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise BundleError(f"{path}: LiteRT cannot load this file ({reason}); get it again") from error
        self._inputs = self._interpreter.get_input_details()
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._turn = threading.Lock()

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Runs the program; each input gets the first array left of its type.

        Raises:
          ValueError: the arrays do not fit the inputs.
        """
        fitted, left = [], list(arrays)
        for detail in self._inputs:
            place = next((i for i, array in enumerate(left) if array.dtype == detail["dtype"]), None)
            if place is None or left[place].size != np.prod(detail["shape"]):
                break
            fitted.append((detail["index"], left.pop(place).reshape(detail["shape"])))
        if left or len(fitted) != len(self._inputs):
            got = [f"{array.dtype}{list(array.shape)}" for array in arrays]
            wanted = [f"{np.dtype(detail['dtype'])}{list(map(int, detail['shape']))}" for detail in self._inputs]
            raise ValueError(f"{self.path}: got inputs {got}, expected {wanted}; use it with the config of its release")
        with self._turn:
            for index, array in fitted:
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._output).copy()

    def constants(self, shape: tuple[int, ...]) -> list[np.ndarray]:
        """All float32 tables of a shape that are stored in the file, in any order."""
        tables = []
        for detail in self._interpreter.get_tensor_details():
            if tuple(detail["shape"]) != shape or detail["dtype"] != np.float32:
                continue
            try:
                tables.append(np.array(self._interpreter.get_tensor(detail["index"])))
            except ValueError:  # an intermediate result, which has no memory of its own
                continue
        return tables


class TFLiteTowers:
    """The second release's towers: text_encoder, audio_preprocessor and music_encoder, and optionally its mapper.

    The mapper turns a text embedding and noise into an embedding of length 1 where audio of that kind lies.
    """

    kind: TowerKind = "tflite"

    def __init__(self, folder: str | os.PathLike[str], *, map_text: bool = False, mapper_seed: int = 0) -> None:
        """Loads the programs.

        Args:
          folder: where the released files are.
          map_text: whether text embeddings go through the mapper.
          mapper_seed: of its noise: a text has one embedding, whenever it is asked for.

        Raises:
          BundleError: a file is missing or cannot be loaded.
          MissingExtraError: LiteRT is not installed.
        """
        self.folder = Path(folder)
        self._text, self._front_end, self._music = (Program(self.folder / name) for name in (TEXT, FRONT_END, MUSIC))
        self._mapper = Program(self.folder / MAPPER) if map_text else None
        self._mapper_seed = mapper_seed

    def embed_tokens(
        self, ids: Int[np.ndarray, "batch tokens"], paddings: Float[np.ndarray, "batch tokens"]
    ) -> Float[np.ndarray, "batch dim"]:
        """See Towers.embed_tokens."""
        ids, paddings = ids.astype(np.int32), paddings.astype(np.float32)
        return np.stack([self._map(self._text(i, p).reshape(-1)) for i, p in zip(ids, paddings)])

    def embed_waveform(self, samples: Float[np.ndarray, "batch clip_samples"]) -> Float[np.ndarray, "batch dim"]:
        """See Towers.embed_waveform."""
        return np.stack([self._music(self._front_end(clip)).reshape(-1) for clip in samples.astype(np.float32)])

    def to_tensors(self) -> dict[str, np.ndarray]:
        """None: the weights are inside the programs."""
        return {}

    def to_assets(self) -> dict[str, Path]:
        """The folder of the programs."""
        return {TOWERS_ASSET: self.folder}

    def _map(self, embedding: np.ndarray) -> np.ndarray:
        if self._mapper is None:
            return embedding
        # The released code draws its noise so; the old generator is the same on every version of NumPy.
        noise = np.random.RandomState(self._mapper_seed).randn(embedding.size).astype(np.float32)
        mapped = self._mapper(embedding, noise).reshape(-1)
        return mapped / np.linalg.norm(mapped)


def read_code_vectors(
    path: str | os.PathLike[str], config: MusicCoCaConfig
) -> Float[np.ndarray, "levels codebook_size dim"]:
    """Code vectors out of the second release's quantizer program.

    The file holds a level's table once for looking up and once, times -2, for distances (the last level only the latter),
    in no order that can be relied on. So the program itself is asked: of all tables, a level's is the one whose nearest
    entries are the program's answers. That also proves that these code vectors give the program's codes.

    Raises:
      BundleError: the file is missing, cannot be loaded, or is built differently.
      MissingExtraError: LiteRT is not installed.
    """
    program, shape = Program(Path(path)), (config.codebook_size, config.dim)
    stored = program.constants(shape) + [table.T for table in program.constants(shape[::-1])]
    tables = [table for found in stored for table in (found, -0.5 * found)]
    if not tables:
        raise BundleError(f"{path}: has no tables of shape {shape}; give the second release's quantizer")
    spread = max(float(np.sqrt((table**2).mean())) for table in tables)
    probes = (spread * np.random.default_rng(0).normal(size=(_PROBES, config.dim))).astype(np.float32)
    answers = np.stack([program(probe).reshape(-1) for probe in probes]).astype(np.int64)
    if answers.shape[1] < config.num_levels or not 0 <= answers.min() <= answers.max() < config.codebook_size:
        raise BundleError(
            f"{path}: answers with {answers.shape[1]} codes in {answers.min()}..{answers.max()}, expected "
            f"{config.num_levels} in 0..{config.codebook_size - 1}; give the second release's quantizer"
        )
    levels, residual = [], probes
    for level in range(config.num_levels):
        agreement = [float((nearest(table, residual) == answers[:, level]).mean()) for table in tables]
        best = int(np.argmax(agreement))
        if agreement[best] < _AGREEMENT:
            raise BundleError(
                f"{path}: no table in it explains the codes of level {level} (at best {agreement[best]:.0%}); "
                "take the code vectors from the first release's quantizer"
            )
        levels.append(np.ascontiguousarray(tables[best]))
        residual = residual - levels[-1][answers[:, level]]
    return np.stack(levels)


def load_tflite(folder: str | os.PathLike[str], config: MusicCoCaConfig | None = None) -> MusicCoCa:
    """The second release's style model from its own folder ("resources/musiccoca").

    Args:
      folder: the three programs, spm.model, pretrained_vector_quantizer.tflite and, with config.map_text, mapper.tflite.
      config: None is `released_v2()`.

    Raises:
      BundleError: a file is missing or cannot be read.
      ValueError: the files do not belong together.
      MissingExtraError: LiteRT is not installed.
    """
    config, folder = released_v2("tflite") if config is None else config, Path(folder)
    vocabulary = folder / VOCABULARY
    if not vocabulary.is_file():
        raise BundleError(f"{vocabulary}: no such file; give the folder of the second release's style model")
    towers = TFLiteTowers(folder, map_text=config.map_text, mapper_seed=config.mapper_seed)
    return MusicCoCa(config, towers, read_code_vectors(folder / QUANTIZER, config), vocabulary.read_bytes())
