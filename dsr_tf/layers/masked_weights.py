"""Finding the masked kernels of a model."""

import dataclasses

import numpy as np
from keras import ops

from dsr_tf.layers.masked import Masked


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedWeight:
    """One masked kernel of a model.

    Attributes:
        path: Its name in the model, such as `"sparse_dense/kernel"`.
        kernel: Keras variable, the stored weights, 0 where inactive.
        mask: Keras variable of booleans, True where a group is active.
        layer: The layer that holds both.
    """

    path: str
    kernel: object
    mask: object
    layer: Masked

    @property
    def size(self):
        """Number of weights."""
        return int(np.prod(self.kernel.shape))

    @property
    def grouping(self):
        """The `dsr_tf.granularity.Grouping` of kernel and mask."""
        return self.layer.grouping

    @property
    def group_size(self):
        """Number of weights that one mask entry governs."""
        return self.grouping.group_size

    @property
    def num_active(self):
        """Number of active weights, counted from the mask."""
        mask = ops.convert_to_numpy(self.mask)
        return int(np.count_nonzero(mask)) * self.group_size

    def set_mask(self, mask):
        """Change the mask; weights outside of it are stored as 0.

        Args:
            mask: Boolean array of as many entries as the mask has.
        """
        mask = np.reshape(mask, self.mask.shape)
        groups = self.grouping.groups(ops.convert_to_numpy(self.kernel).copy())
        groups[~mask.reshape(-1)] = 0
        self.mask.assign(mask)
        self.kernel.assign(self.grouping.ungroup(groups))


def mask_density(weights):
    """Active share of all the weights of a list of `MaskedWeight`."""
    return sum(w.num_active for w in weights) / sum(w.size for w in weights)


def masked_weights(model):
    """The masked kernels of a model, each once, in the order of its layers.

    Args:
        model: A Keras model or layer, of any kind; layers inside of other
            layers are found too.

    Returns:
        List of `MaskedWeight`, with `.path`, `.kernel`, `.mask`,
        `.num_active` and `.size`. Empty where nothing is masked.

    Raises:
        ValueError: if a masked layer has no variables yet.
    """
    found = {}
    for layer in model._flatten_layers():
        if not isinstance(layer, Masked) or id(layer) in found:
            continue
        if not layer.built:
            raise ValueError(
                f"Layer '{layer.name}' is not built yet: call the model on "
                "data, or `model.build(input_shape)`, first."
            )
        kernel = layer.masked_variable
        found[id(layer)] = MaskedWeight(kernel.path, kernel, layer.mask, layer)
    return list(found.values())
