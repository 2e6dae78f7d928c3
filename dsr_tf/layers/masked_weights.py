"""Finding the masked weights of a model, and the clustered ones."""

import dataclasses
import math
from collections.abc import Iterator

import keras
import numpy as np

from dsr_tf.core.grouping import Grouping
from dsr_tf.layers.clustered import Clustered
from dsr_tf.layers.clustered_variable import ClusteredVariable
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.sparse_variable import SparseVariable
from dsr_tf.layers.storages import MASKED


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedWeight:
    """One masked weight of a model, such as the kernel of a Dense layer.

    Attributes:
        path: Its name in the model, such as `"sparse_dense/kernel"`: names
            of layers from the model down, then that of the variable. No two
            are alike. It is the same before and after saving, but for
            layers without a name that a layer of a user's makes: Keras
            numbers these as they are made.
        variable: The `SparseVariable`, which the layer owns.
        trainable: Whether the model trains it; False where the layer, or
            one around it, is frozen. Frozen weights never move.
    """

    path: str
    variable: SparseVariable
    trainable: bool = True

    @property
    def kernel(self) -> keras.Variable:
        """Keras variable, the stored weights, 0 where inactive."""
        return self.variable.kernel

    @property
    def mask(self) -> keras.Variable:
        """Keras variable of booleans, True where a group is active."""
        return self.variable.mask

    @property
    def layer(self) -> Masked:
        """The layer that holds both."""
        return self.variable.layer

    @property
    def grouping(self) -> Grouping:
        """The `dsr_tf.core.grouping.Grouping` of kernel and mask."""
        return self.variable.grouping

    @property
    def granularity(self) -> str:
        """Name of the granularity, such as `"element"`."""
        return self.layer.granularity.name

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.grouping.kernel_shape)

    @property
    def group_size(self) -> int:
        """Number of weights that one mask entry governs."""
        return self.grouping.group_size

    @property
    def num_active(self) -> int:
        """Number of active weights, counted from the mask."""
        return self.variable.num_active_groups() * self.group_size

    def set_mask(self, mask: np.ndarray) -> None:
        """Change the mask; weights outside of it are stored as 0.

        Args:
            mask: Boolean array of as many entries as the mask has.

        Raises:
            ValueError: if it breaks the pattern of a granularity N:M.
        """
        self.variable.set_mask(mask)


def mask_density(weights: list[MaskedWeight]) -> float:
    """Active share of all the weights of a list of `MaskedWeight`."""
    return sum(w.num_active for w in weights) / sum(w.size for w in weights)


def masked_weights(model: keras.Model) -> list[MaskedWeight]:
    """The masked weights of a model, each once, in the order of its layers.

    Args:
        model: A Keras model or layer, of any kind; layers inside of other
            layers are found too.

    Returns:
        List of `MaskedWeight`, with `.path`, `.kernel`, `.mask`,
        `.num_active` and `.size`. Empty where nothing is masked.

    Raises:
        ValueError: if a masked layer has no variables yet.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    found: list[MaskedWeight] = []
    paths: set[str] = set()
    for layer, path in layers_with_paths(model):
        if not isinstance(layer, Masked):
            continue
        if not layer.built:
            raise ValueError(
                f"Layer '{layer.name}' is not built yet: call the model on "
                "data, or `model.build(input_shape)`, first."
            )
        layer.check_names(
            [n for n in layer.masked_names if n not in layer.masked_variables]
        )
        for variable in layer.masked_variables.values():
            name = f"{path}/{variable.name}".lstrip("/")
            is_trained = id(variable.kernel) in trained
            found.append(
                MaskedWeight(unlike(name, paths), variable, is_trained)
            )
    return found


def refuse_stored(model: keras.Model, what: str) -> None:
    """Refuse a model that has no whole kernels.

    Args:
        model: A Keras model.
        what: The function that needs them.

    Raises:
        ValueError: if it stores active weights only.
    """
    for layer, path in layers_with_paths(model):
        if isinstance(layer, Masked) and layer.storage != MASKED:
            raise ValueError(
                f"`{what}` needs whole kernels and masks: "
                "`dsr_tf.with_storage(model, 'masked')` has them. Received: "
                f"storage={layer.storage!r} of layer '{path or layer.name}'"
            )


def clustered_weights(model: keras.Model) -> dict[str, ClusteredVariable]:
    """The clustered kernels of a model by path, in the order of its layers."""
    found: dict[str, ClusteredVariable] = {}
    for layer, path in layers_with_paths(model):
        if isinstance(layer, Clustered):
            for name, weight in layer.clustered_variables.items():
                found[unlike(f"{path}/{name}".lstrip("/"), set(found))] = weight
    return found


def are_those_of(masked: list[MaskedWeight], model: keras.Model) -> bool:
    """Whether a list of `MaskedWeight` is that of a model as it is now."""
    now = masked_weights(model)
    return len(now) == len(masked) and all(
        a.variable is b.variable and a.trainable == b.trainable
        for a, b in zip(now, masked)
    )


def layers_with_paths(
    model: keras.Model,
) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Each layer of a model once, and the names that lead to it.

    That of the model itself is `""`.

    (The path of a Keras variable depends on how its layer came to be built:
    it holds the name of a Sequential model until that has been saved.)
    """
    paths = {id(model): ""}
    pending = [model]
    while pending:
        layer = pending.pop()
        path = paths[id(layer)]
        yield layer, path
        # (Keras' own `_flatten_layers` has what is inside of others backwards.)
        inner = [
            child
            for child in dict.fromkeys(layer._layers)
            if isinstance(child, keras.layers.Layer) and id(child) not in paths
        ]
        for child in inner:
            paths[id(child)] = f"{path}/{child.name}".lstrip("/")
        pending.extend(reversed(inner))


def unlike(path: str, others: set[str]) -> str:
    """`path`, or a variation of it that is not among others yet."""
    number, name = 1, path
    while name in others:
        number += 1
        name = f"{path}:{number}"
    others.add(name)
    return name
