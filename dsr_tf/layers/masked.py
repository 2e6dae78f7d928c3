"""The mixin that makes a Keras layer sparse.

A masked layer is Keras' own layer with two more variables. `mask` says
which groups of weights are active; it multiplies the kernel where Keras
reads it, so `call` is Keras' own. `reallocation_state` is a place where
whoever moves the weights keeps what must survive a restart; a layer does
not look into it.
"""

import contextlib
import contextvars

import keras
import numpy as np
from keras import ops

from dsr_tf.core import distribution
from dsr_tf.core import draws
from dsr_tf.core import granularity as granularities
from dsr_tf.core import sparse_arrays

STATE_SIZE = 8

_products = contextvars.ContextVar("dsr_tf_products", default=None)


@contextlib.contextmanager
def serving(products=()):
    """Within this scope, layers read the variable of the kernel as it is.

    An exported graph is traced this way: it has in the place of the variable
    what the forward pass reads, masked and with LoRA, and needs no masks.

    Args:
        products: For layers whose kernel is not there as an array, a dict
            from the layer to a function that multiplies inputs by it.
    """
    token = _products.set(dict(products))
    try:
        yield
    finally:
        _products.reset(token)


def product_of(layer):
    """The function that `serving` has for a layer, None if it has none."""
    return (_products.get() or {}).get(layer)


