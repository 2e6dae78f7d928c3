"""What could grow in weights of which only the active ones are stored.

Methods that grow by gradients need those of weights that are not there. In
the step that they ask for, the inputs of a layer and the gradient by its
outputs are caught, and of the gradient of the whole kernel the largest
numbers are found, or some drawn (`dsr_tf.core.stripes`), as many as there are
slots. They are kept here until the reallocation.
"""

from typing import Any

import keras

from dsr_tf.layers.candidates.candidates import Candidates
from dsr_tf.layers.candidates.candidates import Found
from dsr_tf.layers.candidates.candidates import shape_of

__all__ = ["Candidates", "Found", "new", "shape_of"]


def new(variable: Any, trained: keras.Model) -> Candidates:
    """Candidates that are found in training steps.

    Args:
        variable: The `StoredVariable`.
        trained: The Keras model whose training function runs the steps.

    Raises:
        ValueError: on a backend that has no way to.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        # TensorFlow's alone, which other backends do without.
        from dsr_tf.layers.candidates.in_graph import CandidatesInGraph

        with trained.distribute_strategy.scope():
            return CandidatesInGraph(variable)
    if backend == "jax":
        from dsr_tf.layers.candidates.on_host import CandidatesOnHost

        return CandidatesOnHost(variable)
    raise ValueError(
        "Gradients of weights that are not stored are found on Keras' "
        "TensorFlow and JAX backends only. Received: backend "
        f"{backend}, layer '{variable.layer.name}' of storage="
        f"'{variable.storage}'"
    )
