"""A SavedModel that stores zeros for almost nothing.

TensorFlow's own SavedModel writes every weight, active or not. Here all
weights are packed into one blob (`packing`), and a resource made of built-in
operations unpacks it once, when the model is loaded. After that the graph
is the ordinary dense one, so serving costs what it always costs.
"""

import os
import shutil
import tempfile
import uuid

import keras
import numpy as np
from keras import ops

from dsr_tf.export import packing
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked import without_masking

# Each tensor begins at a multiple of this many values (64 bytes), so that
# cutting the blob into tensors is a view and not a copy.
_ROW = 16


def saved_model(model, path, input_signature=None):
    """Write a model as a SavedModel whose size follows its active weights.

    It loads without this package: by `tf.saved_model.load` in Python, and
    by every other loader of SavedModels. Its signature `serving_default`
    takes and gives tensors by the model's own names, with a free batch size.

    Args:
        model: A built Keras model; layers without masks are stored too.
        path: Folder to write, which must not exist or be empty.
        input_signature: Only for subclassed models, which do not know their
            inputs: a `tf.TensorSpec`, or a list of them.

    Raises:
        ValueError: if the backend is not TensorFlow, the folder is not
            empty, or the inputs are not known.
        TypeError: if `model` is no Keras model.
    """
    _check(model, path)
    import tensorflow as tf

    signature, call = _serving(model, input_signature)
    variables = model.variables
    layout = _Layout(variables, masked_weights(model))
    blob = _resource(layout.rows)

    @tf.function(input_signature=signature, autograph=False)
    def serve(*inputs):
        rows = tf.raw_ops.ReadVariableOp(
            resource=blob.resource_handle, dtype=tf.float32
        )
        state = zip(variables, layout.tensors(rows))
        with keras.StatelessScope(state), without_masking():
            return call(inputs)

    root = tf.Module()
    root.blob, root.packed, root.serve = blob, blob.packed, serve
    parent = os.path.dirname(os.path.abspath(path))
    os.makedirs(parent, exist_ok=True)
    # Written beside and moved: nobody ever meets half a model.
    scratch = tempfile.mkdtemp(prefix=".saved_model-", dir=parent)
    try:
        tf.saved_model.save(
            root, scratch, signatures={"serving_default": serve}
        )
        os.chmod(scratch, 0o777 & ~_umask())
        if os.path.isdir(path):
            os.rmdir(path)
        os.rename(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _check(model, path):
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`saved_model` takes a Keras model. Received: "
            f"model={model!r} of type {type(model).__name__}"
        )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`saved_model` needs Keras' TensorFlow backend. Received: "
            f"backend={keras.backend.backend()}. Save the model as `.keras` "
            "and export it in a process with KERAS_BACKEND=tensorflow."
        )
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built yet: call it on data first."
        )
    if os.path.lexists(path) and not (
        os.path.isdir(path) and not os.listdir(path)
    ):
        raise ValueError(
            "`path` must be a folder that does not exist or is empty. "
            f"Received: path={str(path)!r}"
        )


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _serving(model, input_signature):
    """Input specs by the model's names, and a call with such inputs."""
    import tensorflow as tf

    known = getattr(model, "inputs", None)
    if known and input_signature is None:
        struct = getattr(model, "_inputs_struct", None)
        if isinstance(model, keras.Sequential):
            struct = known[0]
        specs = [
            tf.TensorSpec((None, *t.shape[1:]), t.dtype, name=t.name)
            for t in tf.nest.flatten(struct)
        ]
        graph = getattr(model, "_functional", model)
        output_names = graph.output_names
    elif input_signature is not None:
        struct = input_signature
        specs = tf.nest.flatten(input_signature)
        output_names = None
    else:
        raise ValueError(
            f"Model '{model.name}' does not know its inputs. Give "
            "`input_signature`, such as tf.TensorSpec((None, 28, 28)). "
            "Received: input_signature=None"
        )

    def call(inputs):
        inputs = tf.nest.pack_sequence_as(struct, inputs)
        flat = tf.nest.flatten(model(inputs, training=False))
        names = output_names or [f"output_{i}" for i in range(len(flat))]
        return dict(zip(names, flat, strict=True))

    return specs, call


