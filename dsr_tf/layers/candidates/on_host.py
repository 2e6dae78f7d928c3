"""Candidates of JAX, whose steps cannot assign what gradients show.

They send what gradients are made of to the host instead, and only there, at
the reallocation, is something found.
"""

import itertools
from typing import Any

import jax
import numpy as np
from jax.experimental import io_callback
from keras import ops

from dsr_tf.layers.candidates.candidates import Candidates
from dsr_tf.layers.candidates.candidates import Found


class CandidatesOnHost(Candidates):
    """Receives inputs and gradients by outputs, and looks when it is asked.

    Args:
        variable: The `StoredVariable`.
    """

    def __init__(self, variable: Any) -> None:
        super().__init__()
        self._variable = variable
        self._numbers = itertools.count()
        self._received: list[tuple[int, Any, Any]] = []

    def read(self) -> Found | None:
        jax.effects_barrier()
        if self._received:
            # A layer that is called several times has the gradient of all;
            # they come in any order.
            self._received.sort(key=lambda received: received[0])
            _, *parts = zip(*self._received)
            self._received = []
            found = self._variable.largest_free(
                *(ops.convert_to_tensor(np.concatenate(p)) for p in parts)
            )
            self._found = Found(*map(ops.convert_to_numpy, found))
        return self._found

    def assign(self, found: Found | None) -> None:
        jax.effects_barrier()
        self._received, self._found = [], found

    def watch(self, inputs: Any, outputs: Any, is_open: Any) -> Any:
        number = next(self._numbers)

        def receive(inputs: Any, upstream: Any) -> None:
            self._received.append((number, inputs, upstream))

        def send(inputs: Any, upstream: Any) -> None:
            io_callback(receive, None, inputs, upstream)

        @jax.custom_vjp
        def look(inputs: Any, outputs: Any, is_open: Any) -> Any:
            return outputs

        def forward(inputs: Any, outputs: Any, is_open: Any) -> Any:
            return outputs, (inputs, is_open)

        def backward(kept: Any, upstream: Any) -> Any:
            inputs, is_open = kept
            jax.lax.cond(is_open, send, lambda *_: None, inputs, upstream)
            return None, upstream, None

        look.defvjp(forward, backward)
        return look(inputs, outputs, is_open)
