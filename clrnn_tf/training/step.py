"""One training step: the losses, their gradients, the update."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.execution.batch_blocks import split_by_length
from clrnn_tf.execution.compilation import uses_xla
from clrnn_tf.execution.distribution import SingleWorker
from clrnn_tf.execution.loss_program import LossProgram
from clrnn_tf.methods.base import Method
from clrnn_tf.model import Prepared, TaskModel
from clrnn_tf.networks.weights import Weights, orthogonal_penalty
from clrnn_tf.optimizers import Optimizer, clip_by_global_norm, learning_rate_at
from clrnn_tf.seeds import StepDraw
from clrnn_tf.streams.tasks import Batch


class StepLog(NamedTuple):
    """What is logged of a step, or means over steps."""

    losses: dict[str, tf.Tensor]
    """`total`, `task` and all others by name."""
    accuracy: tf.Tensor
    """Percent."""
    gradient_norm: tf.Tensor
    """Global norm before clipping."""


class Differentiated(NamedTuple):
    """Losses of a step and their gradients, in the order of the trainer's variables."""

    losses: dict[str, tf.Tensor]
    accuracy: tf.Tensor
    gradients: list[tf.Tensor]
    """Of the total loss."""
    task_gradients: list[tf.Tensor]
    """Of the task's loss alone; [] where the method does not need them."""


