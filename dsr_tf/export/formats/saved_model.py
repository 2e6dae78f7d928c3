"""A SavedModel that stores zeros for almost nothing.

TensorFlow's own SavedModel writes every weight, active or not. Here all
weights are packed into one blob (`packing`), and a resource made of built-in
operations unpacks it once, when the model is loaded. After that the graph
is the ordinary dense one, so a prediction costs what it always costs; only
kernels that layers store without zeros, and large and very sparse Dense
kernels, stay sparse (`products`).
"""

import os
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dsr_tf.command_line import UsageError
from dsr_tf.conversion.graph import Converting
from dsr_tf.conversion.graph import rebuild
from dsr_tf.conversion.storage import masked_copy
from dsr_tf.conversion.strip import written_out
from dsr_tf.export import packing
from dsr_tf.export import products
from dsr_tf.export import resource
from dsr_tf.export import signatures
from dsr_tf.export import sizes
from dsr_tf.export import target
from dsr_tf.export.active_kernel import active_kernel
from dsr_tf.export.classifier import classifier
from dsr_tf.export.codes import ClusteredKernels
from dsr_tf.export.compact import compact
from dsr_tf.export.dense import dense_saved_model
from dsr_tf.export.format import ExportFormat
from dsr_tf.export.format import Option
from dsr_tf.export.format import Report
from dsr_tf.export.format import values_option
from dsr_tf.export.layout import PACKED
from dsr_tf.export.layout import Layout
from dsr_tf.export.runnable import RunnableModel
from dsr_tf.export.runnable import check_single
from dsr_tf.export.runnable import loading
from dsr_tf.layers import Clustered
from dsr_tf.layers import ClusteredVariable
from dsr_tf.layers import Hashed
from dsr_tf.layers import clustered_weights
from dsr_tf.layers import masked_weights
from dsr_tf.layers.masked import stored
from dsr_tf.layers.masked_variable import exporting
from dsr_tf.layers.masked_weights import layers_with_paths


def saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    input_signature: Any = None,
    values: str = "float32",
    sparse_matmul: str = "auto",
    preprocessing: Callable[[Any], Any] | None = None,
) -> None:
    """Write a model as a SavedModel whose size follows its active weights.

    It loads without this package: by `tf.saved_model.load` in Python, and
    by every other loader of SavedModels. Its signature `serving_default`
    takes and gives tensors by the model's own names, with a free batch size.

    Args:
        model: A built Keras model; layers without masks are stored too.
        path: Folder to write, which must not exist or be empty.
        input_signature: Only for subclassed models, which do not know their
            inputs: a `tf.TensorSpec`, or a list of them.
        values: `"float32"`, which stores all as it is; `"float16"` or
            `"bfloat16"` round the kernels to half the bytes (vectors such
            as biases and the few kernels whose number of weights 16 does
            not divide stay as they are, and so does the arithmetic).
        sparse_matmul: `"auto"` multiplies by kernels of layers that store
            active weights only as these do, and by Dense kernels of at least
            2**20 weights and at most 5 % density as sparse matrices, which
            is faster on a CPU (but slower on a GPU); `"always"`, by all
            masked Dense kernels in float32 too; `"never"`, by none.
        preprocessing: For classifiers of images: a function of a uint8
            tensor `(batch, height, width, channels)` that gives the model's
            one input, made of TensorFlow operations. It adds the signature
            `classify`, from `image`, such a tensor, to `probabilities`: the
            model's one output, after a softmax unless the model ends with
            one (or a sigmoid).

    Raises:
        ValueError: if the backend is not TensorFlow, the folder is not
            empty or none that TensorFlow can load from, a recurrent layer is
            stateful, the inputs are not known, or an argument is none of
            the above.
        TypeError: if `model` is no Keras model.
        OSError: if the folder cannot be written.
    """
    target.check_model(model, "saved_model")
    target.check(path)
    if values not in packing.DTYPES:
        raise ValueError(
            "`values` must be one of float32, float16 and bfloat16. "
            f"Received: values={values!r}"
        )
    kinds = products.chosen(model, sparse_matmul)
    model, clustered = _written_out(masked_copy(model))
    signature, call = signatures.by_name(model, input_signature)
    root = tf.Module()
    root.tables = signatures.tables(model)
    state, multiplied = _store(root, model, clustered, values, kinds)

    @tf.function(input_signature=signature, autograph=False)
    def serve(*inputs: Any) -> dict[str, Any]:
        with keras.StatelessScope(list(state())), exporting(multiplied):
            return call(inputs)

    root.serve = serve
    endpoints = {"serving_default": serve}
    if preprocessing is not None:
        root.classify = classifier(model, serve, signature, preprocessing)
        endpoints["classify"] = root.classify
    with target.written_whole(path) as scratch:
        tf.saved_model.save(root, scratch, signatures=endpoints)
        compact(scratch)


