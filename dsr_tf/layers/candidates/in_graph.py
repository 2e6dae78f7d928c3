"""Candidates that a TensorFlow step finds by itself, compiled by XLA or not."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf.layers.candidates.candidates import Candidates
from dsr_tf.layers.candidates.candidates import Found
from dsr_tf.layers.candidates.candidates import shape_of

_Caught = list[tuple["CandidatesInGraph", tuple[Any, Any, Any]]]
_caught: contextvars.ContextVar[_Caught | None] = contextvars.ContextVar(
    "dsr_tf_caught", default=None
)


@contextlib.contextmanager
def catching() -> Iterator[_Caught]:
    """Within this scope nothing is looked at yet.

    For steps that compute gradients in a function of their own, where
    replicas cannot meet.

    Yields:
        List of what is caught: candidates, and the arguments that their
        `look` wants to be called with later.
    """
    caught: _Caught = []
    token = _caught.set(caught)
    try:
        yield caught
    finally:
        _caught.reset(token)


class CandidatesInGraph(Candidates):
    """Variables that the step assigns what it finds.

    With several replicas all have the same: each gets the inputs, and the
    gradients by outputs, of all.

    Args:
        variable: The `StoredVariable`.
    """

    def __init__(self, variable: Any) -> None:
        super().__init__()
        self._variable = variable
        shape = shape_of(variable.grouping)
        self._are_found = _variable(tf.zeros([], "bool"))
        self._scores = _variable(tf.fill(shape, -1.0))
        # Not int32, of which GPUs have no variables.
        self._numbers = _variable(tf.zeros(shape, "int64"))
        # Calls of the layer in a step that is not compiled, by replica.
        self._calls: dict[Any, list[Any]] = {}

    def read(self) -> Found | None:
        if not _read(self._are_found):
            return None
        return Found(_read(self._scores), _read(self._numbers))

    def assign(self, found: Found | None) -> None:
        self._calls = {}
        self._are_found.assign(found is not None)
        if found is not None:
            self._scores.assign(found.scores)
            self._numbers.assign(found.numbers)

    def watch(self, inputs: Any, outputs: Any, is_open: Any) -> Any:
        inputs = tf.stop_gradient(inputs)

        @tf.custom_gradient
        def look(outputs: Any) -> tuple[Any, Any]:
            def gradient(upstream: Any) -> Any:
                arguments = inputs, upstream, is_open
                caught = _caught.get()
                if caught is None:
                    self.look(*arguments)
                else:
                    caught.append((self, arguments))
                return upstream

            return tf.identity(outputs), gradient

        return look(outputs)

    def look(self, inputs: Any, upstream: Any, is_open: Any) -> None:
        """Find what can grow, if the gate is open; part of a step.

        Args:
            inputs, is_open: As of `watch`.
            upstream: Tensor `(batch, out)`, the gradient by the product.
        """
        if tf.executing_eagerly() and not is_open:
            return
        # A layer that is called several times has the gradient of all; the
        # last of them finds what is kept.
        calls = self._calls_of_step(upstream)
        calls.append((inputs, upstream))
        parts = [tf.concat(tensors, axis=0) for tensors in zip(*calls)]
        parts = _of_all_replicas(parts, is_open)
        tf.cond(is_open, lambda: self._find(*parts), lambda: False)

    def _calls_of_step(self, upstream: Any) -> list[Any]:
        replica = tf.distribute.get_replica_context()
        number = tf.get_static_value(replica.replica_id_in_sync_group)
        if tf.executing_eagerly():
            return self._calls.setdefault(int(number), [])
        # It goes with the step that is traced.
        name = f"dsr_tf_calls_{id(self)}_{number}"
        return upstream.graph.get_collection_ref(name)

    def _find(self, inputs: Any, upstream: Any) -> Any:
        scores, numbers = self._variable.largest_free(inputs, upstream)
        self._scores.assign(scores)
        self._numbers.assign(tf.cast(numbers, "int64"))
        return tf.identity(self._are_found.assign(True))


def _variable(value: Any) -> tf.Variable:
    """A variable that each replica assigns for itself, and all alike.

    It is none of Keras', whose scopes without state would keep from it what
    is assigned within.
    """
    return tf.Variable(
        value,
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def _of_all_replicas(parts: list[Any], is_open: Any) -> list[Any]:
    """The parts of all replicas, one after the other."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return parts
    num_local = len(replica.strategy.extended.worker_devices)
    if num_local == replica.num_replicas_in_sync:
        # Replicas can meet only where all of them always do: in the other
        # steps they exchange nothing.
        count = tf.where(is_open, tf.shape(parts[0])[0], 0)
        joined = replica.merge_call(_joined, [part[:count] for part in parts])
    else:
        # Workers cannot exchange other shapes in one step than in another of
        # the same call, nor nothing.
        rows = [_with_a_row_of_zeros(part) for part in parts]
        joined = replica.all_gather(rows, axis=0)
    return [
        tf.ensure_shape(whole, (None, *part.shape[1:]))
        for whole, part in zip(joined, parts)
    ]


def _joined(strategy: Any, *parts: Any) -> list[Any]:
    return [
        tf.concat(strategy.experimental_local_results(part), axis=0)
        for part in parts
    ]


def _with_a_row_of_zeros(part: Any) -> Any:
    return tf.pad(part, [[0, 1], *[[0, 0]] * (part.ndim - 1)])


def _read(variable: tf.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(tf.convert_to_tensor(variable))
