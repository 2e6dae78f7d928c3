"""What of a model is sparse, and how sparse: counted from masks and codes."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from rich.table import Table

from dsr_tf.core import optimizer_slots
from dsr_tf.core.memory import num_bytes
from dsr_tf.core.printing import printed
from dsr_tf.layers import clustered_weights
from dsr_tf.layers import left_dense
from dsr_tf.layers import masked_weights
from dsr_tf.layers import summary_table
from dsr_tf.layers.left_dense import DenseLayer
from dsr_tf.layers.storages import MASKED


@dataclasses.dataclass(frozen=True)
class LayerSummary:
    """One masked or clustered kernel: its path, shape, weights and active
    weights, and whether it is trained; frozen ones keep their active weights.
    A clustered one has at most `2**bits` different ones; else `bits` is None.

    Memory, in bytes: of the variable of weights, of the mask or what says
    which weights are stored, and of the optimizer's slots; None where the
    model has no optimizer that has been built.

    `num_uses` says how often each weight is multiplied for one example, see
    `dsr_tf.cost`; None where that is not known, and then of MACs too.
    """

    path: str
    shape: tuple[int, ...]
    granularity: str
    size: int
    num_active: int
    trainable: bool = True
    bits: int | None = None
    storage: str = MASKED
    weight_bytes: int = 0
    mask_bytes: int = 0
    slot_bytes: int | None = None
    num_uses: int | None = None

    @property
    def density(self) -> float:
        return self.num_active / self.size

    @property
    def num_macs(self) -> int | None:
        return None if self.num_uses is None else self.size * self.num_uses

    @property
    def num_active_macs(self) -> int | None:
        uses = self.num_uses
        return None if uses is None else self.num_active * uses


@dataclasses.dataclass(frozen=True)
class SparsitySummary:
    """Active weights of a model, a line for each masked kernel.

    Clustered kernels are listed as well, and what is said of masks is true of
    their codes: each weight counts, though many are equal.

    Attributes:
        name: The model's name.
        layers: List of `LayerSummary`, in the order of the layers.
        num_parameters: All that the model can learn: kernels, biases,
            scales. Statistics of batches, masks and seeds are not counted.
        skipped_layers: What `sparsify` left dense, `{layer: reason}`.
        dense_layers: Those of them that have parameters and no masks, a
            list of `DenseLayer`.
        num_macs: Multiply-adds of the model for one example, those with
            zeros included, see `dsr_tf.cost`; None where they are not known.
    """

    name: str
    layers: list[LayerSummary]
    num_parameters: int
    skipped_layers: dict[str, str]
    dense_layers: list[DenseLayer] = dataclasses.field(default_factory=list)
    num_macs: int | None = None

    @property
    def num_masked(self) -> int:
        """Number of weights in masked kernels."""
        return sum(layer.size for layer in self.layers)

    @property
    def num_active(self) -> int:
        """Number of active weights in masked kernels: the budget."""
        return sum(layer.num_active for layer in self.layers)

    @property
    def num_active_parameters(self) -> int:
        """All parameters but the inactive weights."""
        return self.num_parameters - self.num_masked + self.num_active

    @property
    def mask_density(self) -> float:
        """Active share of the masked kernels; 1 where there are none."""
        return self.num_active / self.num_masked if self.layers else 1.0

    @property
    def model_density(self) -> float:
        """Active share of all parameters of the model."""
        return self.num_active_parameters / max(1, self.num_parameters)

    @property
    def num_active_macs(self) -> int | None:
        """Multiply-adds of the model by active weights only; None where a
        kernel's are not known."""
        return self.num_macs_with({})

    def num_macs_with(self, num_active: Mapping[str, int]) -> int | None:
        """As `num_active_macs`, with other numbers of active weights.

        Args:
            num_active: Active weights of kernels, by path. Of kernels that
                are not there, as many are active as now.
        """
        if self.num_macs is None:
            return None
        found = self.num_macs
        for layer in self.layers:
            if layer.num_uses is None:
                return None
            active = num_active.get(layer.path, layer.num_active)
            found -= (layer.size - active) * layer.num_uses
        return found

    @property
    def dense_note(self) -> str | None:
        """A sentence on what stays dense, where that is more than a tenth
        of all parameters; else None."""
        return left_dense.note(self.dense_layers, self.num_parameters)

    @property
    def storage_note(self) -> str:
        """How the kernels are stored, in a line."""
        by_storage: dict[str, list[str]] = {}
        for layer in self.layers:
            by_storage.setdefault(layer.storage, []).append(layer.path)
        return "; ".join(
            f"{name}: {summary_table.enumerated(paths)}"
            for name, paths in sorted(by_storage.items())
        )

    def to_dict(self) -> dict[str, Any]:
        """The same as a dict of plain values, ready for JSON."""
        return {
            "name": self.name,
            "layers": [
                {
                    **dataclasses.asdict(layer),
                    "density": layer.density,
                    "num_macs": layer.num_macs,
                    "num_active_macs": layer.num_active_macs,
                }
                for layer in self.layers
            ],
            "num_parameters": self.num_parameters,
            "num_active_parameters": self.num_active_parameters,
            "num_masked": self.num_masked,
            "num_active": self.num_active,
            "mask_density": self.mask_density,
            "model_density": self.model_density,
            "num_macs": self.num_macs,
            "num_active_macs": self.num_active_macs,
            "skipped_layers": dict(self.skipped_layers),
            "dense_layers": [vars(layer) for layer in self.dense_layers],
        }

    def table(self) -> Table:
        """The same as a `rich` table."""
        return summary_table.of(self)

    def __str__(self) -> str:
        return printed(self.table())

    __repr__ = __str__


