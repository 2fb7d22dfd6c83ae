"""Data-parallel training: each worker takes its share of the rows of every batch, and gradients are averaged.

Every worker is a process that runs the same program with the same settings, one for each device or machine. Batches
and initial weights are functions of the seed, so nothing but gradients is sent, and with the same batch size any number
of workers takes the same steps, up to rounding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.streams.tasks import Batch

T = TypeVar("T")
TF_CONFIG_VARIABLE = "TF_CONFIG"


class SingleWorker:
    """Training in one process."""

    rank = 0
    count = 1

    def run(self, step: Callable[..., T], *arguments: object) -> T:
        """Call `step`, which may call `mean`."""
        return step(*arguments)

    def share(self, batch: Batch) -> Batch:
        """The rows of a batch that this worker trains on."""
        return batch

    def mean(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """The mean of each tensor over all workers; inside `run` only."""
        return tensors


class Workers(SingleWorker):
    """This process as one of several workers, named by the environment variable TF_CONFIG.

    Must be made before TensorFlow computes anything; waits until all workers are there.

    Raises:
      ConfigurationError: TF_CONFIG is missing or malformed.
    """

    def __init__(self) -> None:
        self.rank, self.count = _place()
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        local = self._strategy.num_replicas_in_sync // self.count
        require(
            local == 1,
            f"every worker trains on one device; start one process for each, with CUDA_VISIBLE_DEVICES set to it. "
            f"Received: {local} devices.",
        )

    def run(self, step: Callable[..., T], *arguments: object) -> T:
        """See `SingleWorker.run`."""
        return self._strategy.run(step, arguments)

    def share(self, batch: Batch) -> Batch:
        """See `SingleWorker.share`; rows `rank`, `rank + count`, ..."""
        return Batch(*(field[self.rank :: self.count] for field in batch))

    def mean(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """See `SingleWorker.mean`."""
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, tensors)


def _place() -> tuple[int, int]:
    """Rank of this worker and their number, from TF_CONFIG."""
    text = os.environ.get(TF_CONFIG_VARIABLE, "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        rank, count = int(task["index"]), len(cluster["worker"])
        named = list(cluster) == [task["type"]] == ["worker"] and isinstance(cluster["worker"], list)
        if not (named and 0 <= rank < count):
            raise ValueError(text)
        return rank, count
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise ConfigurationError(
            f"distributed training needs the environment variable {TF_CONFIG_VARIABLE} on every worker, such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: {text[:200] or 'none'}."
        ) from None