def _written_out(
    model: keras.Model,
) -> tuple[keras.Model, list[tuple[keras.Variable, ClusteredVariable]]]:
    """A model whose tied and clustered kernels are variables again.

    Tables of where tied weights stand are larger than the kernels; the codes
    of clustered ones are stored in their place.

    Returns:
        The model, and pairs of a variable and the clustered kernel in it.
    """
    special = (Hashed, Clustered)
    if not any(isinstance(x, special) for x in model._flatten_layers()):
        return model, []
    kernels = clustered_weights(model)
    plain = rebuild(model, Converting(written_out))
    layers = {path: layer for layer, path in layers_with_paths(plain)}
    found = [
        (layers[path.rpartition("/")[0]], kernel)
        for path, kernel in kernels.items()
    ]
    return plain, [
        (stored(layer, kernel.name), kernel)
        for layer, kernel in found
        # Layers of one's own keep what is inside of them, and what float32
        # does not hold is no part of what is packed.
        if not isinstance(layer, Clustered) and kernel.codebook.dtype in PACKED
    ]


def _store(
    root: Any,
    model: keras.Model,
    clustered: list[tuple[keras.Variable, ClusteredVariable]],
    values: str,
    kinds: dict[str, type[products.ProductKernel]],
) -> tuple[
    Callable[[], Iterator[tuple[keras.Variable, Any]]], dict[Any, Callable]
]:
    """Pack a model's weights, as attributes of `root`.

    Args:
        clustered: As `_written_out` returns them.
        kinds: As `products.chosen` returns them.

    Returns:
        Function that gives, in a graph, pairs of a variable and its value;
        and for layers whose kernels stay sparse, functions that multiply by
        them.
    """

    masked = masked_weights(model)
    kernels = {
        weight: kinds[weight.path](weight, active_kernel(weight), values)
        for weight in masked
        if weight.path in kinds
    }
    unread = {id(variable) for variable in model.metrics_variables}
    for weight in masked:
        unread |= {id(variable) for variable in sizes.unread_of(weight)}
    unread |= {id(weight.kernel) for weight in kernels}
    unread |= {id(variable) for variable, _ in clustered}
    variables = [v for v in model.variables if id(v) not in unread]
    active = {id(weight.kernel): weight for weight in masked}
    layout = Layout(
        variables,
        [
            active_kernel(active[id(variable)])
            if id(variable) in active
            else ops.convert_to_numpy(variable)
            for variable in variables
        ],
        values,
    )
    packed = packing.pack(
        layout.rows.reshape(-1), values, layout.num_in_kernels
    )
    _check_unpacks(packed, layout.rows.reshape(-1))
    parts = resource.string_variables(packed)
    codes = ClusteredKernels(*zip(*clustered)) if clustered else None
    if codes is not None:
        parts |= resource.variables(codes.parts)

    def unpack(gaps: Any, high: Any, low: Any, clustered: Any = None) -> Any:
        unpacked = packing.unpack(gaps, high, low, packed)
        if codes is None:
            return unpacked
        return tf.concat([unpacked, codes.unpack(clustered)], 0)

    num_rows = [len(layout.rows), len(codes.layout.rows) if codes else 0]
    blob = resource.Unpacked(
        parts, unpack, (sum(num_rows), layout.rows.shape[1])
    )
    root.resources = [
        blob,
        *(r for kernel in kernels.values() for r in kernel.resources),
    ]
    root.packed = [r.variables for r in root.resources]
    multiplied = {w.variable: kernel.multiply for w, kernel in kernels.items()}

    def state() -> Iterator[tuple[keras.Variable, Any]]:
        if codes is None:
            yield from layout.tensors(blob.read())
            return
        rows, clustered_rows = tf.split(blob.read(), num_rows)
        yield from layout.tensors(rows)
        yield from codes.layout.tensors(clustered_rows)

    return state, multiplied


