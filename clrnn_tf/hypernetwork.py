"""The hypernetwork: a Keras layer that turns a task embedding into all weights of the main network.

With task embedding e_t, chunk embeddings c_1..c_N and an MLP h with parameters theta,

    full:      w_t = h(e_t)
    chunked:   w_t = [h([c_1, e_t]), ..., h([c_N, e_t])], cut to W weights       (von Oswald et al. 2020)

so a chunked hypernetwork has fewer parameters than the weights it makes. All chunks of all requested tasks are one
batch of the MLP. Of a multi-head network a task needs the body and one head, so only the chunks that hold these are
generated, unless the whole vector is asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from clrnn_tf import hyperfan
from clrnn_tf.chunks import OwnPlan
from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.errors import require
from clrnn_tf.weight_sources import WeightSource
from clrnn_tf.weights import (
    Weights,
    WeightSpec,
    initial_value,
    own_size,
    total_size,
    unpack_own,
)

_ACTIVATIONS = {
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "elu": tf.nn.elu,
    "linear": tf.identity,
}


class Embeddings(NamedTuple):
    """What tasks have of their own, [K, E] and [K, N, C]; empty for a kind that there is not."""

    of_tasks: tf.Tensor
    of_chunks: tf.Tensor


@keras.saving.register_keras_serializable(package="clrnn_tf")
class Hypernetwork(WeightSource):
    """Generates the main network's weights from a task embedding.

    Args:
      specs: Tensors of the main network; they are cut from the generated vector in this order, row-major.
      config: Size and kind of the hypernetwork.
      num_tasks: K, task embeddings to begin with; `add_task` adds more.
      seed: Seed of the initial values.
    """

    def __init__(
        self, specs: Sequence[WeightSpec], config: HypernetworkConfig, num_tasks: int, seed: int = 0, **kwargs: object
    ) -> None:
        super().__init__(specs, **kwargs)
        require(num_tasks > 0, f"num_tasks must be above 0. Received: {num_tasks}.")
        self.config = config
        self.seed = seed
        self.num_weights = total_size(self.specs)
        self.num_own_weights = own_size(self.specs)
        self.chunk_size = config.chunk_size or self.num_weights
        self.num_chunks = math.ceil(self.num_weights / self.chunk_size)
        self._chunk_embedding_size = config.chunk_embedding_size if config.chunk_size else 0
        self._per_task_chunks = config.chunk_embeddings == "per_task" and config.chunk_size is not None
        self._activation = _ACTIVATIONS[config.activation]
        self._plan = OwnPlan.of(self.specs, self.chunk_size, self.num_chunks)
        self.kernels, self.biases = self._make_layers()
        self.shared_chunk_embeddings = (
            self._variable("chunk_embeddings", self._draws(self._chunk_shape, 0))
            if self._chunk_embedding_size and not self._per_task_chunks
            else None
        )
        self.num_tasks = 0
        """K, tasks that have an embedding."""
        self.task_embeddings: list[keras.Variable] = []
        """[n, E] of the n tasks to begin with, and [1, E] of each that was added."""
        self.task_chunk_embeddings: list[keras.Variable] = []
        """The same of the chunks' embeddings, [n, N, C]; empty where tasks share them."""
        self._add_embeddings(num_tasks)
        if config.initializer != "uniform":
            hyperfan.initialize(self, config.initializer)

    @property
    def compression_ratio(self) -> float:
        """Parameters of the hypernetwork, all embeddings included, per generated weight."""
        return self.count_params() / self.num_weights

    def count_params(self) -> int:
        """Parameters including the embeddings of all tasks."""
        return int(sum(np.prod(variable.shape) for variable in self.variables))

    def add_task(self) -> int:
        """Give one more task its embeddings and return its id; what is generated for the others stays as it is.

        Raises:
          ConfigurationError: The network has one head per task, and none for another.
        """
        require(
            self.num_tasks < self._plan.num_heads or self._plan.num_heads == 1,
            f"a network of {self._plan.num_heads} heads has none for another task. Train with network.heads = single.",
        )
        self._tracker.unlock()  # Keras forbids new variables once a layer has been called.
        self._add_embeddings(1)
        self._tracker.lock()
        return self.num_tasks - 1

    def call(self, task_id: tf.Tensor) -> Weights:
        """The weights for one task by the names of `specs`; of the heads only its own, as a single one."""
        return unpack_own(self.generate_own(tf.reshape(task_id, [1]))[0], self.specs)

    def generate(self, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """Generated weights for several tasks in one call.

        Args:
          task_ids: [n] int32; n may be 0.
          dropout_key: [2] integers; with it and a dropout rate, hidden units are dropped by a mask that is a pure
            function of the key, one for each row and chunk.

        Returns:
          [n, W] vectors, the tensors of `specs` flattened one after another.
        """
        by_chunk, by_task = self._first_products(task_ids)
        hidden = self._hidden_layers(by_chunk + by_task, dropout_key)
        return self._last_layer(hidden)[:, : self.num_weights]

    def generate_own(self, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """As `generate`, but [n, V]: of each task the body and its own head (`clrnn_tf.weights.unpack_own`)."""
        return self.own_weights(self.own_hidden(task_ids, dropout_key), task_ids)

    def embeddings(self) -> Embeddings:
        """The embeddings of all tasks."""
        kinds = self.task_embeddings, self.task_chunk_embeddings
        return Embeddings(*(tf.concat([each.value for each in kind], 0) if kind else tf.zeros([0]) for kind in kinds))

    def own_hidden(self, task_ids: tf.Tensor, dropout_key: tf.Tensor | None = None) -> tf.Tensor:
        """Inputs of the last layer [n, chunks, H] for the chunks that the tasks use: of the body, then of the head."""
        by_chunk, by_task = self._first_products(task_ids)
        if self._plan.head_chunks is None:
            return self._hidden_layers(by_chunk + by_task, dropout_key)
        chunks = tf.gather(self._plan.head_chunks, task_ids)  # [n, head chunks]
        by_head_chunk = tf.gather(by_chunk, chunks, batch_dims=1) if self._per_task_chunks else (
            tf.gather(by_chunk[0], chunks)
        )
        body = by_chunk[:, : self._plan.body_chunks]
        return self._hidden_layers(tf.concat([body + by_task, by_head_chunk + by_task], axis=1), dropout_key)

    def own_weights(self, hidden: tf.Tensor, task_ids: tf.Tensor, first_chunk: int = 0) -> tf.Tensor:
        """What `generate_own` gives, from the result of `own_hidden` and without the first chunks.

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
        """Chunks, from the first one on, that hold nothing but weights of the body."""
        return self._plan.body_size // self.chunk_size

    @property
    def last_layer(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Kernel [H, chunk size] and bias [chunk size] of the last layer; a bias of zeros if there is none."""
        kernel = self.kernels[-1].value
        return kernel, self.biases[-1].value if self.config.use_bias else tf.zeros([self.chunk_size])

    def get_config(self) -> dict[str, object]:
        """Plain values from which `from_config` builds the same layer, without its trained variables."""
        return {
            **super().get_config(),
            "specs": [list(spec) for spec in self.specs],
            "config": dataclasses.asdict(self.config),
            "num_tasks": self.num_tasks,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, object]) -> Hypernetwork:
        """See `get_config`."""
        config = dict(config)
        options = {
            name: tuple(value) if isinstance(value, (list, tuple)) else value
            for name, value in config.pop("config").items()
        }
        specs = [WeightSpec(name, tuple(shape), *rest) for name, shape, *rest in config.pop("specs")]
        return cls(specs, HypernetworkConfig(**options), **config)

    def _first_products(self, task_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """First layer's sums of the inputs [c_k, e_t], taken apart so that neither part is repeated.

        Returns:
          The chunks' part [1 or n, N, width], biases included, and the tasks' part [n, 1, width].
        """
        embeddings, kernel = self.embeddings(), self.kernels[0].value
        of_chunks, of_tasks = kernel[: self._chunk_embedding_size], kernel[self._chunk_embedding_size :]
        by_task = tf.zeros([tf.shape(task_ids)[0], 1, kernel.shape[1]], kernel.dtype)
        if self.config.task_embedding_size:
            by_task += tf.matmul(tf.gather(embeddings.of_tasks, task_ids), of_tasks)[:, tf.newaxis]
        by_chunk = tf.zeros([1, self.num_chunks, kernel.shape[1]], kernel.dtype)
        if self._per_task_chunks:
            by_chunk = _product(tf.gather(embeddings.of_chunks, task_ids), of_chunks)
        elif self.shared_chunk_embeddings is not None:
            by_chunk = tf.matmul(self.shared_chunk_embeddings.value, of_chunks)[tf.newaxis]
        return self._add_bias(by_chunk, 0), by_task

    def _hidden_layers(self, sums: tf.Tensor, dropout_key: tf.Tensor | None) -> tf.Tensor:
        """Inputs of the last layer [n, chunks, width] from the sums of the first, or the sums if it is the last."""
        for index, kernel in enumerate(self.kernels[1:-1], start=1):
            hidden = self._dropout(self._activation(sums), index, dropout_key)
            sums = self._add_bias(_product(hidden, kernel), index)
        last = len(self.kernels) - 1
        return self._dropout(self._activation(sums), last, dropout_key) if last else sums

    def _last_layer(self, hidden: tf.Tensor) -> tf.Tensor:
        """[n, chunks * chunk size] from the result of `_hidden_layers`."""
        last = len(self.kernels) - 1
        generated = self._add_bias(_product(hidden, self.kernels[last]), last) if last else hidden
        return tf.reshape(generated, [tf.shape(generated)[0], generated.shape[1] * self.chunk_size])

    def _add_bias(self, x: tf.Tensor, index: int) -> tf.Tensor:
        return x + self.biases[index].value if self.config.use_bias else x

    def _dropout(self, x: tf.Tensor, index: int, key: tf.Tensor | None) -> tf.Tensor:
        if key is None or self.config.dropout == 0.0:
            return x
        layer_key = tf.random.experimental.stateless_fold_in(tf.cast(key, tf.int32), index)
        return tf.nn.experimental.stateless_dropout(x, self.config.dropout, seed=layer_key)

    def _make_layers(self) -> tuple[list[keras.Variable], list[keras.Variable]]:
        widths = [
            self._chunk_embedding_size + self.config.task_embedding_size, *self.config.hidden_sizes, self.chunk_size
        ]
        kernels, biases = [], []
        for index, (fan_in, units) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            bound = 1.0 / math.sqrt(fan_in)
            kernel = WeightSpec(f"kernel{index}", (fan_in, units), "kernel", fan_in, bound)
            kernels.append(self._variable(kernel.name, initial_value(kernel, self.seed, 2 * index)))
            if self.config.use_bias:
                bias = WeightSpec(f"bias{index}", (units,), "bias", fan_in, bound)
                biases.append(self._variable(bias.name, initial_value(bias, self.seed, 2 * index + 1)))
        return kernels, biases

    def _add_embeddings(self, count: int) -> None:
        first, self.num_tasks = self.num_tasks, self.num_tasks + count
        indices = range(1 + first, 1 + self.num_tasks)
        if self.config.task_embedding_size:
            draws = [self._draws((self.config.task_embedding_size,), index) for index in indices]
            self.task_embeddings.append(self._variable(f"task_embeddings{first}", np.stack(draws)))
        if self._per_task_chunks:
            draws = [self._draws(self._chunk_shape, index) for index in indices]
            self.task_chunk_embeddings.append(self._variable(f"chunk_embeddings{first}", np.stack(draws)))

    @property
    def _chunk_shape(self) -> tuple[int, int]:
        return self.num_chunks, self._chunk_embedding_size

    def _draws(self, shape: tuple[int, ...], index: int) -> np.ndarray:
        """Normal draws of an embedding, [E] of a task or [N, C] of chunks; a pure function of (seed, kind, index)."""
        of_chunks = len(shape) == 2
        std = self.config.chunk_embedding_std if of_chunks else self.config.task_embedding_std
        generator = np.random.default_rng([self.seed, 1000 + of_chunks, index])
        return generator.normal(0.0, std, shape).astype(np.float32)

    def _variable(self, name: str, value: np.ndarray) -> keras.Variable:
        return self.add_weight(
            name=name, shape=value.shape, initializer=lambda shape, dtype=None: tf.constant(value, dtype, shape)
        )


def _product(rows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[n, N, A] times [A, B] as one flat product: the gradient of a batched one makes a kernel for each of the n."""
    n, chunks, width = tf.shape(rows)[0], rows.shape[1], rows.shape[2]
    return tf.reshape(tf.matmul(tf.reshape(rows, [-1, width]), kernel), [n, chunks, kernel.shape[1]])
