"""Targets of the output regulariser: what a hypernetwork generated for old tasks at the last `remember`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.execution.task_blocks import TaskBlocks
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.networks.weights import bytes_of


class SplitOutputs(NamedTuple):
    """What a hypernetwork generates for n tasks, its first G chunks as inputs of the last layer."""

    hidden: tf.Tensor
    """[n, G, H]."""
    weights: tf.Tensor
    """[n, V - G C], the weights after the first G chunks of size C."""


def split_outputs(
    source: Hypernetwork, num_hidden_chunks: int, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None
) -> SplitOutputs:
    """What `source` generates for tasks `task_ids` [n], with G = `num_hidden_chunks`."""
    hidden = source.hidden_for(task_ids, dropout_key)
    return SplitOutputs(hidden[:, :num_hidden_chunks], source.weights_from_hidden(hidden, task_ids, num_hidden_chunks))


class Targets(ABC, tf.Module):
    """Base of both kinds of targets.

    Args:
      source: The hypernetwork in training.
      num_hidden_chunks: G, the number of chunks that are compared without being generated.
    """

    def __init__(self, source: Hypernetwork, num_hidden_chunks: int) -> None:
        super().__init__()
        self.source, self.num_hidden_chunks = source, num_hidden_chunks

    @abstractmethod
    def remember(self, num_old: int) -> None:
        """Make what `source` generates now for tasks 0 .. num_old - 1 their targets.

        Raises:
          ConfigurationError: The source had fewer tasks when the targets were made.
        """

    @abstractmethod
    def outputs(self, old_ids: tf.Tensor) -> SplitOutputs:
        """The targets of tasks `old_ids` [n] in the form in which they are compared; constants."""

    @abstractmethod
    def last_layer(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Kernel A* [H, C] and bias b* [C] of the last layer as remembered; only where G is above 0."""

    @abstractmethod
    def all_variables(self) -> list[tf.Variable]:
        """What `remember` sets, for checkpoints."""

    @abstractmethod
    def kept_bytes(self) -> dict[str, int]:
        """Memory in bytes, by the name of what is kept."""

    def __call__(self, old_ids: tf.Tensor) -> tf.Tensor:
        """The targets [n, V] of tasks `old_ids` [n]; `networks.weights.unpack_task` cuts a row into tensors."""
        hidden, weights = self.outputs(old_ids)
        if self.num_hidden_chunks == 0:
            return weights
        kernel, bias = self.last_layer()
        chunks = tf.matmul(tf.reshape(hidden, [-1, kernel.shape[0]]), kernel) + bias  # z* A* + b*
        return tf.concat([tf.reshape(chunks, [tf.size(old_ids), -1]), weights], axis=1)


