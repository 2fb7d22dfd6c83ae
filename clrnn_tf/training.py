"""Training of one task after another: one compiled step for all tasks."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence

import tensorflow as tf

from clrnn_tf.blocks import scored_end, split_by_length
from clrnn_tf.compilation import uses_xla
from clrnn_tf.config import TrainConfig
from clrnn_tf.distribution import SingleWorker
from clrnn_tf.errors import require
from clrnn_tf.evaluation import Evaluator
from clrnn_tf.events import Observer, TrainingLog
from clrnn_tf.joint import joint_task
from clrnn_tf.loss_program import LossProgram
from clrnn_tf.losses import sequence_losses, step_accuracy
from clrnn_tf.methods.base import Method
from clrnn_tf.model import Model
from clrnn_tf.optimizers import Adam, clip_by_global_norm, learning_rate_at
from clrnn_tf.sources import batches_of_any_length
from clrnn_tf.tasks import Batch, Task, TaskStream
from clrnn_tf.validation import Validation
from clrnn_tf.weights import Weights, orthogonal_penalty


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
        jit = uses_xla(config)
        self._num_blocks = method.setup.num_blocks
        # differentiated with respect to the weights, and to embedded inputs where these are trained
        self._task_loss = LossProgram(self._task_loss_of_batch, jit, num_trained=1 + bool(embedding))
        self.evaluate = Evaluator(model, config.eval_batch_size, jit, in_halves=self._num_blocks > 1)
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
        validation = self.validation(validated)
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

    def validation(self, tasks: Sequence[Task]) -> Validation:
        """Validations on `tasks`. To a best step belongs also what the method gathered on the way there."""
        variables = [*self.variables, *self.method.state_variables()]
        return Validation(tasks, self.evaluate, variables, self.config, self.observers)

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
        with self._tape() as tape:
            weights, penalties = self.method.weights_and_penalties(task_id, step)
            task_loss, accuracy = self._task_scores(weights, batch, task_id)
            total = task_loss
            if not apart:
                others = self._other_losses(weights, penalties, batch, task_id, step)
                total = tf.add_n([task_loss, *others.values()])
        gradients = self.workers.mean(self._gradients(tape, total))
        task_gradients = gradients if apart else []
        if apart:  # in a second pass: two gradients of one tape would have XLA's programs differentiated twice
            with self._tape() as tape:
                weights, penalties = self.method.weights_and_penalties(task_id, step)
                others = self._other_losses(weights, penalties, batch, task_id, step)
                rest = tf.add_n([tf.constant(0.0), *others.values()])
            total = task_loss + rest
            added = self.workers.mean(self._gradients(tape, rest))
            gradients = [one + other for one, other in zip(task_gradients, added, strict=True)]
        losses = {"total": total, "task": task_loss, **others}
        *means, accuracy = self.workers.mean([*losses.values(), accuracy])
        losses = dict(zip(losses, means, strict=True))
        norm, finite = self._update(
            gradients, task_gradients, learning_rate_at(self._schedule, step), tf.math.is_finite(losses["total"])
        )
        return losses, accuracy, norm, finite

    @contextlib.contextmanager
    def _tape(self) -> Iterator[tf.GradientTape]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            yield tape

    def _other_losses(
        self, weights: Weights, penalties: dict[str, tf.Tensor], batch: Batch, task_id: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """All losses but the task's own."""
        others = {**penalties, **self.method.auxiliary_losses(self.model, weights, batch, task_id, step)}
        if self.config.orthogonal_strength:
            others["orthogonal"] = self._orthogonal(weights)
        return others

    def _task_scores(self, weights: Weights, batch: Batch, task_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean loss over the batch and accuracy in percent, block by block."""
        scores = []
        for block in split_by_length(batch, self._num_blocks):
            ids = block.task_id if self.method.learns_jointly else task_id  # a scalar is cheaper
            scores.append(self._task_loss(weights, self.model.embed(block.inputs, ids), scored_end(block), ids))
        losses, right, scored = zip(*scores, strict=True)
        return tf.add_n(losses) / len(losses), 100.0 * tf.add_n(right) / tf.maximum(tf.add_n(scored), 1.0)

    def _gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> list[tf.Tensor]:
        return [
            tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(tape.gradient(loss, self.variables), self.variables, strict=True)
        ]

    def _task_loss_of_batch(
        self, weights: Weights, embedded: tf.Tensor, batch: Batch, task_id: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Mean loss over the batch, summed accuracy (0..1 a step), scored steps; of the steps that targets hold."""
        dtype = tf.as_dtype(self.config.precision)
        weights = {name: tf.cast(weight, dtype) for name, weight in weights.items()}
        last_steps = tf.shape(batch.loss_weights)[1]
        logits = self.model.run(weights, tf.cast(embedded, dtype), batch.lengths, task_id, last_steps).logits
        logits = tf.cast(logits, tf.float32)
        loss = tf.reduce_mean(sequence_losses(self.model.loss, logits, batch.targets, batch.loss_weights))
        right = tf.reduce_sum(step_accuracy(self.model.loss, logits, batch.targets) * batch.eval_weights)
        return loss, right, tf.reduce_sum(batch.eval_weights)

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
