"""Coresets: a few sequences of every old task are kept, and the network must go on answering them as it did.

The answers are soft targets of a *teacher*, the weights as they were before the present task; labels of old tasks
are not used. With C_j the share of old task j in a replayed batch, y the network's outputs and y* the teacher's,

    loss = task loss + strength * sum_j 1 / |C_j| * sum_{x in C_j} sum_t w_t d(y_t, y*_t)

where d is `losses.distillation_losses` and w are the loss weights stored with the sequence (Ehret et al. 2021; Li &
Hoiem 2016; Rebuffi et al. 2017). The sum over old tasks is not divided by their number, as published. Where a batch
is smaller than the number of old tasks, a random choice of them takes part and counts for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.config import require
from clrnn_tf.losses import distillation_losses
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.model import Model
from clrnn_tf.tasks import Batch, Task, bucketed_length
from clrnn_tf.weights import Weights

_TASKS, _ROWS = 0, 1  # which draw of a step a random key is for
_SEED_OFFSET = 2**16  # coresets are drawn in another order than training batches
_NUM_BUCKETS = 8  # time lengths to which replayed batches are padded


@dataclass(frozen=True)
class Config:
    """Options of coresets."""

    strength: float = 10.0
    """Strength of the distillation loss."""
    size: int = 100
    """Sequences kept of each task."""
    normalize: Literal["sequence", "step"] = "sequence"
    """`sequence`: time steps add up and sequences are averaged, like the task's loss; `step`: all steps of a task's
    share are averaged, as published for tagging."""

    def __post_init__(self) -> None:
        require(self.strength >= 0, f"coresets.strength must not be negative. Received: {self.strength}.")
        require(self.size > 0, f"coresets.size must be above 0. Received: {self.size}.")


class Replay(NamedTuple):
    """Sequences of old tasks, axes as in `Batch`."""

    inputs: tf.Tensor
    loss_weights: tf.Tensor
    lengths: tf.Tensor
    task_ids: tf.Tensor
    """[B] int32."""


class Coresets(Method):
    """See the module's docstring."""

    loss_names = ("distillation",)

    def __init__(self, setup: MethodSetup) -> None:
        super().__init__(setup)
        self.options: Config = setup.options
        self._teacher = self.make_source()
        sources = [task.train for task in setup.stream]
        times = [source.max_time for source in sources]
        require(
            None not in times,
            f"coresets need to know how long sequences of {setup.stream.name} can get. Received: max_time None.",
        )
        self._counts = [min(self.options.size, source.num_examples) for source in sources]
        shape = (setup.num_tasks, max(self._counts), max(times))  # [K, N, T]
        ngrams = setup.stream.ngrams
        width, dtype = (setup.stream.num_features, tf.float32) if ngrams is None else (ngrams.num_ngrams, tf.int32)
        self._inputs = tf.Variable(tf.zeros([*shape, width], dtype), trainable=False)
        self._loss_weights = tf.Variable(tf.zeros(shape), trainable=False)
        self._lengths = tf.Variable(tf.zeros(shape[:2], tf.int32), trainable=False)
        self._buckets = sorted({math.ceil(shape[2] * part / _NUM_BUCKETS) for part in range(1, _NUM_BUCKETS + 1)})
        self._distill = tf.function(self._distillation, jit_compile=setup.jit)

    def state_variables(self) -> list[tf.Variable]:
        """The coresets; the teacher is made anew before each task."""
        return [self._inputs, self._loss_weights, self._lengths]

    def before_task(self, task: Task) -> None:
        """The present weights become the teacher."""
        for old, new in zip(self._teacher.variables, self.source.variables, strict=True):
            old.assign(new.value)

    def auxiliary_losses(
        self, model: Model, weights: Weights, batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Distillation on as many old sequences as the batch has; nothing is run without old tasks."""
        if self.options.strength == 0.0:
            return {"distillation": tf.constant(0.0)}

        def distillation() -> tf.Tensor:
            size = tf.size(batch.lengths)
            replay = self.replay(task_id, step, size)
            embedded = tf.stop_gradient(model.embed(replay.inputs, replay.task_ids))  # old tables stay as they are
            left_out = tf.cast(task_id / tf.minimum(task_id, size), tf.float32)  # above 1 for very small batches
            return left_out * self._distill(model, weights, self._teacher(task_id), embedded, replay)

        loss = tf.cond(task_id > 0, distillation, lambda: tf.constant(0.0))
        return {"distillation": self.options.strength * loss}

    def replay(self, task_id: tf.Tensor, step: tf.Tensor, size: tf.Tensor) -> Replay:
        """A batch of `size` sequences, split evenly among the old tasks in random order, drawn with replacement."""
        draws = tf.random.stateless_uniform([self.setup.num_tasks], self.step_key(task_id, step, _TASKS))
        order = tf.argsort(tf.where(tf.range(self.setup.num_tasks) < task_id, draws, 2.0))  # old tasks come first
        ids = tf.gather(order, tf.range(size) % task_id)  # [B]; the first B mod t tasks get one more
        counts = tf.gather(self._counts, ids)
        draws = tf.random.stateless_uniform([size], self.step_key(task_id, step, _ROWS))
        rows = tf.minimum(tf.cast(draws * tf.cast(counts, tf.float32), tf.int32), counts - 1)
        chosen = tf.stack([ids, rows], axis=1)
        lengths = tf.gather_nd(self._lengths, chosen)
        time = bucketed_length(tf.reduce_max(lengths), self._buckets)
        inputs, loss_weights = (tf.gather_nd(kept, chosen)[:, :time] for kept in (self._inputs, self._loss_weights))
        return Replay(inputs, loss_weights, lengths, ids)

    def _distillation(
        self, model: Model, weights: Weights, teacher: Weights, embedded: tf.Tensor, replay: Replay
    ) -> tf.Tensor:
        """Sum over old tasks of the mean over their share; scalar."""
        logits, targets = (
            model.run(each, embedded, replay.lengths, replay.task_ids).logits for each in (weights, teacher)
        )
        losses = tf.reduce_sum(distillation_losses(model.loss, logits, targets) * replay.loss_weights, axis=1)  # [B]
        sizes = tf.ones_like(losses)
        if self.options.normalize == "step":
            sizes = tf.reduce_sum(replay.loss_weights, axis=1)
        own = tf.one_hot(replay.task_ids, self.setup.num_tasks)  # [B, K]
        totals, sizes = (tf.linalg.matvec(own, each, transpose_a=True) for each in (losses, sizes))  # [K]
        return tf.reduce_sum(tf.math.divide_no_nan(totals, sizes))

    def after_task(self, task: Task, model: Model) -> None:
        """Draw the task's coreset."""
        count = self._counts[task.task_id]
        batch = next(iter(task.train.batches(count, self.setup.seed + _SEED_OFFSET, task.task_id).take(1)))
        for kept, drawn in (
            (self._inputs, batch.inputs), (self._loss_weights, batch.loss_weights), (self._lengths, batch.lengths)
        ):  # fmt: skip
            padded = np.zeros(kept.shape[1:], kept.dtype.as_numpy_dtype)
            padded[tuple(slice(size) for size in drawn.shape)] = drawn
            kept[task.task_id].assign(padded)

    def kept_bytes(self) -> dict[str, int]:
        """The coresets of the tasks learned, as floats and padded to the longest sequence; and the teacher."""
        num_kept = int(tf.math.count_nonzero(self._lengths[:, 0]))
        sequence = 4 * (int(np.prod(self._inputs.shape[2:])) + int(self._loss_weights.shape[2]) + 1)
        teacher = 4 * sum(int(tf.size(variable)) for variable in self._teacher.variables)
        return {"coresets": sequence * sum(self._counts[:num_kept]), "teacher": teacher}


METHOD = Coresets
