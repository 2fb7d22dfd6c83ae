"""The diagonal of the Fisher information, exact: mean of squared gradients of single sequences, never of batches.

    F_i = 1/n sum_{s=1..n} (d L_s / d w_i)^2,     L_s the negative log-likelihood of sequence s, summed over time

With targets from the data (as published) it is *empirical*. With targets drawn from the network's predictions, it is an
unbiased estimate of the true Fisher information. All sequences of a batch get their squares in one backward pass
(`clrnn_tf.networks.linear`), for little more than the cost of a training step.
"""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from clrnn_tf.execution.batch_blocks import halves
from clrnn_tf.model import Prepared, TaskModel
from clrnn_tf.networks.weights import Weights
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.splits import first_batches
from clrnn_tf.streams.tasks import Batch, Task

Labels = Literal["data", "sampled"]
_TABLE = "ngram_table"
_MOST_SQUARES = 16_000_000  # numbers in the gradients of single sequences that are held at once for one kernel: 64 MB


class FisherDiagonal:
    """Measures the Fisher information of a model's weights on tasks.

    Args:
      model: The model; its source must hold the weights in variables (a hypernetwork's are not measured).
      labels: Where targets come from.
      truncate: Steps of truncated backpropagation; None takes all.
      seed: Seed of the choice of sequences and of sampled targets.
      jit: Whether XLA compiles it.
      num_sequences: Random training sequences of each task; None takes all.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> from clrnn_tf import FisherDiagonal
      >>> fisher = FisherDiagonal(trainer.model, "data", None, seed=0, jit=False, num_sequences=10).measure(stream[0])
      >>> sorted(fisher) == sorted(spec.name for spec in trainer.model.network.weight_specs)
      True
    """

    def __init__(
        self,
        model: TaskModel,
        labels: Labels,
        truncate: int | None,
        seed: int,
        jit: bool,
        num_sequences: int | None = None,
    ) -> None:
        self._model, self._labels, self._truncate, self._seed = model, labels, truncate, seed
        self._num_sequences = num_sequences
        largest = max(spec.size for spec in model.network.weight_specs)
        self.batch_size = max(1, min(64, _MOST_SQUARES // largest // 2 * 2))  # even: halves are computed side by side
        if num_sequences is not None:  # in equal shares
            share = -(-num_sequences // -(-num_sequences // self.batch_size))
            self.batch_size = min(self.batch_size, share + share % 2)
        self._embedding = model.embedding if model.embedding is not None and model.embedding.is_shared else None
        self._squares = tf.function(self._squares_of_batch, jit_compile=jit)

    def measure(self, task: Task) -> Weights:
        """F of a task, by the names of the weights; then of the table of n-grams, where all tasks share one."""
        number = task.train.num_examples
        if self._num_sequences is not None:
            number = min(number, self._num_sequences)
        steps = -(-number // self.batch_size)
        sums = {spec.name: tf.zeros(spec.shape) for spec in self._model.network.weight_specs}
        if self._embedding is not None:
            sums[_TABLE] = tf.zeros_like(self._embedding.tables)
        for step, batch in enumerate(first_batches(task.train, steps, self.batch_size, self._seed, task.task_id)):
            first = step * self.batch_size
            sums = self._add(sums, batch, tf.constant(task.task_id), tf.constant(first), tf.constant(number - first))
        return {name: value / number for name, value in sums.items()}

    @tf.function(reduce_retracing=True)
    def _add(self, sums: Weights, batch: Batch, task_id: tf.Tensor, first: tf.Tensor, left: tf.Tensor) -> Weights:
        """`sums` and the squares of a batch's first `left` sequences, its first one being number `first`."""
        weights = self._model.source(task_id)
        counts = tf.cast(tf.range(self.batch_size) < left, tf.float32)
        blocks = halves(batch)
        for block, counted in zip(blocks, tf.split(counts, len(blocks)), strict=True):
            squares, d_embedded = self._squares(weights, self._model.prepare(block, task_id), counted, first)
            if self._embedding is not None:
                inputs = without_padding(block.inputs, block.lengths)
                squares[_TABLE] = self._embedding.squared_gradients(inputs, d_embedded)
            sums = {name: value + squares[name] for name, value in sums.items()}
            first += block.lengths.shape[0]
        return sums

    def _squares_of_batch(
        self, weights: Weights, prepared: Prepared, counts: tf.Tensor, first: tf.Tensor
    ) -> tuple[Weights, tf.Tensor]:
        """Squared gradients of the sequences that count (1, else 0), summed; gradients of the embedded inputs."""
        model, names = self._model, [spec.name for spec in self._model.network.weight_specs]
        with tf.GradientTape() as tape:
            tape.watch([prepared.inputs, *(weights[name] for name in names)])
            logits = model.logits(weights, prepared, truncate=self._truncate, per_sequence_squares=True)
            targets = prepared.targets
            if self._labels == "sampled":
                key = tf.random.experimental.stateless_fold_in(tf.stack([self._seed, prepared.task_id]), first)
                targets = model.outputs.sample(tf.stop_gradient(logits), key)
            total = tf.reduce_sum(model.outputs.sequence_losses(logits, targets, prepared.loss_weights) * counts)
        d_embedded, *squares = tape.gradient(total, [prepared.inputs, *(weights[name] for name in names)])
        return dict(zip(names, squares, strict=True)), d_embedded