def _check_unpacks(packed: packing.Packed, expected: np.ndarray) -> None:
    unpacked = packing.unpack(**packed.parts, packed=packed).numpy()
    if not np.array_equal(unpacked, expected, equal_nan=True):
        raise RuntimeError("The packed weights do not unpack to the same.")


class SavedModel(ExportFormat):
    """TensorFlow's format: packed, or with all zeros to compare with."""

    name, title = "saved_model", "SavedModel"
    options = (
        values_option(*packing.DTYPES),
        Option(
            "sparse_matmul",
            "auto",
            "Whether kernels are served by sparse products: those that layers "
            "store so, and large, very sparse Dense kernels, for CPUs.",
            products.MODES,
        ),
        Option(
            "preprocessing",
            False,
            "Add a signature from images (uint8) to probabilities, as the "
            "data set of the run is standardised.",
        ),
        Option("dense", False, "Store all zeros, to compare with."),
    )

    def recognises(self, path: str) -> bool:
        return os.path.isfile(os.path.join(path, "saved_model.pb"))

    def check_output(self, path: str) -> None:
        target.check(path)

    def check_options(self, options: dict[str, Any]) -> None:
        if not options["dense"]:
            return
        for option in self.options:
            value = options[option.name]
            if option.name == "dense" or value == option.default:
                continue
            given = f"flag --{option.name}={value}"
            if option.name == "values":
                raise UsageError(
                    f"{given}: must be {option.default} for --dense"
                )
            raise UsageError(
                f"{given}: is for sparse SavedModels; with --dense it must be "
                f"{option.default}"
            )

    def write(
        self, model: keras.Model, path: str, options: dict[str, Any]
    ) -> None:
        options = dict(options)
        if options.pop("dense"):
            dense_saved_model(model, path)
        else:
            saved_model(model, path, **options)

    def report(self, model: keras.Model, options: dict[str, Any]) -> Report:
        if options["dense"]:
            return Report(
                "nothing: it stores all zeros, to compare with",
                stores_zeros=True,
            )
        chosen = products.chosen(model, options["sparse_matmul"])
        return Report(
            "smaller; as fast as a dense one, for it is dense once loaded",
            stores_zeros=False,
            notes=tuple(
                (kind.title, f"{path}: {kind.note}")
                for path, kind in chosen.items()
            ),
        )

    def load(self, flag: str, path: str) -> RunnableModel:
        with loading(flag, path):
            loaded = tf.saved_model.load(path)
            signature = loaded.signatures["serving_default"]
        inputs = signature.structured_input_signature[1]
        check_single(flag, path, inputs, signature.structured_outputs)
        ((name, spec),) = inputs.items()

        def predict(batch: np.ndarray) -> np.ndarray:
            batch = tf.convert_to_tensor(batch)
            (outputs,) = signature(**{name: batch}).values()
            return outputs.numpy()

        # The signature needs the object that holds its weights.
        predict.loaded = loaded  # type: ignore[attr-defined]  # of a function
        return RunnableModel(
            path, self.title, predict, tuple(spec.shape.as_list())
        )


FORMAT = SavedModel()
