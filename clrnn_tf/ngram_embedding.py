"""Trainable tables of hashed features, one for each task."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clrnn_tf.seeds import InitialKey
from clrnn_tf.streams.inputs import NgramInputs


class NgramEmbedding(tf.Module):
    """Embeds hashed features (character n-grams of a word) by a trainable table for each task.

        x = [features, sum_g table[task, n_g] / sqrt(number of n-grams)]

    A task's table is trained with that task only, so it cannot forget. While tasks are learned one after another, the
    task in training has its table in a variable of its own, so that a step costs the same however many tasks there are.

    Args:
      ngrams: Number of buckets, of n-grams per step, and of real features before them.
      size: D, width of the embedding.
      num_tasks: K.
      seed: Seed of the initial values.
      mixed: Whether all tables are trained at once, by batches that mix the tasks.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import NgramInputs
      >>> from clrnn_tf.ngram_embedding import NgramEmbedding
      >>> embedding = NgramEmbedding(NgramInputs(num_buckets=100, num_ngrams=3), size=8, num_tasks=2, seed=0)
      >>> embedding(tf.constant([[[5, 17, 0], [99, 0, 0]]]), task_id=tf.constant(1)).shape
      TensorShape([1, 2, 8])
    """

    def __init__(self, ngrams: NgramInputs, size: int, num_tasks: int, seed: int, mixed: bool = False) -> None:
        super().__init__()
        self._ngrams = ngrams
        generator = np.random.default_rng([seed, InitialKey.NGRAM_TABLES])
        shape = (num_tasks * ngrams.num_buckets, size)
        initial = generator.normal(0.0, ngrams.initial_std, shape).astype(np.float32)
        self.tables = tf.Variable(initial, trainable=mixed, name="ngram_tables")
        """[K * buckets, D]; of the task in training, as it was before."""
        self._in_training = tf.Variable(-1, trainable=False, dtype=tf.int32)
        self._working = None if mixed else tf.Variable(initial[: ngrams.num_buckets], name="ngram_table")

    @property
    def num_features(self) -> int:
        """F, real features before the embedding."""
        return self._ngrams.num_features

    def begin(self, task_id: int) -> None:
        """Put the table of a task into training."""
        if self._working is not None:
            self._working.assign(self.tables[self._rows(task_id)])
            self._in_training.assign(task_id)

    def end(self) -> None:
        """Store the table in training; none is in training then."""
        if self._working is not None:
            self.tables[self._rows(int(self._in_training))].assign(self._working)
            self._in_training.assign(-1)

    def state_variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold besides the trained variables."""
        return [] if self._working is None else [self.tables]

    def table(self, task_id: int) -> tf.Tensor:
        """The table of one task, [buckets, D]."""
        is_working = self._working is not None and task_id == int(self._in_training)
        return tf.convert_to_tensor(self._working if is_working else self.tables[self._rows(task_id)])

    def __call__(self, inputs: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """[B, T, F + G] features and buckets (0 = none) -> [B, T, F + D]; the task is a scalar, or [B]."""
        features, buckets = self._ngrams.split(inputs)
        task_id = tf.reshape(task_id, [-1, 1, 1])
        vectors = tf.gather(self.tables, buckets + task_id * self._ngrams.num_buckets)
        if self._working is not None:
            is_working = (task_id == self._in_training)[..., tf.newaxis]
            vectors = tf.where(is_working, tf.gather(self._working, buckets), vectors)
        return _join(features, _sum(vectors, buckets))

    def _rows(self, task_id: int) -> slice:
        size = self._ngrams.num_buckets
        return slice(task_id * size, (task_id + 1) * size)


def look_up(ngrams: NgramInputs, table: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """What `NgramEmbedding` gives, from the table [buckets, D] of one task."""
    features, buckets = ngrams.split(inputs)
    return _join(features, _sum(tf.gather(table, buckets), buckets))


def _join(features: tf.Tensor | None, embedded: tf.Tensor) -> tf.Tensor:
    """[B, T, F] and [B, T, D] -> [B, T, F + D]."""
    return embedded if features is None else tf.concat([features, embedded], axis=-1)


def _sum(vectors: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
    present = tf.cast(buckets > 0, tf.float32)[..., tf.newaxis]  # [B, T, G, 1]
    counts = tf.reduce_sum(present, axis=2)
    return tf.reduce_sum(vectors * present, axis=2) / tf.sqrt(tf.maximum(counts, 1.0))
