"""Scores of a task: one compiled pass over a split, the task's weights made once."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from clrnn_tf.blocks import halves, scored_end
from clrnn_tf.losses import sequence_losses, step_accuracy
from clrnn_tf.metrics import Evaluation
from clrnn_tf.model import Model
from clrnn_tf.sources import batches_of_any_length
from clrnn_tf.tasks import Batch, Source, Task
from clrnn_tf.weights import Weights


class Evaluator:
    """Tests a model on any split of any task.

    Args:
      model: The network and the source of its weights, which are read at each call.
      batch_size: Sequences per batch; changes speed alone.
      jit: Whether batches are compiled by XLA.
      in_halves: Whether the halves of a batch run side by side.
    """

    def __init__(self, model: Model, batch_size: int, jit: bool, in_halves: bool) -> None:
        self.model = model
        self._batch_size, self._in_halves = batch_size, in_halves
        self._batches: dict[Source, tf.data.Dataset] = {}
        self.scores = tf.function(self._scores_of_block, jit_compile=jit)

    def __call__(self, task: Task, source: Source) -> Evaluation:
        """Scores of a task on one of its splits."""
        if source not in self._batches:
            self._batches[source] = batches_of_any_length(source.in_order(self._batch_size, task.task_id))
        loss, correct, scored, confusion = [
            total.numpy() for total in self.totals(iter(self._batches[source]), tf.constant(task.task_id))
        ]
        return Evaluation(
            loss=float(loss) / source.num_examples,
            accuracy=100.0 * float(correct) / float(scored) if scored and self.model.loss != "linear" else math.nan,
            confusion=np.rint(confusion).astype(np.int64) if self.model.loss == "softmax" else None,
        )

    @tf.function
    def totals(
        self, batches: tf.data.Iterator, task_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Summed loss, summed accuracy (0..1 a step), scored steps, confusion matrix [C, C] (softmax) or [0, 0]."""
        weights = self.model.source(task_id)
        classes = self.model.network.num_outputs if self.model.loss == "softmax" else 0
        totals = (tf.constant(0.0), tf.constant(0.0), tf.constant(0.0), tf.zeros([classes, classes]))
        for batch in batches:
            for block in halves(batch) if self._in_halves else [batch]:
                embedded = self.model.embed(block.inputs, block.lengths, task_id)
                scores = self.scores(weights, embedded, scored_end(block), task_id)
                totals = tuple(total + score for total, score in zip(totals, scores, strict=True))
        return totals

    def _scores_of_block(
        self, weights: Weights, embedded: tf.Tensor, batch: Batch, task_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        last_steps = tf.shape(batch.loss_weights)[1]
        logits = self.model.run(weights, embedded, batch.lengths, task_id, last_steps).logits
        loss = tf.reduce_sum(sequence_losses(self.model.loss, logits, batch.targets, batch.loss_weights))
        right = tf.reduce_sum(step_accuracy(self.model.loss, logits, batch.targets) * batch.eval_weights)
        confusion = tf.zeros([0, 0])
        if self.model.loss == "softmax":
            classes = self.model.network.num_outputs
            true = tf.one_hot(batch.targets, classes) * batch.eval_weights[..., tf.newaxis]
            predicted = tf.one_hot(tf.argmax(logits, axis=-1), classes)
            confusion = tf.einsum("btc,btd->cd", true, predicted)
        return loss, right, tf.reduce_sum(batch.eval_weights), confusion
