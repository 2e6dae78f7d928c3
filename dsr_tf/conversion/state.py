"""What layers keep, carried from one model to another.

Layers keep more than weights: statistics, vocabularies, seeds. Each knows
how to save and load its own, those of users as well; what they save, and the
variables that Keras tracks, are compared when all is copied.
"""

import inspect
import os
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dsr_tf.conversion.kernels import convert_kernel
from dsr_tf.conversion.kernels import kernels_of
from dsr_tf.layers import DENSE_KINDS
from dsr_tf.layers import Clustered
from dsr_tf.layers import Hashed
from dsr_tf.layers import Masked


class Transfer:
    """Copies the states of layers, and knows what became of each.

    Args:
        may_differ: Endings of names of arguments in which layers may
            differ.
    """

    def __init__(self, may_differ: tuple[str, ...] = ()) -> None:
        self._may_differ = may_differ
        # By identity: what is shared in one model is shared in the other.
        self._became: dict[int, tuple[Any, Any]] = {}

    def copy(self, old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        """Give the layer `new` the state of `old`, and of all inside of it.

        Both are of one kind, or they are two of the dense, masked, tied and
        clustered kinds of a layer.

        Raises:
            ValueError: if the state does not come along.
        """
        if type(old) is not type(new):
            self._note(old, new, old)
            self._convert(old, new)
            return
        nested = list(self._nested(old, new))
        for a, b in nested:
            _load(a, b)
            _copy_states(a, b)
            # Those that their holder makes are not told by configurations.
            if b.trainable != a.trainable:
                b.trainable = a.trainable
        # Saving leaves out seeds, and adds LoRA to kernels.
        self._assign(old, old.variables, new.variables)
        for a, b in nested:
            _compare(a, b, self._may_differ)

    def check_complete(self, model: keras.Model) -> None:
        """Check that no variables of a model were left out.

        Raises:
            ValueError: if some were.
        """
        for layer in model._flatten_layers():
            for variable in own_variables(layer):
                if id(variable) not in self._became:
                    raise ValueError(
                        f"The variable {variable.path} of '{layer.name}' "
                        f"({type(layer).__name__}) is in no layer of the "
                        f"graph of '{model.name}', so it cannot be copied."
                    )

    def _nested(self, old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
        """Pairs of a layer and its copy, and of all layers inside of them."""
        if self._note(old, new, old):
            if new.name != old.name:
                # Keras numbers layers without a name as they are made.
                new.name = old.name
            yield old, new
            for place, a, b in _children(old, new):
                if type(a) is type(b):
                    yield from self._nested(a, b)
                elif a.variables:
                    raise ValueError(_lost(old, f"the layer at {place}"))

    def _convert(self, old: Any, new: Any) -> None:
        """Copy between kinds of layers that differ in how kernels are kept."""
        if DENSE_KINDS.get(type(old), type(old)) is not DENSE_KINDS.get(
            type(new), type(new)
        ):
            raise ValueError(
                f"The state of layer '{old.name}' ({type(old).__name__}) "
                f"cannot be that of a layer {type(new).__name__}."
            )
        special = new if type(new) in DENSE_KINDS else old
        names = kernels_of(special)
        # A masked layer has LoRA's matrices beside its kernel, as the dense
        # one has; for others they are added to the kernel.
        beside = isinstance(new, Masked) and type(old) not in DENSE_KINDS
        for name in names:
            convert_kernel(old, new, name, beside)
        ours, theirs = (
            {
                variable.name: variable
                for variable in _plain_variables(layer, names)
                if beside or not variable.name.startswith("lora_")
            }
            for layer in (old, new)
        )
        if ours.keys() != theirs.keys():
            different = sorted(ours.keys() ^ theirs.keys())
            raise ValueError(_lost(old, f"one of {', '.join(different)}"))
        self._assign(old, list(ours.values()), [theirs[n] for n in ours])
        for variable in own_variables(old):
            self._became.setdefault(id(variable), (variable, None))

    def _assign(
        self,
        layer: keras.layers.Layer,
        old: Sequence[keras.Variable],
        new: Sequence[keras.Variable],
    ) -> None:
        if [tuple(v.shape) for v in old] != [tuple(v.shape) for v in new]:
            raise ValueError(
                _lost(
                    layer,
                    f"what its variables {_described(old)} hold, for there "
                    f"is {_described(new)} in the copy",
                )
            )
        for a, b in zip(old, new):
            self._note(a, b, layer)
            b.assign(np.array(ops.convert_to_numpy(a)))
            if b.trainable != a.trainable:
                b.trainable = a.trainable

    def _note(self, old: Any, new: Any, owner: keras.layers.Layer) -> bool:
        """Note what became of something; returns whether that is new.

        Raises:
            ValueError: if something else became of it.
        """
        if id(old) not in self._became:
            self._became[id(old)] = old, new
            return True
        if self._became[id(old)][1] is not new:
            raise ValueError(
                f"'{getattr(old, 'path', '') or old.name}' is part of several "
                f"layers, among them '{owner.name}' "
                f"({type(owner).__name__}), which would not share it any "
                "more as copies."
            )
        return False


def _plain_variables(
    layer: Any, kernels: tuple[str, ...]
) -> list[keras.Variable]:
    """A layer's own variables but its kernels, or what stands for them."""
    if isinstance(layer, (Masked, Hashed, Clustered)):
        return layer.plain_variables
    return [v for v in own_variables(layer) if v.name not in kernels]


def load_tables(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copy the tables of a layer, and of layers inside, before it is built.

    That comes first, because the shape of its outputs may depend on the
    number of words.
    """
    if hasattr(old, "save_assets"):
        _load(old, new)
    for _, a, b in _children(old, new):
        if type(a) is type(b):
            load_tables(a, b)


def _children(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Layers that are attributes of `old`, and what `new` has there."""
    for name, value in vars(old).items():
        yield from _layers_in(name, value, vars(new).get(name))


def _layers_in(
    place: str, old: Any, new: Any
) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, keras.layers.Layer):
        yield place, old, new
    elif isinstance(old, dict):
        new = new if isinstance(new, dict) else {}
        for key, value in old.items():
            yield from _layers_in(f"{place}[{key!r}]", value, new.get(key))
    elif isinstance(old, (list, tuple)):
        new = new if isinstance(new, (list, tuple)) else ()
        for index, value in enumerate(old):
            other = new[index] if index < len(new) else None
            yield from _layers_in(f"{place}[{index}]", value, other)


def _load(old: Any, new: Any) -> None:
    """Load into a layer what another one saves."""
    try:
        new.load_own_variables(_written(old))
        # Where they are equal, there may be nothing that could be loaded.
        if _assets(old) != _assets(new):
            with tempfile.TemporaryDirectory() as folder:
                old.save_assets(folder)
                new.load_assets(folder)
    except Exception as error:  # Layers of users raise what they like.
        what = f"what it saves ({first_line(error)})"
        raise ValueError(_lost(old, what)) from error


def _compare(old: Any, new: Any, may_differ: tuple[str, ...]) -> None:
    """Check that two layers save the same, and were made alike."""
    ours, theirs = _written(old), _written(new)
    for name in ours.keys() | theirs.keys():
        if not _same_bits(ours.get(name), theirs.get(name)):
            raise ValueError(_lost(old, f"the variable {name} that it saves"))
    if _assets(old) != _assets(new):
        raise ValueError(_lost(old, "the files that it saves"))
    if hasattr(old, "get_vocabulary"):
        if list(old.get_vocabulary()) != list(new.get_vocabulary()):
            raise ValueError(_lost(old, "its vocabulary"))
    for name in _arguments(type(old)):
        ours, theirs = (vars(layer).get(name) for layer in (old, new))
        if name.endswith(may_differ) or not _is_plain(ours):
            continue
        if _plain(ours) != _plain(theirs):
            raise ValueError(_lost(old, f"its argument {name}={ours!r}"))


def _written(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    """The variables that a layer writes to a file, arrays by name."""
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    return {
        name: np.array(ops.convert_to_numpy(value))
        for name, value in store.items()
    }


def _same_bits(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return False
    alike = (first.dtype, first.shape) == (second.dtype, second.shape)
    return alike and first.tobytes() == second.tobytes()


def _assets(layer: keras.layers.Layer) -> dict[str, bytes]:
    """The files that a layer saves, as bytes by path."""
    if not hasattr(layer, "save_assets"):
        return {}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        layer.save_assets(folder)
        for parent, _, names in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found


def _arguments(kind: type) -> set[str]:
    """Names of the arguments that layers of a kind are made with."""
    names: set[str] = set()
    for parent in kind.__mro__:
        if parent is keras.layers.Layer:
            break
        if "__init__" in vars(parent):
            init = vars(parent)["__init__"]
            names |= set(inspect.signature(init).parameters)
    return names - {"name"}


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (type(None), bool, int, float, str))


def _plain(value: object) -> object:
    """Equal for values that a configuration turns into each other."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return repr(value)


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables that a layer itself has added or holds."""
    return layer._trainable_variables + layer._non_trainable_variables


def _described(variables: Iterable[keras.Variable]) -> list[str]:
    return [f"{v.name} {tuple(v.shape)}" for v in variables]


def _copy_states(old: Any, new: Any) -> None:
    """Copy the states of recurrent layers that are stateful, which Keras
    does not count among their variables."""
    if not getattr(old, "stateful", False) or old.states is None:
        return
    ours, theirs = (
        keras.tree.flatten(old.states),
        keras.tree.flatten(new.states),
    )
    if [tuple(v.shape) for v in ours] != [
        tuple(getattr(v, "shape", ())) for v in theirs
    ]:
        raise ValueError(_lost(old, "its states between batches"))
    for a, b in zip(ours, theirs):
        b.assign(ops.convert_to_numpy(a))


def _lost(layer: keras.layers.Layer, what: str) -> str:
    return (
        f"Layer '{layer.name}' ({type(layer).__name__}) cannot be copied with "
        f"its state: {what} did not come along."
    )


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
