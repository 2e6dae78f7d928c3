"""What layers receive and return while a model runs."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# Of a call of a layer, what is wanted: it gets the layer's input, its output
# and what the caller of `Taps.read` passes on for that layer.
Tap = Callable[[Any, Any, Any], Any]


class Taps:
    """Reads the layers of a model, wherever in the model they are.

    Layers are read while the model runs, in inference mode, and not in models
    cut out of it. So it does not matter whether they stand in nested models,
    in other layers, or in models that are no graph. Keras compiles the run as
    it does `predict`, and only what is read leaves the device.

    Args:
        model: The built Keras model. It stays as it is.
        taps: List of pairs of a layer and its `Tap`.
    """

    def __init__(
        self,
        model: keras.Model,
        taps: Sequence[tuple[keras.layers.Layer, Tap]],
    ) -> None:
        self._layers = [layer for layer, _ in taps]
        self._model = model
        self._run = _Run(model, taps)
        # Compiling by XLA takes longer than most of what is read.
        self._run.compile(jit_compile=False)

    def read(
        self, inputs: Any, passed_on: Sequence[Any]
    ) -> list[list[np.ndarray]]:
        """Run the model on a batch.

        Args:
            inputs: What the model takes.
            passed_on: For each tap, an array for it.

        Returns:
            For each tap, what it returned, an array for each call of its
            layer, in the order of the calls.

        Raises:
            ValueError: if a layer is not called.
        """
        found = self._run.predict_on_batch((inputs, list(passed_on)))
        for layer, own in zip(self._layers, found):
            if not own:
                raise ValueError(
                    f"Layer '{layer.name}' is not called by model "
                    f"'{self._model.name}'"
                )
        return found


class _Run(keras.Model):
    """A model, and what its taps return in place of its outputs."""

    def __init__(
        self,
        model: keras.Model,
        taps: Sequence[tuple[keras.layers.Layer, Tap]],
    ) -> None:
        # What is passed on stays in float32, whatever the policy.
        super().__init__(name="taps", autocast=False)
        self.model = model
        # Not among the layers of this model.
        self.__dict__["_taps"] = taps

    def call(self, inputs: Any) -> list[list[Any]]:
        inputs, passed_on = inputs
        found: list[list[Any]] = [[] for _ in self._taps]
        with contextlib.ExitStack() as stack:
            for (layer, tap), value, own in zip(self._taps, passed_on, found):
                stack.enter_context(_tapped(layer, tap, value, own))
            self.model(inputs, training=False)
        return found


@contextlib.contextmanager
def _tapped(
    layer: keras.layers.Layer, tap: Tap, value: Any, found: list[Any]
) -> Iterator[None]:
    """Have the calls of a layer add to a list what a tap returns."""
    call = layer.call

    def call_and_read(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = call(inputs, *args, **kwargs)
        found.append(tap(inputs, outputs, value))
        return outputs

    # Past Keras' tracking of attributes.
    attributes = layer.__dict__
    before = {"call": attributes["call"]} if "call" in attributes else {}
    attributes["call"] = call_and_read
    try:
        yield
    finally:
        del attributes["call"]
        attributes.update(before)
