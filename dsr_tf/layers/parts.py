"""Masked layers inside of a layer or model that knows nothing of masks.

A block of a user's, a backbone of a library: layers are made in its code, so
its configuration does not say that they are masked. Where some of them are
masked in place, the block's class gets `SparseParts` before it, which adds
that to the configuration; whatever loads the block has them masked again.
"""

import contextlib
import functools
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import Self

import keras

from dsr_tf.layers.attention import head_axes_of
from dsr_tf.layers.in_place import mask_layer
from dsr_tf.layers.in_place import unmask_layer
from dsr_tf.layers.kinds import DENSE_KINDS
from dsr_tf.layers.kinds import HELD_KINDS
from dsr_tf.layers.kinds import HOLDING_KINDS
from dsr_tf.layers.kinds import MASKED_KINDS
from dsr_tf.layers.masked import Masked
from dsr_tf.layers.masked_weights import layers_with_paths

# Stands for the layer of a user among the bases, whose methods a mixin calls.
_KerasLayer: Any = object

# Receives a layer, the names that lead to it, and its axes of heads; masks it
# or does not, and returns whether it did.
Visit = Callable[[keras.layers.Layer, str, dict[str, int] | None], bool]


def mask_parts(layer: keras.layers.Layer, visit: Visit) -> bool:
    """Mask layers inside of a layer in place, and what holds them.

    Args:
        layer: A layer or model, of any kind.
        visit: Function that is called for `layer` and for all layers inside
            of it, once each, those inside first.

    Returns:
        Whether some were masked.
    """
    paths = {id(part): path for part, path in layers_with_paths(layer)}
    return _mask_parts(layer, visit, paths, None, {})


def _mask_parts(
    layer: Any,
    visit: Visit,
    paths: dict[int, str],
    head_axes: dict[str, int] | None,
    seen: dict[int, bool],
) -> bool:
    if id(layer) in seen:
        return seen[id(layer)]
    seen[id(layer)] = False  # for layers that hold each other
    found = False
    for part in list(layer._layers):
        if not isinstance(part, keras.layers.Layer):
            continue
        axes = head_axes_of(layer, part)
        found |= _mask_parts(part, visit, paths, axes, seen)
    if found and type(layer) in HOLDING_KINDS:
        layer.__class__ = HOLDING_KINDS[type(layer)]
        vars(layer)["_became_masked"] = True
        if hasattr(layer, "begin_to_hold"):
            layer.begin_to_hold()
    elif found and not _has_parts_in_its_configuration(layer):
        add_parts(layer)
    found |= visit(layer, paths[id(layer)], head_axes)
    seen[id(layer)] = found
    return found


def unmask_parts(layer: keras.layers.Layer) -> None:
    """Make a layer, and all inside of it, what they were before.

    Raises:
        ValueError: if a masked layer is of no kind that has a dense one, or
            the code of what holds it makes it masked; nothing is changed.
    """
    _refuse_made_masked(layer)
    for part in layer._flatten_layers():
        if isinstance(part, Masked):
            unmask_layer(part)
    forget_parts(layer)


def forget_parts(layer: keras.layers.Layer) -> None:
    """Make what holds masked layers what it was, where it holds none now."""
    for part in layer._flatten_layers():
        if any(isinstance(inner, Masked) for inner in part._flatten_layers()):
            continue
        if isinstance(part, SparseParts):
            remove_parts(part)
        elif type(part) in HELD_KINDS:
            part.__class__ = HELD_KINDS[type(part)]
            vars(part).pop("_became_masked", None)


def _refuse_made_masked(layer: Any) -> None:
    knows = _has_parts_in_its_configuration(layer)
    for part in layer._layers:
        is_sparse = isinstance(part, Masked) or type(part) in HELD_KINDS
        if is_sparse and not (knows or vars(part).get("_became_masked")):
            raise ValueError(
                f"Layer '{layer.name}' ({type(layer).__name__}) makes its "
                f"layer '{part.name}' ({type(part).__name__}) masked in its "
                "own code, which cannot be changed. "
                "`dsr_tf.export.saved_model` takes the model as it is."
            )
        if isinstance(part, Masked) and type(part) not in DENSE_KINDS:
            raise ValueError(
                f"Layer '{part.name}' is of the kind {type(part).__name__}, "
                "which has no dense kind."
            )
        _refuse_made_masked(part)


_register = keras.saving.register_keras_serializable("dsr_tf", "SparseParts")


