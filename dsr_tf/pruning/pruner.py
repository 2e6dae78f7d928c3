"""One pruning of a model: masks shrink, everything else follows."""

import keras
import numpy as np
from keras import ops

from dsr_tf.core import granularity
from dsr_tf.core import optimizer_slots
from dsr_tf.core.grouping import Grouping
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import MaskedWeight
from dsr_tf.pruning import magnitude
from dsr_tf.pruning import patterns
from dsr_tf.pruning.hyperparameters import PruningHyperparameters
from dsr_tf.reallocation.agreement import Agreement
from dsr_tf.reallocation.device import clear
from dsr_tf.reallocation.in_step import start_clean
from dsr_tf.reallocation.reallocator import Record
from dsr_tf.reallocation.state import ReallocationState


class Pruner:
    """Prunes the masked kernels of a model by magnitude.

    Args:
        model: A built Keras model with masked layers.
        hyperparameters: `PruningHyperparameters`.

    Raises:
        ValueError: if the model has no masked layers, or all are frozen, or
            blocks do not divide a kernel or meet masks of other granularity
            than weights, or the schedule of a kernel of granularity N:M does
            not end there.
    """

    def __init__(
        self, model: keras.Model, hyperparameters: PruningHyperparameters
    ) -> None:
        self.masked = masked_weights(model)
        if not self.masked:
            raise ValueError(
                f"Model '{model.name}' has no masked layers. Use "
                "`dsr_tf.sparsify(model, 0.0)` to prune a dense model from."
            )
        self.trained = [weight for weight in self.masked if weight.trainable]
        if not self.trained:
            raise ValueError(
                f"All {len(self.masked)} masked kernels of model "
                f"'{model.name}' are frozen (trainable=False): there is none "
                "to prune."
            )
        self.hyperparameters = hyperparameters
        self._agreement = Agreement(model, self.masked)
        self._groupings = [self._grouping(weight) for weight in self.trained]
        for weight in self.trained:
            hyperparameters.sparsity_of(weight.path, 0)
            patterns.check(weight, hyperparameters)

    @property
    def num_active(self) -> int:
        """Active weights of the kernels that are pruned."""
        return sum(weight.num_active for weight in self.trained)

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse an optimizer that does not leave inactive weights at 0.

        Raises:
            ValueError: if `optimizer` is such a one.
        """
        optimizer_slots.check_optimizer(
            optimizer, [weight.kernel for weight in self.trained]
        )

    def begin(
        self, optimizer: keras.optimizers.Optimizer, trained: keras.Model
    ) -> None:
        """Take away what another method may have left in the model.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            trained: The Keras model whose training function runs the steps.
        """
        start_clean(self.masked, optimizer, trained)

    def clear(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Set inactive weights to 0 and empty their slots."""
        clear(self.trained, optimizer)

    def read_state(self) -> ReallocationState:
        return ReallocationState.read(self.masked)

    def step(self, optimizer: keras.optimizers.Optimizer, step: int) -> Record:
        """Prune to the sparsity of the schedule; returns a `Record`.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            step: Number of updates so far.
        """
        self._agreement.check()
        pruned = {
            weight.path: self._prune(weight, grouping, optimizer, step)
            for weight, grouping in zip(self.trained, self._groupings)
        }
        state = self.read_state()
        state.num_reallocations += 1
        state.last_step = step
        state.write(self.masked)
        return Record(
            step=step,
            threshold=None,
            pruned=pruned,
            grown={weight.path: 0 for weight in self.trained},
            active={weight.path: weight.num_active for weight in self.trained},
            carry=0,
        )

    def _grouping(self, weight: MaskedWeight) -> Grouping:
        """What is pruned as one: blocks where wanted, else the mask's."""
        height = self.hyperparameters.block_height
        width = self.hyperparameters.block_width
        shape = tuple(weight.kernel.shape)
        if height * width == 1 or len(shape) != 2:
            return weight.grouping
        if weight.group_size != 1 or weight.grouping.pattern is not None:
            raise ValueError(
                f"`block_height` and `block_width` of {height} and {width} "
                "need masks of granularity 'element'. Received: granularity="
                f"{weight.granularity!r} for {weight.path}"
            )
        return granularity.get(f"block:{height}x{width}").grouping(shape)

    def _prune(
        self,
        weight: MaskedWeight,
        grouping: Grouping,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> int:
        """Prune one kernel; returns the number of weights pruned."""
        settings = self.hyperparameters
        groups = grouping.groups(ops.convert_to_numpy(weight.kernel).copy())
        mask = ops.convert_to_numpy(weight.mask)
        if grouping is weight.grouping:
            active = mask.reshape(-1)
        else:
            active = grouping.groups(mask).any(axis=1)
        scores = magnitude.pool(groups, settings.block_pooling_function)
        sparsity = settings.sparsity_of(weight.path, step)
        pattern = grouping.pattern
        if pattern is not None:
            kept = pattern.unbundle(
                magnitude.largest_of_each(
                    pattern.bundles(scores),
                    pattern.bundles(active),
                    sparsity,
                    pattern.num_active,
                )
            ).reshape(-1)
        elif settings.threshold_decay:
            kept, threshold = magnitude.above_smoothed_threshold(
                scores,
                active,
                sparsity,
                _threshold_of(weight),
                settings.threshold_decay,
            )
            _store_threshold(weight, threshold)
        else:
            kept = magnitude.largest(scores, active, sparsity)

        before = weight.num_active
        if grouping is not weight.grouping:
            spread = np.repeat(kept[:, None], grouping.group_size, axis=1)
            weight.mask.assign(mask & grouping.ungroup(spread))
        else:
            weight.mask.assign(kept.reshape(weight.mask.shape))
        groups[~kept] = 0
        weight.kernel.assign(grouping.ungroup(groups))
        optimizer_slots.start_afresh(optimizer, weight.kernel, grouping, ~kept)
        return before - weight.num_active


def _threshold_of(weight: MaskedWeight) -> np.float32:
    """The smoothed threshold of a kernel, a float32, 0 at the start."""
    thresholds = ops.convert_to_numpy(weight.layer.pruning_threshold)
    return thresholds[weight.variable.index]


def _store_threshold(weight: MaskedWeight, threshold: np.float32) -> None:
    variable = weight.layer.pruning_threshold
    thresholds = ops.convert_to_numpy(variable).copy()
    thresholds[weight.variable.index] = threshold
    variable.assign(thresholds)