def sparsity_summary(model: keras.Model) -> SparsitySummary:
    """Count the active weights of a model, kernel by kernel.

    Args:
        model: A built Keras model, with or without masked layers.

    Returns:
        A `SparsitySummary`: print it for a table; `to_dict()` for values.

    Raises:
        ValueError: if a masked layer is not built yet.
    """
    weights = masked_weights(model)
    clustered = clustered_weights(model)
    # By layer, since `trainable_weights` leaves out frozen layers.
    parameters = {
        id(variable): variable
        for layer in model._flatten_layers()
        for variable in layer._trainable_variables
    }
    trained = {id(variable) for variable in model.trainable_variables}
    num_parameters = sum(
        int(np.prod(variable.shape)) for variable in parameters.values()
    )
    # The kernel counts, not the codebook.
    for weight in clustered.values():
        num_parameters += weight.size - weight.codebook.shape[0]
    # And whole kernels, where active weights only are stored.
    for masked in weights:
        num_parameters += masked.size - math.prod(masked.kernel.shape)
    return SparsitySummary(
        name=model.name,
        layers=[
            LayerSummary(
                path=weight.path,
                shape=weight.grouping.kernel_shape,
                granularity=weight.granularity,
                size=weight.size,
                num_active=weight.num_active,
                trainable=weight.trainable,
                storage=weight.layer.storage,
                weight_bytes=num_bytes(weight.kernel),
                mask_bytes=sum(map(num_bytes, weight.variable.unread)),
                slot_bytes=_slot_bytes(model, weight.kernel),
            )
            for weight in weights
        ]
        + [
            LayerSummary(
                path=path,
                shape=tuple(weight.codes.shape),
                granularity="element",
                size=weight.size,
                num_active=weight.num_active,
                trainable=id(weight.codebook) in trained,
                bits=weight.bits,
                weight_bytes=num_bytes(weight.codebook),
                mask_bytes=num_bytes(weight.codes),
                slot_bytes=_slot_bytes(model, weight.codebook),
            )
            for path, weight in clustered.items()
        ],
        num_parameters=num_parameters,
        skipped_layers=left_dense.reasons(model),
        dense_layers=left_dense.dense_layers(model),
    )


def _slot_bytes(model: keras.Model, kernel: keras.Variable) -> int | None:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return None
    found = optimizer_slots.slots(optimizer, kernel)
    return sum(num_bytes(slot) for slot, _ in found)
