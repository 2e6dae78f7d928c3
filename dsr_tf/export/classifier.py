"""The signature of a classifier: uint8 images in, probabilities out."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def classifier(
    model: keras.Model,
    serve: Any,
    signature: Sequence[Any],
    preprocessing: Callable[[Any], Any],
) -> Any:
    """Function from a uint8 tensor of images to their probabilities.

    Args:
        model: Keras model with one input and one output.
        serve: `tf.function` of its input that gives a dict of its output.
        signature: List with the `tf.TensorSpec` of the input.
        preprocessing: From a uint8 tensor `(batch, height, width, channels)`
            to that input.

    Raises:
        ValueError: if the model is no classifier of images.
    """
    outputs = serve.get_concrete_function().structured_outputs
    if len(signature) != 1 or len(signature[0].shape) != 4 or len(outputs) != 1:
        raise ValueError(
            "`preprocessing` is for models with one input, images, and one "
            f"output. Received: model '{model.name}' with the inputs "
            f"{[tuple(s.shape) for s in signature]} and {len(outputs)} outputs"
        )
    (output,) = outputs.values()
    normalised = ends_with_probabilities(model)
    if not normalised and output.shape[-1] == 1:
        raise ValueError(
            "`preprocessing` is for models with an output per class, or that "
            f"end with a sigmoid. Received: model '{model.name}' with one "
            "output"
        )

    @tf.function(
        input_signature=[
            tf.TensorSpec(signature[0].shape, tf.uint8, name="image")
        ],
        autograph=False,
    )
    def classify(image: Any) -> dict[str, Any]:
        inputs = tf.cast(preprocessing(image), signature[0].dtype)
        (found,) = serve(inputs).values()
        found = tf.cast(found, tf.float32)
        return {"probabilities": found if normalised else tf.nn.softmax(found)}

    return classify


def ends_with_probabilities(model: keras.Model) -> bool:
    """Whether the last operation of a model is a softmax or a sigmoid.

    Subclassed models do not say; their outputs are taken for logits.
    """
    if not getattr(model, "outputs", None):
        return False
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        return ends_with_probabilities(last)
    by_name = type(last).__name__ in ("Softmax", "Sigmoid")
    return by_name or getattr(last, "activation", None) in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    )
