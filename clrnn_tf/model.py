"""A main network with its weight source: what is trained, evaluated and exported."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clrnn_tf.network import Outputs, RecurrentNetwork
from clrnn_tf.tasks import Loss, NgramInputs
from clrnn_tf.weight_sources import WeightSource
from clrnn_tf.weights import Weights


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
        """[B, T, G] int32 buckets (0 = none) -> [B, T, D]; the task is a scalar, or [B] one for each example."""
        first_rows = tf.reshape(task_id, [-1, 1, 1]) * self._num_buckets
        return self._sum(tf.gather(self.table, buckets + first_rows), buckets)

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
      num_task_ids: K, where the network is told the task: its inputs are F features and a one-hot task id of size K.
        0 where it is not.
    """

    def __init__(
        self, network: RecurrentNetwork, source: WeightSource, loss: Loss, embedding: NgramEmbedding | None = None,
        num_task_ids: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network
        self.source = source
        self.loss: Loss = loss
        self.embedding = embedding
        self.num_task_ids = num_task_ids

    @property
    def depends_on_task(self) -> bool:
        """Whether the answers to one input differ by task."""
        own_parts = self.network.num_heads > 1 or self.embedding is not None or self.num_task_ids > 0
        return own_parts or self.source.depends_on_task

    def embed(self, inputs: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """What the network reads of a batch, [B, T, F] float32; the task is a scalar, or [B] one for each example."""
        embedded = inputs if self.embedding is None else self.embedding(inputs, task_id)
        return append_task_id(embedded, task_id, self.num_task_ids)

    def run(
        self,
        weights: Weights,
        embedded: tf.Tensor,
        lengths: tf.Tensor,
        task_id: tf.Tensor,
        last_steps: tf.Tensor | None = None,
    ) -> Outputs:
        """The network with given weights on embedded inputs; the task is a scalar, or [B] one for each example."""
        return self.network(weights, embedded, lengths, task_id, last_steps=last_steps)

    def __call__(self, inputs: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor) -> Outputs:
        """Outputs for inputs of one task (scalar id), with the source's present weights."""
        return self.run(self.source(task_id), self.embed(inputs, task_id), lengths, task_id)


def append_task_id(embedded: tf.Tensor, task_id: tf.Tensor, num_tasks: int) -> tf.Tensor:
    """[B, T, F] with the one-hot task id [num_tasks] after the features of every step; as it is for 0 tasks."""
    if num_tasks == 0:
        return embedded
    one_hot = tf.reshape(tf.one_hot(task_id, num_tasks), [-1, 1, num_tasks])
    shape = tf.concat([tf.shape(embedded)[:2], [num_tasks]], axis=0)
    return tf.concat([embedded, tf.broadcast_to(one_hot, shape)], axis=-1)
