"""`fit` for the replicas of a `tf.distribute` strategy.

As Keras' `fit`, with its callbacks, but with as many steps in a call as
`compile` was told, with XLA, and on several workers.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dsr_tf import data as datasets
from dsr_tf.data.streaming import AnyData
from dsr_tf.training.cluster import Cluster
from dsr_tf.training.replicated_step import Replicas

_TEST_BATCH = 1000


class Loop:
    """Trains a compiled model on the replicas of a cluster.

    Args:
        model: A Keras model, built and compiled in the strategy's scope.
        cluster: The `Cluster`.
        data: The data set, whose test images are tested on.
    """

    def __init__(
        self, model: keras.Model, cluster: Cluster, data: AnyData
    ) -> None:
        self.model, self._cluster, self._data = model, cluster, data
        self._replicas: Replicas | None = None

    def fit(
        self,
        batches: Any,
        initial_epoch: int,
        epochs: int,
        steps_per_epoch: int,
        callbacks: Sequence[keras.callbacks.Callback],
        verbose: int,
    ) -> None:
        """Train.

        Args:
            batches: `tf.data.Dataset` of a batch for each local replica in
                turn.
            initial_epoch: First epoch.
            epochs: Epoch to end before.
            steps_per_epoch: Steps, a multiple of `steps_per_execution`.
            callbacks: List of Keras callbacks.
            verbose: As of `keras.Model.fit`.
        """
        events = keras.callbacks.CallbackList(
            callbacks,
            add_progbar=verbose > 0,
            model=self.model,
            verbose=verbose,
            epochs=epochs,
            steps=steps_per_epoch,
            # Tells them that this is not Keras' own loop.
            num_replicas=self._cluster.num_replicas,
        )
        events.on_train_begin()
        if self._replicas is None:
            # Callbacks may have changed what a step does.
            self._replicas = Replicas(self.model)
        replicas = self._replicas
        batches = self._distributed(batches)
        for epoch in range(initial_epoch, epochs):
            events.on_epoch_begin(epoch)
            logs = self._train(replicas, batches, steps_per_epoch, events)
            events.on_test_begin()
            results = self._test(replicas)
            events.on_test_end(results)
            logs.update({f"val_{name}": x for name, x in results.items()})
            events.on_epoch_end(epoch, logs)
        events.on_train_end(logs)

    def _train(
        self, replicas: Replicas, batches: Any, num_steps: int, events: Any
    ) -> dict[str, float]:
        counted: Any = 0.0
        per_call = self.model.steps_per_execution
        for first in range(0, num_steps, per_call):
            events.on_train_batch_begin(first)
            counted += np.array(replicas.train(batches), "float64")
            logs = replicas.results(counted)
            events.on_train_batch_end(first + per_call - 1, logs)
        return logs

    def _test(self, replicas: Replicas) -> dict[str, float]:
        cluster, data = self._cluster, self._data
        local = cluster.num_replicas // cluster.num_workers
        # Where batches are too few for all replicas, the last get empty ones.
        largest_part = math.ceil(data.num_test / cluster.num_workers)
        num_steps = math.ceil(largest_part / _TEST_BATCH / local)
        batches = datasets.test_batches(data, _TEST_BATCH, cluster.part)
        batches = batches.concatenate(_empty(batches.element_spec).repeat())
        batches = self._distributed(batches.take(num_steps * local))
        counted: Any = 0.0
        for _ in range(num_steps):
            counted += np.array(replicas.test(batches), "float64")
        return replicas.results(counted)

    def _distributed(self, batches: Any) -> Any:
        """An iterator that gives each local replica the next batch."""
        return iter(
            self._cluster.strategy.distribute_datasets_from_function(
                lambda context: batches
            )
        )


def _empty(element_spec: Any) -> Any:
    """A dataset of one batch of these tensors, of no images."""
    return tf.data.Dataset.from_tensors(
        tuple(tf.zeros([0, *x.shape[1:]], x.dtype) for x in element_spec)
    )
