"""A batch of examples, and the loss of a model on it."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras

from dsr_tf.core.batches import num_examples

# Examples whose gradients are computed at once. In inference mode examples do
# not see each other, so this is about memory only.
_AT_ONCE = 32


class Batch:
    """Inputs, targets, and a loss.

    Args:
        data: Tuple `(x, y)` of arrays or tensors, or nested structures of
            these, as the model takes and the loss compares; their first
            axis counts examples.
        model: The Keras model that they are for.
        loss: What `compile` takes; None for the loss that the model is
            compiled with.

    Raises:
        ValueError: if `data` is none of these, or there is no loss.
    """

    def __init__(self, data: Any, model: Any, loss: Any = None) -> None:
        self._data = _checked(data)
        self._loss, self._loss_weights = loss, None
        if loss is None:
            if not model.compiled or model.loss is None:
                raise ValueError(
                    "`loss` must be given for a model that is not compiled "
                    f"with one. Received: loss=None, model={model.name!r}"
                )
            self._loss = model.loss
            self._loss_weights = model._compile_loss._user_loss_weights

    def __len__(self) -> int:
        return num_examples(self._data)

    def pieces(self) -> Iterator[tuple[Any, Any, int]]:
        """Inputs and targets of a few examples, and the number of these."""
        # A sum over all examples is no mean of sums over some.
        is_sum = any(
            getattr(loss, "reduction", None) == "sum"
            for loss in keras.tree.flatten(self._loss)
        )
        at_once = len(self) if is_sum else _AT_ONCE
        for start in range(0, len(self), at_once):
            x, y = keras.tree.map_structure(
                lambda array, start=start: array[start : start + at_once],
                self._data,
            )
            yield x, y, min(at_once, len(self) - start)

    def loss_of(self, model: keras.Model) -> Callable[[Any, Any], Any]:
        """The loss of a model as a function of inputs and targets.

        It is what is compared with the targets, without the penalties of
        kernels, in inference mode: no statistics of batches change and
        nothing is dropped.
        """
        # Keras' own reading of a loss, whatever the outputs are; the model
        # is left as it is.
        is_chain = isinstance(model, keras.Sequential)
        if getattr(model, "inputs", None) is None:
            # A model of a class of a user's, whose outputs have no names.
            reader: Any = keras.Model()
            outputs_of: Any = model
        else:
            ends = model.inputs + model.outputs if is_chain else None
            reader = keras.Model(*(ends or (model.input, model.output)))
            outputs_of = reader
        reader.compile(loss=self._loss, loss_weights=self._loss_weights)

        def loss(x: Any, y: Any) -> Any:
            return reader._compile_loss(y, outputs_of(x, training=False))

        return loss


def _checked(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`data` must be a tuple (x, y), inputs and targets of a batch. "
            f"Received: data of type {type(data).__name__}"
            + (f" and length {len(data)}" if hasattr(data, "__len__") else "")
        )
    num_examples(data)
    return data[0], data[1]
