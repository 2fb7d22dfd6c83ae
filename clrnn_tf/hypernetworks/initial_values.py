"""Initial values of a hypernetwork's variables: pure functions of the seed, the layer and the task."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.hypernetworks import hyperfan
from clrnn_tf.networks.weights import WeightSpec, initial_value
from clrnn_tf.seeds import InitialKey


@dataclass(frozen=True)
class InitialValues:
    """Draws what a hypernetwork starts from.

    The MLP starts uniform in +-1 / sqrt(fan_in) and embeddings start normal, unless `config.initializer` is one of
    `clrnn_tf.hypernetworks.hyperfan`. Hyperfan draws kernels and chunk embeddings, sets biases to 0, and leaves
    task embeddings normal.
    """

    specs: Sequence[WeightSpec]
    config: HypernetworkConfig
    num_chunks: int
    """N."""
    seed: int

    def kernel(self, index: int, fan_in: int, units: int) -> np.ndarray:
        """[fan_in, units] of layer `index`."""
        if not self._is_hyperfan:
            spec = WeightSpec("kernel", (fan_in, units), "kernel", fan_in, 1.0 / math.sqrt(fan_in))
            return initial_value(spec, self.seed, 2 * index)
        is_last = index == len(self.config.hidden_sizes)
        if is_last and self.config.chunk_size is None:
            return hyperfan.output_kernel(self.specs, self.config, self.seed)
        return hyperfan.kernel((fan_in, units), self.seed, index, is_last)

    def bias(self, index: int, fan_in: int, units: int) -> np.ndarray:
        """[units] of layer `index`."""
        if self._is_hyperfan:
            return np.zeros(units, np.float32)
        spec = WeightSpec("bias", (units,), "bias", fan_in, 1.0 / math.sqrt(fan_in))
        return initial_value(spec, self.seed, 2 * index + 1)

    def task_embedding(self, task_id: int) -> np.ndarray:
        """[E] of a task."""
        generator = np.random.default_rng([self.seed, InitialKey.TASK_EMBEDDINGS, 1 + task_id])
        shape = (self.config.task_embedding_size,)
        return generator.normal(0.0, self.config.task_embedding_std, shape).astype(np.float32)

    def chunk_embeddings(self, task_id: int | None = None) -> np.ndarray:
        """[N, C] of a task; with None, those that all tasks share."""
        size = self.config.chunk_embedding_size
        if self._is_hyperfan:
            return hyperfan.chunk_embeddings(self._chunk_bounds, size, self.seed, task_id or 0)
        index = 0 if task_id is None else 1 + task_id
        generator = np.random.default_rng([self.seed, InitialKey.CHUNK_EMBEDDINGS, index])
        return generator.normal(0.0, self.config.chunk_embedding_std, (self.num_chunks, size)).astype(np.float32)

    @property
    def _is_hyperfan(self) -> bool:
        return self.config.initializer != "uniform"

    @functools.cached_property
    def _chunk_bounds(self) -> np.ndarray:
        return hyperfan.chunk_bounds(self.specs, self.config)
