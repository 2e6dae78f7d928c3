"""How large the weights of a trained network are, by the type of layer."""

import re
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from dsr_tf.core.checks import is_number
from dsr_tf.layers.kinds import DENSE_KINDS
from dsr_tf.layers.kinds import MASKED_KINDS
from dsr_tf.layers.masked import stored
from dsr_tf.layers.masked_weights import layers_with_paths
from dsr_tf.layers.masked_weights import unlike

# Those that Narang et al. (2017) prune.
RECURRENT = (
    keras.layers.LSTMCell,
    keras.layers.GRUCell,
    keras.layers.SimpleRNNCell,
)
LINEAR = (keras.layers.Dense,)


def percentiles(
    model: keras.Model,
    percentile: float = 90.0,
    types: Sequence[tuple[type, ...]] = (RECURRENT, LINEAR),
) -> dict[str, float]:
    """The q of `LinearThreshold`, read off a trained dense network.

    Narang et al. (2017), section 3: the 90th percentile of the magnitudes of
    all weights of a layer type, recurrent or linear.

    Args:
        model: A built Keras model, dense or masked; of masked kernels all
            weights count, those that are 0 too.
        percentile: Which, in [0, 100]; between two weights linearly.
        types: Classes of Keras' layers that count as one type each, such as
            `(keras.layers.Dense,)`. Layers of other types are left out.

    Returns:
        Dict `{regular expression: percentile}`, one for each type that the
        model has. The expression is found in the paths of its kernels, also
        once the model is masked by `sparsify`.

    Raises:
        ValueError: if `percentile` is out of range, or the model has no such
            layers.
    """
    if not is_number(percentile) or not 0 <= percentile <= 100:
        raise ValueError(
            "`percentile` must be a number in [0, 100]. Received: "
            f"percentile={percentile!r}"
        )
    found = {}
    for kinds in types:
        kernels = _kernels(model, kinds)
        if kernels:
            paths = "|".join(map(re.escape, kernels))
            values = np.concatenate([k.reshape(-1) for k in kernels.values()])
            found[f"^({paths})$"] = float(
                np.percentile(np.abs(values.astype("float64")), percentile)
            )
    if not found:
        names = [kind.__name__ for kinds in types for kind in kinds]
        raise ValueError(
            "`model` must have layers that can be masked, of "
            f"{', '.join(names)}. Received: model '{model.name}'"
        )
    return found


def _kernels(
    model: keras.Model, kinds: tuple[type, ...]
) -> dict[str, np.ndarray]:
    """The weights that are, or could be, masked; by their paths."""
    found, paths = {}, set[str]()
    for layer, path in layers_with_paths(model):
        dense_kind = DENSE_KINDS.get(type(layer), type(layer))
        if dense_kind not in MASKED_KINDS:
            continue
        for name in MASKED_KINDS[dense_kind]._channel_axes:
            # As `masked_weights` tells layers of one name apart.
            key = unlike(f"{path}/{name}".lstrip("/"), paths)
            if dense_kind not in kinds:
                continue
            variable = stored(layer, name)
            if variable is None:
                raise ValueError(
                    f"Layer '{layer.name}' is not built yet: call the model "
                    "on data, or `model.build(input_shape)`, first."
                )
            found[key] = ops.convert_to_numpy(variable)
    return found
