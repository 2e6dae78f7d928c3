"""Run a SavedModel by TensorFlow's C library alone, the loader of servers.

python c_api.py LIBRARY MODEL INPUT_NAME OUTPUT_NAME INPUTS.npy OUTPUTS.npy
"""

import ctypes
import sys

import numpy as np


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


FLOAT = 1
DELETER = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
)


def main(library, model, input_name, output_name, inputs_path, outputs_path):
    tf = ctypes.CDLL(library)
    for name in (
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName",
        "TF_NewTensor",
        "TF_TensorData",
    ):
        getattr(tf, name).restype = ctypes.c_void_p
    tf.TF_Message.restype = ctypes.c_char_p
    tf.TF_Dim.restype = ctypes.c_int64
    status = ctypes.c_void_p(tf.TF_NewStatus())

    def check():
        if tf.TF_GetCode(status):
            raise RuntimeError(tf.TF_Message(status).decode())

    graph = ctypes.c_void_p(tf.TF_NewGraph())
    tags = (ctypes.c_char_p * 1)(b"serve")
    session = tf.TF_LoadSessionFromSavedModel(
        ctypes.c_void_p(tf.TF_NewSessionOptions()),
        None,
        model.encode(),
        tags,
        1,
        graph,
        None,
        status,
    )
    check()

    def output(name):
        name, _, index = name.partition(":")
        operation = tf.TF_GraphOperationByName(graph, name.encode())
        assert operation, name
        return Output(operation, int(index))

    inputs = np.ascontiguousarray(np.load(inputs_path), "float32")
    keep = DELETER(lambda data, length, argument: None)
    tensor = tf.TF_NewTensor(
        FLOAT,
        (ctypes.c_int64 * inputs.ndim)(*inputs.shape),
        inputs.ndim,
        inputs.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_size_t(inputs.nbytes),
        keep,
        None,
    )
    results = (ctypes.c_void_p * 1)()
    tf.TF_SessionRun(
        ctypes.c_void_p(session),
        None,
        (Output * 1)(output(input_name)),
        (ctypes.c_void_p * 1)(tensor),
        1,
        (Output * 1)(output(output_name)),
        results,
        1,
        None,
        0,
        None,
        status,
    )
    check()
    result = ctypes.c_void_p(results[0])
    shape = [tf.TF_Dim(result, axis) for axis in range(tf.TF_NumDims(result))]
    data = ctypes.cast(tf.TF_TensorData(result), ctypes.POINTER(ctypes.c_float))
    np.save(outputs_path, np.ctypeslib.as_array(data, shape=tuple(shape)))


if __name__ == "__main__":
    main(*sys.argv[1:])
