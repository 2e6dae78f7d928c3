"""What a masked network would cost if nothing was done for its zeros."""

import keras

from dsr_tf.layers import masked_weights
from dsr_tf.structure.graph.cost import Cost
from dsr_tf.structure.graph.structure import Structure


def active_cost(model: keras.Model) -> Cost:
    """Parameters and MACs of a model, those of inactive weights left out.

    Keras multiplies masked kernels as if they were whole, so what it
    computes is `cost(model).macs`. This is what is left for kernels that
    skip the zeros.

    Args:
        model: A built functional or Sequential model, masked or not.

    Returns:
        A `Cost`.

    Raises:
        TypeError, ValueError: as of `Structure`.
    """
    structure = Structure(model)
    whole, weights = structure.cost(), structure.trace.weights
    parameters, macs = whole.parameters, whole.macs
    for weight in masked_weights(model):
        num_inactive = weight.size - weight.num_active
        parameters -= num_inactive
        if id(weight.kernel) in weights:
            macs -= num_inactive * weights[id(weight.kernel)].num_uses
    return Cost(parameters, macs)
