"""Gradual magnitude pruning during `model.fit`."""

from collections.abc import Callable
from typing import Any

import keras

from dsr_tf.callbacks.pruning import Pruning
from dsr_tf.pruning import PruningHyperparameters
from dsr_tf.pruning.gradual import Gradual
from dsr_tf.reallocation.record import Record


class GradualPruning(Pruning):
    """Gradual magnitude pruning (Zhu & Gupta, 2017).

    The paper's "compressed sparse". Every `pruning_frequency` updates the
    smallest weights of each masked kernel become inactive, as many as a
    polynomial schedule says. Start from a model whose weights are all
    active, `dsr_tf.sparsify(model, 0.0)`, best a trained one.

    Names and defaults are those of `tf.contrib.model_pruning`. Unlike
    there, the number of weights that stay is exact, a pruned weight never
    returns (it is stored as 0), and its optimizer slots start afresh. A
    pruning takes place before the next batch once the number of updates
    has been reached, see `Reallocation`.

    With granularity N:M each M consecutive weights keep their largest, as
    many as the schedule says, rounded, and at least N: start from
    `dsr_tf.sparsify(model, 0.0, granularity="2:4")`, and let the schedule
    end at sparsity 1 - N/M.

    At the end of each epoch `logs` gains `mask_density`. Frozen layers are
    not pruned. If nothing has been pruned when training ends, or it has not
    come to the target, or another callback has set the model back to a denser
    state, a warning says so.

    Args:
        hyperparameters: A `dsr_tf.pruning.PruningHyperparameters`, or a
            comma-separated list `name=value` of them; or give them by name:
        listener: Callable that receives the `Record` of each pruning.
        model, optimizer: As of `Reallocation`.
        **by_name: Arguments of `PruningHyperparameters`.

    Raises:
        ValueError: if an argument is out of range; when training begins, if
            the model has no masked layers, blocks or the schedule do not fit
            its kernels, or the optimizer cannot keep weights at 0.

    Example:

    >>> model = dsr_tf.sparsify(dense, 0.0)
    >>> model.compile("sgd", "mse")
    >>> pruning = dsr_tf.callbacks.GradualPruning(
    ...     target_sparsity=0.9,
    ...     pruning_frequency=100,
    ...     sparsity_function_end_step=2000)
    >>> model.fit(x, y, callbacks=[pruning])
    """

    def __init__(
        self,
        hyperparameters: PruningHyperparameters | str | None = None,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        **by_name: Any,
    ) -> None:
        if hyperparameters is None:
            hyperparameters = PruningHyperparameters(**by_name)
        elif by_name:
            raise ValueError(
                "Give `hyperparameters` or single ones by name, not both. "
                f"Received: {', '.join(by_name)} beside hyperparameters="
                f"{hyperparameters!r}"
            )
        elif isinstance(hyperparameters, str):
            hyperparameters = PruningHyperparameters.parse(hyperparameters)
        elif not isinstance(hyperparameters, PruningHyperparameters):
            raise ValueError(
                "`hyperparameters` must be a PruningHyperparameters or a "
                "comma-separated list of name=value. Received: "
                f"hyperparameters={hyperparameters!r}"
            )
        self.hyperparameters = hyperparameters
        super().__init__(Gradual(hyperparameters), listener, model, optimizer)
