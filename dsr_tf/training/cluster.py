"""The devices that a run trains on: one, those of a host, or of several.

Each process of a run on several hosts, a worker, makes the same decisions
from the same numbers; the first of them, the chief, writes the files.
"""

import functools
import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dsr_tf.command_line import RunError
from dsr_tf.command_line import UsageError
from dsr_tf.data import Part

STRATEGIES = ("default", "mirrored", "multi_worker", "tpu")

_EXAMPLE = (
    '\'{"cluster": {"worker": ["HOST:PORT", ...]}, '
    '"task": {"type": "worker", "index": 0}}\''
)


class Cluster:
    """The replicas of a `tf.distribute` strategy and this process's part.

    Args:
        name: One of `STRATEGIES`.

    Raises:
        UsageError: if the environment does not say where the workers are.
    """

    def __init__(self, name: str) -> None:
        self.is_distributed = name != "default"
        self.index, self.num_workers = 0, 1
        if name == "multi_worker":
            self.index, self.num_workers = _task()
        self._name = name

    def connect(self) -> Any:
        """Find the devices, and the other workers, before anything is
        computed: TensorFlow insists on it.

        Raises:
            UsageError: if there are no such devices.
        """
        return self.strategy

    @functools.cached_property
    def strategy(self) -> Any:
        """The `tf.distribute.Strategy`."""
        return _strategy(self._name)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def num_replicas(self) -> int:
        return self.strategy.num_replicas_in_sync

    @property
    def part(self) -> Part:
        """The `Part` of each batch that this worker makes."""
        return Part(self.index, self.num_workers)

    def gather(self, numbers: list[int]) -> list[list[int]]:
        """What each worker has given, one after another.

        All workers must call it, and in the same order.

        Args:
            numbers: List of integers, equally long on all workers.

        Returns:
            A list with a list for each worker.
        """
        if self.num_workers == 1:
            return [numbers]
        rows = self._gather(numbers).numpy().tolist()
        return rows[:: self.num_replicas // self.num_workers]

    @functools.cached_property
    def _gather(self) -> Callable[[list[int]], Any]:
        def on_replica(row: Any) -> Any:
            replica = tf.distribute.get_replica_context()
            return replica.all_gather(row[None], axis=0)

        @tf.function(input_signature=[tf.TensorSpec([None], "int64")])
        def gather(row: Any) -> Any:
            rows = self.strategy.run(on_replica, (row,))
            return self.strategy.experimental_local_results(rows)[0]

        return gather

    def largest(self, number: int) -> int:
        """The largest integer that any worker gives; all must call it."""
        return max(row[0] for row in self.gather([number]))

    def wait(self) -> None:
        """Return when all workers have come here."""
        self.gather([0])

    def check_same_start(
        self, step: int, folder: str, prepared: int = 0
    ) -> None:
        """Refuse workers that would start at different places.

        Args:
            step: Number of updates that this one would start after.
            folder: That of the run.
            prepared: Number that tells the network that it has prepared
                from others.

        Raises:
            RunError: if they would.
        """
        steps, networks = zip(*self.gather([step, prepared]))
        if len(set(steps)) > 1:
            raise RunError(
                f"the workers would start at the steps {list(steps)}: "
                f"--output_dir={folder} must be one folder that all of them "
                "share"
            )
        if len(set(networks)) > 1:
            raise RunError(
                "the workers have made different networks of the same "
                "weights: start the run on one host, and resume it on all"
            )


# Once a process: TensorFlow mixes up the exchanges of two strategies.
@functools.cache
def _strategy(name: str) -> Any:
    if name == "default":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    try:
        if name == "multi_worker":
            exchange = tf.distribute.experimental.CommunicationOptions()
            if tf.config.list_physical_devices("GPU"):
                # TensorFlow would use its own, through the host's memory.
                exchange.implementation = (
                    tf.distribute.experimental.CommunicationImplementation.NCCL
                )
            return tf.distribute.MultiWorkerMirroredStrategy(
                communication_options=exchange
            )
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"flag --strategy={name}: no such devices ({reason})"
        ) from error


def _task() -> tuple[int, int]:
    """Index of this worker, and the number of them."""
    text = os.environ.get("TF_CONFIG")
    try:
        config = json.loads(text or "")
        workers, task = config["cluster"]["worker"], config["task"]
        index = int(task["index"])
        accepted = set(config["cluster"]) == {"worker"}
        accepted = accepted and task["type"] == "worker"
        accepted = accepted and 0 <= index < len(workers)
    except (TypeError, ValueError, KeyError):
        accepted = False
    if not accepted:
        raise UsageError(
            "flag --strategy=multi_worker: the environment variable TF_CONFIG "
            f"must be like {_EXAMPLE}, not {text!r}"
        )
    return index, len(workers)
