"""Coresets: a few sequences of every old task are kept, and the network's answers to them are held in place.

    loss = task loss + strength * distillation

(see `clrnn_tf.methods.parts.replay`), with the loss weights stored with the sequence (Ehret et al. 2021; Rebuffi et
al. 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.execution.batch_blocks import first_scored_step, split_by_length
from clrnn_tf.execution.loss_program import LossProgram
from clrnn_tf.methods.base import Method, MethodSetup
from clrnn_tf.methods.parts.replay import Replay, distillation, replayed_tasks, weighted_by_share
from clrnn_tf.model import Prepared, TaskModel
from clrnn_tf.networks.weights import Weights, bytes_of
from clrnn_tf.ranges import NonNegative, PositiveInt, Settings
from clrnn_tf.seeds import SeedOffset, StepDraw
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.splits import bucketed_length
from clrnn_tf.streams.tasks import Batch, Task

_NUM_BUCKETS = 8  # time lengths to which replayed batches are padded


@dataclass(frozen=True)
class Config(Settings):
    """Options of coresets."""

    strength: NonNegative = 10.0
    """Strength of the distillation loss."""
    size: PositiveInt = 100
    """Sequences kept of each task."""
    normalize: Literal["sequence", "step"] = "sequence"
    """`sequence`: time steps add up and sequences are averaged, like the task's loss; `step`: all steps of a task's
    share are averaged, as published for tagging."""


class Coresets(Method[Config]):
    """See the module's docstring."""

    why_not_extended = "its stored sequences are laid out for the longest one of the tasks that it began with"
    loss_names = ("distillation",)

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        self._teacher = self.make_source()
        splits = [task.train for task in setup.stream]
        times = [split.max_time for split in splits if split.max_time is not None]
        require(
            len(times) == len(splits),
            f"coresets need to know how long sequences of {setup.stream.name} can get. Received: max_time None.",
        )
        self._counts = [min(self.options.size, split.num_examples) for split in splits]
        shape = (setup.num_tasks, max(self._counts), max(times))  # [K, N, T]
        inputs = tf.zeros([*shape, setup.stream.input_width], setup.stream.input_dtype)
        self._inputs = tf.Variable(inputs, trainable=False)
        self._loss_weights = tf.Variable(tf.zeros(shape), trainable=False)
        self._lengths = tf.Variable(tf.zeros(shape[:2], tf.int32), trainable=False)
        self._buckets = sorted({math.ceil(shape[2] * part / _NUM_BUCKETS) for part in range(1, _NUM_BUCKETS + 1)})
        self._distill = LossProgram(self._distillation, setup.jit)

    def state_variables(self) -> list[tf.Variable]:
        """The coresets."""
        return [self._inputs, self._loss_weights, self._lengths]

    def task_variables(self) -> list[tf.Variable]:
        """The teacher."""
        return self._teacher.all_variables()

    def before_task(self, task: Task) -> None:
        """The present weights become the teacher."""
        self._teacher.copy_from(self.source)

    def auxiliary_losses(
        self, model: TaskModel, weights: Weights, batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Distillation on as many old sequences as the batch has; nothing is run without old tasks."""
        if self.options.strength == 0.0:
            return {"distillation": tf.constant(0.0)}

        def on_old_tasks() -> tf.Tensor:
            replay = self.replay(task_id, step, tf.size(batch.lengths))
            replay = weighted_by_share(replay, task_id, self.setup.num_tasks, self.options.normalize)
            teacher = self._teacher(task_id)
            losses: list[tf.Tensor] = []
            for block in split_by_length(replay, self.setup.num_blocks, self.setup.length_buckets):
                losses += self._distill(weights, teacher, model, _prepared(model, block))
            return tf.add_n(losses)

        loss = tf.cond(task_id > 0, on_old_tasks, lambda: tf.constant(0.0))
        return {"distillation": self.options.strength * loss}

    def replay(self, task_id: tf.Tensor, step: tf.Tensor, size: tf.Tensor) -> Replay:
        """A batch of `size` sequences, split evenly among the old tasks in random order, drawn with replacement."""
        key = self.step_key(task_id, step, StepDraw.REPLAYED_TASKS)
        ids = replayed_tasks(self.setup.num_tasks, task_id, size, key)  # [B]
        counts = tf.gather(self._counts, ids)
        draws = tf.random.stateless_uniform([size], self.step_key(task_id, step, StepDraw.CORESET_ROWS))
        rows = tf.minimum(tf.cast(draws * tf.cast(counts, tf.float32), tf.int32), counts - 1)
        chosen = ids * self._lengths.shape[1] + rows
        lengths = tf.gather(tf.reshape(self._lengths, [-1]), chosen)
        time = bucketed_length(tf.reduce_max(lengths), self._buckets)
        steps = chosen[:, tf.newaxis] * self._inputs.shape[2] + tf.range(time)  # [B, T]: later ones are not read
        inputs, loss_weights = (
            tf.gather(tf.reshape(kept, [-1, *kept.shape[3:]]), steps) for kept in (self._inputs, self._loss_weights)
        )
        return Replay(inputs, loss_weights, lengths, ids)

    def _distillation(
        self, weights: Weights, teacher: Weights, model: TaskModel, prepared: Prepared
    ) -> tuple[tf.Tensor]:
        """Distance of the answers to replayed sequences from the teacher's, in the steps with loss weights; scalar."""
        student_logits, teacher_logits = model.logits(weights, prepared), model.logits(teacher, prepared)
        return (distillation(model.outputs, student_logits, teacher_logits, prepared.loss_weights),)

    def after_task(self, task: Task, model: TaskModel) -> None:
        """Draw the task's coreset."""
        count = self._counts[task.task_id]
        seed = self.setup.seed + SeedOffset.CORESETS  # another order than that of training
        batch = next(iter(task.train.batches(count, seed, task.task_id).take(1)))
        inputs = without_padding(batch.inputs, batch.lengths)
        for kept, drawn in (
            (self._inputs, inputs),
            (self._loss_weights, batch.loss_weights),
            (self._lengths, batch.lengths),
        ):
            padded = np.zeros(kept.shape[1:], kept.dtype.as_numpy_dtype)
            padded[tuple(slice(size) for size in drawn.shape)] = drawn
            kept[task.task_id].assign(padded)

    def kept_bytes(self) -> dict[str, int]:
        """The coresets of the tasks learned, as floats and padded to the longest sequence; and the teacher."""
        num_kept = int(tf.math.count_nonzero(self._lengths[:, 0]))
        sequence = bytes_of(int(np.prod(self._inputs.shape[2:])) + int(self._loss_weights.shape[2]) + 1)
        return {"coresets": sequence * sum(self._counts[:num_kept]), "teacher": self._teacher.num_bytes}


def _prepared(model: TaskModel, replay: Replay) -> Prepared:
    """Replayed sequences as the network reads them, without a gradient: old tables of n-grams stay as they are."""
    scored = replay.loss_weights[:, first_scored_step(replay.loss_weights) :]
    embedded = model.embed(replay.inputs, replay.lengths, replay.task_ids)
    return Prepared(tf.stop_gradient(embedded), replay.lengths, replay.task_ids, scored)


METHOD = Coresets