@_register
class SparseParts(_KerasLayer):
    """Mixin, before the class of a layer some of whose parts are masked.

    Its configuration has that of the layer as it was, and for each masked
    part its place and how it is masked. `from_config` makes the layer, and
    masks these parts as soon as they are built.
    """

    # What is still to be masked, by place; and the class without this one.
    _waiting: dict[str, dict[str, Any]]
    _plain_class: type

    def get_config(self) -> dict[str, Any]:
        with as_plain(self):
            layer = keras.saving.serialize_keras_object(self)
        # Both are those of the layer with `SparseParts`, too.
        for name in ("build_config", "compile_config"):
            layer.pop(name, None)
        return {"layer": layer, "masked": self.masked_parts()}

    def masked_parts(self) -> dict[str, dict[str, Any]]:
        """How parts are masked, by place."""
        masked = dict(self._waiting)
        for place, part in _places(self):
            if isinstance(part, Masked):
                config = part.get_config()
                named = (*_SETTINGS, *_LORA)
                masked[place] = {n: config[n] for n in named if n in config}
        return masked

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Self:
        layer = keras.saving.deserialize_keras_object(
            config["layer"], custom_objects=custom_objects
        )
        add_parts(layer, config["masked"])
        return layer

    def build_from_config(self, config: dict[str, Any]) -> None:
        super().build_from_config(config)
        _mask_waiting(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().__call__(*args, **kwargs)
        # Without a `build` of its own, it has built its parts just now.
        _mask_waiting(self)
        return outputs


_SETTINGS = ("sparsity", "granularity", "seed", "storage", "num_slots")
# What LoRA has added to a part that is masked is stored beside its weights.
_LORA = ("lora_rank", "lora_alpha")


def add_parts(layer: Any, waiting: dict[str, Any] | None = None) -> None:
    """Give a layer's class `SparseParts`.

    Args:
        layer: A layer that holds masked ones, or will.
        waiting: How to mask what, by place, when that is built.
    """
    if isinstance(layer, SparseParts):
        return
    plain: Any = type(layer)
    layer.__class__ = _with_parts(plain)
    # Past Keras, which would track what is in a dict.
    vars(layer)["_waiting"] = dict(waiting or {})
    # Keras has put its own function, which calls that of the class, here.
    build = layer.build

    @functools.wraps(build)
    def build_and_mask(*args: Any, **kwargs: Any) -> None:
        build(*args, **kwargs)
        _mask_waiting(layer)

    vars(layer)["build"] = build_and_mask
    _mask_waiting(layer)


def class_of(layer: keras.layers.Layer) -> type:
    """The class of a layer as its maker calls it, without `SparseParts`."""
    if isinstance(layer, SparseParts):
        return layer._plain_class
    return type(layer)


@contextlib.contextmanager
def as_plain(layer: Any) -> Iterator[None]:
    """Within this scope, a layer with `SparseParts` is of its class only."""
    kind, layer.__class__ = type(layer), layer._plain_class
    try:
        yield
    finally:
        layer.__class__ = kind


def remove_parts(layer: Any) -> None:
    """Take `SparseParts` from a layer's class."""
    vars(layer)["build"] = layer.build.__wrapped__
    del vars(layer)["_waiting"]
    layer.__class__ = layer._plain_class


@functools.cache
def _with_parts(plain: Any) -> type:
    kind = type(
        f"Sparse{plain.__name__}",
        (SparseParts, plain),
        {"_plain_class": plain, "__module__": __name__},
    )
    # Files name the mixin, which is there before such a class is made.
    _register(kind)
    _register(SparseParts)
    return kind


def _mask_waiting(layer: Any) -> None:
    """Mask the parts that are built now."""
    waiting = vars(layer)["_waiting"]
    if not waiting:
        return
    built = {
        id(part): waiting.pop(place)
        for place, part in _places(layer)
        if place in waiting and part.built and _has_values(part)
    }

    def visit(part: Any, path: str, axes: dict[str, int] | None) -> bool:
        if id(part) not in built or type(part) not in MASKED_KINDS:
            return False
        settings = built[id(part)]
        lora = [settings.pop(name, None) for name in _LORA]
        mask_layer(part, **settings, head_axes=axes)
        if lora[0] and not part.lora_enabled:
            part.enable_lora(*lora)
        return True

    if built:
        mask_parts(layer, visit)


def _has_values(layer: keras.layers.Layer) -> bool:
    """Whether variables have their values yet.

    Keras may build layers where it only asks for the shapes of outputs, and
    gives the values later; what holds the block masks its parts then.
    """
    return all(variable._value is not None for variable in layer.variables)


def _places(layer: keras.layers.Layer) -> Iterator[tuple[str, Any]]:
    """The layers inside of a layer, once each, and where they are.

    Their names would not do: many blocks leave them to Keras, which numbers
    layers as they are made.
    """
    seen: set[int] = set()
    pending = [("", layer)]
    while pending:
        place, holder = pending.pop()
        for index, part in enumerate(holder._layers):
            if id(part) not in seen and isinstance(part, keras.layers.Layer):
                seen.add(id(part))
                inner = f"{place}.{index}".lstrip(".")
                yield inner, part
                pending.append((inner, part))


# Layers of Keras' that are made with the layers that they hold.
_WRAPPERS = (
    keras.layers.Bidirectional,
    keras.layers.RNN,
    keras.layers.SpectralNormalization,
    keras.layers.StackedRNNCells,
    keras.layers.TimeDistributed,
)


def _has_parts_in_its_configuration(layer: keras.layers.Layer) -> bool:
    """Whether a layer's configuration says of what kinds its parts are."""
    if not isinstance(layer, keras.Model):
        kind = HELD_KINDS.get(type(layer), type(layer))
        return kind in _WRAPPERS or kind in HOLDING_KINDS
    return lists_layers(layer)


def lists_layers(model: keras.Model) -> bool:
    """Whether the configuration of a model is that of its layers."""
    if type(model).__name__ in ("Functional", "Sequential"):
        return True
    try:
        listed = model.get_config().get("layers")
    except Exception:  # Models of users raise what they like.
        return False
    # Users have arguments of that name, too, such as a number of layers.
    return isinstance(listed, (list, tuple)) and all(
        isinstance(layer, dict) and "class_name" in layer for layer in listed
    )
