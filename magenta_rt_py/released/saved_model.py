"""Variables of a TensorFlow SavedModel, by name. Only its checkpoint is read: no program in it is loaded or run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from magenta_rt_py.errors import CheckpointError
from magenta_rt_py.released.t5x_form import first_line
from magenta_rt_py.style.musiccoca_savedmodel import import_tensorflow

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_PREFIX = ("variables", "variables")
_KEY_END = "/.ATTRIBUTES/VARIABLE_VALUE"


class Variables(NamedTuple):
    """What a SavedModel holds.

    Attributes:
      by_name: name that the variable had in its program ("decoder_0/conv2d_3x3/weight_norm/bias") -> array. One whose
        name is missing or not unique stands under its key in the checkpoint.
      children: of each object, name of an attribute -> number of the object that it is; object 0 is the model.
      by_object: number of an object that is a variable -> array.
    """

    by_name: Mapping[str, np.ndarray]
    children: Sequence[Mapping[str, int]]
    by_object: Mapping[int, np.ndarray]

    def at(self, path: str) -> np.ndarray | None:
        """The variable at a path of attributes from the model ("_quantizers/0/embeddings"), or None."""
        number = 0
        for word in path.split("/"):
            if word not in self.children[number]:
                return None
            number = self.children[number][word]
        return self.by_object.get(number)


def is_saved_model(folder: Path) -> bool:
    """Whether a folder holds a SavedModel, as far as reading its variables goes."""
    return folder.joinpath(*_PREFIX).with_suffix(".index").is_file()


def read_variables(folder: Path) -> Variables:
    """Reads all variables.

    Raises:
      CheckpointError: the folder holds no SavedModel, or a damaged one.
      MissingExtraError: TensorFlow is not installed.
    """
    if not is_saved_model(folder):
        raise CheckpointError(f"{folder}: no SavedModel here (no variables/variables.index); check the path")
    tensorflow = import_tensorflow()
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    try:
        reader = tensorflow.train.load_checkpoint(str(folder.joinpath(*_PREFIX)))
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(reader.get_tensor(_GRAPH))
        stored = reader.get_variable_to_shape_map().keys()
        by_object, names = {}, {}
        for number, node in enumerate(graph.nodes):
            for attribute in node.attributes:
                if attribute.name == "VARIABLE_VALUE" and attribute.checkpoint_key in stored:
                    by_object[number] = np.asarray(reader.get_tensor(attribute.checkpoint_key))
                    names[number] = (attribute.full_name, attribute.checkpoint_key.removesuffix(_KEY_END))
        children = [{child.local_name: child.node_id for child in node.children} for node in graph.nodes]
    except Exception as error:  # a damaged file raises whatever TensorFlow makes of it
        raise CheckpointError(f"{folder}: its variables cannot be read ({first_line(error)}); get it again") from error
    times = Counter(name for name, _ in names.values())
    by_name = {(name if name and times[name] == 1 else key): by_object[number] for number, (name, key) in names.items()}
    return Variables(by_name, children, by_object)
