"""How many updates a call of a model's training function makes."""

import keras

from dsr_tf.core import optimizer_slots


def gathered(optimizer: keras.optimizers.Optimizer) -> int:
    """How many batches an update gathers the gradients of, 1 for no others."""
    numbers = [
        leaf.gradient_accumulation_steps
        for leaf in optimizer_slots.leaves(optimizer)
    ]
    return max(number or 1 for number in numbers)


def at_most(model: keras.Model) -> int | None:
    """The largest number; None if it is unknown.

    A training step of the user's own may make several updates, or none.
    """
    if not optimizer_slots.has_step_of_keras(model):
        return None
    return -(-model.steps_per_execution // gathered(model.optimizer))


def why_late(model: keras.Model, period: int) -> str | None:
    """The reason why not each multiple of a period is the end of a call; None
    where it is, as far as that is known."""
    most = at_most(model) or 1
    is_whole = model.steps_per_execution % gathered(model.optimizer) == 0
    if most == 1 or (is_whole and period % most == 0):
        return None
    return (
        f"the period {period} is not divisible by the updates of an execution "
        f"(steps_per_execution={model.steps_per_execution}), so reallocations "
        "happen at the first one after each multiple"
    )
