"""One reallocation on a model: prune, redistribute, grow, exactly.

All is decided in numpy on the host: a reallocation is rare and touches few
weights of each kernel, which suits index lists better than compiled graphs
whose shapes would change each time; and numpy draws are the same on every
backend, replica and worker.
"""

import keras
import numpy as np
from keras import ops

from dsr_tf.core import draws
from dsr_tf.core import optimizer_slots
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked_weights import are_those_of
from dsr_tf.methods import prune
from dsr_tf.methods.method import Method
from dsr_tf.reallocation import patterns
from dsr_tf.reallocation import stored
from dsr_tf.reallocation.agreement import Agreement
from dsr_tf.reallocation.device import clear
from dsr_tf.reallocation.exchange import Exchange
from dsr_tf.reallocation.exchange import is_on_gpu
from dsr_tf.reallocation.in_step import InStep
from dsr_tf.reallocation.kernel import Kernel
from dsr_tf.reallocation.record import Record
from dsr_tf.reallocation.state import ReallocationState
from dsr_tf.reallocation.state import check_names


class BudgetBroken(RuntimeError):
    """The number of active weights is not what it was; training is void."""


class Reallocator:
    """Moves the active weights of a model by a method.

    Args:
        model: A built Keras model with masked layers. Those that are frozen
            keep their weights, and their part of the budget.
        method: A `dsr_tf.methods.Method`.
        trained: The Keras model whose training function runs the steps,
            where that is another one, of which `model` is a part.

    Raises:
        ValueError: if the model has no masked layers, or all are frozen.
    """

    def __init__(
        self,
        model: keras.Model,
        method: Method,
        trained: keras.Model | None = None,
    ) -> None:
        self.masked = masked_weights(model)
        self.moving = [weight for weight in self.masked if weight.trainable]
        if not self.masked:
            raise ValueError(
                f"Model '{model.name}' has no masked layers. Build it with "
                "layers of `dsr_tf.layers`, or use `dsr_tf.sparsify(model, "
                "sparsity)`."
            )
        if not self.moving and method.moves_weights:
            raise ValueError(
                f"All {len(self.masked)} masked kernels of model "
                f"'{model.name}' are frozen (trainable=False): there is none "
                "to move weights in."
            )
        check_names(method)
        self.model, self.method, self._trained = model, method, trained
        self.in_step = InStep(method, self.masked, trained or model)
        self.hook = self.in_step.hook
        self._agreement = Agreement(model, self.masked)
        self._exchange: Exchange | None = None
        self._budget: int | None = None

    def is_for(
        self, model: keras.Model, trained: keras.Model | None = None
    ) -> bool:
        """Whether this is for a model as it is now."""
        if model is not self.model or trained is not self._trained:
            return False
        return are_those_of(self.masked, model)

    def check(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Refuse what cannot be reallocated, before training.

        Raises:
            ValueError: if there are too few active weights for the method,
                it does not keep a granularity of theirs, or the optimizer
                would not leave inactive weights at 0.
        """
        patterns.check_method(self.method, self.moving)
        stored.check_hook(self.hook, self.method, self.moving)
        self.method.validate(sum(weight.num_active for weight in self.moving))
        optimizer_slots.check_optimizer(
            optimizer, [weight.kernel for weight in self.moving]
        )
        self.hook.check(optimizer)

    def begin(self, optimizer: keras.optimizers.Optimizer, epoch: int) -> None:
        """Begin to train: from here on the budget must stay what it is."""
        self._budget = None
        self.in_step.install(optimizer, epoch)

    def end(self, optimizer: keras.optimizers.Optimizer) -> int:
        """End: the model trains on as one that never met a method.

        Returns:
            Number of weights that moved since the last reallocation, inside
            of the training step.
        """
        self.in_step.remove()
        self.clear(optimizer)
        return sum((self.hook.collect() or {}).values())

    def clear(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Set inactive weights to 0 and empty their slots."""
        clear(self.moving, optimizer)

    def clean(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Store inactive weights as 0 where the optimizer has moved them.

        But not where they hold the gradient themselves, for it has no slots.
        """
        if not self.hook.gathers_gradients:
            return
        for weight in self.moving:
            slot = optimizer_slots.accumulated_gradient(
                optimizer, weight.kernel
            )
            if not weight.variable.is_stored and slot is not None:
                weight.set_mask(ops.convert_to_numpy(weight.mask))

    def read_state(self) -> ReallocationState:
        return ReallocationState.read(self.masked, self.method)

    def step(
        self,
        optimizer: keras.optimizers.Optimizer,
        step: int,
    ) -> Record:
        """Reallocate once.

        Args:
            optimizer: The optimizer whose slots belong to the weights.
            step: Number of updates so far, for the state and the record.

        Returns:
            A `Record`.

        Raises:
            ReplicasDiffer: if replicas have different masks.
            BudgetBroken: if the number of active weights has changed.
            PatternBroken: if a mask is not N:M as its granularity says.
            NotFinite: if weights or slots hold NaN or infinity.
        """
        # Before masks are written, which can make them equal again.
        self._agreement.check()
        state = self.read_state()
        moved = self.hook.collect()
        if moved is not None:
            return self._count_moves(moved, step, state)
        threshold = self.method.threshold(state)
        exchange = self._exchange_for(optimizer)
        kernels = exchange.read()
        budget = state.carry + sum(k.num_active_weights for k in kernels)
        self._check_budget(budget)
        patterns.check_masks(kernels)

        self._prune(kernels, state, step, budget)
        self._grow(kernels, state)

        patterns.check_moves(kernels, self.method)
        active = {
            k.path: k.num_active_weights
            - k.num_pruned_weights
            + k.num_grown_weights
            for k in kernels
        }
        state.carry = budget - sum(active.values())
        self._check_carry(state.carry)
        exchange.move(kernels)
        state.num_reallocations += 1
        state.last_step = step
        state.write(self.masked)
        return Record(
            step=step,
            threshold=threshold,
            pruned={k.path: k.num_pruned_weights for k in kernels},
            grown={k.path: k.num_grown_weights for k in kernels},
            active=active,
            carry=state.carry,
            moves={k.path: k.moves for k in kernels},
        )

    def _exchange_for(self, optimizer: keras.optimizers.Optimizer) -> Exchange:
        if self._exchange is None or not self._exchange.is_for(optimizer):
            # What it trains is known only now, if the first step has built it.
            optimizer_slots.check_trains(
                optimizer, [weight.kernel for weight in self.moving]
            )
            self.hook.check(optimizer)
            self._exchange = Exchange(
                self.moving,
                optimizer,
                self.hook.gathers_gradients,
                self.hook.keeps_gradients,
                self.method.draws_alive,
                jit_compile=is_on_gpu(),
            )
        return self._exchange

    def _count_moves(
        self, moved: dict[str, int], step: int, state: ReallocationState
    ) -> Record:
        """The record of what has moved inside of the steps since the last."""
        active = {weight.path: weight.num_active for weight in self.moving}
        self._check_budget(state.carry + sum(active.values()))
        state.num_reallocations += 1
        state.last_step = step
        state.write(self.masked)
        return Record(
            step=step,
            threshold=None,
            pruned=moved,
            grown=dict(moved),
            active=active,
            carry=state.carry,
        )

    def _check_budget(self, budget: int) -> None:
        if self._budget not in (None, budget):
            raise BudgetBroken(
                f"the masks hold a budget of {budget} active weights, which "
                f"was {self._budget} before: something else has changed them"
            )
        self._budget = budget

    def _check_carry(self, carry: int) -> None:
        largest = max(weight.group_size for weight in self.masked)
        if not 0 <= carry < largest:
            raise BudgetBroken(
                f"{self.method} broke the budget of active weights: "
                f"{carry} weights were pruned and not grown, where from 0 "
                f"to {largest - 1} can be carried over."
            )

    def _prune(
        self,
        kernels: list[Kernel],
        state: ReallocationState,
        step: int,
        budget: int,
    ) -> None:
        views = [kernel.view() for kernel in kernels]
        chosen = self.method.prune(views, state, step)
        num_below = sum(map(self.method.num_counted, views, chosen))
        chosen = [
            prune.keep_last_group(c, view.scores)
            for c, view in zip(chosen, views)
        ]
        for kernel, pruned in zip(kernels, chosen):
            kernel.pruned = pruned
        # Bundles of N:M have room for what they lose; the other kernels, for
        # what they lose together, beyond what frees a slot of their own.
        sharing = [kernel for kernel in kernels if kernel.slots is None]
        num_free_weights = sum(
            k.num_growable_anyway * k.group_size for k in sharing
        )
        excess = [kernel.pruned_without_slot() for kernel in sharing]
        limited = prune.limit_weights(
            excess,
            (
                self.method.comparable_scores(view)
                for view in views
                if view.bundles is None
            ),
            [kernel.group_size for kernel in sharing],
            max(0, num_free_weights - state.carry),
        )
        for kernel, before, after in zip(sharing, excess, limited):
            kernel.pruned = kernel.pruned & ~before | after
        self.method.update(state, num_below, budget)

    def _grow(self, kernels: list[Kernel], state: ReallocationState) -> None:
        def generator(stream: int) -> np.random.Generator:
            return draws.generator(
                state.seed or 0, state.num_reallocations + 1, stream
            )

        for stream, kernel in enumerate(kernels, len(kernels)):
            kernel.find_growable(
                generator(stream),
                self.method.gradient_share,
                self.method.draws_alive,
            )
        views = [kernel.view() for kernel in kernels]
        sharing = [view for view in views if view.bundles is None]
        total = state.carry + sum(
            view.num_pruned_groups * view.group_size for view in sharing
        )
        shares = iter(
            self.method.redistribute(total, sharing) if sharing else []
        )
        for stream, (kernel, view) in enumerate(zip(kernels, views)):
            # A bundle of N:M grows what it loses.
            count = view.num_pruned_groups
            if view.bundles is None:
                count = next(shares)
            if count:
                kernel.grow(
                    self.method.grow(view, count, generator(stream)),
                    self.method.start_values(
                        count, generator(stream + 2 * len(kernels))
                    ),
                )
