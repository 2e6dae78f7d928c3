"""Networks that flags do not describe, as text in checkpoints.

A recipe may make its network from trained weights, before step 0. What it
has made is written down as Keras does it in `.keras` files, and every
checkpoint of the run holds that text: a run goes on without what it started
from. All networks of such a run, the first too, are built from the text.
"""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.command_line import UsageError
from dsr_tf.conversion.state import first_line
from dsr_tf.export.architecture import built
from dsr_tf.recipes.network import check_memory

# In float32.
_BYTES_A_WEIGHT = 4


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A network that a recipe has made before step 0.

    Attributes:
        text: Its architecture.
        weights: The values of its variables, arrays in their order; None
            where a checkpoint has them.
        source: The file that the text is from; None where the recipe has
            just made the network.
    """

    text: str
    weights: Sequence[np.ndarray] | None
    source: str | os.PathLike | None = None

    def build(self) -> keras.Model:
        """The network, a new one.

        Raises:
            UsageError: if `source` holds something else, or a network that
                memory does not suffice for.
            ValueError: if what the recipe has made cannot be rebuilt.
        """
        if self.source is not None:
            try:
                return built(self.text, _check_trains)
            except Exception as error:  # Damage raises errors of any kind.
                raise UsageError(
                    f"the checkpoint {self.source} is damaged: it holds no "
                    f"network ({first_line(error)[:200]})"
                ) from error
        model = built(self.text)
        _assign(model, self.weights or ())
        return model

    def digest(self) -> int:
        """A number below 2**63 that tells two of them apart."""
        total = hashlib.sha256(self.text.encode())
        for array in self.weights or ():
            total.update(np.ascontiguousarray(array).tobytes())
        return int.from_bytes(total.digest()[:8]) >> 1


def prepared(model: keras.Model) -> Prepared:
    """What a recipe has made, taken down."""
    weights = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    return Prepared(model.to_json(), weights)


def _check_trains(num_bytes: int) -> None:
    """Refuse weights of so many bytes that could not be trained."""
    check_memory(num_bytes // _BYTES_A_WEIGHT, "training its weights")


def _assign(model: keras.Model, weights: Sequence[np.ndarray]) -> None:
    variables: list[Any] = model.variables
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in weights]:
        raise ValueError(
            f"The network '{model.name}' that the method has made has other "
            "variables when it is built again."
        )
    for variable, array in zip(variables, weights):
        variable.assign(array)