class Masked:
    """Mixin for a layer one of whose variables is `mask * weights`.

    It must come before the Keras layer among the bases. The variable is the
    one that the layer adds under the name `_weight_name`. Inactive weights
    are stored as exactly 0 from the start.

    Args:
        sparsity: Share of inactive weights, in [0, 1). The layer starts
            with `round((1 - sparsity) * num_groups)` active groups, at least
            one, at random places.
        granularity: What one mask entry governs, see `dsr_tf.core.granularity`.
        seed: Integer that the mask is drawn from; None draws a fresh one.
    """

    _weight_name = "kernel"
    # Axes of the kernel along which output channels differ.
    _channel_axes = (-1,)
    # A function that says, as a tensor, whether the gradient of this step
    # reaches inactive weights; set by methods that grow by gradient.
    dense_gradient = None

    def __init__(
        self, *args, sparsity=0.9, granularity="element", seed=None, **kwargs
    ):
        self._sparsity_given = distribution.check_sparsity(sparsity)
        self.granularity = granularities.get(granularity)
        self.seed = seed
        self._mask_seed = draws.check_seed(seed)
        super().__init__(*args, **kwargs)

    def add_weight(self, *args, name=None, **kwargs):
        """Keras' `add_weight`; the kernel gets its mask as it is made."""
        if name != self._weight_name:
            return super().add_weight(*args, name=name, **kwargs)
        shape = tuple(args[0] if args else kwargs.pop("shape"))
        self.grouping = self.granularity.grouping(shape, self._channel_axes)
        mask_shape = self.grouping.mask_shape
        mask = _random_mask(mask_shape, self._sparsity_given, self._mask_seed)
        initializer = keras.initializers.get(kwargs.pop("initializer"))
        regularizer = kwargs.pop("regularizer", None)
        if regularizer is not None:
            regularizer = self._of_active_weights(regularizer)

        def masked_initializer(shape, dtype=None):
            values = initializer(shape, dtype=dtype)
            spread = self.grouping.spread(ops.convert_to_tensor(mask))
            return values * ops.cast(spread, values.dtype)

        kernel = super().add_weight(
            name=name,
            shape=shape,
            initializer=masked_initializer,
            regularizer=regularizer,
            **kwargs,
        )
        self.mask = super().add_weight(
            name="mask",
            shape=mask_shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(mask),
            dtype="bool",
            trainable=False,
        )
        self.reallocation_state = super().add_weight(
            name="reallocation_state",
            shape=(STATE_SIZE,),
            initializer="zeros",
            # As the optimizer's count of updates, on the same device.
            dtype="int",
            trainable=False,
        )
        return kernel

    @property
    def sparsity(self):
        """Share of inactive groups: as given, or as the mask now has it
        where that holds another number of them."""
        if getattr(self, "mask", None) is None:
            return self._sparsity_given
        mask = ops.convert_to_numpy(self.mask)
        num_active = int(np.count_nonzero(mask))
        if num_active == distribution.num_active(
            mask.size, self._sparsity_given
        ):
            return self._sparsity_given
        return 1 - num_active / mask.size

    def _of_active_weights(self, regularizer):
        """The penalty on the kernel as the forward pass reads it.

        Most penalties leave zeros alone; not all do.
        """
        regularizer = keras.regularizers.get(regularizer)
        return lambda kernel: regularizer(self._apply_mask(kernel))

    @property
    def masked_variable(self):
        """The stored kernel: 0 wherever the mask is False."""
        return getattr(self, f"_{self._weight_name}")

    @property
    def is_serving(self):
        """Whether this is traced for an export, see `serving`."""
        return _products.get() is not None

    def set_kernel(self, kernel):
        """Store the weights `kernel`, an array, as they are."""
        self.masked_variable.assign(kernel)

    def _apply_mask(self, weights):
        # Keras asks for the kernel while it is being made, before the mask.
        mask = getattr(self, "mask", None)
        if mask is None:
            return weights
        weights = ops.convert_to_tensor(weights)
        mask = self.grouping.spread(ops.convert_to_tensor(mask))
        masked = weights * ops.cast(mask, weights.dtype)
        if self.dense_gradient is None:
            return masked
        # The value is that of `masked`, exactly; the gradient passes through
        # to all that `reached` takes in.
        reached = ops.logical_or(mask, self.dense_gradient())
        reached = weights * ops.cast(reached, weights.dtype)
        return reached + ops.stop_gradient(masked - reached)

    def save_own_variables(self, store):
        """Store the mask as packed positions and the active weights only.

        `mask.gaps` is that of `dsr_tf.core.sparse_arrays`; `<kernel>.active`
        has the weights of active groups, in the order of the mask. All other
        variables are stored under their names, as they are.
        """
        active = ops.convert_to_numpy(self.mask).reshape(-1)
        kernel = ops.convert_to_numpy(self.masked_variable)
        weights = self.grouping.groups(kernel)[active].reshape(-1)
        gaps = sparse_arrays.pack_positions(active)
        store["mask.gaps"] = np.frombuffer(gaps, "uint8")
        store[f"{self._weight_name}.active"] = weights
        for variable in self._stored_as_they_are():
            store[variable.name] = variable

    def load_own_variables(self, store):
        """Load what `save_own_variables` stored.

        Files of before, with the whole kernel and mask, load as well.

        Raises:
            ValueError: if the file holds a layer without a mask, other
                variables than this layer has, or is damaged.
        """
        whole = {variable.name for variable in self._own_variables()}
        packed = {variable.name for variable in self._stored_as_they_are()}
        packed |= {"mask.gaps", f"{self._weight_name}.active"}
        found = set(store.keys())
        if found == packed:
            self._load_packed(store)
            variables = self._stored_as_they_are()
        elif found == whole:
            variables = self._own_variables()
        else:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) stores the "
                f"variables {sorted(packed)}, but the file holds "
                f"{sorted(found)} for it: it was saved from another "
                "layer, perhaps a dense one without a mask. Use "
                "`dsr_tf.sparsify` on the dense model instead."
            )
        for variable in variables:
            variable.assign(store[variable.name])

    def _load_packed(self, store):
        grouping = self.grouping
        positions = sparse_arrays.unpack_positions(
            store["mask.gaps"], grouping.num_groups
        )
        weights = np.asarray(store[f"{self._weight_name}.active"])
        if weights.size != len(positions) * grouping.group_size:
            raise ValueError(
                f"Layer '{self.name}' has {len(positions)} active groups of "
                f"{grouping.group_size} weights in the file, which holds "
                f"{weights.size} weights: it is damaged."
            )
        mask = np.zeros(grouping.num_groups, "bool")
        mask[positions] = True
        groups = np.zeros(
            (grouping.num_groups, grouping.group_size), weights.dtype
        )
        groups[positions] = weights.reshape(-1, grouping.group_size)
        self.mask.assign(mask.reshape(grouping.mask_shape))
        self.masked_variable.assign(grouping.ungroup(groups))

    def _stored_as_they_are(self):
        return [
            variable
            for variable in self._own_variables()
            if variable is not self.mask
            and variable is not self.masked_variable
        ]

    def _own_variables(self):
        return self._trainable_variables + self._non_trainable_variables

    def get_config(self):
        config = super().get_config()
        config.update(
            sparsity=self.sparsity,
            granularity=self.granularity.name,
            seed=self.seed,
        )
        return config


class MaskedKernel(Masked):
    """`Masked` for layers that read their weights from `self.kernel`."""

    @property
    def kernel(self):
        if self.is_serving:
            return self.masked_variable
        return self._apply_mask(super().kernel)

    @kernel.setter
    def kernel(self, variable):
        # Depthwise and transposed convolutions assign it in `build`; all
        # other layers assign `_kernel` themselves and only read `kernel`.
        self._kernel = variable


class StoredKernel:
    """Gives a layer that sets `self.kernel` the property of the others."""

    @property
    def kernel(self):
        return self._kernel


def _random_mask(shape, sparsity, seed):
    size = int(np.prod(shape))
    num_active = distribution.num_active(size, sparsity)
    mask = np.zeros(size, "bool")
    mask[
        draws.generator(seed).choice(
            size, num_active, replace=False, shuffle=False
        )
    ] = True
    return mask.reshape(shape)