class TrainingStep:
    """A step of a method on a batch; to be called in a graph.

        loss = task loss + penalties and auxiliary losses of the method + orthogonal regulariser

    The gradient of this sum is taken in one backward pass; in two, where the method needs the gradient of the task's
    loss alone. XLA compiles the network with its loss (a program for each time bucket), and the update.

    Args:
      model: The network and the source of its weights.
      method: Its source must be the model's.
      optimizer: Has the variables to train.
      config: Optimisation settings.
      workers: The processes that share the batches.
    """

    def __init__(
        self, model: TaskModel, method: Method, optimizer: Optimizer, config: TrainConfig, workers: SingleWorker
    ) -> None:
        self._model, self._method, self._optimizer = model, method, optimizer
        self._variables = optimizer.variables_to_train
        self._config, self._workers = config, workers
        jit = uses_xla(config)
        # differentiated with respect to the weights, and to embedded inputs where these are trained
        num_trained = 1 if model.embedding is None else 2
        self.task_loss = LossProgram(self._loss_of_block, jit, num_trained)
        self.update = tf.function(self._clip_and_apply, jit_compile=jit, autograph=False)
        self.held: list[tf.Tensor] | None = None
        """What is held in place of each trained variable: masks that broadcast to it. Set before the first step."""
        self._orthogonal = tf.function(self._orthogonal_of_weights, jit_compile=jit, autograph=False)
        self._differentiate = self._in_two_passes if method.needs_task_gradients else self._in_one_pass

    @property
    def loss_names(self) -> list[str]:
        """Names of the losses in a step's log."""
        names = ["total", "task", *self._method.loss_names]
        return [*names, "orthogonal"] if self._config.orthogonal_strength else names

    def __call__(
        self, batch: Batch, task_id: tf.Tensor, step: tf.Tensor, num_mixed: int = 1
    ) -> tuple[StepLog, tf.Tensor]:
        """Compute losses and gradients, and update the variables if all of them are finite.

        Args:
          batch: The batch.
          task_id: Scalar.
          step: Number of the step within the task; scalar.
          num_mixed: Tasks that the batch mixes. Above 1, the task of each example is taken from the batch.

        Returns:
          The log, and whether the update was made.
        """
        losses, accuracy, gradients, task_gradients = self._differentiate(batch, task_id, step, num_mixed > 1)
        *means, accuracy = self._workers.mean([*losses.values(), accuracy])
        losses = dict(zip(losses, means, strict=True))
        schedule = self._config
        if num_mixed > 1:
            schedule = dataclasses.replace(schedule, steps=schedule.steps * num_mixed)
        norm, finite = self.update(
            gradients, task_gradients, learning_rate_at(schedule, step), tf.math.is_finite(losses["total"])
        )
        return StepLog(losses, accuracy, norm), finite

    def _in_one_pass(self, batch: Batch, task_id: tf.Tensor, step: tf.Tensor, mixed: bool) -> Differentiated:
        """The gradient of the sum of all losses."""
        with self._tape() as tape:
            weights, penalties = self._method.weights_and_penalties(task_id, step)
            task_loss, accuracy = self.task_scores(weights, batch, task_id, step, mixed)
            further = self._further_losses(weights, penalties, batch, task_id, step)
            total = tf.add_n([task_loss, *further.values()])
        gradients = self._workers.mean(self._gradients(tape, total))
        return Differentiated({"total": total, "task": task_loss, **further}, accuracy, gradients, [])

    def _in_two_passes(self, batch: Batch, task_id: tf.Tensor, step: tf.Tensor, mixed: bool) -> Differentiated:
        """The same, as the sum of the gradient of the task's loss and that of all others.

        There are two tapes, because two gradients from one tape would differentiate XLA's programs twice.
        """
        with self._tape() as tape:
            weights, _ = self._method.weights_and_penalties(task_id, step)
            task_loss, accuracy = self.task_scores(weights, batch, task_id, step, mixed)
        task_gradients = self._workers.mean(self._gradients(tape, task_loss))
        with self._tape() as tape:
            weights, penalties = self._method.weights_and_penalties(task_id, step)
            further = self._further_losses(weights, penalties, batch, task_id, step)
            sum_of_further = tf.add_n([tf.constant(0.0), *further.values()])
        further_gradients = self._workers.mean(self._gradients(tape, sum_of_further))
        losses = {"total": task_loss + sum_of_further, "task": task_loss, **further}
        gradients = [one + other for one, other in zip(task_gradients, further_gradients, strict=True)]
        return Differentiated(losses, accuracy, gradients, task_gradients)

    @contextlib.contextmanager
    def _tape(self) -> Iterator[tf.GradientTape]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            yield tape

    def _further_losses(
        self, weights: Weights, penalties: dict[str, tf.Tensor], batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """All losses except the task's."""
        losses = {**penalties, **self._method.auxiliary_losses(self._model, weights, batch, task_id, step)}
        if self._config.orthogonal_strength:
            losses["orthogonal"] = self._orthogonal(weights)
        return losses

    def task_scores(
        self, weights: Weights, batch: Batch, task_id: tf.Tensor, step: tf.Tensor, mixed: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss over the batch and accuracy in percent, block by block."""
        scores = []
        setup = self._method.setup
        for number, block in enumerate(split_by_length(batch, setup.num_blocks, setup.length_buckets)):
            ids = block.task_id if mixed else task_id  # a scalar is cheaper
            prepared = self._model.prepare(block, ids, self._dropout_key(task_id, step, number))
            scores.append(self.task_loss(weights, prepared.inputs, prepared._replace(inputs=None)))
        losses, right, scored = zip(*scores, strict=True)
        return tf.add_n(losses) / len(losses), 100.0 * tf.add_n(right) / tf.maximum(tf.add_n(scored), 1.0)

    def _dropout_key(self, task_id: tf.Tensor, step: tf.Tensor, block: int) -> tf.Tensor | None:
        """[2] seed of what a block drops; None where nothing is dropped."""
        if not any(self._model.dropout):
            return None
        key = self._method.step_key(task_id, step, StepDraw.MAIN_NETWORK_DROPOUT)
        return tf.random.experimental.stateless_fold_in(key, block)

    def _gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> list[tf.Tensor]:
        return [
            tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(tape.gradient(loss, self._variables), self._variables, strict=True)
        ]

    def _loss_of_block(
        self, weights: Weights, embedded: tf.Tensor, prepared: Prepared
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Mean loss over the batch, summed accuracy (0..1 a step), scored steps."""
        prepared = prepared._replace(inputs=embedded)
        scores = self._model.score(weights, prepared, tf.as_dtype(self._config.precision))
        return tf.reduce_mean(scores.losses), scores.statistics["correct"], scores.statistics["scored"]

    def _orthogonal_of_weights(self, weights: Weights) -> tf.Tensor:
        return self._config.orthogonal_strength * orthogonal_penalty(weights, self._model.network.weight_specs)

    def _clip_and_apply(
        self,
        gradients: list[tf.Tensor],
        task_gradients: list[tf.Tensor],
        learning_rate: tf.Tensor,
        loss_is_finite: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if self.held is not None:  # without a gradient nothing changes: moments stay 0, and Adam does not decay it
            gradients = [tf.where(held, 0.0, one) for held, one in zip(self.held, gradients, strict=True)]
            task_gradients = [tf.where(held, 0.0, one) for held, one in zip(self.held, task_gradients, strict=False)]
        gradients, norm = clip_by_global_norm(gradients, self._config.clip_norm)
        accept = tf.logical_and(loss_is_finite, tf.math.is_finite(norm))
        if task_gradients:
            self._method.before_update(task_gradients, self._optimizer, learning_rate, accept)
        before = [tf.identity(variable) for variable in self._variables]  # removed by the compiler where unused
        self._optimizer.apply(gradients, learning_rate, accept)
        self._method.after_update(before, gradients, self._optimizer, accept)
        return norm, accept
