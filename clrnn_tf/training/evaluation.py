"""Scores of a task: one compiled pass over a split, for which the task's weights are computed once."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.execution.batch_blocks import equal_parts
from clrnn_tf.execution.call_times import CallTimes
from clrnn_tf.metrics import Evaluation
from clrnn_tf.model import Prepared, TaskModel
from clrnn_tf.networks.weights import Weights
from clrnn_tf.streams.splits import batches_of_any_length
from clrnn_tf.streams.tasks import Split, Task


class Totals(NamedTuple):
    """Sums over sequences."""

    loss: tf.Tensor
    statistics: dict[str, tf.Tensor]
    """See `OutputKind.statistics`."""


class _Test(NamedTuple):
    batches: tf.data.Dataset
    num_parts: int
    """Parts of a batch that run side by side."""


class Evaluator:
    """Tests a model on any split of any task.

    Args:
      model: The network and the source of its weights, which are read at each call.
      batch_size: Sequences per batch; affects speed only.
      jit: Whether batches are compiled by XLA.
      in_halves: Whether the halves of a batch run side by side.
    """

    def __init__(self, model: TaskModel, batch_size: int, jit: bool, in_halves: bool) -> None:
        self.model = model
        self._batch_size, self._in_halves = batch_size, in_halves
        self._tests: dict[Split, _Test] = {}
        self.times = CallTimes()
        # without AutoGraph, which would take longer to convert the network than to trace it
        self.scores = tf.function(self._scores_of_block, jit_compile=jit, autograph=False)

    def __call__(self, task: Task, split: Split) -> Evaluation:
        """Scores of a task on one of its splits."""
        began = time.perf_counter()
        if split not in self._tests:
            self._tests[split] = self._test_of(task, split)
        test = self._tests[split]
        totals = self.totals(iter(test.batches), tf.constant(task.task_id), test.num_parts)
        statistics = {name: total.numpy() for name, total in totals.statistics.items()}
        self.times.add(("test", split), time.perf_counter() - began)
        confusion = statistics.get("confusion")
        return Evaluation.of(
            float(totals.loss) / split.num_examples,
            self.model.outputs.metrics(statistics),
            None if confusion is None else np.rint(confusion).astype(np.int64),
        )

    def _test_of(self, task: Task, split: Split) -> _Test:
        """The batches of a split, of any size: with a second size, all would be traced again.

        Kept programs would not be found again either. Their names hold the number of what Python has made before, which
        is not the same in each run once training has begun.
        """
        batches = split.in_order(self._batch_size, task.task_id)
        num_parts = math.gcd(2, batches.element_spec.lengths.shape[0]) if self._in_halves else 1
        return _Test(batches_of_any_length(batches, axes=(0, 1)), num_parts)

    @tf.function
    def totals(self, batches: tf.data.Iterator, task_id: tf.Tensor, num_parts: int = 1) -> Totals:
        """Sums over all batches, each in `num_parts` parts side by side."""
        weights, statistics = self._weights_and_zeros(task_id)
        loss = tf.constant(0.0)
        for batch in batches:
            for block in equal_parts(batch, num_parts):
                of_block = self.scores(weights, self.model.prepare(block, task_id))
                loss += of_block.loss
                statistics = {name: total + of_block.statistics[name] for name, total in statistics.items()}
        return Totals(loss, statistics)

    @tf.autograph.experimental.do_not_convert
    def _weights_and_zeros(self, task_id: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        return self.model.source(task_id), self.model.outputs.no_statistics(self.model.network.num_outputs)

    def _scores_of_block(self, weights: Weights, prepared: Prepared) -> Totals:
        scores = self.model.score(weights, prepared)
        return Totals(tf.reduce_sum(scores.losses), scores.statistics)
