"""Trainable tables of hashed features: one for each task, or one for all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.seeds import InitialKey
from clrnn_tf.streams.inputs import NgramInputs

_LARGEST_BYTE = 127


class Table(NamedTuple):
    """A table of features, [buckets, D]: floats, or bytes and what to multiply each of their columns by."""

    numbers: tf.Tensor | tf.Variable
    """[buckets, D], float32 or int8."""
    steps: tf.Tensor | tf.Variable | None = None
    """[D] float32, for bytes."""

    def rows(self, buckets: tf.Tensor) -> tf.Tensor:
        """[...] bucket numbers -> [..., D] float32."""
        rows = tf.gather(self.numbers, buckets)
        return rows if self.steps is None else tf.cast(rows, tf.float32) * self.steps


class NgramEmbedding(tf.Module):
    """Embeds hashed features (character n-grams of a word) by trainable tables.

        x = [features, sum_g table[task, n_g] / sqrt(number of n-grams)]

    With a table for each task, a table is trained with its task only, so it cannot forget. While tasks are learned one
    after another, the task in training has its table in a variable of its own, so that a step costs the same however
    many tasks there are. Tables of tasks that are not in training may be stored as bytes: table[b, d] is rounded to a
    multiple of max_b |table[b, d]| / 127.

    With one table for all tasks (`NgramInputs.tables`), it is like the weights of the network: methods must protect it.

    Args:
      ngrams: Number of buckets, of n-grams per step, and of real features before them; how tables are kept.
      size: D, width of the embedding.
      num_tasks: K.
      seed: Seed of the initial values.
      mixed: Whether all tables are trained at once, by batches that mix the tasks; they are floats then.

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
        self.is_shared = ngrams.tables == "shared"
        """Whether all tasks have one table."""
        has_working_table = not (mixed or self.is_shared)
        num_tables = 1 if self.is_shared else num_tasks
        generator = np.random.default_rng([seed, InitialKey.NGRAM_TABLES])
        shape = (num_tables * ngrams.num_buckets, size)
        initial = generator.normal(0.0, ngrams.initial_std, shape).astype(np.float32)
        self._steps = None
        stored = initial
        if has_working_table and ngrams.table_bytes == 1:
            tables, steps = zip(*map(_as_bytes, np.split(initial, num_tables)), strict=True)
            stored = np.concatenate(tables)
            self._steps = tf.Variable(np.stack(steps), trainable=False, name="ngram_steps")  # [K, D]
        self.tables = tf.Variable(stored, trainable=not has_working_table, name="ngram_tables")
        """[tables * buckets, D], float32 or int8; of the task in training, as it was before."""
        self._in_training = tf.Variable(-1, trainable=False, dtype=tf.int32)
        self._working = tf.Variable(initial[: ngrams.num_buckets], name="ngram_table") if has_working_table else None

    @property
    def num_features(self) -> int:
        """F, real features before the embedding."""
        return self._ngrams.num_features

    @property
    def num_bytes(self) -> int:
        """Memory of the tables of all tasks."""
        steps = 0 if self._steps is None else 4 * int(tf.size(self._steps))
        return int(tf.size(self.tables)) * self.tables.dtype.size + steps

    def variables_of_one_task(self) -> list[tf.Variable]:
        """The table in training, where each task has one."""
        return [] if self._working is None else [self._working]

    def begin(self, task_id: int) -> None:
        """Put the table of a task into training."""
        if self._working is not None:
            self._working.assign(self._stored(task_id).rows(tf.range(self._ngrams.num_buckets)))
            self._in_training.assign(task_id)

    def end(self) -> None:
        """Store the table in training; none is in training then."""
        if self._working is not None:
            task_id = int(self._in_training)
            numbers = self._working
            if self._steps is not None:
                numbers, steps = _as_bytes(self._working.numpy())
                self._steps[task_id].assign(steps)
            self.tables[self._rows(task_id)].assign(numbers)
            self._in_training.assign(-1)

    def state_variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold besides the trained variables."""
        if self._working is None:
            return []
        return [self.tables] if self._steps is None else [self.tables, self._steps]

    def table(self, task_id: int) -> Table:
        """The table of one task."""
        is_working = self._working is not None and task_id == int(self._in_training)
        return Table(tf.convert_to_tensor(self._working)) if is_working else self._stored(task_id)

    def __call__(self, inputs: tf.Tensor, task_id: tf.Tensor) -> tf.Tensor:
        """[B, T, F + G] features and buckets (0 = none) -> [B, T, F + D]; the task is a scalar, or [B]."""
        features, buckets = self._ngrams.split(inputs)
        task_id = tf.zeros([1, 1, 1], tf.int32) if self.is_shared else tf.reshape(task_id, [-1, 1, 1])
        vectors = Table(self.tables).rows(buckets + task_id * self._ngrams.num_buckets)
        if self._steps is not None:
            vectors = tf.cast(vectors, tf.float32) * tf.gather(self._steps, task_id)
        if self._working is not None:
            is_working = (task_id == self._in_training)[..., tf.newaxis]
            vectors = tf.where(is_working, tf.gather(self._working, buckets), vectors)
        return _join(features, _sum(vectors, buckets))

    def squared_gradients(self, inputs: tf.Tensor, d_embedded: tf.Tensor) -> tf.Tensor:
        """Squares of each sequence's gradient with respect to its table, summed over the sequences: [buckets, D].

            sum_s ( sum_{t, g: n_g(s, t) = b} dL_s / dx(s, t) / sqrt(number of n-grams of (s, t)) )^2

        Args:
          inputs: [B, T, F + G] features and buckets.
          d_embedded: dL_s / dx, [B, T, F + D].
        """
        buckets, width = self._ngrams.split(inputs)[1], self.tables.shape[1]
        first = self.num_features
        d_sums = d_embedded[..., first : first + width] / tf.sqrt(tf.maximum(_counts(buckets), 1.0))  # [B, T, D]
        d_rows = tf.repeat(d_sums[:, :, tf.newaxis], self._ngrams.num_ngrams, axis=2)  # [B, T, G, D]
        number, present = self._ngrams.num_buckets, tf.where(buckets > 0)
        of_sequence = buckets + number * tf.range(tf.shape(buckets)[0])[:, tf.newaxis, tf.newaxis]
        distinct, places = tf.unique(tf.gather_nd(of_sequence, present))
        sums = tf.math.unsorted_segment_sum(tf.gather_nd(d_rows, present), places, tf.size(distinct))
        return tf.scatter_nd((distinct % number)[:, tf.newaxis], tf.square(sums), [number, width])

    def _stored(self, task_id: int) -> Table:
        return Table(self.tables[self._rows(task_id)], None if self._steps is None else self._steps[task_id])

    def _rows(self, task_id: int) -> slice:
        size = self._ngrams.num_buckets
        return slice(0, size) if self.is_shared else slice(task_id * size, (task_id + 1) * size)


def look_up(ngrams: NgramInputs, table: Table, inputs: tf.Tensor) -> tf.Tensor:
    """What `NgramEmbedding` gives, from the table of one task."""
    features, buckets = ngrams.split(inputs)
    return _join(features, _sum(table.rows(buckets), buckets))


def _as_bytes(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table [buckets, D] as int8 and the steps [D] that its columns are multiples of."""
    steps = np.abs(table).max(axis=0) / _LARGEST_BYTE
    multiples = np.divide(table, steps, out=np.zeros_like(table), where=steps > 0)
    return np.rint(multiples).astype(np.int8), steps.astype(np.float32)


def _join(features: tf.Tensor | None, embedded: tf.Tensor) -> tf.Tensor:
    """[B, T, F] and [B, T, D] -> [B, T, F + D]."""
    return embedded if features is None else tf.concat([features, embedded], axis=-1)


def _counts(buckets: tf.Tensor) -> tf.Tensor:
    """[B, T, G] -> [B, T, 1]: n-grams of each step."""
    return tf.reduce_sum(tf.cast(buckets > 0, tf.float32), axis=2, keepdims=True)


def _sum(vectors: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
    present = tf.cast(buckets > 0, tf.float32)[..., tf.newaxis]  # [B, T, G, 1]
    return tf.reduce_sum(vectors * present, axis=2) / tf.sqrt(tf.maximum(_counts(buckets), 1.0))
