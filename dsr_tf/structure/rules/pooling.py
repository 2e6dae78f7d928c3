"""What gathers, moves or repeats positions, and leaves channels as they are."""

import keras

from dsr_tf.structure.graph.call import Call
from dsr_tf.structure.graph.call import Channels
from dsr_tf.structure.rules.convolution import channel_axis
from dsr_tf.structure.rules.registry import register


def _layers(*names: str) -> list[type]:
    """Keras' layers of these names, as far as this version has them."""
    found = (getattr(keras.layers, name, None) for name in names)
    return [kind for kind in found if kind is not None]


_WINDOWS = _layers(
    *(
        f"{kind}{rank}D"
        for kind in (
            "AdaptiveAveragePooling",
            "AdaptiveMaxPooling",
            "AveragePooling",
            "Cropping",
            "MaxPooling",
            "UpSampling",
            "ZeroPadding",
        )
        for rank in (1, 2, 3)
    ),
    "Resizing",
    "CenterCrop",
)
_WHOLE = _layers(
    *(
        f"Global{kind}Pooling{rank}D"
        for kind in ("Average", "Max")
        for rank in (1, 2, 3)
    )
)


@register(*_WINDOWS)
def windows(call: Call) -> list[Channels]:
    axis = _axis(call)
    return call.pass_on(call.along(axis), axis)


@register(*_WHOLE)
def whole(call: Call) -> list[Channels]:
    labels = call.along(_axis(call))
    kept = len(call.outputs[0].shape) == len(call.inputs[0].shape)
    return call.pass_on(labels, _axis(call) if kept else -1)


def _axis(call: Call) -> int:
    # Some of these layers, such as Cropping1D, have but one format.
    if not hasattr(call.layer, "data_format"):
        return -1
    return channel_axis(call.layer, call.rank - 1)
