"""Reading and moving the kernels of a model, whatever way they are stored."""

import keras

from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.reallocation import stored
from dsr_tf.reallocation.device import Device
from dsr_tf.reallocation.kernel import Kernel


class Exchange:
    """The kernels of a model, in their order.

    Masked ones are read and moved together (`Device`), the others one by one
    (`dsr_tf.reallocation.stored`).

    Args:
        moving: List of `MaskedWeight`.
        optimizer, gathers_gradients, keeps_gradients, only_alive,
            jit_compile: See `Device`.
    """

    def __init__(
        self,
        moving: list[MaskedWeight],
        optimizer: keras.optimizers.Optimizer,
        gathers_gradients: bool = False,
        keeps_gradients: bool = False,
        only_alive: bool = False,
        jit_compile: bool = False,
    ) -> None:
        self._moving = moving
        masked = [w for w in moving if not w.variable.is_stored]
        self._optimizer, self._was_built = optimizer, optimizer.built
        self._device, self._gathers = None, gathers_gradients
        if masked:
            self._device = Device(
                masked,
                optimizer,
                gathers_gradients,
                keeps_gradients,
                only_alive,
                jit_compile,
            )

    def is_for(self, optimizer: keras.optimizers.Optimizer) -> bool:
        """Whether this knows the slots of an optimizer as it is now."""
        is_same = optimizer is self._optimizer
        return is_same and optimizer.built == self._was_built

    def read(self) -> list[Kernel]:
        """The kernels as they are, a list of `Kernel`."""
        masked = iter(self._device.read() if self._device else [])
        return [
            stored.read(weight, self._optimizer, self._gathers)
            if weight.variable.is_stored
            else next(masked)
            for weight in self._moving
        ]

    def move(self, kernels: list[Kernel]) -> None:
        """Let groups move, see `Device.move`.

        Args:
            kernels: What `read` returned, with `pruned` and `grown` set.
        """
        if self._device is not None:
            self._device.move(
                [k for k in kernels if not k.weight.variable.is_stored]
            )
        for kernel in kernels:
            if kernel.weight.variable.is_stored:
                stored.move(kernel, self._optimizer)


def is_on_gpu() -> bool:
    """Whether single operations would cost more than what they compute.

    XLA makes one of them all there.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))
