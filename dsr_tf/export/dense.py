"""A SavedModel with every weight, for comparison with the sparse one."""

import os

import keras

from dsr_tf.conversion import stripped
from dsr_tf.export import signatures
from dsr_tf.export import target
from dsr_tf.export.compact import compact


def dense_saved_model(model: keras.Model, path: str | os.PathLike) -> None:
    """Write a model as a SavedModel that stores each weight once, zeros too.

    (`model.export` of Keras stores each twice.)

    Args:
        model: A built Sequential or functional Keras model.
        path: Folder to write, which must not exist or be empty.

    Raises:
        ValueError: if the folder is not empty or none that TensorFlow can
            load from, a recurrent layer is stateful, or the model cannot be
            copied.
        TypeError: if `model` is no Keras model.
        OSError: if the folder cannot be written.
    """
    target.check_model(model, "dense_saved_model")
    target.check(path)
    dense = stripped(model)
    specs, call = signatures.by_name(dense)
    archive = keras.export.ExportArchive()
    for table in signatures.tables(dense):
        archive.track(table)
    archive.add_endpoint(
        "serve", lambda *inputs: call(inputs), input_signature=specs
    )
    with target.written_whole(path) as scratch:
        archive.write_out(scratch, verbose=False)
        compact(scratch)
