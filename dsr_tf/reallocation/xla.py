"""Functions that change variables, compiled by XLA for each replica.

Between training steps, TensorFlow computes what is assigned to a variable of
several replicas once, on the first device, and sends it to the others: all of
a kernel, of its slots and of its mask, however few weights move. XLA cannot
compile that, for it knows one device at a time. But replicas are equal, so
each can compute the same of what it has itself: only arguments are sent.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dsr_tf.core.uncounted import uncounted


def on_each_replica(
    function: Callable[..., None],
    variable: keras.Variable,
    signature: Sequence[tf.TensorSpec],
) -> Callable[..., None]:
    """Compile a function that changes variables.

    Args:
        function: Takes tensors and assigns to variables, which are those of
            the replica that runs it. It must do the same on all of them.
        variable: One of these variables; it says where replicas are.
        signature: The `tf.TensorSpec` of each argument.

    Returns:
        A function of the same arguments, to be called between training
        steps; where there are several workers, by each of them.
    """
    compiled = tf.function(
        uncounted(function), input_signature=signature, jit_compile=True
    )
    stored = variable.value
    if not isinstance(stored, tf.distribute.DistributedValues):
        return compiled
    strategy = stored.distribute_strategy

    def on_all(*arguments: Any) -> None:
        strategy.extended.update(
            stored, lambda _, *own: compiled(*own), arguments
        )

    return tf.function(uncounted(on_all), input_signature=signature)
