"""Weights of the main network by task, as requests read them: made for each request, or once when a model is loaded.

Weights of all tasks are made when a servable is loaded, and kept in memory, where they fit: reading those of 64 tasks
takes a fraction of the time of making them. A servable on disk has what they are made from, such as the embeddings of
tasks, and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Protocol

import tensorflow as tf

from clrnn_tf.networks.weight_sources import WeightSource
from clrnn_tf.networks.weights import Weights
from export.mixed_network import MixedNetwork
from export.row_blocks import RowBlocks

MOST_KEPT_BYTES = 2**28
"""Memory that the weights of all tasks may take."""


class TaskWeights(Protocol):
    """Weights by task, as `MixedNetwork` reads them."""

    num_bytes: int
    """Memory that is taken while the model is loaded, beside that of its variables."""

    def of_blocks(self, blocks: RowBlocks) -> Weights:
        """Of the task of each block, by name, [N, ...]."""

    def of_all(self) -> Weights:
        """Of all K tasks as the main network names them, [K, ...]."""

    def stored(self) -> contextlib.AbstractContextManager[None]:
        """While the model is stored."""

    def kept(self) -> list[object]:
        """What a SavedModel must hold for them, besides what its functions read."""


def weights_by_task(
    source: WeightSource, network: MixedNetwork, num_tasks: int, most_bytes: int = MOST_KEPT_BYTES
) -> TaskWeights:
    """Weights of K tasks, kept in memory if they take `most_bytes` at most and differ by task."""
    made = MadeWeights(source, network, num_tasks)
    return KeptWeights(made) if made.num_bytes_of_all <= most_bytes and source.depends_on_task else made


class MadeWeights:
    """Weights that are made for the distinct tasks of a request.

    Args:
      source: Makes those of one task.
      network: Reads them.
      num_tasks: K.
    """

    num_bytes = 0

    def __init__(self, source: WeightSource, network: MixedNetwork, num_tasks: int) -> None:
        self._source, self.network, self._num_tasks = source, network, num_tasks
        made = self._of_task(tf.constant(0))
        self.specs = {name: tf.TensorSpec(weight.shape, weight.dtype) for name, weight in made.items()}
        """Of one task, by name."""

    @property
    def num_bytes_of_all(self) -> int:
        """Memory of the weights of all tasks."""
        return sum(self._num_tasks * spec.shape.num_elements() * spec.dtype.size for spec in self.specs.values())

    @functools.cached_property
    def all_one_by_one(self) -> tf.types.experimental.ConcreteFunction:
        """Makes those of all tasks in the memory of one, by name, [K, ...]."""
        return tf.function(self._all_one_by_one, input_signature=[], autograph=False).get_concrete_function()

    def of_blocks(self, blocks: RowBlocks) -> Weights:
        """See `TaskWeights`."""
        made = tf.vectorized_map(self._of_task, blocks.distinct)
        return {name: tf.gather(weight, blocks.places) for name, weight in made.items()}

    def of_all(self) -> Weights:
        """See `TaskWeights`."""
        return tf.vectorized_map(self._source, tf.range(self._num_tasks))

    def stored(self) -> contextlib.AbstractContextManager[None]:
        """See `TaskWeights`."""
        return contextlib.nullcontext()

    def kept(self) -> list[object]:
        """See `TaskWeights`."""
        return []

    def _all_one_by_one(self) -> Weights:
        return tf.map_fn(self._of_task, tf.range(self._num_tasks), fn_output_signature=self.specs)

    def _of_task(self, task_id: tf.Tensor) -> Weights:
        return self.network.arranged(self._source(task_id), task_id)


class KeptWeights(tf.saved_model.experimental.TrackableResource):
    """Weights of all tasks in memory. They are made when they are built and when a SavedModel is loaded.

    A loader runs `_initialize` of every resource after it has read the variables. The tables are variables without rows
    on disk.

    Args:
      made: Makes them.
    """

    def __init__(self, made: MadeWeights) -> None:
        super().__init__()
        self._made, self._network = made, made.network
        self._tables = {
            name: tf.Variable(tf.zeros([0, *spec.shape], spec.dtype), shape=[None, *spec.shape], trainable=False)
            for name, spec in made.specs.items()
        }
        self._initialize()

    @property
    def num_bytes(self) -> int:
        """See `TaskWeights`."""
        return self._made.num_bytes_of_all

    def of_blocks(self, blocks: RowBlocks) -> Weights:
        """See `TaskWeights`."""
        tasks = tf.gather(blocks.distinct, blocks.places)
        return {name: table.sparse_read(tasks) for name, table in self._tables.items()}

    def of_all(self) -> Weights:
        """See `TaskWeights`."""
        tables = {name: tf.convert_to_tensor(table) for name, table in self._tables.items()}
        return self._network.named(tables)

    @contextlib.contextmanager
    def stored(self) -> Iterator[None]:
        """See `TaskWeights`. The tables are empty meanwhile."""
        for table in self._tables.values():
            table.assign(tf.zeros([0, *table.shape[1:]], table.dtype))
        try:
            yield
        finally:
            self._initialize()

    def kept(self) -> list[object]:
        """See `TaskWeights`: itself, what it is made from, and the tables."""
        return [self, *self._made.all_one_by_one.variables, *self._tables.values()]

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name=f"task_weights_{id(self)}")

    def _initialize(self) -> None:
        for name, weights in self._made.all_one_by_one().items():
            self._tables[name].assign(weights)
