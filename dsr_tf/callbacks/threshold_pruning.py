"""Pruning below thresholds during `model.fit`."""

from collections.abc import Callable

import keras

from dsr_tf.callbacks.pruning import Pruning
from dsr_tf.pruning import Rule
from dsr_tf.reallocation.record import Record


class ThresholdPruning(Pruning):
    """Pruning of weights below a threshold, as a rule says.

    By `dsr_tf.pruning.LinearThreshold` (Narang et al., 2017) recurrent
    networks while they train from new weights; by `StdThreshold` (Han et
    al., 2015) trained ones, the first step of Deep Compression. Start from a
    model whose weights are all active, `dsr_tf.sparsify(model, 0.0)`.

    A pruned weight never returns: it is stored as 0, gets no gradient and
    its optimizer slots start afresh. With granularities above single weights
    a group goes where the mean of its magnitudes is not above the threshold;
    N:M is refused. The largest group of a kernel stays in any case. Frozen
    layers are not pruned. A pruning takes place before the next batch once
    the number of updates has been reached, see `Reallocation`; where
    `steps_per_execution` does not divide the frequency, at the next
    execution, by the threshold of the update at which it was due.

    At the end of each epoch `logs` gains `mask_density`. If nothing has been
    pruned when training ends, if its schedule had more to prune, or another
    callback has set the model back to a denser state, a warning says so.

    Args:
        rule: A `LinearThreshold` or `StdThreshold`, or a
            `dsr_tf.pruning.Rule` of your own.
        listener: Callable that receives the `Record` of each pruning; its
            `threshold` is that of all kernels that are trained, or None
            where they have several.
        model, optimizer: As of `Reallocation`.

    Raises:
        TypeError: if an argument is none of these.
        ValueError: when training begins, if the model has no masked layers,
            the rule does not fit its kernels, or the optimizer cannot keep
            weights at 0.

    Example:

    >>> model = dsr_tf.sparsify(dense, 0.0)
    >>> model.compile("sgd", "mse")
    >>> rule = dsr_tf.pruning.LinearThreshold(
    ...     0.1, start=600, ramp=4500, end=9000, frequency=100)
    >>> pruning = dsr_tf.callbacks.ThresholdPruning(rule)
    >>> model.fit(x, y, callbacks=[pruning])
    """

    def __init__(
        self,
        rule: Rule,
        listener: Callable[[Record], None] | None = None,
        model: keras.Model | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        if not isinstance(rule, Rule):
            raise TypeError(
                "`rule` must be a dsr_tf.pruning.LinearThreshold, "
                f"StdThreshold or another Rule. Received: rule={rule!r}"
            )
        super().__init__(rule, listener, model, optimizer)