class FixedTargets(Targets):
    """Targets that are stored: memory grows with the number of tasks, and a step only reads them.

    Args:
      source: The hypernetwork in training. Tasks that are added to it later need new targets.
      num_hidden_chunks: See `Targets`.
      blocks: The blocks of tasks in which the regulariser compares. Targets are computed in the same blocks:
        others would round differently, and a network would differ from its targets.
      jit: Whether XLA compiles it.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import Hypernetwork, HypernetworkConfig, WeightSpec
      >>> from clrnn_tf.hypernetworks.targets import FixedTargets
      >>> from clrnn_tf.execution.task_blocks import TaskBlocks
      >>> specs = [WeightSpec("kernel", (3, 2), "kernel", 3, 0.5)]
      >>> hypernetwork = Hypernetwork(specs, HypernetworkConfig(chunk_size=4), num_tasks=3)
      >>> targets = FixedTargets(hypernetwork, 0, TaskBlocks(max_tasks=2, numbers_per_task=6))
      >>> targets.remember(2)
      >>> targets(tf.constant([0, 1])).shape
      TensorShape([2, 6])
      >>> targets.kept_bytes()
      {'targets': 72}
    """

    def __init__(self, source: Hypernetwork, num_hidden_chunks: int, blocks: TaskBlocks, jit: bool = False) -> None:
        super().__init__(source, num_hidden_chunks)
        self._num_tasks, self._blocks = source.num_tasks, blocks
        self._stored = SplitOutputs(
            *(
                tf.Variable(tf.zeros([source.num_tasks, *values.shape[1:]]), trainable=False)
                for values in split_outputs(source, num_hidden_chunks, tf.constant([0]))
            )
        )
        self._last_layer = [
            tf.Variable(tf.zeros(values.shape if num_hidden_chunks else [0]), trainable=False)
            for values in source.last_layer
        ]
        self._outputs = tf.function(split_outputs, jit_compile=jit, autograph=False)

    def remember(self, num_old: int) -> None:
        """See `Targets.remember`."""
        _require_known(num_old, self._num_tasks)
        self._remember_tasks(tf.constant(num_old))
        if self.num_hidden_chunks:
            for old, new in zip(self._last_layer, self.source.last_layer, strict=True):
                old.assign(new)

    def outputs(self, old_ids: tf.Tensor) -> SplitOutputs:
        """See `Targets.outputs`."""
        return SplitOutputs(*(tf.gather(stored, old_ids) for stored in self._stored))

    def last_layer(self) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Targets.last_layer`."""
        return tuple(self._last_layer)

    def all_variables(self) -> list[tf.Variable]:
        """See `Targets.all_variables`."""
        return [*self._stored, *self._last_layer]

    def kept_bytes(self) -> dict[str, int]:
        """See `Targets.kept_bytes`."""
        return {"targets": bytes_of(sum(int(tf.size(variable)) for variable in (*self._stored, *self._last_layer)))}

    @tf.function(autograph=False)
    def _remember_tasks(self, number: tf.Tensor) -> None:
        def remember_block(ids: tf.Tensor, _counts: tf.Tensor) -> tuple:  # tasks that fill a block up are stored twice
            present = self._outputs(self.source, self.num_hidden_chunks, ids)
            for stored, new in zip(self._stored, present, strict=True):
                stored.scatter_update(tf.IndexedSlices(new, ids))
            return ()

        self._blocks.loop(number, remember_block, ())


class OnlineTargets(Targets):
    """Targets that a copy of the old hypernetwork generates again at each step: the same values for less memory.

    Args:
      source: See `FixedTargets`.
      num_hidden_chunks: See `Targets`.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import Hypernetwork, HypernetworkConfig, WeightSpec
      >>> from clrnn_tf.hypernetworks.targets import OnlineTargets
      >>> specs = [WeightSpec("kernel", (3, 2), "kernel", 3, 0.5)]
      >>> hypernetwork = Hypernetwork(specs, HypernetworkConfig(chunk_size=4), num_tasks=3)
      >>> targets = OnlineTargets(hypernetwork, 0)
      >>> targets.remember(2)
      >>> targets.kept_bytes() == {"old_hypernetwork": 4 * hypernetwork.count_params()}
      True
    """

    def __init__(self, source: Hypernetwork, num_hidden_chunks: int) -> None:
        super().__init__(source, num_hidden_chunks)
        self._old_source = Hypernetwork.from_config(source.get_config())

    def remember(self, num_old: int) -> None:
        """See `Targets.remember`; this one makes new targets of all tasks."""
        _require_known(num_old, self._old_source.num_tasks)
        self._old_source.copy_from(self.source)

    def outputs(self, old_ids: tf.Tensor) -> SplitOutputs:
        """See `Targets.outputs`."""
        outputs = split_outputs(self._old_source, self.num_hidden_chunks, old_ids)
        return SplitOutputs(*(tf.stop_gradient(values) for values in outputs))

    def last_layer(self) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Targets.last_layer`."""
        return self._old_source.last_layer

    def all_variables(self) -> list[tf.Variable]:
        """See `Targets.all_variables`."""
        return self._old_source.all_variables()

    def kept_bytes(self) -> dict[str, int]:
        """See `Targets.kept_bytes`."""
        return {"old_hypernetwork": bytes_of(self._old_source.count_params())}


def _require_known(num_old: int, num_tasks: int) -> None:
    require(
        0 <= num_old <= num_tasks,
        f"num_old must be in [0, {num_tasks}]; make new targets after add_task. Received: {num_old}.",
    )
