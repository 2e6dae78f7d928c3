"""Calling a function after each update of an optimizer, in the same step.

Keras has constraints for that, a function a variable. What concerns several
variables at once must come after the last of them.
"""

from keras import ops

from dsr_tf.core import optimizer_slots


class AfterUpdate:
    """Stands in the place of an optimizer's `apply` while it is installed.

    Args:
        leaf: A Keras optimizer that updates variables itself.
        counter: The optimizer that counts the updates, `leaf` or one that
            wraps it.
        function: What to call, with the number of updates before this one,
            a tensor. It is traced into the compiled step.
    """

    def __init__(self, leaf, counter, function):
        self._leaf, self._counter, self.function = leaf, counter, function

    def install(self):
        # Past Keras, which looks into what is set on an optimizer.
        vars(self._leaf)["apply"] = self

    def remove(self):
        if vars(self._leaf).get("apply") is self:
            del vars(self._leaf)["apply"]

    def __call__(self, grads, trainable_variables=None):
        step = ops.convert_to_tensor(self._counter.iterations)
        type(self._leaf).apply(self._leaf, grads, trainable_variables)
        self.function(step)


def functions_of(optimizer):
    """The functions that are to be called, by loops that do not `apply`."""
    found = (
        vars(leaf).get("apply") for leaf in optimizer_slots.leaves(optimizer)
    )
    return [after.function for after in found if isinstance(after, AfterUpdate)]
