"""What a masked network would cost without its inactive weights."""

import keras

from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.whole.model_cost import cost


def active_cost(model: keras.Model) -> Cost:
    """Parameters and MACs of a model, those of inactive weights left out.

    Keras multiplies masked kernels as if they were whole, so what it
    computes is `cost(model).macs`. This is what is left for kernels that
    skip the zeros: the totals of `dsr_tf.cost`.

    Args:
        model: A built functional or Sequential model, masked or not.

    Returns:
        A `Cost`.

    Raises:
        TypeError, ValueError: as of `dsr_tf.cost`.
    """
    found = cost(model)
    return Cost(found.num_active_parameters, found.num_active_macs)