class _Layout:
    """Variables as rows of one float32 array, and back as tensors.

    What float32 cannot hold exactly (counters, seeds, float64) is kept as
    a constant of the graph. Of the masks only the shape is kept (see
    `without_masking`), so inactive weights must be 0: in the middle of
    training by some methods, optimizers move them.
    """

    def __init__(self, variables, masked):
        unread = {id(weight.mask) for weight in masked}
        masks = {
            id(weight.kernel): weight.grouping.spread(
                ops.convert_to_tensor(weight.mask)
            )
            for weight in masked
        }
        self._shapes, self._dtypes, self._constants = [], [], []
        self._unread = [id(variable) in unread for variable in variables]
        parts = [np.zeros((0, _ROW), "float32")]
        for variable in variables:
            dtype = keras.backend.standardize_dtype(variable.dtype)
            packs = dtype in ("float32", "bfloat16", "float16")
            self._shapes.append(tuple(variable.shape))
            self._dtypes.append(dtype)
            value = ops.convert_to_numpy(variable)
            if id(variable) in masks:
                mask = ops.convert_to_numpy(masks[id(variable)])
                value = np.where(mask, value, value.dtype.type(0))
            self._constants.append(None if packs else value)
            if packs:
                values = value.astype("float32")
                parts.append(
                    np.zeros((-(-values.size // _ROW), _ROW), "float32")
                )
                parts[-1].reshape(-1)[: values.size] = values.reshape(-1)
        self.rows = np.concatenate(parts)
        self._num_rows = [len(part) for part in parts[1:]]

    def tensors(self, rows):
        """The variables' values, from the tensor `rows`."""
        import tensorflow as tf

        parts = tf.split(rows, self._num_rows, axis=0) if self._num_rows else []
        parts = iter(parts)
        values = []
        for shape, dtype, constant, unread in zip(
            self._shapes, self._dtypes, self._constants, self._unread
        ):
            if unread:
                values.append(tf.fill(shape, True))
                continue
            if constant is not None:
                values.append(tf.constant(constant))
                continue
            part, size = tf.reshape(next(parts), [-1]), int(np.prod(shape))
            values.append(tf.cast(tf.reshape(part[:size], shape), dtype))
        return values


def _resource(rows):
    """A tracked resource that holds `rows`, saved packed."""
    import tensorflow as tf

    packed = packing.pack(rows.reshape(-1))
    unpacked = packing.unpack(*packed, rows.size).numpy()
    if not np.array_equal(unpacked, rows.reshape(-1), equal_nan=True):
        raise RuntimeError("The packed weights do not unpack to the same.")

    class Blob(tf.saved_model.experimental.TrackableResource):
        def __init__(self, packed, shape):
            super().__init__()
            # Resources without a name of their own would all become one
            # when the model is loaded in Python.
            self._name = f"dsr_tf-{uuid.uuid4().hex}"
            self._shape = shape
            self.packed = [
                tf.Variable(part, trainable=False, name=name)
                for part, name in zip(packed, ("gaps", "high", "low"))
            ]

        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(
                dtype=tf.float32, shape=self._shape, shared_name=self._name
            )

        def _initialize(self):
            values = packing.unpack(*self.packed, int(np.prod(self._shape)))
            tf.raw_ops.AssignVariableOp(
                resource=self.resource_handle,
                value=tf.reshape(values, self._shape),
            )

        def _destroy_resource(self):
            tf.raw_ops.DestroyResourceOp(
                resource=self.resource_handle, ignore_lookup_error=True
            )

    return Blob(packed, rows.shape)
