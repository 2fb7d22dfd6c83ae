"""A main network with its weight source: what is trained, evaluated and exported."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clrnn_tf.network import Outputs, RecurrentNetwork
from clrnn_tf.tasks import Loss, NgramInputs
from clrnn_tf.weights import Weights, WeightSource


class NgramEmbedding(tf.Module):
    """A trainable table of hashed character n-grams for each task.

        x = sum_g table[task, n_g] / sqrt(number of n-grams)

    A task's table is trained with that task only, so it cannot forget.

    Args:
      ngrams: Number of buckets and of n-grams per token.
      size: D, width of the embedding.
      num_tasks: K.
      seed: Seed of the initial values (normal, standard deviation 0.5).
    """

    def __init__(self, ngrams: NgramInputs, size: int, num_tasks: int, seed: int) -> None:
        super().__init__()
        self._num_buckets = ngrams.num_buckets
        generator = np.random.default_rng([seed, 3000])
        initial = generator.normal(0.0, 0.5, (num_tasks * ngrams.num_buckets, size)).astype(np.float32)
        self.table = tf.Variable(initial, name="ngram_table")

    def __call__(self, buckets: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """[B, T, G] int32 buckets (0 = none) of one task -> [B, T, D]."""
        return self._sum(tf.gather(self.table, buckets + task_id * self._num_buckets), buckets)

    @classmethod
    def look_up(cls, table: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
        """The same from the table [buckets, D] of one task."""
        return cls._sum(tf.gather(table, buckets), buckets)

    @staticmethod
    def _sum(vectors: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
        present = tf.cast(buckets > 0, tf.float32)[..., tf.newaxis]  # [B, T, G, 1]
        counts = tf.reduce_sum(present, axis=2)
        return tf.reduce_sum(vectors * present, axis=2) / tf.sqrt(tf.maximum(counts, 1.0))


class Model(tf.Module):
    """A main network, the source of its weights, and the embedding of its inputs where they are n-grams.

    Args:
      network: The main network.
      source: Where its weights come from.
      loss: Kind of output.
      embedding: Embeds n-gram inputs; None where inputs are real vectors.
    """

    def __init__(
        self, network: RecurrentNetwork, source: WeightSource, loss: Loss, embedding: NgramEmbedding | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.source = source
        self.loss: Loss = loss
        self.embedding = embedding

    def embed(self, inputs: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """Inputs of a batch as [B, T, F] float32."""
        return inputs if self.embedding is None else self.embedding(inputs, task_id)

    def run(self, weights: Weights, embedded: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor) -> Outputs:
        """The network with given weights on [B, T, F] inputs of one task (scalar id)."""
        return self.network(weights, embedded, lengths, task_id)

    def __call__(self, inputs: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor) -> Outputs:
        """Outputs for inputs of one task (scalar id), with the source's present weights."""
        return self.run(self.source(task_id), self.embed(inputs, task_id), lengths, task_id)
