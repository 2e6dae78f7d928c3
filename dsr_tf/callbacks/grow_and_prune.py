"""Growth from a seed, then pruning, during `model.fit` (NeST)."""

from collections.abc import Callable
from typing import Any

import keras

from dsr_tf.callbacks.mask_callback import MaskCallback
from dsr_tf.core import draws
from dsr_tf.core.batches import num_examples
from dsr_tf.growth import GrowthHyperparameters
from dsr_tf.growth import measuring
from dsr_tf.growth.grower import Grower
from dsr_tf.layers import mask_density
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.layers.masked_weights import are_those_of
from dsr_tf.reallocation.record import Record


class GrowAndPrune(MaskCallback):
    """NeST (Dai, Yin & Jha, 2017): growth of a seed, and pruning.

    The layout of the model is the widest that it may come to have; start
    from `dsr_tf.growth.plant`, which lets a seed be awake and all else
    dormant. Every `frequency` updates there is a change. The first
    `grow_steps` grow:

    1. Connections: the dormant ones with the largest gradient of the loss
       wake (policy 1).
    2. Units between fully connected layers: one that is dormant connects the
       inputs and outputs between which a connection would lower the loss
       most, by the bridging rule (policy 2).
    3. Feature maps: of several that are drawn the one with the least loss
       wakes (policy 3).

    Those after them prune (policy 4): of each kernel the smallest active
    weights go, by `|w * gamma / sqrt(variance)|` where batch normalization
    follows, and then units without fan-in or fan-out. Training goes on in
    between. Pruning goes on as long as the metric reaches the target; at a
    change that finds it below, nothing goes. If `patience` of these have not
    helped, as many connections as had gone from each kernel since the target
    last held wake again, by policy 1, from 0, and no change comes after it.
    So it is at `end`. With a `budget`, which is ours, the last pruning
    leaves as many active weights, and no change comes after it once the
    target holds.

    The paper publishes no outer loop, optimizer, number of connections, or
    initial value of them, and does not say how many kernels are drawn; these
    are arguments. Gradients, losses and the metric are those of `data`, in
    inference mode. At the end of each epoch `logs` gains `mask_density`.
    Frozen layers do not change. `dsr_tf.structure.narrow` removes dormant
    units in the end.

    Args:
        data: Tuple `(x, y)` of arrays: examples of the training set, as the
            model takes and its loss compares them.
        hyperparameters: A `dsr_tf.growth.GrowthHyperparameters`; or give
            them by name:
        metric: A Keras metric, or the name of one, that the target is of,
            where more is better.
        seed: Integer that the signs and kernels of new units depend on. None
            draws one and keeps it in the model.
        listener: Callable that receives the `Record` of each change.
        model, optimizer: As of `Reallocation`.
        **by_name: Arguments of `GrowthHyperparameters`.

    Raises:
        TypeError, ValueError: if an argument is out of range; when training
            begins, if the model has no masked layers of single weights, is
            no graph of layers, is not compiled with a loss, or the optimizer
            cannot keep weights at 0.

    Example:

    >>> model = dsr_tf.sparsify(dense, 0.0)
    >>> dsr_tf.growth.plant(model, density=0.1, width=0.4)
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> growth = dsr_tf.callbacks.GrowAndPrune(
    ...     (x[:5000], y[:5000]), frequency=100, grow_steps=10, target=0.99)
    >>> model.fit(x, y, callbacks=[growth])
    """

    def __init__(
        self,
        data: Any,
        hyperparameters: GrowthHyperparameters | None = None,
        metric: Any = "sparse_categorical_accuracy",
        seed: int | None = None,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        **by_name: Any,
    ) -> None:
        super().__init__(model, optimizer, listener)
        if hyperparameters is None:
            hyperparameters = GrowthHyperparameters(**by_name)
        elif by_name or not isinstance(hyperparameters, GrowthHyperparameters):
            raise ValueError(
                "`hyperparameters` must be a GrowthHyperparameters, or single "
                f"ones given by name. Received: {', '.join(by_name) or 'none'} "
                f"by name, hyperparameters={hyperparameters!r}"
            )
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise TypeError(
                "`data` must be a tuple (x, y), inputs and targets. Received: "
                f"data of type {type(data).__name__}"
            )
        num_examples(data)
        if seed is not None:
            draws.check_seed(seed)
        self.hyperparameters, self.seed = hyperparameters, seed
        self.metric = measuring.check_metric(metric)
        self._data = data
        # A `Grower`, once `check` has made one.
        self._grower: Any = None

    def check(self, model: keras.Model) -> None:
        """Refuse a compiled model that this callback cannot change.

        Raises:
            ValueError: as described for the class.
        """
        self._grower = Grower(
            self._model_given or model,
            self.hyperparameters,
            self._data,
            self.metric,
        )
        self._grower.check(self._optimizer(model))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if logs is None or not self._has_started:
            return
        self._masked_model()
        logs["mask_density"] = mask_density(self._grower.masked)

    def _is_for(self, model: keras.Model) -> bool:
        return are_those_of(self._grower.masked, model)

    def _changing(self) -> list[MaskedWeight]:
        return self._grower.masked

    def _start(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> None:
        self._grower.begin(optimizer, self._trained_model(), self.seed)

    def _look(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> int | None:
        settings, grower = self.hyperparameters, self._grower
        state = grower.read_state()
        if state.method_state["is_over"]:
            return None
        # A new optimizer starts to count from 0 again.
        last_step = 0 if step < state.last_step else state.last_step
        if settings.due(step) > last_step:
            record = grower.step(optimizer, step)
            if record is not None:
                self._report(record)
            if grower.read_state().method_state["is_over"]:
                return None
        return settings.due(step) + settings.frequency - step

    def _settle(self) -> None:
        self._grower.clear(self._optimizer())

    def _why_nothing_changed(self, step: int) -> str | None:
        settings = self.hyperparameters
        if self._grower.read_state().method_state["is_over"]:
            return f"it is over, of {self._grower.num_active} active weights"
        if settings.due(step) == settings.due(self._first_step):
            return (
                f"training ended at update {step} before any: they are due "
                f"every {settings.frequency} updates, each before the batch "
                "that follows"
            )
        return (
            f"up to update {step} there was nothing to grow, and the metric "
            f"was below the target of {settings.target}"
        )
