"""Training of one task and evaluation of any: one compiled step for all tasks."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from clrnn_tf.config import TrainConfig, require
from clrnn_tf.distribution import SingleWorker
from clrnn_tf.events import Observer, TrainingLog, ValidationLog
from clrnn_tf.joint import joint_task
from clrnn_tf.losses import sequence_losses, step_accuracy
from clrnn_tf.methods.base import Method
from clrnn_tf.metrics import Evaluation
from clrnn_tf.model import Model
from clrnn_tf.network import orthogonal_penalty
from clrnn_tf.optimizers import Adam, clip_by_global_norm, learning_rate_at
from clrnn_tf.tasks import Batch, Source, Task, TaskStream, batches_of_any_length
from clrnn_tf.weights import Weights


class TrainingDivergedError(RuntimeError):
    """The loss or its gradient is not finite. Variables are those of the last good step."""


class Trainer:
    """Fits a method to one task after another.

    The step runs in one graph: `tf.data` batch, weights from the source, main network (compiled by XLA, once for
    each time bucket), penalties, gradients, clipping, Adam. `log_every` steps run per call, so Python is entered
    only to log.

    Args:
      model: The network and the source of its weights.
      method: Its source must be the model's.
      config: Optimisation settings.
      seed: Seed of batches.
      observers: Told about logs and validations.
      workers: Who shares the batches; one process by default.
    """

    def __init__(
        self,
        model: Model,
        method: Method,
        config: TrainConfig,
        seed: int,
        observers: Sequence[Observer] = (),
        workers: SingleWorker | None = None,
    ) -> None:
        self.workers = workers or SingleWorker()
        require(
            config.batch_size % self.workers.count == 0,
            f"train.batch_size must be a multiple of the {self.workers.count} workers. Received: {config.batch_size}.",
        )
        self.model, self.method, self.config, self.seed = model, method, config, seed
        self.num_steps = config.steps * (method.setup.num_tasks if method.learns_jointly else 1)
        self._schedule = dataclasses.replace(config, steps=self.num_steps)
        self.observers = list(observers)
        embedding = [] if model.embedding is None else list(model.embedding.trainable_variables)
        self.variables = [*method.variables_to_train(), *embedding]
        self.optimizer = Adam(self.variables, config)
        self._eval_batches: dict[Source, tf.data.Dataset] = {}
        jit = uses_xla(config)
        self._task_loss = tf.function(self._task_loss_of_batch, jit_compile=jit)
        self._scores = tf.function(self._scores_of_batch, jit_compile=jit)
        self._orthogonal = tf.function(self._orthogonal_of_weights, jit_compile=jit)
        self._update = tf.function(self._clip_and_apply, jit_compile=jit)

    def fit(self, task: Task) -> int:
        """Train on one task with a fresh optimizer state and return the number of steps taken.

        Raises:
          TrainingDivergedError: A loss or gradient was not finite; the step was not taken.
        """
        return self._fit(task, [task])

    def fit_jointly(self, stream: TaskStream) -> int:
        """Train on all tasks at once, as many steps as for one after another; see `fit`.

        What is best is decided by the mean of the tasks' validation scores.
        """
        return self._fit(joint_task(stream), stream)

    def _fit(self, task: Task, validated: Sequence[Task]) -> int:
        self.optimizer.reset()
        self.method.before_task(task)
        batches = iter(batches_of_any_length(task.train.batches(self.config.batch_size, self.seed, task.task_id)))
        validation = _Validation(self, validated)
        step = 0
        while step < self.num_steps and not validation.should_stop:
            count = min(self._steps_to_next_pause(step, validation.has_data), self.num_steps - step)
            self._call(task, batches, step, count)
            step += count
            if validation.has_data and (step % self.config.validate_every == 0 or step == self.num_steps):
                validation.run(step)
        validation.restore_best()
        self.method.after_task(task, self.model)
        return step

    def evaluate(self, task: Task, source: Source) -> Evaluation:
        """Scores of a task on one of its splits."""
        if source not in self._eval_batches:
            batches = source.in_order(self.config.eval_batch_size, task.task_id)
            self._eval_batches[source] = batches_of_any_length(batches)
        totals = [value.numpy() for value in self._evaluate(self._eval_batches[source], tf.constant(task.task_id))]
        loss, correct, scored, confusion = totals
        return Evaluation(
            loss=float(loss) / source.num_examples,
            accuracy=100.0 * float(correct) / float(scored) if scored and self.model.loss != "linear" else math.nan,
            confusion=np.rint(confusion).astype(np.int64) if self.model.loss == "softmax" else None,
        )

    def _steps_to_next_pause(self, step: int, validates: bool) -> int:
        pauses = [self.config.log_every - step % self.config.log_every]
        if validates:
            pauses.append(self.config.validate_every - step % self.config.validate_every)
        return min(pauses)

    def _call(self, task: Task, batches: tf.data.Iterator, step: int, count: int) -> None:
        began = time.perf_counter()
        losses, accuracy, norm, done = self.train_steps(
            batches, tf.constant(task.task_id), tf.constant(step), tf.constant(count)
        )
        done = int(done)
        if done < count:
            raise TrainingDivergedError(
                f"the loss of task {task.name} is not finite at step {step + done}; the variables of the step before "
                "are kept. Use a lower train.learning_rate or set train.clip_norm."
            )
        log = TrainingLog(
            task=task,
            step=step + count,
            num_steps=self.num_steps,
            losses={name: float(value) for name, value in losses.items()},
            accuracy=math.nan if self.model.loss == "linear" else float(accuracy),
            gradient_norm=float(norm),
            seconds_per_step=(time.perf_counter() - began) / count,
        )
        for observer in self.observers:
            observer.trained(log)

    @tf.function
    def train_steps(
        self, batches: tf.data.Iterator, task_id: tf.Tensor, first_step: tf.Tensor, num_steps: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor, tf.Tensor]:
        """Take `num_steps` steps, or stop before one that is not finite; means of the steps' logs, steps done."""
        names = ["total", "task", *self.method.loss_names]
        if self.config.orthogonal_strength:
            names.append("orthogonal")
        losses = {name: tf.constant(0.0) for name in names}
        accuracy, norm, done = tf.constant(0.0), tf.constant(0.0), tf.constant(0)
        finite = tf.constant(True)
        while tf.logical_and(finite, done < num_steps):
            batch = self.workers.share(next(batches))
            new_losses, new_accuracy, new_norm, finite = self.workers.run(
                self._step, batch, task_id, first_step + done
            )
            if finite:
                losses = {name: losses[name] + new_losses[name] for name in names}
                accuracy += new_accuracy
                norm += new_norm
                done += 1
        count = tf.maximum(tf.cast(done, tf.float32), 1.0)
        return {name: value / count for name, value in losses.items()}, accuracy / count, norm / count, done

    def _step(
        self, batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor, tf.Tensor]:
        apart = self.method.needs_task_gradients
        ids = batch.task_id if self.method.learns_jointly else task_id  # a scalar is cheaper
        with tf.GradientTape(persistent=apart, watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            weights, others = self.method.weights_and_penalties(task_id, step)
            embedded = self.model.embed(batch.inputs, ids)
            task_loss, accuracy = self._task_loss(weights, embedded, batch, ids)
            others = {**others, **self.method.auxiliary_losses(self.model, weights, batch, task_id, step)}
            if self.config.orthogonal_strength:
                others["orthogonal"] = self._orthogonal(weights)
            rest = tf.add_n(list(others.values())) if others else tf.constant(0.0)
            total = task_loss + rest
        task_gradients = self.workers.mean(self._gradients(tape, task_loss)) if apart else []
        if apart:
            added = self.workers.mean(self._gradients(tape, rest))
            gradients = [one + other for one, other in zip(task_gradients, added, strict=True)]
        else:
            gradients = self.workers.mean(self._gradients(tape, total))
        losses = {"total": total, "task": task_loss, **others}
        *means, accuracy = self.workers.mean([*losses.values(), accuracy])
        losses = dict(zip(losses, means, strict=True))
        norm, finite = self._update(
            gradients, task_gradients, learning_rate_at(self._schedule, step), tf.math.is_finite(losses["total"])
        )
        return losses, accuracy, norm, finite

    def _gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> list[tf.Tensor]:
        return [
            tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(tape.gradient(loss, self.variables), self.variables, strict=True)
        ]

    def _task_loss_of_batch(
        self, weights: Weights, embedded: tf.Tensor, batch: Batch, task_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss over the batch and accuracy in percent."""
        dtype = tf.as_dtype(self.config.precision)
        weights = {name: tf.cast(weight, dtype) for name, weight in weights.items()}
        logits = self.model.run(weights, tf.cast(embedded, dtype), batch.lengths, task_id).logits
        logits = tf.cast(logits, tf.float32)
        loss = tf.reduce_mean(sequence_losses(self.model.loss, logits, batch.targets, batch.loss_weights))
        right = tf.reduce_sum(step_accuracy(self.model.loss, logits, batch.targets) * batch.eval_weights)
        return loss, 100.0 * right / tf.maximum(tf.reduce_sum(batch.eval_weights), 1.0)

    def _orthogonal_of_weights(self, weights: Weights) -> tf.Tensor:
        return self.config.orthogonal_strength * orthogonal_penalty(weights, self.model.network.weight_specs)

    def _clip_and_apply(
        self,
        gradients: list[tf.Tensor],
        task_gradients: list[tf.Tensor],
        learning_rate: tf.Tensor,
        loss_is_finite: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        gradients, norm = clip_by_global_norm(gradients, self.config.clip_norm)
        accept = tf.logical_and(loss_is_finite, tf.math.is_finite(norm))
        if task_gradients:
            self.method.before_update(task_gradients, self.optimizer, learning_rate, accept)
        before = [tf.identity(variable) for variable in self.variables]  # removed by the compiler where unused
        self.optimizer.apply(gradients, learning_rate, accept)
        self.method.after_update(before, gradients, self.optimizer, accept)
        return norm, accept

    @tf.function
    def _evaluate(
        self, dataset: tf.data.Dataset, task_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Summed loss, summed accuracy (0..1 a step), scored steps, confusion matrix."""
        weights = self.model.source(task_id)
        classes = self.model.network.num_outputs if self.model.loss == "softmax" else 0
        totals = (tf.constant(0.0), tf.constant(0.0), tf.constant(0.0), tf.zeros([classes, classes]))
        for batch in dataset:
            embedded = self.model.embed(batch.inputs, task_id)
            scores = self._scores(weights, embedded, batch, task_id)
            totals = tuple(total + score for total, score in zip(totals, scores, strict=True))
        return totals

    def _scores_of_batch(
        self, weights: Weights, embedded: tf.Tensor, batch: Batch, task_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = self.model.run(weights, embedded, batch.lengths, task_id).logits
        loss = tf.reduce_sum(sequence_losses(self.model.loss, logits, batch.targets, batch.loss_weights))
        right = tf.reduce_sum(step_accuracy(self.model.loss, logits, batch.targets) * batch.eval_weights)
        confusion = tf.zeros([0, 0])
        if self.model.loss == "softmax":
            classes = self.model.network.num_outputs
            true = tf.one_hot(batch.targets, classes) * batch.eval_weights[..., tf.newaxis]
            predicted = tf.one_hot(tf.argmax(logits, axis=-1), classes)
            confusion = tf.einsum("btc,btd->cd", true, predicted)
        return loss, right, tf.reduce_sum(batch.eval_weights), confusion


class _Validation:
    """Validations while tasks are trained: the best weights so far, and whether to stop early."""

    def __init__(self, trainer: Trainer, tasks: Sequence[Task]) -> None:
        self._trainer = trainer
        self._tasks = [task for task in tasks if task.validation is not None]
        self._best_score = -math.inf
        self._best_values: list[np.ndarray] | None = None
        self._without_gain = 0

    @property
    def has_data(self) -> bool:
        return bool(self._tasks)

    @property
    def should_stop(self) -> bool:
        patience = self._trainer.config.early_stopping
        return patience is not None and self._without_gain >= patience

    def run(self, step: int) -> None:
        evaluations = [self._trainer.evaluate(task, task.validation) for task in self._tasks]
        score = np.mean([-each.loss if math.isnan(each.accuracy) else each.accuracy for each in evaluations])
        if score > self._best_score:
            self._best_score, self._without_gain = score, 0
            if self._trainer.config.keep_best:
                self._best_values = [variable.numpy() for variable in self._variables]
        else:
            self._without_gain += 1
        for observer in self._trainer.observers:
            for task, evaluation in zip(self._tasks, evaluations, strict=True):
                observer.validated(ValidationLog(task, step, evaluation))

    def restore_best(self) -> None:
        if self._best_values is not None:
            for variable, value in zip(self._variables, self._best_values, strict=True):
                variable.assign(value)

    @property
    def _variables(self) -> list[tf.Variable]:
        """What belongs to the best step: also what the method gathered on the way there."""
        return [*self._trainer.variables, *self._trainer.method.state_variables()]


def uses_xla(config: TrainConfig) -> bool:
    """Whether XLA compiles the main network."""
    return config.jit == "on" or (config.jit == "auto" and not tf.config.list_physical_devices("GPU"))
