"""What finds the largest gradients of weights that are not stored."""

import abc
from typing import Any

import keras
import numpy as np

from dsr_tf.layers import candidates
from dsr_tf.layers.candidates import Candidates
from dsr_tf.layers.candidates import Found
from dsr_tf.layers.candidates import shape_of
from dsr_tf.layers.sparse_variable import SparseVariable


class Watched(SparseVariable):
    """Base of sparse weights whose inactive groups are not stored.

    Attributes:
        candidates: The `Candidates`: groups that can grow.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.candidates = Candidates()

    @abc.abstractmethod
    def largest_free(self, inputs: Any, upstream: Any) -> tuple[Any, Any]:
        """The free groups of the largest gradients, of each bin, or those
        that are drawn, where the hook says so.

        Args:
            inputs: Tensor `(batch, in)`, or integers `(batch,)` for a table.
            upstream: Tensor `(batch, out)`, the gradient by the product.

        Returns:
            Two tensors as in `Found`, see `dsr_tf.core.stripes`.
        """

    def key_of_lots(self) -> Any:
        """See `InStepHook.key_of_lots`."""
        return None if self.hook is None else self.hook.key_of_lots(self)

    def look_for_candidates(
        self, trained: keras.Model, known: Candidates | None
    ) -> Candidates:
        """Find candidates in steps that the hook says, from now on.

        Args:
            trained: The Keras model whose training function runs the steps.
            known: What this returned before, of which a compiled step may
                know; None at first.
        """
        looking = known or candidates.new(self, trained)
        # What a file had that a training goes on from.
        looking.assign(self.candidates.read())
        self.candidates = looking
        return looking

    def has_candidates(self) -> bool:
        """Whether some are found, of the groups that are free now."""
        found = self.candidates.read()
        return found is not None and found.fits(self.grouping, self.places())

    def forget_candidates(self) -> None:
        """Neither keep nor find any."""
        self.candidates = Candidates()

    def watch(self, inputs: Any, outputs: Any) -> Any:
        """The outputs of a product, so that its gradient can be looked at;
        see `Candidates.watch`."""
        is_open = None if self.hook is None else self.hook.gradient_is_dense()
        if is_open is None:
            return outputs
        return self.candidates.watch(inputs, outputs, is_open)

    def save(self, store: Any) -> None:
        super().save(store)
        found = self.candidates.read()
        if found is not None:
            numbers, scores = self.candidate_names
            store[numbers], store[scores] = found.numbers, found.scores

    def read_candidates(self, store: Any) -> None:
        numbers, scores = self.candidate_names
        if numbers not in store.keys():
            return
        if np.shape(store[numbers]) != shape_of(self.grouping):
            return  # Of a layer with more slots, or fewer.
        found = Found(
            np.asarray(store[scores], "float32"),
            np.asarray(store[numbers], "int64"),
        )
        if not found.fits(self.grouping, self.places()):
            raise ValueError(
                f"Layer '{self.layer.name}' has candidates for its "
                f"{self.name} in the file that are not its free groups: it "
                "is damaged."
            )
        self.candidates.assign(found)
