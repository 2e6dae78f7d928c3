"""DeepR's moves, made on the device inside of every training step.

After each update, in the compiled step, every active weight must have the
sign that it was given. Weights that break it move to free positions. That is
done for all kernels at once: a step of a GPU is over in milliseconds, and a
dozen small operations for each kernel would take up a third of it. Random
numbers are hashes of (seed, step, position).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from dsr_tf.core import optimizer_slots
from dsr_tf.core.after_update import AfterUpdate
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.methods.hook import InStepHook
from dsr_tf.methods.in_graph.signed_vector import SignedVector

if TYPE_CHECKING:
    from dsr_tf.methods.deep_r import DeepR


class SignWalk(InStepHook):
    """Moves weights whose sign has changed, after every update.

    Args:
        method: A `DeepR`.
        masked: List of all `MaskedWeight` of the model.
        trained: The Keras model whose training function runs the steps.
    """

    def __init__(
        self, method: "DeepR", masked: list[MaskedWeight], trained: keras.Model
    ) -> None:
        super().__init__([weight for weight in masked if weight.trainable])
        self._method, self._trained = method, trained
        self._seed = masked[0].layer.reallocation
        self._optimizer: keras.optimizers.Optimizer | None = None
        self._vectors: list[SignedVector] = []
        self._after: list[AfterUpdate] = []
        self._is_open = False

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse models that DeepR has no meaning for.

        Raises:
            ValueError: at other granularities than element, where a group
                has no sign.
        """
        for weight in self.masked:
            if weight.group_size != 1:
                raise ValueError(
                    "DeepR needs granularity 'element', since a group of "
                    "weights has no sign. Received: granularity="
                    f"{weight.granularity!r} for {weight.path}"
                )

    def install(
        self, optimizer: keras.optimizers.Optimizer, epoch: int
    ) -> None:
        if optimizer is not self._optimizer:
            self._make_vectors(optimizer)
        super().install(optimizer, epoch)
        for after in self._after:
            after.install()
        self.begin_epoch(epoch)

    def remove(self) -> None:
        super().remove()
        for after in self._after:
            after.remove()
        self.close()

    def begin_epoch(self, epoch: int) -> None:
        if self._vectors:
            self._temperature.assign(self._method.temperature_at(epoch))
        for vector in self._vectors:
            # Other callbacks may have loaded weights meanwhile.
            vector.read_signs()

    def open(self, step: int, due: int) -> None:
        if not self._is_open:
            self._is_open = True
            self._acts_now.assign(True)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._acts_now.assign(False)

    @property
    def is_open(self) -> bool:
        return self._is_open

    def collect(self) -> dict[str, int]:
        moved = {}
        for weight in self.masked:
            variable, index = weight.layer.num_moved, weight.variable.index
            numbers = ops.convert_to_numpy(variable).copy()
            moved[weight.path] = int(numbers[index])
            numbers[index] = 0
            variable.assign(numbers)
        return moved

    def _make_vectors(self, optimizer: keras.optimizers.Optimizer) -> None:
        if not optimizer_slots.build(optimizer, self._trained):
            raise ValueError(
                "DeepR needs an optimizer that knows its variables, and only "
                "a loop or a `train_step` of your own knows which it trains: "
                "call `optimizer.build(variables)` with all of them, such as "
                "`model.trainable_variables`, before training. Received: "
                f"optimizer={type(optimizer).__name__}, not built"
            )
        # An optimizer that wraps several applies them one after another.
        leaves: dict[int, keras.optimizers.Optimizer] = {}
        groups: dict[int, list[MaskedWeight]] = {}
        for weight in self.masked:
            leaf = optimizer_slots.leaf_of(optimizer, weight.kernel)
            leaves[id(leaf)] = leaf
            groups.setdefault(id(leaf), []).append(weight)
        self._after = []
        with self._trained.distribute_strategy.scope():
            self._temperature = tf.Variable(0.0, trainable=False)
            self._acts_now = tf.Variable(False, trainable=False)
            self._vectors = [
                SignedVector(
                    group,
                    optimizer,
                    self._seed,
                    self._temperature,
                    self._method.l1,
                )
                for group in groups.values()
            ]
        for key, vector in zip(groups, self._vectors):
            self._after.append(
                AfterUpdate(leaves[key], optimizer, self._mover_of(vector))
            )
        self._optimizer, self._is_open = optimizer, False

    def _mover_of(self, vector: SignedVector) -> Callable[[Any, Any], None]:
        def move(step: Any, rate: Any) -> None:
            tf.cond(
                self._acts_now,
                lambda: vector.move(step, rate),
                lambda: None,
            )

        return move
