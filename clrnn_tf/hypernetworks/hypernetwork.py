"""The hypernetwork: a Keras layer that turns a task embedding into all weights of the main network.

With task embedding e_t, chunk embeddings c_1..c_N and an MLP h with parameters theta,

    full:      w_t = h(e_t)
    chunked:   w_t = [h([c_1, e_t]), ..., h([c_N, e_t])], cut to W weights       (von Oswald et al. 2020)

A chunked hypernetwork can have fewer parameters than the weights that it generates. All chunks of all requested tasks
are one batch of the MLP. A task of a multi-head network needs the body and one head. Only the chunks that hold these
are generated, except by `generate`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.errors import require
from clrnn_tf.hypernetworks.chunks import ChunkPlan
from clrnn_tf.hypernetworks.initial_values import InitialValues
from clrnn_tf.hypernetworks.mlp import MLP, product
from clrnn_tf.hypernetworks.task_embeddings import Embeddings, assign_rows, checked_task_ids, concatenated
from clrnn_tf.networks.weight_sources import WeightSource
from clrnn_tf.networks.weights import Weights, WeightSpec, task_size, total_size, unpack_task


@keras.saving.register_keras_serializable(package="clrnn_tf")
class Hypernetwork(WeightSource):
    """Generates the main network's weights from a task embedding.

    Calling the layer with a task id gives a dictionary of weights by the names of `specs`. A tensor with
    `per_head = True` comes as the task's head alone, [1, ...]. The task id is a Python int, or a scalar of any integer
    or floating type. A vector of ids [B] gives every weight a leading axis: [B, *shape], and [B, 1, ...] for a head.

    Args:
      specs: Tensors of the main network, which are cut from the generated vector in this order, row-major.
      config: Size and kind of the hypernetwork.
      num_tasks: Tasks to begin with. `add_task` adds more.
      seed: Seed of the initial values.

    Raises:
      ConfigurationError: `num_tasks` is not positive.
      ValueError: The layer is called with a task id that is no integer in [0, K). Within a compiled function only
        constant ids are checked.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import Hypernetwork, HypernetworkConfig, WeightSpec
      >>> specs = [WeightSpec("kernel", (3, 2), "kernel", 3, 0.5), WeightSpec("bias", (2,), "bias", 3, 0.5)]
      >>> hypernetwork = Hypernetwork(specs, HypernetworkConfig(chunk_size=4), num_tasks=2)
      >>> {name: tuple(weight.shape) for name, weight in hypernetwork(1).items()}
      {'kernel': (3, 2), 'bias': (2,)}
      >>> {name: tuple(weight.shape) for name, weight in hypernetwork(tf.constant([1, 0, 1])).items()}
      {'kernel': (3, 3, 2), 'bias': (3, 2)}
      >>> hypernetwork.add_task()
      2
    """

    def __init__(
        self, specs: Sequence[WeightSpec], config: HypernetworkConfig, num_tasks: int, seed: int = 0, **kwargs: object
    ) -> None:
        super().__init__(specs, **kwargs)
        require(num_tasks > 0, f"num_tasks must be above 0. Received: {num_tasks}.")
        self.config, self.seed, self._num_initial_tasks = config, seed, num_tasks
        self.num_weights, self.num_task_weights = total_size(self.specs), task_size(self.specs)
        self.chunk_size = config.chunk_size or self.num_weights
        self.num_chunks = math.ceil(self.num_weights / self.chunk_size)
        self._chunk_embedding_size = config.chunk_embedding_size if config.chunk_size else 0
        self._per_task_chunks = config.chunk_embeddings == "per_task" and config.chunk_size is not None
        self._plan = ChunkPlan.of(self.specs, self.chunk_size, self.num_chunks)
        self._initial = InitialValues(self.specs, config, self.num_chunks, seed)
        self.kernels, self.biases = self._make_layers()
        self._mlp = MLP(self.kernels, self.biases, config)
        self.shared_chunk_embeddings = (
            self._variable("chunk_embeddings", self._initial.chunk_embeddings())
            if self._chunk_embedding_size and not self._per_task_chunks
            else None
        )
        self.num_tasks: int = 0
        """K, the number of tasks that have an embedding."""
        self.task_embeddings: list[keras.Variable] = []
        """[n, E] for the n initial tasks, and [1, E] for each added task; empty at E = 0."""
        self.task_chunk_embeddings: list[keras.Variable] = []
        """[n, N, C] and [1, N, C] likewise; empty where tasks share the chunk embeddings."""
        self._add_embeddings(num_tasks)

    @property
    def compression_ratio(self) -> float:
        """Parameters of the hypernetwork, all embeddings included, per generated weight."""
        return self.count_params() / self.num_weights

    def count_params(self) -> int:
        """Parameters including the embeddings of all tasks."""
        return int(sum(np.prod(variable.shape) for variable in self.variables))

    def add_task(self) -> int:
        """Give one more task its embeddings and return its id. The weights of the other tasks do not change.

        Optimizers and output regularisers made before do not know the new variables.

        Raises:
          ConfigurationError: The network has one head per task, and none for another.
        """
        require(
            self.num_tasks < self._plan.num_heads or self._plan.num_heads == 1,
            f"a network of {self._plan.num_heads} heads has none for another task. Train with network.heads = single.",
        )
        was_locked = self._tracker.locked  # Keras forbids new variables once a layer has been built.
        self._tracker.unlock()
        self._add_embeddings(1)
        if was_locked:
            self._tracker.lock()
        return self.num_tasks - 1

    def __call__(self, task_id: object, **kwargs: object) -> Weights:
        """The weights for a task id, or for several; see the class's docstring."""
        return super().__call__(checked_task_ids(task_id, self.num_tasks), **kwargs)

    def call(self, task_id: tf.Tensor) -> Weights:
        """The weights for a task id, a scalar or [B]; see the class's docstring."""
        if task_id.shape.rank == 0:
            return unpack_task(self.generate_for(tf.reshape(task_id, [1]))[0], self.specs)
        rows = self.generate_for(task_id)
        pieces = tf.split(rows, [spec.head_size for spec in self.specs], axis=1)
        shapes = self.compute_output_shape((tf.shape(task_id)[0],))
        return {name: tf.reshape(piece, shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}

    def compute_output_shape(self, task_id_shape: tuple[int | None, ...]) -> dict[str, tuple[int | None, ...]]:
        """Shapes of the generated weights by name, for task ids of shape () or (B,)."""
        shapes = {spec.name: (1, *spec.shape[1:]) if spec.per_head else spec.shape for spec in self.specs}
        return {name: (*task_id_shape, *shape) for name, shape in shapes.items()}

    def generate(self, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """Generated weights for several tasks in one call.

        Args:
          task_ids: [n] int32; n may be 0.
          dropout_key: [2] integers; with it and a dropout rate, hidden units are dropped by a mask that is a pure
            function of the key, with a different mask for each row and chunk.

        Returns:
          [n, W] vectors: the tensors of `specs`, flattened and concatenated.
        """
        by_chunk, by_task = self._first_products(task_ids)
        hidden = self._mlp.last_inputs(by_chunk + by_task, dropout_key)
        return self._last_layer(hidden)[:, : self.num_weights]

    def generate_for(self, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """Generated weights [n, V] of the body and of the task's head; see `generate` for the arguments."""
        return self.weights_from_hidden(self.hidden_for(task_ids, dropout_key), task_ids)

    def embeddings(self) -> Embeddings:
        """The embeddings of all tasks."""
        return Embeddings(concatenated(self.task_embeddings), concatenated(self.task_chunk_embeddings))

    def hidden_for(self, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """Inputs of the last layer [n, chunks, H] for the chunks of the body, then for those of the task's head."""
        by_chunk, by_task = self._first_products(task_ids)
        if self._plan.head_chunks is None:
            return self._mlp.last_inputs(by_chunk + by_task, dropout_key)
        chunks = tf.gather(self._plan.head_chunks, task_ids)  # [n, head chunks]
        if self._per_task_chunks:
            by_head_chunk = tf.gather(by_chunk, chunks, batch_dims=1)
        else:
            by_head_chunk = tf.gather(by_chunk[0], chunks)
        body = by_chunk[:, : self._plan.body_chunks]
        return self._mlp.last_inputs(tf.concat([body + by_task, by_head_chunk + by_task], axis=1), dropout_key)

    def weights_from_hidden(self, hidden: tf.Tensor, task_ids: tf.Tensor, first_chunk: int = 0) -> tf.Tensor:
        """The second half of `generate_for`: from the result of `hidden_for`, without the first chunks.

        Args:
          hidden: [n, chunks, H].
          task_ids: [n] int32.
          first_chunk: Chunks to leave out, at most `num_whole_chunks`.

        Returns:
          [n, V - first_chunk * chunk size].
        """
        generated = self._last_layer(hidden[:, first_chunk:])
        skipped = first_chunk * self.chunk_size
        body = generated[:, : self._plan.body_size - skipped]
        if self._plan.num_heads == 1:
            return body
        positions = tf.gather(self._plan.head_positions, task_ids) - skipped  # [n, V - body]
        return tf.concat([body, tf.gather(generated, positions, batch_dims=1)], axis=1)

    @property
    def num_whole_chunks(self) -> int:
        """The number of leading chunks that hold weights of the body only."""
        return self._plan.body_size // self.chunk_size

    @property
    def last_layer(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Kernel [H, chunk size] and bias [chunk size] of the last layer; a bias of zeros if there is none."""
        kernel = self.kernels[-1].value
        return kernel, self.biases[-1].value if self.config.use_bias else tf.zeros([self.chunk_size])

    def get_config(self) -> dict[str, object]:
        """Plain values from which `from_config` builds the same layer, with its initial values."""
        return {
            **super().get_config(),
            "specs": [list(spec) for spec in self.specs],
            "config": dataclasses.asdict(self.config),
            "num_tasks": self._num_initial_tasks,
            "num_added_tasks": self.num_tasks - self._num_initial_tasks,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Hypernetwork:
        """A layer as `get_config` describes it, with the variables of added tasks in the same order."""
        config = dict(config)
        num_added_tasks = config.pop("num_added_tasks", 0)
        values = config.pop("config").items()
        options: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values}
        specs = [WeightSpec(name, tuple(shape), *rest) for name, shape, *rest in config.pop("specs")]
        hypernetwork = cls(specs, HypernetworkConfig(**options), **config)
        for _ in range(num_added_tasks):
            hypernetwork.add_task()
        return hypernetwork

    def copy_from(self, other: Hypernetwork) -> None:
        """Take over the variables of a hypernetwork for the same tasks; the two may have added them at different times.

        Raises:
          ConfigurationError: The other one has another number of tasks.
        """
        require(
            self.num_tasks == other.num_tasks,
            f"copy_from needs a hypernetwork of {self.num_tasks} tasks; use add_task. Received: {other.num_tasks}.",
        )
        embeddings = other.embeddings()
        assign_rows(self.task_embeddings, embeddings.of_tasks)
        assign_rows(self.task_chunk_embeddings, embeddings.of_chunks)
        for variable, value in zip(self._shared_variables(), other._shared_variables(), strict=True):
            variable.assign(value.value)

    def _shared_variables(self) -> list[keras.Variable]:
        chunk_embeddings = [] if self.shared_chunk_embeddings is None else [self.shared_chunk_embeddings]
        return [*self.kernels, *self.biases, *chunk_embeddings]

    def _first_products(self, task_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The two terms of the first layer's sums, computed separately because each serves many inputs.

            [c_k, e_t] A + b = (c_k A_c + b) + e_t A_e

        Returns:
          The chunks' term [1 or n, N, width], biases included, and the tasks' term [n, 1, width].
        """
        embeddings, kernel = self.embeddings(), self.kernels[0].value
        of_chunks, of_tasks = kernel[: self._chunk_embedding_size], kernel[self._chunk_embedding_size :]
        by_task = tf.zeros([tf.shape(task_ids)[0], 1, kernel.shape[1]], kernel.dtype)
        if self.config.task_embedding_size:
            by_task += tf.matmul(tf.gather(embeddings.of_tasks, task_ids), of_tasks)[:, tf.newaxis]
        by_chunk = tf.zeros([1, self.num_chunks, kernel.shape[1]], kernel.dtype)
        if self._per_task_chunks:
            by_chunk = product(tf.gather(embeddings.of_chunks, task_ids), of_chunks)
        elif self.shared_chunk_embeddings is not None:
            by_chunk = tf.matmul(self.shared_chunk_embeddings.value, of_chunks)[tf.newaxis]
        return self._mlp.add_bias(by_chunk, 0), by_task

    def _last_layer(self, last_inputs: tf.Tensor) -> tf.Tensor:
        """[n, chunks * chunk size] from inputs of the last layer [n, chunks, H]."""
        generated = self._mlp.outputs(last_inputs)
        return tf.reshape(generated, [tf.shape(generated)[0], generated.shape[1] * self.chunk_size])

    def _make_layers(self) -> tuple[list[keras.Variable], list[keras.Variable]]:
        num_inputs = self._chunk_embedding_size + self.config.task_embedding_size
        widths = [num_inputs, *self.config.hidden_sizes, self.chunk_size]
        kernels, biases = [], []
        for index, (fan_in, units) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            kernels.append(self._variable(f"kernel{index}", self._initial.kernel(index, fan_in, units)))
            if self.config.use_bias:
                biases.append(self._variable(f"bias{index}", self._initial.bias(index, fan_in, units)))
        return kernels, biases

    def _add_embeddings(self, count: int) -> None:
        first, self.num_tasks = self.num_tasks, self.num_tasks + count
        task_ids = range(first, self.num_tasks)
        if self.config.task_embedding_size:
            values = np.stack([self._initial.task_embedding(task_id) for task_id in task_ids])
            self.task_embeddings.append(self._variable(f"task_embeddings{first}", values))
        if self._per_task_chunks:
            values = np.stack([self._initial.chunk_embeddings(task_id) for task_id in task_ids])
            self.task_chunk_embeddings.append(self._variable(f"chunk_embeddings{first}", values))

    def _variable(self, name: str, value: np.ndarray) -> keras.Variable:
        return self.add_weight(
            name=name, shape=value.shape, initializer=lambda shape, dtype=None: tf.constant(value, dtype, shape)
        )
