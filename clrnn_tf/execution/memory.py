"""Sizes that cannot fit into memory are refused before anything of that size is made.

TensorFlow ends the whole process at some of them, and at others the system does.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from clrnn_tf.config import TrainConfig
from clrnn_tf.errors import require
from clrnn_tf.networks.weights import WeightSpec
from clrnn_tf.streams.tasks import TaskStream

_FLOAT_BYTES = 4
_BATCHES_HELD = 4  # one is trained on, two are ready, one is being made; see `ArraySplit.batches`
_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def memory_bytes() -> int | None:
    """Memory that this process may have; None where the system does not say."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        return min(memory, int(_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # there is no limit, or "max"
        return memory


def require_batches_fit(config: TrainConfig, stream: TaskStream, memory: int | None) -> None:
    """Refuse a batch size whose inputs alone take more than the memory.

    Args:
      config: Has the batch size.
      stream: What is learned.
      memory: Bytes; see `memory_bytes`. None refuses nothing.

    Raises:
      ConfigurationError: The batches of a task do not fit.
    """
    if memory is None:
        return
    for task in stream:
        time = task.train.max_time or 1
        largest = memory // (_BATCHES_HELD * _FLOAT_BYTES * time * stream.num_features)
        require(
            config.batch_size <= largest,
            f"train.batch_size must be at most {largest}, or the batches of task {task.name} ({time} steps of "
            f"{stream.num_features} features) do not fit into {memory / 1e9:.0f} GB. Received: {config.batch_size}.",
        )


def require_weights_fit(specs: Iterable[WeightSpec], memory: int | None) -> None:
    """Refuse a main network whose weights and their gradient take more than the memory; None refuses nothing.

    Raises:
      ConfigurationError: They do not fit.
    """
    if memory is not None:
        num_weights = sum(math.prod(spec.shape) for spec in specs)
        largest = memory // (2 * _FLOAT_BYTES)
        require(
            num_weights <= largest,
            f"the main network must have at most {largest} weights to fit into {memory / 1e9:.0f} GB. "
            f"Received: {num_weights}. Make network.hidden_sizes smaller.",
        )
